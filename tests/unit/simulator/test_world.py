"""The world: deterministic, believable, and honest about what is held."""

import itertools

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.simulator.minting import LARGEST_64, LARGEST_96, LARGEST_128
from indexer.simulator.positions import SOURCES, Position
from indexer.simulator.world import World


def _keys(positions: frozenset[Position]) -> set[tuple[str, str]]:
    return {(position.asset_ref, position.sub_key) for position in positions}


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32), steps=st.integers(0, 4))
def test_same_seed_gives_the_same_history(seed: int, steps: int) -> None:
    """Two worlds of one seed agree after any number of rounds."""
    first, second = World.demo(seed), World.demo(seed)

    for step in range(steps):
        first.change(step)
        second.change(step)

    assert first.truth_all() == second.truth_all()


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 1000))
def test_an_honest_round_never_looks_like_an_outage(seed: int) -> None:
    """Each round changes something everywhere and takes fewer than half of any list away."""
    world = World.demo(seed)

    for step in range(4):
        before = world.truth_all()
        world.change(step)
        after = world.truth_all()
        for watch, held in before.items():
            gone = _keys(held) - _keys(after[watch])
            assert len(gone) * 2 < len(held) or not held
        assert {watch[0] for watch in before if before[watch] != after[watch]} == set(SOURCES)


def test_demo_has_an_empty_account_and_the_largest_amounts() -> None:
    """Every source has somebody who holds nothing, and amounts reach the limits of each chain."""
    world = World.demo()
    truth = world.truth_all()

    assert {watch[0] for watch, held in truth.items() if not held} == set(SOURCES)
    amounts: dict[str, set[int | None]] = {source: set() for source in SOURCES}
    for watch, held in truth.items():
        amounts[watch[0]] |= {position.amount for position in held}
    assert LARGEST_64 in amounts["algorand"]
    assert LARGEST_64 in amounts["solana_das"]
    assert LARGEST_96 in amounts["loopring"]
    assert LARGEST_128 in amounts["okx_runes"]
    assert None in amounts["solana_das"]
    assert 0 in amounts["algorand"]


def test_what_is_burnt_or_without_balance_is_not_held() -> None:
    """Listed is held, except what DESIGN's rules take out."""
    world = World.build(1, {"solana_das": [32], "loopring": [20]})
    das, loopring = (row.address for row in world.watchlist())

    burnt = {item.asset_ref for item in world.items("solana_das", das) if item.burnt}
    zero = {item.asset_ref for item in world.items("loopring", loopring) if item.amount == 0}

    assert burnt
    assert zero
    assert not burnt & {position.asset_ref for position in world.truth("solana_das", das)}
    assert not zero & {position.asset_ref for position in world.truth("loopring", loopring)}


def test_a_transfer_moves_the_position_and_nothing_else() -> None:
    """What one account loses the other gains."""
    world = World.build(1, {"hedera": [4, 2]})
    sender, receiver = (row.address for row in world.watchlist())
    key = world.items("hedera", sender)[0].key

    world.transfer("hedera", sender, receiver, key)

    assert key not in _keys(world.truth("hedera", sender))
    assert key in _keys(world.truth("hedera", receiver))
    assert len(world.truth("hedera", sender)) + len(world.truth("hedera", receiver)) == 6


def test_refreshed_metadata_changes_no_holding() -> None:
    """Off-chain files come and go; positions stay."""
    world = World.build(1, {"solana_das": [10], "loopring": [10]})
    before = world.truth_all()

    for source, assets in world.catalogue.items():
        for reference in list(assets):
            world.refresh(source, reference)

    assert world.truth_all() == before


def test_watchlist_file_names_every_address_once() -> None:
    """The YAML says what ``watchlist`` says."""
    world = World.demo()

    written = [(row["source"], row["address"]) for row in yaml.safe_load(world.watchlist_yaml())["addresses"]]

    assert written == [(row.source, row.address) for row in world.watchlist()]
    assert len(set(written)) == len(written)


@pytest.mark.parametrize("source", SOURCES)
def test_no_two_items_of_an_account_share_a_key(source: str) -> None:
    """Filling and minting never replace what is there."""
    world = World.build(1, {source: [150]})
    address = world.watchlist()[0].address

    for _ in range(20):
        world.mint(source, address, index=3)

    assert len(world.items(source, address)) == 170


def test_unique_assets_have_one_owner() -> None:
    """An output or a serial exists once on its chain, however many accounts there are."""
    world = World.build(1, {"okx_runes": [30, 30, 30], "hedera": [30, 30, 30]})

    for source in ("okx_runes", "hedera"):
        keys = [_keys(world.truth(source, row.address)) for row in world.watchlist() if row.source == source]
        assert all(not one & other for one, other in itertools.combinations(keys, 2))


@pytest.mark.parametrize("source", SOURCES)
def test_churn_changes_exactly_its_share(source: str) -> None:
    """One item in ten is another afterwards, and the length of the list stays."""
    world = World.build(1, {source: [200]})
    address = world.watchlist()[0].address
    before = {(item.key, item.amount) for item in world.items(source, address)}

    changed = world.churn(0.1, step=1)

    after = {(item.key, item.amount) for item in world.items(source, address)}
    assert (changed, len(after), len(after - before)) == (20, 200, 20)
