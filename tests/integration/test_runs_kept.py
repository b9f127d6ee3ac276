"""Runs of folded snapshots are history: nobody rewrites them, a hand in them is found, and they are small."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from indexer.jobs import Engine
from indexer.prune import fold
from indexer.replay import Report, replay
from indexer.store import replay as scratch
from indexer.store.database import Connection
from tests.integration.keeping import (
    SIZES,
    Stage,
    finish_passes,
    fold_all,
    hold_still,
    open_stage,
    rules,
    tamper,
    verify_stage,
)

#: Over the snapshot the run begins after.
_STRETCH = """
UPDATE ledger.snapshot_run
SET first_at = first_at - interval '1 day', instants[1] = first_at - interval '1 day'
"""


@pytest.fixture
def stage(database_url: str, tmp_path: Path) -> Iterator[Stage]:
    """A world on every source. On Solana nobody is empty: an empty list teaches nothing of its provider, so
    that the next one is asked with more facts, and is no repetition.
    """
    with open_stage(database_url, tmp_path, {**SIZES, "solana_das": (12, 5, 3)}) as opened:
        yield opened


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM ledger.snapshot",
        "DELETE FROM ledger.snapshot_run",
        "TRUNCATE ledger.snapshot_run",
        "UPDATE ledger.snapshot_run SET fresh_for = fresh_for * 2",
        "UPDATE ledger.snapshot_run SET instants[1] = instants[1] + interval '1 second'",
        "UPDATE ledger.snapshot_run SET heights[1] = 7",
        "UPDATE ledger.snapshot_run SET crawls = crawls[2:]",
        "UPDATE ledger.snapshot_run SET queued_lags[1] = queued_lags[1] + 1",
        "UPDATE ledger.snapshot_run SET attempts = array_fill(2, ARRAY[cardinality(instants)])",
        "UPDATE ledger.snapshot_run SET retries = array_fill(1, ARRAY[cardinality(instants)])",
    ],
)
def test_runs_are_history(stage: Stage, statement: str) -> None:
    """Nobody rewrites or deletes them, nor the snapshots they stand on."""
    hold_still(stage, 4)
    assert fold_all(stage) > 0

    with pytest.raises(psycopg.errors.IntegrityError):
        stage.execute(statement)


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("UPDATE ledger.snapshot_run SET head_id = head_id + 100000", "run_without_head"),
        ("UPDATE ledger.snapshot_run SET instants[2] = instants[1]", "run_out_of_order"),
        (
            _STRETCH,
            "run_interrupted",
        ),
    ],
)
def test_a_hand_in_a_run_is_found(stage: Stage, statement: str, rule: str) -> None:
    """The rules of history hold for runs too."""
    hold_still(stage, 5)
    assert fold_all(stage) > 0

    tamper(stage, "snapshot_run", statement)

    assert rule in rules(verify_stage(stage, quick=True))


def test_a_repeated_crawl_of_a_small_account_costs_little(database_url: str, tmp_path: Path) -> None:
    """Folded as a daemon does it, and once pruned. Goals: 400 and 100 bytes; the rest is pages not full."""
    watches, rounds = 60, 12
    with open_stage(database_url, tmp_path, {"hedera": [2] * watches}) as stage:
        hold_still(stage, 2)
        fold_all(stage)
        before = _bytes(stage)
        for _ in range(rounds):
            hold_still(stage, 1)
            fold_all(stage)
        grown = _bytes(stage) - before
        fold_all(stage)

        assert grown / (rounds * watches) < 600
        assert (_bytes(stage) - before) / (rounds * watches) < 150


def _bytes(stage: Stage) -> int:
    with psycopg.connect(stage.url, autocommit=True) as connection:
        connection.execute("VACUUM")
    return int(
        stage.value(
            "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class AS c"
            " WHERE c.relnamespace = 'ledger'::regnamespace AND c.relkind = 'r'"
        )
    )


def test_a_replay_beside_the_folding_looks_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages that were folded away while a watch was being built again are no difference."""
    hold_still(stage, 5)
    finish_passes(stage)
    prepare = scratch.prepare
    folded: list[int] = []

    async def replay_while_it_is_folded(engine: Engine) -> Report:
        async def fold_first(connection: Connection) -> None:
            if not folded:
                folded.append(await fold(engine.database, dry_run=False))
            await prepare(connection)

        monkeypatch.setattr(scratch, "prepare", fold_first)
        return await replay(engine.database, engine.config, engine.sources, (None, None))

    report = stage.run(replay_while_it_is_folded)

    assert folded[0] > 0
    assert report.differences == []
