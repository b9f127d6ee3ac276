"""Hedera: the many forms of an account, next links that are never followed, and rows in order."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import BadPage, CursorRejected, RateLimited, Refused, RequestRejected, ServerTrouble
from indexer.records import Cursor, Page, Question
from indexer.sources.hedera import Hedera

SOURCE = Hedera()
ACCOUNT = "0.0.48120"
QUESTION = Question((ACCOUNT,))
CURSOR = Cursor("limit=100&order=asc&token.id=gte:0.0.7001&serialnumber=gt:12")
RESUMED = Question((ACCOUNT,), cursor=CURSOR)
ALIAS = "CIQFWQ4ZR2V6DCKGXAJUBH3NPE7MSTOYLI5BQW2XVRDCKGZAJUBHPNE"


def nft(token: object = "0.0.7001", serial: object = 1, **other: object) -> dict[str, object]:
    row: dict[str, object] = {
        "account_id": ACCOUNT,
        "created_timestamp": "1712000001.123456789",
        "delegating_spender": None,
        "deleted": False,
        "metadata": "",
        "modified_timestamp": "1712000001.123456789",
        "serial_number": serial,
        "spender": None,
        "token_id": token,
    }
    return row | other


def parse(rows: list[dict[str, object]], following: object = None, question: Question = QUESTION) -> Page:
    return SOURCE.parse(question, json.dumps({"nfts": rows, "links": {"next": following}}).encode())


def details(**other: object) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(parse([nft(**other)]).holdings[0].details)
    return told


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("48120", ACCOUNT),
        ("0.48120", ACCOUNT),
        ("0.0.0048120", ACCOUNT),
        ("1.2.3", "1.2.3"),
        (f"0.0.{2**38 - 1}", f"0.0.{2**38 - 1}"),
        ("0x000000000000000000000000000000000000bBf8", ACCOUNT),
        ("000000000000000000000000000000000000bbf8", ACCOUNT),
        ("0xABCDEFabcdef0123456789ABCDEFabcdef012345", "0xabcdefabcdef0123456789abcdefabcdef012345"),
        ("0.0.abcdefabcdef0123456789abcdefabcdef012345", "0xabcdefabcdef0123456789abcdefabcdef012345"),
        (ALIAS, ALIAS),
        (f"0.0.{ALIAS}", f"0.0.{ALIAS}"),
    ],
)
def test_forms_of_an_account(text: str, canonical: str) -> None:
    """One account is stored in one form wherever its number can be told, and the form is stable."""
    assert SOURCE.canonical_address(text) == canonical
    assert SOURCE.canonical_address(canonical) == canonical


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0.0.1001-abcde", "checksum suffix"),
        (f"0.0.{2**38}", "outside"),
        ("0.0.0", "outside"),
        ("99999.0.1", "outside"),
        ("0x" + "0" * 25 + "f" * 15, "outside"),
        (ALIAS.lower(), "upper-case alias"),
        ("0.0", "outside"),
        ("0.0.0.1", "alias"),
        ("0x12", "hexadecimal"),
        ("", "account is"),
        ("0.0.١", "account is"),
        (" 0.0.1", "account is"),
    ],
)
def test_what_is_no_account_is_refused(text: str, why: str) -> None:
    """A typo must not silently watch nothing: the message says what is wrong."""
    with pytest.raises(ValueError, match=why):
        SOURCE.canonical_address(text)


@given(number=st.integers(1, 2**38 - 1))
def test_a_number_and_its_long_zero_address_are_one_account(number: int) -> None:
    """Both name the same account, so both become the same watch."""
    assert SOURCE.canonical_address(f"0x{number:040x}") == SOURCE.canonical_address(str(number))


def test_the_server_query_is_sent_as_it_came() -> None:
    """Colons stay unescaped, repeated keys stay, the order stays; only host and path are ours."""
    query = "limit=100&order=asc&token.id=lte:0.0.9&token.id=gte:0.0.7&serialnumber=gt:3"
    page = parse([], f"https://elsewhere.example/other/path?{query}")

    request = Hedera("/mirror").request(Question((ACCOUNT,), cursor=page.next_cursor))

    assert request.target == f"/mirror/api/v1/accounts/{ACCOUNT}/nfts?{query}"


@pytest.mark.parametrize(
    "following",
    [
        "",
        "/api/v1/accounts/0.0.1/nfts",
        "/x?limit=100",
        "/x?token.id=gte:0.0.1 HTTP/1.1",
        "/x?token.id=gte:0.0.1#top",
        "/x?token.id=gte:0.0.1\r\nHost: elsewhere",
        "/x?token.id=gte:\x00",
        "/x?token.id=" + "1" * 2000,
        7,
        {},
    ],
)
def test_a_link_that_is_no_query_is_refused(following: object) -> None:
    """Whatever cannot be one line of a request is BadPage."""
    with pytest.raises(BadPage, match="next"):
        parse([], following)


@pytest.mark.parametrize(
    "query",
    [CURSOR, "limit=100&order=asc&token.id=gte:0.0.7001&serialnumber=gt:11", "token.id=gte:0.0.6000"],
)
def test_a_link_that_leads_back_is_refused(query: str) -> None:
    """The same place, or one before the last row, would go on for ever."""
    with pytest.raises(BadPage, match="backwards"):
        parse([], f"/x?{query}", RESUMED)


def test_a_link_to_this_page_in_other_words_is_refused() -> None:
    """An empty page has no last row to compare with: its own beginning says that it leads nowhere."""
    reordered = "&".join(reversed(CURSOR.split("&")))

    with pytest.raises(BadPage, match="leads back"):
        parse([], f"/x?{reordered}", RESUMED)


@pytest.mark.parametrize(
    "query", ["token.id=gte:soon", "token.id=gte:0.0.1&token.id=gte:0.0.2", "token.id=lte:0.0.9"]
)
def test_a_link_whose_place_cannot_be_told_is_followed(query: str) -> None:
    """Not understood is not wrong: cursors that come again are seen where they are kept."""
    assert parse([nft()], f"/x?{query}").next_cursor == query


@pytest.mark.parametrize(
    "query",
    [
        "limit=100&order=asc&token.id=gte:0.0.7001&serialnumber=gt:2",
        "limit=100&order=asc&token.id=gte:0.0.7002&serialnumber=gt:1",
        "token.id=gt:0.0.7001",
    ],
)
def test_a_link_that_skips_rows_is_refused(query: str) -> None:
    """The server writes it from the last row of the page: from anywhere else, rows would be missing."""
    with pytest.raises(BadPage, match="skips rows"):
        parse([nft(serial=1)], f"/x?{query}")


@pytest.mark.parametrize(
    "query",
    [
        "order=desc&token.id=gte:0.0.7001&serialnumber=gt:1",
        "token.id=eq:0.0.7001&serialnumber=gt:1",
        "token.id=gte:0.0.7001&serialnumber=eq:1",
        "token.id=gte:0.0.7001&serialnumber=gt:1&spender.id=0.0.5",
        "token.id=gte:0.0.7001&serialnumber=gt:1&spender.id=",
        "token.id=0.0.7001",
    ],
)
def test_a_link_to_another_list_is_refused(query: str) -> None:
    """Turned round or narrowed, the list would end before ours does, and look complete."""
    with pytest.raises(BadPage, match="another list"):
        parse([nft(serial=1)], f"/x?{query}")


def test_a_link_behind_an_unreadable_row_is_followed() -> None:
    """Where the last row stands is not known, so nothing contradicts the link."""
    query = "token.id=gte:0.0.7001&serialnumber=gt:2"

    page = parse([nft(serial=1), nft(serial="2")], f"/x?{query}")

    assert (page.next_cursor, len(page.unreadable)) == (query, 1)


def test_a_full_page_is_never_the_end() -> None:
    """A full page has a link, even at the end of the list: where it is lost, we ask for what follows."""
    rows = [nft(serial=serial) for serial in range(1, 101)]

    full, shorter = parse(rows), parse(rows[:-1])

    assert full.next_cursor == "serialnumber=gt:100&token.id=gte:0.0.7001&limit=100&order=asc"
    assert shorter.next_cursor is None


def test_a_server_that_knows_only_its_own_links_has_the_last_word() -> None:
    """It refuses what we ask after the end it stated; whatever it lists there is read as ever."""
    rows = [nft(serial=serial) for serial in range(1, 101)]
    asked = Question(QUESTION.addresses, "", parse(rows).next_cursor)
    unknown = b'{"_status": {"messages": [{"message": "Not found"}]}}'

    assert [SOURCE.read_error(asked, status, unknown) for status in (400, 404)] == [None, None]
    assert isinstance(SOURCE.read_error(asked, 500, unknown), ServerTrouble)
    # A refusal is the end; an answer that is none says nothing about it.
    assert all(isinstance(SOURCE.read_error(asked, 200, odd), BadPage) for odd in (unknown, b"", b"<html>"))
    assert SOURCE.parse(asked, unknown) == SOURCE.parse(asked, b"no such file") == Page()
    with pytest.raises(BadPage):
        SOURCE.parse(asked, b'{"nfts": {}, "links": {"next": null}}')


def test_some_rows_of_a_full_page_without_a_link_go_on_where_it_does() -> None:
    """Else they would look like a page that ends the list."""
    rows = [nft(serial=serial) for serial in range(1, 101)]
    split = SOURCE.split(json.dumps({"nfts": rows, "links": {"next": None}}).encode())

    assert split is not None
    some = SOURCE.parse(QUESTION, split.with_rows(split.rows[-2:]))
    assert (len(some.holdings), some.next_cursor) == (2, parse(rows).next_cursor)


@pytest.mark.parametrize("last", [nft("no token", 100), nft(serial="100"), {}])
def test_a_full_page_without_a_link_that_ends_oddly_is_read_whole(last: dict[str, object]) -> None:
    """Where it goes on cannot be told from its bytes alone."""
    rows = [*(nft(serial=serial) for serial in range(1, 100)), last]

    assert SOURCE.split(json.dumps({"nfts": rows, "links": {"next": None}}).encode()) is None


@pytest.mark.parametrize(
    ("rows", "question"),
    [
        ([nft(serial=5), nft(serial=4)], QUESTION),
        ([nft(serial=5), nft(serial=5)], QUESTION),
        ([nft("0.0.7002", 1), nft("0.0.801", 9)], QUESTION),
        ([nft(serial=11)], RESUMED),
        ([nft(serial=13), nft(serial=12)], RESUMED),
    ],
)
def test_rows_must_rise(rows: list[dict[str, object]], question: Question) -> None:
    """Rows are in order of token number and serial, above the cursor; anything else is another list."""
    with pytest.raises(BadPage, match="backwards"):
        parse(rows, None, question)


def test_tokens_are_ordered_by_number_not_by_text() -> None:
    """0.0.801 comes before 0.0.7002."""
    assert len(parse([nft("0.0.801", 9), nft("0.0.7002", 1)]).holdings) == 2


def test_the_row_at_the_page_edge_may_come_again() -> None:
    """An identical repeat is no drift."""
    assert len(parse([nft(serial=12), nft(serial=13)], None, RESUMED).holdings) == 2


@pytest.mark.parametrize(
    "damage",
    [
        {"account_id": None},
        {"account_id": 7},
        {"deleted": "no"},
        {"deleted": None},
        {"spender": 9},
        {"metadata": {}},
    ],
)
def test_a_damaged_row_is_unreadable_with_its_key(damage: dict[str, object]) -> None:
    """Token and serial are still known, so the old version of exactly this NFT is carried."""
    page = parse([nft(serial=1, **damage), nft(serial=2)])

    assert [(u.asset_ref, u.sub_key) for u in page.unreadable] == [("0.0.7001", "1")]
    assert [h.sub_key for h in page.holdings] == ["2"]


@pytest.mark.parametrize(
    ("token", "serial"),
    [
        ("0.0.7001", 0),
        ("0.0.7001", 2**63),
        ("0.0.7001", True),
        ("0.0.7001", "1"),
        ("7001", 1),
        ("0.0.07", 1),
        (None, 1),
    ],
)
def test_a_key_that_cannot_be_read_names_no_holding(token: object, serial: object) -> None:
    """Nobody knows which NFT it was, and the gap says so."""
    (gap,) = parse([nft(token, serial)]).unreadable

    assert (gap.address, gap.asset_ref, gap.sub_key) == (ACCOUNT, None, "")


def test_details_hold_what_is_true_of_the_serial() -> None:
    """Metadata and times as given; empty and false values are left out; a deleted token is still held."""
    assert details(metadata="", modified_timestamp=None, created_timestamp=None) == {}
    assert details(deleted=True, metadata="aGk=", delegating_spender="0.0.5") == {
        "created_timestamp": "1712000001.123456789",
        "deleted": True,
        "delegating_spender": "0.0.5",
        "metadata": "aGk=",
        "modified_timestamp": "1712000001.123456789",
    }


def test_the_spender_is_the_delegate() -> None:
    """Who may move the NFT is a column of its own."""
    (holding,) = parse([nft(spender="0.0.900")]).holdings

    assert (holding.delegate, holding.amount, holding.decimals) == ("0.0.900", 1, 0)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, RequestRejected),
        (400, RequestRejected),
        (401, Refused),
        (403, Refused),
        (404, RequestRejected),
        (429, RateLimited),
        (500, ServerTrouble),
        (502, ServerTrouble),
    ],
)
def test_a_status_has_one_reaction(status: int, kind: type[Exception]) -> None:
    """The class says what the crawl does next."""
    assert type(SOURCE.read_error(QUESTION, status, b"<html>")) is kind


def test_an_expired_cursor_starts_the_crawl_again() -> None:
    """The same refusal means something else on a resumed page."""
    assert type(SOURCE.read_error(RESUMED, 400, b"{}")) is CursorRejected
    assert type(SOURCE.read_error(RESUMED, 404, b"{}")) is CursorRejected


def test_the_servers_own_words_are_quoted() -> None:
    """Several messages are told together."""
    body = json.dumps(
        {"_status": {"messages": [{"message": "Invalid parameter: limit"}, {"message": "two"}, 3]}}
    )

    assert "Invalid parameter: limit; two" in str(SOURCE.read_error(QUESTION, 400, body.encode()))
