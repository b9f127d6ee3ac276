"""Loopring's balances: offsets, newest first, totals that vanish past the end."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.simulator.world import World
from tests.unit.simulator.asking import LOOPRING_KEY, ask, read

_BALANCES = "/api/v3/user/nft/balances"


def _page(world: World, query: str) -> Any:
    return read(ask(world, "loopring", f"{_BALANCES}?accountId=10001{query}", headers=LOOPRING_KEY))


@settings(max_examples=30)
@given(count=st.integers(0, 60), limit=st.integers(1, 20))
def test_offsets_lead_through_every_held_row(count: int, limit: int) -> None:
    """Stepping by what came shows each row with a balance once, newest first."""
    world = World.build(1, {"loopring": [count]})
    rows: list[dict[str, Any]] = []

    while page := _page(world, f"&offset={len(rows)}&limit={limit}")["data"]:
        rows += page

    held = world.truth("loopring", world.watchlist()[0].address)
    assert {(row["nftData"], int(row["total"])) for row in rows} == {(p.asset_ref, p.amount) for p in held}
    assert len(rows) == len(held)
    assert [row["id"] for row in rows] == sorted((row["id"] for row in rows), reverse=True)


def test_limit_is_twenty_and_never_more_than_fifty() -> None:
    """No error tells that a limit was too large."""
    world = World.build(1, {"loopring": [80]})

    assert len(_page(world, "")["data"]) == 20
    assert len(_page(world, "&limit=500")["data"]) == 50


def test_total_is_zero_past_the_end() -> None:
    """Only a page with rows states the total."""
    world = World.build(1, {"loopring": [12]})

    assert _page(world, "&limit=5")["totalNum"] == 11
    assert _page(world, "&limit=5&offset=50") == {"totalNum": 0, "data": []}


def test_zero_rows_are_shown_only_when_asked_for() -> None:
    """nonZero=false lists what is no longer there, with total 0."""
    world = World.build(1, {"loopring": [12]})

    rows = _page(world, "&nonZero=false&limit=50")["data"]

    assert len(rows) == 12
    assert [row["total"] for row in rows].count("0") == 1


def test_metadata_has_the_relayers_slips() -> None:
    """nftId inside metadata is decimal behind 0x, and some rows wait for theirs."""
    world = World.build(1, {"loopring": [40]})

    rows = _page(world, "&metadata=true&limit=50")["data"]
    described = [row for row in rows if "metadata" in row]

    assert 0 < len(described) < len(rows)
    assert all(int(row["metadata"]["nftId"][2:]) == int(row["nftId"], 16) for row in described)
    assert any(row["metadata"]["base"] == {} for row in described)


def test_one_nft_can_have_two_nft_data() -> None:
    """Contract and id do not tell two mintings apart."""
    world = World.build(1, {"loopring": [9]})

    rows = _page(world, "&limit=50")["data"]
    pairs = {(row["tokenAddress"].lower(), row["nftId"]) for row in rows}

    assert len(pairs) == len({row["nftData"] for row in rows}) - 1


@pytest.mark.parametrize(
    ("path", "headers", "code"),
    [
        (f"{_BALANCES}?accountId=10001", {}, 104001),
        (f"{_BALANCES}?accountId=10001", {"x-api-key": "wrong"}, 104002),
        (f"{_BALANCES}?accountId=5", LOOPRING_KEY, 104003),
        (f"{_BALANCES}?accountId=10001&offset=-1", LOOPRING_KEY, 100001),
        ("/api/v3/account?owner=0x00", {}, 101002),
    ],
)
def test_business_errors_are_400_with_a_code(path: str, headers: dict[str, str], code: int) -> None:
    """The relayer speaks in resultInfo."""
    answer = ask(World.build(1, {"loopring": [1]}), "loopring", path, headers=headers)

    assert (answer.status, read(answer)["resultInfo"]["code"]) == (400, code)


def test_account_is_found_in_any_case_and_without_a_key() -> None:
    """The look-up is open and does not care how an address is written."""
    world = World.build(1, {"loopring": [1]})
    address = world.watchlist()[0].address

    found = read(ask(world, "loopring", f"/api/v3/account?owner={address.lower()}"))

    assert (found["accountId"], found["owner"]) == (10001, address)
