"""Algorand: addresses with their checksum, keyset paging, names in base64, and what errors mean."""

import base64
import hashlib
import json
from datetime import UTC, datetime

import pytest
from Crypto.Hash import SHA512
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import BadPage, CursorRejected, RateLimited, Refused, RequestRejected, ServerTrouble
from indexer.records import Asset, Cursor, Page, Question, Request
from indexer.sources import algorand_page
from indexer.sources.algorand import Algorand

SOURCE = Algorand()
ADDRESS = "AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQTCQKRMFYYDENBWHA5DYP7MUPJQE"
QUESTION = Question((ADDRESS,))
RESUMED = Question((ADDRESS,), cursor=Cursor("500"))
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


def encode(key: bytes) -> str:
    checksum = SHA512.new(key, truncate="256").digest()[-4:]
    return base64.b32encode(key + checksum).decode().rstrip("=")


def row(asset_id: object, amount: object = 1, params: object = None) -> dict[str, object]:
    held = {"amount": amount, "asset-id": asset_id, "is-frozen": False}
    return {"asset-holding": held} | ({} if params is None else {"asset-params": params})


def parse(rows: list[dict[str, object]], next_token: object = None, question: Question = QUESTION) -> Page:
    body = {"asset-holdings": rows, "next-token": next_token, "round": 9}
    return SOURCE.parse(question, json.dumps(body).encode())


def asset_of(params: dict[str, object]) -> Asset:
    (asset,) = parse([row(7, params=params)]).assets
    return asset


@given(key=st.binary(min_size=32, max_size=32))
def test_every_key_has_one_address(key: bytes) -> None:
    """An address built from any 32 bytes is accepted as it stands."""
    assert SOURCE.canonical_address(encode(key)) == encode(key)


@given(key=st.binary(min_size=32, max_size=32), place=st.integers(0, 57), letter=st.sampled_from(ALPHABET))
def test_one_mistyped_character_is_refused(key: bytes, place: int, letter: str) -> None:
    """No single other character gives an address, not even in the two spare bits of the last one."""
    address = encode(key)
    mistyped = address[:place] + letter + address[place + 1 :]

    if mistyped == address:
        assert SOURCE.canonical_address(mistyped) == address
    else:
        with pytest.raises(ValueError, match=r"checksum|canonical"):
            SOURCE.canonical_address(mistyped)


def test_the_spare_bits_of_the_last_character_must_be_zero() -> None:
    """The same 36 bytes in another spelling would be watched twice."""
    twin = ADDRESS[:-1] + ALPHABET[ALPHABET.index(ADDRESS[-1]) + 1]

    with pytest.raises(ValueError, match="canonical"):
        SOURCE.canonical_address(twin)


def test_checksums_hold_where_openssl_does_not_know_the_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some builds leave SHA-512/256 out: the same addresses are accepted and refused there."""
    monkeypatch.setattr(hashlib, "algorithms_available", frozenset[str]())

    assert SOURCE.canonical_address(ADDRESS) == ADDRESS
    with pytest.raises(ValueError, match="checksum"):
        SOURCE.canonical_address("B" + ADDRESS[1:])


@pytest.mark.parametrize("text", ["", ADDRESS.lower(), ADDRESS[:-1], ADDRESS + "A", " " + ADDRESS, "0" * 58])
def test_what_is_no_address_is_refused(text: str) -> None:
    """Length, case and alphabet are told apart from a wrong checksum."""
    with pytest.raises(ValueError, match="58 characters"):
        SOURCE.canonical_address(text)


def test_the_first_request_has_no_next() -> None:
    """`next=` without a value would be answered with 400."""
    assert SOURCE.request(QUESTION).target == f"/v2/accounts/{ADDRESS}/assets?limit=1000"
    assert SOURCE.request(RESUMED).target.endswith("/assets?limit=1000&next=500")


def test_a_token_is_sent_only_where_there_is_one() -> None:
    """Public nodes want no token, and an empty one is none."""
    request, now = Request("GET", "/", ""), datetime(2026, 1, 1, tzinfo=UTC)

    assert SOURCE.headers(request, {}, now) == {}
    assert SOURCE.headers(request, {"api_token": ""}, now) == {}
    assert SOURCE.headers(request, {"api_token": "t"}, now) == {"X-Algo-API-Token": "t"}


def test_names_come_from_their_exact_bytes() -> None:
    """The base64 twin wins over the printable one, and what PostgreSQL cannot store is replaced."""
    exact = {"name-b64": base64.b64encode(b"a\x00b\xff").decode(), "name": "plain", "unit-name": "UNIT"}

    asset = asset_of({"decimals": 2, **exact})

    assert (asset.name, asset.symbol, asset.decimals) == ("a\ufffdb\ufffd", "UNIT", 2)


def test_what_is_remembered_of_assets_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many assets there are, no more than that many are kept, and each says what it says now."""
    remembered: dict[int, object] = {}
    monkeypatch.setattr(algorand_page, "_remembered", remembered)
    monkeypatch.setattr(algorand_page, "_REMEMBERED_ASSETS", 2)

    for name in ("before", "after", "after"):
        page = parse([row(number, params={"decimals": 0, "name": name}) for number in range(1, 8)])
        assert [asset.name for asset in page.assets] == [name] * 7

    assert len(remembered) <= 2


