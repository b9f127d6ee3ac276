"""Solana DAS: keyset paging by bytes, dialects learned on the way, and items in every shape seen."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import base58
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import BadPage, CursorRejected, RateLimited, Refused, RequestRejected, ServerTrouble
from indexer.records import Cursor, Page, Question, Request
from indexer.sources.solana_das import SolanaDas

SOURCE = SolanaDas("/v3")


def key(seed: str) -> str:
    return base58.b58encode(hashlib.sha256(seed.encode()).digest()).decode()


OWNER = key("owner")
IDS = sorted((key(f"id {number}") for number in range(6)), key=base58.b58decode)
QUESTION = Question((OWNER,))
RESUMED = Question((OWNER,), cursor=Cursor(f"after:{IDS[0]}"))


def item(asset_id: object = IDS[1], **other: object) -> dict[str, Any]:
    owned = {
        "frozen": False,
        "delegated": False,
        "delegate": None,
        "ownership_model": "single",
        "owner": OWNER,
    }
    return {"interface": "V1_NFT", "id": asset_id, "ownership": owned, "burnt": False} | other


def answer(items: list[Any], **other: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "result": {"items": items, **other}, "id": 1}).encode()


def failure(code: int, message: str = "", data: object = None) -> bytes:
    error = {"code": code, "message": message, "data": data}
    return json.dumps({"jsonrpc": "2.0", "error": error, "id": 1}).encode()


def parse(*items: Any, question: Question = QUESTION) -> Page:
    return SOURCE.parse(question, answer(list(items)))


def parameters(question: Question) -> list[Any]:
    sent: list[Any] = json.loads(SOURCE.request(question).body)["params"]
    return sent


@given(raw=st.binary(min_size=32, max_size=32))
def test_every_key_is_an_address(raw: bytes) -> None:
    """Any 32 bytes in base58 are accepted as they stand, whatever their length as text."""
    text = base58.b58encode(raw).decode()

    assert SOURCE.canonical_address(text) == text


@pytest.mark.parametrize(
    "text", ["", "z" * 44, OWNER + "1", OWNER[:-4], "0" + OWNER[1:], OWNER + "\n", "1" * 33, "é" * 40]
)
def test_what_is_not_32_bytes_is_refused(text: str) -> None:
    """Length as text is not enough: 44 times z is 33 bytes."""
    with pytest.raises(ValueError, match="32 bytes"):
        SOURCE.canonical_address(text)


def test_the_key_is_only_in_the_secret_path() -> None:
    """What is stored and logged ends before the key; an odd key cannot change the path."""
    request = SOURCE.request(QUESTION)

    assert (request.method, request.target) == ("POST", "/v3")
    assert SOURCE.secret_path({"api_key": "k/?#"}) == "/k%2F%3F%23"
    assert SOURCE.headers(request, {"api_key": "k"}, datetime(2026, 1, 1, tzinfo=UTC)) == {
        "Content-Type": "application/json"
    }


def test_parameters_are_positional_with_explicit_nulls() -> None:
    """Six documented positions and the options; direction is stated because servers differ in the default."""
    order = {"sortBy": "id", "sortDirection": "asc"}

    assert parameters(QUESTION) == [OWNER, order, 1000, None, None, None, {"showFungible": True}]
    assert parameters(RESUMED)[5] == IDS[0]


def test_a_numbered_page_keeps_its_place_when_the_limit_shrinks() -> None:
    """Page 3 of 1000 is page 5 of 500: the same first row."""
    cursor, facts = Cursor(f"page:3:1000:{IDS[0]}"), {"mode": "page", "limit": "500"}
    sent = parameters(Question((OWNER,), cursor=cursor, facts=facts))

    assert sent[1:4] == [{"sortBy": "created", "sortDirection": "asc"}, 500, 5]


def test_the_list_ends_with_an_empty_page_only() -> None:
    """A short page proves nothing, and a page of errors alone goes on."""
    failed = SOURCE.parse(QUESTION, answer([], errors=[{"id": IDS[4], "error": "x"}]))

    assert parse(item(IDS[2])).next_cursor == f"after:{IDS[2]}"
    assert failed.next_cursor == f"after:{IDS[4]}"
    assert parse().next_cursor is None


def test_order_is_by_bytes_and_not_by_text() -> None:
    """A shorter base58 text can be the smaller or the larger key: only its bytes tell."""
    small, large = base58.b58encode(b"\x01" * 32).decode(), base58.b58encode(b"\x20" * 32).decode()
    assert small > large

    assert len(parse(item(small), item(large)).holdings) == 2
    with pytest.raises(BadPage, match="backwards"):
        parse(item(large), item(small))


@pytest.mark.parametrize("asset_ids", [(IDS[0],), (IDS[2], IDS[2]), (IDS[3], IDS[1])])
def test_ids_must_rise_above_the_cursor(asset_ids: tuple[str, ...]) -> None:
    """Otherwise the server ignored `after`, and the walk would never end."""
    with pytest.raises(BadPage, match="backwards"):
        parse(*map(item, asset_ids), question=RESUMED)


def test_failed_rows_must_be_above_the_cursor_too() -> None:
    """They carry the walk forward like any other row."""
    with pytest.raises(BadPage, match="backwards"):
        SOURCE.parse(RESUMED, answer([], errors=[{"id": IDS[0], "error": "x"}]))


def test_a_page_without_any_id_leads_nowhere() -> None:
    """There is nothing to continue from, so it cannot be a page."""
    with pytest.raises(BadPage, match="nothing to continue"):
        parse(item("?"), item(None))


@pytest.mark.parametrize(
    ("facts", "error", "taught"),
    [
        ({}, failure(-32602), {"options": "rejected"}),
        ({"options": "rejected"}, failure(-32602), {"mode": "page", "options": ""}),
        ({"options": "rejected", "mode": "page"}, failure(-32702), {"limit": "500"}),
        ({"limit": "500"}, failure(-32702), {"limit": "250"}),
        ({"limit": "5"}, failure(-32008), {"limit": "1"}),
        ({"works": "keyset"}, failure(-32702), {"limit": "500"}),
        ({}, failure(-32000, "Pagination Error. No Pagination Method Selected"), {"mode": "page"}),
    ],
)
def test_a_refusal_teaches_the_dialect(facts: dict[str, str], error: bytes, taught: dict[str, str]) -> None:
    """The same place is asked again in the way it takes; all of it is forgotten after the crawl."""
    question = Question((OWNER,), facts=facts)

    page = SOURCE.parse(question, error)

    assert SOURCE.read_error(question, 200, error) is None
    assert (dict(page.facts), set(page.lasting), page.teaches_only) == (taught, set(), True)


@pytest.mark.parametrize(
    ("facts", "cursor", "learned"),
    [
        ({}, None, {"works": "keyset"}),
        ({"mode": "page"}, None, {"works": "page"}),
        ({"mode": "page", "options": ""}, None, {"works": "page"}),
        ({"options": "rejected"}, None, {}),
        ({"works": "keyset"}, None, {"works": "keyset"}),
        ({"works": "keyset", "mode": "page"}, None, {}),
        ({}, RESUMED.cursor, {}),
    ],
)
def test_a_list_teaches_what_its_provider_takes(
    facts: dict[str, str], cursor: Cursor | None, learned: dict[str, str]
) -> None:
    """Only a list that was asked for with fungible tokens says so, and says it again."""
    page = parse(item(IDS[2]), question=Question((OWNER,), cursor=cursor, facts=facts))

    assert (dict(page.facts), set(page.lasting), page.teaches_only) == (learned, set(learned), False)


def test_a_provider_that_took_our_parameters_is_believed_no_refusal() -> None:
    """It may want page numbers from now on; what lists fungible tokens is never left out."""
    question = Question((OWNER,), facts={"works": "keyset"})

    numbered = msgspec.structs.replace(question, facts={"works": "keyset", "mode": "page", "options": ""})

    for error in (failure(-32602), failure(-32000, "Pagination Error.")):
        taught = SOURCE.parse(question, error)
        assert (taught.facts["mode"], taught.lasting, taught.teaches_only) == ("page", frozenset(), True)
        assert taught.facts.get("options", "") == ""
    assert parameters(numbered)[3:] == [1, None, None, {"showFungible": True}]
    assert type(SOURCE.read_error(numbered, 200, failure(-32602))) is ServerTrouble
    assert type(SOURCE.read_error(numbered, 200, failure(-32000, "Pagination Error."))) is RequestRejected


def test_the_mode_that_works_is_begun_with() -> None:
    """A provider that wants page numbers is not asked without them first."""
    assert parameters(Question((OWNER,), facts={"works": "page"}))[3] == 1


def test_a_dialect_that_changes_within_a_list_starts_again() -> None:
    """Half a list with fungible tokens and half without would look like a sale."""
    assert type(SOURCE.read_error(RESUMED, 200, failure(-32602))) is CursorRejected


@pytest.mark.parametrize(
    ("question", "status", "body", "kind"),
    [
        (QUESTION, 401, b"invalid project id\n", Refused),
        (QUESTION, 402, failure(402, "Payment Required"), Refused),
        (QUESTION, 200, failure(402, "Payment Required"), Refused),
        (QUESTION, 403, failure(-32002, "rejected due to project ID settings"), Refused),
        (QUESTION, 200, failure(-32002), Refused),
        (QUESTION, 429, failure(-32005, "daily request count exceeded, request rate limited"), Refused),
        (QUESTION, 429, failure(429, "Too Many Requests"), RateLimited),
        (QUESTION, 429, b"", RateLimited),
        (QUESTION, 200, failure(-32005), RateLimited),
        (QUESTION, 200, failure(-32000, "Database Connection Failed"), ServerTrouble),
        (QUESTION, 200, failure(-32603), ServerTrouble),
        (QUESTION, 200, failure(-32604), ServerTrouble),
        (QUESTION, 200, failure(-32800), ServerTrouble),
        (QUESTION, 200, failure(-32050), ServerTrouble),
        (QUESTION, 504, failure(-32602), ServerTrouble),
        (QUESTION, 200, failure(-32601), RequestRejected),
        (RESUMED, 200, failure(-32601), RequestRejected),
        (QUESTION, 413, failure(-32701), RequestRejected),
        (QUESTION, 200, failure(-32000, "Pubkey Validation Err: x is invalid"), RequestRejected),
        (RESUMED, 200, failure(-32000, "Cursor Validation Err: x is invalid"), CursorRejected),
        (RESUMED, 400, b"nonsense", CursorRejected),
        (QUESTION, 302, b"", RequestRejected),
        (Question((OWNER,), facts={"limit": "1"}), 200, failure(-32702), RequestRejected),
        (
            Question((OWNER,), facts={"mode": "page", "options": "rejected"}),
            200,
            failure(-32602),
            RequestRejected,
        ),
    ],
)
def test_an_error_has_one_reaction(
    question: Question, status: int, body: bytes, kind: type[Exception]
) -> None:
    """Status first, then the code: the same code means different things behind different statuses."""
    assert type(SOURCE.read_error(question, status, body)) is kind


@pytest.mark.parametrize(
    ("data", "seconds"),
    [
        ({"backoff_seconds": 30}, 30.0),
        ({"rate": {"backoff_seconds": 2.5}}, 2.5),
        ({"rate": {"backoff_seconds": 0}}, None),
        ({"backoff_seconds": "30"}, None),
        ({"backoff_seconds": -1}, None),
        ({"backoff_seconds": float("inf")}, None),
        (None, None),
    ],
)
def test_the_back_off_hint_is_read_where_it_says_something(data: object, seconds: float | None) -> None:
    """Flat as documented, nested as observed; 0 is no hint."""
    error = SOURCE.read_error(QUESTION, 429, failure(-32005, "project ID request rate exceeded", data))

    assert isinstance(error, RateLimited)
    assert error.retry_after_seconds == seconds


def test_a_back_off_hint_that_was_cut_says_nothing() -> None:
    """Only 40 characters of a number are kept: what is left of a longer one may be none."""
    body = failure(-32005, "rate", {"backoff_seconds": "@@"}).replace(b'"@@"', b"1." + b"1" * 37 + b"e5")

    error = SOURCE.read_error(QUESTION, 429, body)

    assert isinstance(error, RateLimited)
    assert error.retry_after_seconds is None


def test_a_key_quoted_by_the_api_is_not_passed_on() -> None:
    """Infura's keys are 32 hexadecimal digits; whatever looks like one is left out."""
    error = SOURCE.read_error(QUESTION, 401, b"invalid project id 0123456789abcdef0123456789abcdef\n")

    assert "invalid project id" in str(error)
    assert "0123456789abcdef" not in str(error)


