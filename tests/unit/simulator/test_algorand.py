"""algod's account assets: paging by keyset, limits refused and not clamped, Go's spelling."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.simulator.world import World
from tests.unit.simulator.asking import ask, read


def _path(world: World, query: str = "") -> str:
    return f"/v2/accounts/{world.watchlist()[0].address}/assets{query}"


@settings(max_examples=30)
@given(count=st.integers(0, 40), limit=st.integers(1, 12))
def test_walk_gives_every_row_once_and_ascending(count: int, limit: int) -> None:
    """Following next-token shows each holding exactly once, by rising id, and then stops."""
    world = World.build(1, {"algorand": [count]})
    found: list[int] = []
    token = ""
    pages = 0

    while pages == 0 or token:
        following = f"&next={token}" if token else ""
        page = read(ask(world, "algorand", _path(world, f"?limit={limit}{following}")))
        found += [row["asset-holding"]["asset-id"] for row in page["asset-holdings"]]
        token = page.get("next-token", "")
        pages += 1

    held = world.truth("algorand", world.watchlist()[0].address)
    assert found == sorted(int(position.asset_ref) for position in held)
    assert pages == max(1, -(-count // limit))


def test_exact_multiple_ends_without_a_token() -> None:
    """A full last page carries no next-token: there is no empty page behind it."""
    world = World.build(1, {"algorand": [10]})

    page = read(ask(world, "algorand", _path(world, "?limit=10")))

    assert len(page["asset-holdings"]) == 10
    assert "next-token" not in page


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("?limit=1001", "limit 1001 exceeds max assets single batch limit 1000"),
        ("?limit=0", "limit parameter must be a positive integer"),
        ("?limit=x", "Invalid format for parameter limit"),
        ("?limit=1&limit=2", "Invalid format for parameter limit: multiple values"),
        ("?next=", "unable to parse next token"),
        (f"?next={2**64}", "value out of range"),
    ],
)
def test_refuses_what_the_node_refuses(query: str, message: str) -> None:
    """Limits are not clamped and cursors not guessed: 400 with the node's own words."""
    world = World.build(1, {"algorand": [3]})

    answer = ask(world, "algorand", _path(world, query))

    assert answer.status == 400
    assert message in read(answer)["message"]
    assert answer.body.endswith(b"}\n")


def test_unknown_address_is_empty_and_a_wrong_checksum_is_refused() -> None:
    """Nobody is told that an account does not exist; a misspelled address is another matter."""
    world = World.build(1, {"algorand": [1]})
    nobody = "A" * 52 + "Y5HFKQ"
    misspelled = "B" + nobody[1:]

    empty = read(ask(world, "algorand", f"/v2/accounts/{nobody}/assets"))
    wrong = ask(world, "algorand", f"/v2/accounts/{misspelled}/assets")

    assert empty == {"asset-holdings": [], "round": world.round}
    assert wrong.status == 400
    assert "checksum verification failed" in read(wrong)["message"]


def test_joined_emoji_are_named_in_base64_only() -> None:
    """Go prints no joiner: such a name has its base64 twin and no plain one."""
    world = World.build(1, {"algorand": [60]})

    rows = read(ask(world, "algorand", _path(world)))["asset-holdings"]
    described = [row["asset-params"] for row in rows if "asset-params" in row]

    assert any("name" not in params and "name-b64" in params for params in described)
    assert any("name" in params for params in described)


def test_destroyed_assets_stay_listed_without_parameters() -> None:
    """An opt-in outlives its asset: amount 0, no asset-params."""
    world = World.build(1, {"algorand": [30]})

    rows = read(ask(world, "algorand", _path(world)))["asset-holdings"]
    destroyed = [row["asset-holding"]["amount"] for row in rows if "asset-params" not in row]

    assert destroyed
    assert set(destroyed) == {0}


def test_a_change_is_seen_at_once_although_pages_are_kept() -> None:
    """Rendered pages are never served after the account or the chain has moved."""
    world = World.build(1, {"algorand": [3]})
    address = world.watchlist()[0].address
    before = read(ask(world, "algorand", _path(world)))

    key = world.items("algorand", address)[0].key
    world.set_amount("algorand", address, key, 12_345)
    world.advance(2)
    after = read(ask(world, "algorand", _path(world)))

    assert 12_345 in [row["asset-holding"]["amount"] for row in after["asset-holdings"]]
    assert after["round"] == before["round"] + 2