def test_a_name_that_is_not_base64_falls_back_to_the_plain_one() -> None:
    """A damaged twin does not lose the name."""
    assert asset_of({"decimals": 0, "name-b64": "%%", "name": "plain"}).name == "plain"


def test_an_asset_without_description_says_nothing() -> None:
    """Missing parameters prove nothing: there is no asset that could overwrite what is known."""
    page = parse([row(7)])

    assert page.assets == ()
    assert page.holdings[0].decimals is None


@pytest.mark.parametrize("decimals", [-1, 20, "6", None, 1.5, True])
def test_impossible_decimals_make_the_item_unreadable(decimals: object) -> None:
    """An amount is worth nothing without knowing its unit."""
    page = parse([row(7, params={"decimals": decimals}), row(8)])

    assert [(u.asset_ref, u.address) for u in page.unreadable] == [("7", ADDRESS)]
    assert [h.asset_ref for h in page.holdings] == ["8"]
    assert page.assets == ()


@pytest.mark.parametrize("amount", [2**64, "5", True])
def test_an_amount_no_node_can_state_is_unreadable(amount: object) -> None:
    """Amounts are bare integers below 2^64."""
    assert [u.asset_ref for u in parse([row(7, amount)]).unreadable] == ["7"]


@given(amount=st.integers(0, 2**64 - 1))
def test_amounts_are_exact(amount: int) -> None:
    """Every amount a node can state comes back as it was."""
    assert parse([row(7, amount)]).holdings[0].amount == amount


@given(ids=st.lists(st.integers(1, 2**64 - 1), min_size=2, max_size=8))
def test_ids_must_rise(ids: list[int]) -> None:
    """Rising ids are a page; any others mean that the node ignored the cursor."""
    if ids == sorted(set(ids)):
        assert len(parse([row(asset_id) for asset_id in ids]).holdings) == len(ids)
    else:
        with pytest.raises(BadPage, match="backwards"):
            parse([row(asset_id) for asset_id in ids])


@pytest.mark.parametrize("token", ["499", "500", "abc", "", "٣", 501, "99999999999999999999", "-1", "0501"])
def test_a_token_that_leads_nowhere_is_refused(token: object) -> None:
    """It must be the decimal text of a later asset id."""
    with pytest.raises(BadPage, match="next-token"):
        parse([row(501), row(502)], token, RESUMED)


def test_the_node_round_is_the_height() -> None:
    """The round a page was read at is kept beside it; a page without it is refused."""
    assert parse([]).height == 9
    with pytest.raises(BadPage, match="round"):
        SOURCE.parse(QUESTION, b'{"asset-holdings":[],"round":null}')


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, RequestRejected),
        (400, RequestRejected),
        (401, Refused),
        (402, Refused),
        (403, Refused),
        (404, RequestRejected),
        (408, ServerTrouble),
        (429, RateLimited),
        (500, ServerTrouble),
        (503, ServerTrouble),
    ],
)
def test_a_status_has_one_reaction(status: int, kind: type[Exception]) -> None:
    """The class says what the crawl does next."""
    assert type(SOURCE.read_error(QUESTION, status, b"")) is kind


def test_an_expired_cursor_starts_the_crawl_again() -> None:
    """The same refusal means something else on a resumed page: page 1 was answered at the same address."""
    assert type(SOURCE.read_error(RESUMED, 400, b"{}")) is CursorRejected
    assert type(SOURCE.read_error(RESUMED, 404, b"{}")) is CursorRejected


def test_a_missing_route_is_explained() -> None:
    """Unknown accounts get an empty list, so a 404 is about the node."""
    error = SOURCE.read_error(QUESTION, 404, b'{"message":"Not Found"}')

    assert "does not serve" in str(error)
    assert "Not Found" in str(error)
