"""The DAS server: positional parameters, checks in order, byte order of ids, three revisions."""

import base58
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.simulator.wire import Switches
from indexer.simulator.world import World
from tests.unit.simulator.asking import DAS_KEY, ask, das, read, walk_das

_ASCENDING = {"sortBy": "id", "sortDirection": "asc"}
_FUNGIBLE = {"showFungible": True}


def _owner(world: World) -> str:
    return world.watchlist()[0].address


@settings(max_examples=25)
@given(count=st.integers(0, 50), limit=st.integers(1, 20))
def test_keyset_leads_through_every_asset_by_byte_order(count: int, limit: int) -> None:
    """After the last id comes the next one by its 32 bytes; burnt rows are listed as burnt."""
    world = World.build(1, {"solana_das": [count]})

    rows = walk_das(world, _owner(world), limit)

    raw = [base58.b58decode(row["id"]) for row in rows]
    assert raw == sorted(raw)
    assert len(set(raw)) == count
    held = {position.asset_ref for position in world.truth("solana_das", _owner(world))}
    assert {row["id"] for row in rows if not row["burnt"]} == held


def test_total_counts_this_page_only() -> None:
    """Not the number of assets, whatever documents say."""
    world = World.build(1, {"solana_das": [9]})

    result = das(world, _owner(world), _ASCENDING, 4, None, None, None, _FUNGIBLE)["result"]

    assert (result["total"], len(result["items"]), result["limit"]) == (4, 4, 4)


@pytest.mark.parametrize(
    ("parameters", "code", "text"),
    [
        (("O", None, None), -32602, "invalid length 3"),
        ((None, None, None, None, None, None), -32602, "expected a string"),
        (("O", None, "50", None, None, None), -32602, "expected u32"),
        (("O", None, -1, None, None, None), -32602, "expected u32"),
        (("O", {"sortBy": "recentAction"}, 1, 1, None, None), -32602, "unknown variant"),
        (("O", None, 1, None, None, None, {"showAll": True}), -32602, "unknown field"),
        (("O", None, 1, None, None, None, None, None, None), -32602, "trailing characters"),
        (("O", None, 1001, None, None, None), -32000, "Limit should not be greater than 1000"),
        (("O", None, 1, 0, None, None), -32000, "No Pagination Method Selected"),
        (("O", None, 1, 1, None, "O"), -32000, "Only one pagination parameter"),
        (("O", {"sortBy": "created"}, 1, None, None, None), -32000, "Only sorting based on id"),
        (("O", None, 1, None, None, "short"), -32000, "Pubkey Validation Err"),
        (("z" * 44, None, 2000, 0, None, None), -32000, "Pubkey Validation Err"),
    ],
)
def test_wrong_parameters_are_rpc_errors(parameters: tuple[object, ...], code: int, text: str) -> None:
    """Types first, then the owner, then pagination in the server's order; all with HTTP 200."""
    world = World.build(1, {"solana_das": [1]})
    given_parameters = [_owner(world) if value == "O" else value for value in parameters]

    error = das(world, *given_parameters)["error"]

    assert error["code"] == code
    assert text in error["message"]


def test_named_parameters_are_refused() -> None:
    """Infura takes an array only."""
    body = b'{"jsonrpc":"2.0","id":1,"method":"getAssetsByOwner","params":{"ownerAddress":"x"}}'

    assert read(ask(World(1), "solana_das", f"/v3/{DAS_KEY}", body=body))["error"]["code"] == -32602


def test_a_wrong_key_is_plain_text() -> None:
    """The edge answers before JSON-RPC does."""
    answer = ask(World(1), "solana_das", "/v3/wrong", body=b"{}")

    assert (answer.status, answer.body) == (401, b"invalid project id\n")


def test_descending_after_gives_the_largest_not_the_next() -> None:
    """The trap in the reference server: `after` is a bound, not a direction."""
    world = World.build(1, {"solana_das": [12]})
    rows = [row["id"] for row in walk_das(world, _owner(world), 12)]
    descending = {"sortBy": "id", "sortDirection": "desc"}

    result = das(world, _owner(world), descending, 2, None, None, rows[3], _FUNGIBLE)["result"]

    assert [row["id"] for row in result["items"]] == [rows[11], rows[10]]


def test_page_mode_ends_with_an_empty_page() -> None:
    """Past the end there is no error, and no cursor either."""
    world = World.build(1, {"solana_das": [5]})

    result = das(world, _owner(world), _ASCENDING, 5, 2, None, None, _FUNGIBLE)["result"]

    assert result == {"total": 0, "limit": 5, "page": 2, "items": []}


def test_without_options_no_fungible_and_nothing_burnt_is_listed() -> None:
    """The documented six parameters show single, living assets only."""
    world = World.build(1, {"solana_das": [32]})

    items = das(world, _owner(world), _ASCENDING, None, None, None, None)["result"]["items"]

    assert items
    assert {item["ownership"]["ownership_model"] for item in items} == {"single"}
    assert not any(item["burnt"] for item in items)


def test_revisions_differ_in_what_they_tell() -> None:
    """M knows no balances and lists burnt assets; J repeats cursors in keyset answers."""
    world = World.build(1, {"solana_das": [32]})
    rows = walk_das(world, _owner(world), 32)
    asked = (_owner(world), _ASCENDING, 5, None, None, rows[0]["id"], _FUNGIBLE)

    by_revision = {name: das(world, *asked, switches=Switches(das_revision=name))["result"] for name in "MTJ"}

    assert not any("token_info" in item for item in by_revision["M"]["items"])
    assert any("token_info" in item for item in by_revision["T"]["items"])
    assert "cursor" not in by_revision["T"]
    assert by_revision["J"]["cursor"] == by_revision["J"]["items"][-1]["id"]


def test_pages_by_age_go_either_way() -> None:
    """Newest first is the opposite of oldest first."""
    world = World.build(1, {"solana_das": [12]})

    listed = {
        direction: [
            row["id"]
            for row in das(
                world, _owner(world), {"sortBy": "created", "sortDirection": direction}, 12, 1, None, None
            )["result"]["items"]
        ]
        for direction in ("asc", "desc")
    }

    assert listed["asc"] == listed["desc"][::-1]


def test_options_can_be_unknown_to_the_server() -> None:
    """With the switch, a seventh parameter is one too many."""
    world = World.build(1, {"solana_das": [1]})
    asked = (_owner(world), _ASCENDING, 5, None, None, None, _FUNGIBLE)

    assert das(world, *asked, switches=Switches(das_options=False))["error"]["code"] == -32602
