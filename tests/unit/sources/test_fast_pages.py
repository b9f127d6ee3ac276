"""The short way through a page says what the long way says, or nothing."""

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.errors import BadPage
from indexer.records import Cursor, Page, Question
from indexer.sources import algorand_page, build, hedera_page
from tests.unit.sources.damage import damaged_bodies
from tests.unit.sources.recordings import readable_pages

Reader = Callable[[Question, bytes], Page | None]

SHORT: Mapping[str, Reader] = MappingProxyType(
    {"algorand": algorand_page.read_usual_page, "hedera": hedera_page.read_usual_page}
)
LONG: Mapping[str, Reader] = MappingProxyType(
    {"algorand": algorand_page.read_any_page, "hedera": hedera_page.read_any_page}
)
ALGORAND = Question(("GD64YIY3TWGDMCNPP553DZPPR6LDUSFQOIJVFDPPXWEG3FVOJCCDBBHU5A",))
HEDERA = Question(("0.0.48120",))


def outcome(reader: Reader, question: Question, body: bytes) -> Page | str | None:
    try:
        return reader(question, body)
    except BadPage as error:
        return str(error)


def check_alike(name: str, question: Question, body: bytes) -> bool:
    """Whether the short way was taken; where it was, it must have led to the same place."""
    short, long = outcome(SHORT[name], question, body), outcome(LONG[name], question, body)
    assert short is None or short == long
    assert outcome(build(name, "", {}).parse, question, body) == long
    return short is not None


@pytest.mark.parametrize("name", SHORT)
def test_recorded_pages_are_read_alike(name: str) -> None:
    """Whatever was recorded gives the same page either way, and most of it goes the short way."""
    taken = [check_alike(name, question, body) for question, body, _ in readable_pages(name)]

    assert sum(taken) > len(taken) / 2


@pytest.mark.parametrize("name", SHORT)
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_damaged_pages_are_read_alike(name: str, data: st.DataObject) -> None:
    """Damaged in any way, a page is left to the long way or read as it would be there."""
    question, body = data.draw(damaged_bodies(name))

    check_alike(name, question, body)


entity = st.sampled_from(["0.0.48120", "0.0.5", "0.0.6", "0.1.5", "00.0.5", "", "x"])
text = st.none() | st.text(st.sampled_from('a"\\\x00é😀\x1f'), max_size=3)
#: Rows as a mirror node writes them, nearly always.
nft = st.fixed_dictionaries(
    {
        "account_id": st.just("0.0.48120") | entity,
        "deleted": st.booleans(),
        "serial_number": st.integers(0, 4) | st.sampled_from([2**63 - 1, 2**63]),
        "token_id": entity,
    },
    optional=dict.fromkeys(
        ("created_timestamp", "delegating_spender", "metadata", "modified_timestamp", "spender"), text
    ),
)
links = st.sampled_from(
    [None, "", "/x?limit=1&token.id=gte:0.0.5", "/x?token.id=gt:0.0.9&serialnumber=gt:1", "/x?a"]
)
cursors = st.sampled_from([None, "limit=100&token.id=gte:0.0.5&serialnumber=gt:1", "token.id=gt:0.0.5", "?"])


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(nft, max_size=4),
    link=links,
    cursor=cursors,
    address=st.sampled_from(["0.0.48120", "0x" + "ab" * 20, "x"]),
    ordered=st.booleans(),
)
def test_hedera_rows_are_read_alike(
    rows: list[dict[str, Any]], link: str | None, cursor: str | None, address: str, ordered: bool
) -> None:
    """Owners, order, repeated edges, empty texts and cursors: the same page either way."""
    rows = sorted(rows, key=lambda row: (row["token_id"], row["serial_number"])) if ordered else rows
    body = json.dumps({"nfts": rows, "links": {"next": link}}).encode()

    check_alike("hedera", Question((address,), cursor=None if cursor is None else Cursor(cursor)), body)


params = st.fixed_dictionaries(
    {"decimals": st.integers(0, 19) | st.sampled_from([-1, 20, None, "6"])},
    optional={"name": text, "name-b64": st.sampled_from(["YQ==", "/w==", "?", 5, ""]), "unit-name": text},
)
asset_row: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "asset-holding": st.fixed_dictionaries(
            {
                "amount": st.integers(0, 5) | st.sampled_from([2**64 - 1, 2**64, -1]),
                "asset-id": st.integers(1, 9) | st.sampled_from([0, 2**64 - 1, 2**64]),
                "is-frozen": st.booleans(),
            }
        )
    },
    optional={
        "asset-params": params
        | st.none()
        | st.just({})
        | st.just([])
        | st.just({"decimals": 0, "x": "y" * 3000})
    },
)


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(asset_row, max_size=4),
    token=st.sampled_from([None, "", "7", "9", "007", str(2**64 - 1), str(2**64)]),
    height=st.sampled_from([0, 7, 2**63 - 1, 2**63, -1]),
    cursor=st.sampled_from([None, "3"]),
    ordered=st.booleans(),
)
def test_algorand_rows_are_read_alike(
    rows: list[dict[str, Any]], token: str | None, height: int, cursor: str | None, ordered: bool
) -> None:
    """Order, limits, descriptions and tokens: the same page either way."""
    rows = sorted(rows, key=lambda row: row["asset-holding"]["asset-id"]) if ordered else rows
    body = json.dumps({"asset-holdings": rows, "next-token": token, "round": height}).encode()

    check_alike(
        "algorand", Question(ALGORAND.addresses, cursor=None if cursor is None else Cursor(cursor)), body
    )