@pytest.mark.parametrize("cut", [b'{"error": {"code": -32005', b'{"error": "said"}'])
def test_half_an_error_leaves_the_status_to_speak(cut: bytes) -> None:
    """What is no JSON-RPC error is judged by its status alone; under 200 the parser decides."""
    assert isinstance(SOURCE.read_error(QUESTION, 503, cut), ServerTrouble)
    assert SOURCE.read_error(QUESTION, 200, cut) is None


def test_an_error_beside_a_list_is_no_page() -> None:
    """Whatever the list says, half of the answer says that it went wrong."""
    body = {"jsonrpc": "2.0", "result": {"items": [item()]}, "error": "said", "id": 1}

    assert SOURCE.read_error(QUESTION, 200, json.dumps(body).encode()) is None
    with pytest.raises(BadPage, match="no JSON-RPC error"):
        SOURCE.parse(QUESTION, json.dumps(body).encode())


@pytest.mark.parametrize("echoed", [2, "2", None, True, 1.0, [1]])
def test_an_answer_to_another_request_is_refused(echoed: object) -> None:
    """Only our own id, as number or text, makes it our answer."""
    body = {"jsonrpc": "2.0", "result": {"items": []}, "id": echoed}

    with pytest.raises(BadPage, match="another request"):
        SOURCE.parse(QUESTION, json.dumps(body).encode())