def algorand_body(holding: bytes, params: bytes = b'{"decimals":0}', more: bytes = b"0") -> bytes:
    row = b'{"asset-holding":{%s},"asset-params":%s}' % (holding, params)
    return b'{"asset-holdings":[%s],"round":1,"more":%s}' % (row, more)


def hedera_body(more: bytes, owner: bytes = b"0.0.48120", link: bytes = b"null") -> bytes:
    row = b'{"account_id":"%s","deleted":false,"serial_number":1,"token_id":"0.0.5",%s}' % (owner, more)
    return b'{"nfts":[%s],"links":{"next":%s}}' % (row, link)


HELD = b'"amount":7,"asset-id":5,"is-frozen":false'
ODD_BODIES = (
    ("algorand", algorand_body(HELD.replace(b"5", b"18446744073709551616"))),
    ("algorand", algorand_body(HELD.replace(b"5", b"0"))),
    ("algorand", algorand_body(HELD.replace(b"7", b"18446744073709551616"))),
    ("algorand", algorand_body(HELD.replace(b"7", b"7.0"))),
    ("algorand", algorand_body(HELD.replace(b"7", b"true"))),
    ("algorand", algorand_body(HELD, more=b'"\xff"')),
    ("algorand", algorand_body(HELD, params=b'{"decimals":0,"name":"\xff"}')),
    ("algorand", algorand_body(HELD, params=b'{"decimals":0,"name":"\\ud83d"}')),
    ("hedera", hedera_body(b'"metadata":"\\u0000"')),
    ("hedera", hedera_body(b'"spender":"\\u0000"')),
    ("hedera", hedera_body(b'"metadata":"\\ud83d"')),
    ("hedera", hedera_body(b'"more":"\xff"')),
    ("hedera", hedera_body(b'"more":0', owner=b"0.0.7")),
    ("hedera", hedera_body(b'"more":0', owner=b"nobody")),
    ("hedera", hedera_body(b'"more":0', link=b'"/x?limit=1"')),
)


@pytest.mark.parametrize(("name", "body"), ODD_BODIES)
def test_odd_bodies_are_read_alike(name: str, body: bytes) -> None:
    """One thing is odd in each: the two readers still never differ."""
    check_alike(name, {"algorand": ALGORAND, "hedera": HEDERA}[name], body)


def test_an_owner_that_is_no_account_is_unreadable_either_way() -> None:
    """An alias cannot be compared with the owner of a row, but that owner must still be an account."""
    alias = Question(("nobody",))

    check_alike("hedera", alias, hedera_body(b'"more":0', owner=b"nobody"))
    assert (
        len(build("hedera", "", {}).parse(alias, hedera_body(b'"more":0', owner=b"nobody")).unreadable) == 1
    )
    assert len(build("hedera", "", {}).parse(alias, hedera_body(b'"more":0', owner=b"0.0.7")).holdings) == 1


def test_usual_pages_go_the_short_way() -> None:
    """The pages that the short ways are for, with fields nobody knows yet: an API may add some."""
    holding = b'{"amount":7,"asset-id":5,"is-frozen":false,"new":1}'
    described = b'{"asset-holding":%s,"asset-params":{"decimals":6,"name":"\\u00e9"}}' % holding
    row = b'{"account_id":"0.0.48120","deleted":false,"serial_number":1,"token_id":"0.0.5","new":[1]}'

    assert check_alike("algorand", ALGORAND, b'{"asset-holdings":[%s],"round":1,"new":{}}' % described)
    assert check_alike("hedera", HEDERA, b'{"nfts":[%s],"links":{"next":null},"new":{}}' % row)


def test_an_asset_described_in_the_same_bytes_is_the_same_object() -> None:
    """A thousand accounts that hold one asset share its description, which is then recognised by identity."""
    row = b'{"asset-holding":{"amount":%d,"asset-id":5,"is-frozen":false},"asset-params":{"decimals":6}}'
    body = b'{"asset-holdings":[' + row + b'],"round":1}'

    first, second = (algorand_page.read_page(ALGORAND, body % amount) for amount in (1, 2))

    assert first.holdings != second.holdings
    assert first.assets[0] is second.assets[0]


def test_another_description_is_another_asset() -> None:
    """What is remembered is remembered for exactly these bytes and this asset."""
    row = b'{"asset-holding":{"amount":1,"asset-id":%d,"is-frozen":false},"asset-params":{"decimals":%d}}'
    body = b'{"asset-holdings":[' + row + b'],"round":1}'

    read = [algorand_page.read_page(ALGORAND, body % which).assets[0] for which in ((5, 6), (5, 7), (6, 6))]

    assert [(asset.asset_ref, asset.decimals) for asset in read] == [("5", 6), ("5", 7), ("6", 6)]