def test_a_page_number_that_is_ignored_is_noticed() -> None:
    """The echoed number, or the same last row again, tells."""
    second = Question((OWNER,), cursor=Cursor(f"page:2:1000:{IDS[1]}"), facts={"mode": "page"})

    assert SOURCE.parse(second, answer([item(IDS[0])], page=2)).next_cursor == f"page:3:1000:{IDS[0]}"
    numbers: list[object] = [1, "2", 2.0, [], {}, None]
    others = [answer([item(IDS[0])], page=stated) for stated in numbers]
    for body in (*others, answer([item(IDS[1])])):
        with pytest.raises(BadPage, match="ignored"):
            SOURCE.parse(second, body)


def test_a_numbered_page_reads_the_same_after_its_limit_shrank() -> None:
    """A later page was too big: the earlier ones are read again with what was learned then."""
    body = answer([item(IDS[0])], page=2)
    second = Question((OWNER,), cursor=Cursor(f"page:2:1000:{IDS[1]}"), facts={"mode": "page"})
    again = msgspec.structs.replace(second, facts={"mode": "page", "limit": "250"})

    assert SOURCE.parse(again, body).holdings == SOURCE.parse(second, body).holdings
    with pytest.raises(BadPage, match="ignored"):
        SOURCE.parse(again, answer([item(IDS[0])], page=1))


def test_the_request_is_ascii_and_stable() -> None:
    """The same question gives the same bytes."""
    assert SOURCE.request(QUESTION) == SOURCE.request(Question((OWNER,)))
    assert isinstance(SOURCE.request(QUESTION), Request)
