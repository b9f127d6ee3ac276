"""Folding: crawls that repeat the one before them go into runs, and no answer changes."""

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from indexer.cli.raw import unpack
from indexer.jobs import Engine
from indexer.prune import Repeats
from indexer.store import reading, upkeep
from indexer.store.reading import BodyRow, PageRow, SourceRow
from indexer.store.upkeep import SourceFigures
from tests.integration.keeping import (
    SIZES,
    Fault,
    Stage,
    decide,
    finish_passes,
    fold_all,
    fold_stage,
    hold_still,
    look_away,
    open_stage,
    read_answers,
    replay_stage,
    rules,
    tamper,
    verify_stage,
)

_INSTANTS = "SELECT snapshot_at FROM report.snapshots WHERE snapshot_at IS NOT NULL ORDER BY 1"

_NEWEST = """
SELECT source, count(*) AS watches, min(snapshot_at) AS oldest
FROM report.coverage GROUP BY source ORDER BY source
"""

_GAPS = "SELECT to_jsonb(g)::text AS line FROM report.gaps AS g ORDER BY 1"


@pytest.fixture
def stage(database_url: str, tmp_path: Path) -> Iterator[Stage]:
    """A world on every source. On Solana nobody is empty: an empty list teaches nothing of its provider, so
    that the next one is asked with more facts, and is no repetition.
    """
    with open_stage(database_url, tmp_path, {**SIZES, "solana_das": (12, 5, 3)}) as opened:
        yield opened


def instants(stage: Stage) -> list[datetime]:
    """Around every snapshot, when it goes stale, and before all of them."""
    tick = timedelta(microseconds=1)
    found = [row["snapshot_at"] for row in stage.rows(_INSTANTS)]
    step = max(1, len(found) // 12)
    around = [at + shift for at in found[::step] for shift in (-tick, timedelta(0), tick)]
    return [found[0] - timedelta(days=1), *around, found[-1], found[-1] + timedelta(hours=4)]


def live_at_random(stage: Stage, seed: int, steps: int) -> None:
    """Rounds in which nothing, a little or something strange happens."""
    chance = Random(seed)
    for step in range(steps):
        what = chance.choice(["still", "still", "still", "churn", "change", "odd", "empty", "away", "decide"])
        if what == "churn":
            stage.world.churn(0.1, step)
        elif what == "change":
            stage.world.change(step)
        elif what == "odd":
            source = chance.choice(["hedera", "solana_das"])
            kind = "item_error" if source == "hedera" else "item_key_unreadable"
            stage.sim.faults.add(Fault(source, kind, address=stage.only_address(source)))
        elif what == "empty":
            stage.sim.faults.add(
                Fault("loopring", "empty_200", address=stage.only_address("loopring"), times=None)
            )
        elif what == "away":
            look_away(stage)
        elif what == "decide" and _is_quarantined(stage):
            decide(stage, chance.choice(["release", "reject"]))
        stage.crawl()
        stage.sim.faults.clear()
        stage.world.advance(chance.choice([0, 1]))


def _is_quarantined(stage: Stage) -> bool:
    return bool(stage.value("SELECT count(*) FROM report.quarantine"))


@pytest.mark.parametrize("seed", range(4))
def test_no_answer_changes(stage: Stage, seed: int) -> None:
    """Whatever happened, folded in several goes: every report says the same at every instant."""
    live_at_random(stage, seed, 8)
    folded = fold_all(stage)
    live_at_random(stage, seed + 100, 6)
    at = instants(stage)
    answers, gaps = read_answers(stage, at), stage.rows(_GAPS)

    folded += fold_all(stage)

    assert folded > 0
    assert read_answers(stage, at) == answers
    assert stage.rows(_GAPS) == gaps
    assert rules(verify_stage(stage)) == set()
    assert replay_stage(stage).differences == []
    assert fold_all(stage) == 0


def test_status_and_metrics_are_about_the_newest_snapshot(stage: Stage) -> None:
    """It is never folded: how old the oldest answer is, and how many are fresh, stays what it was."""
    hold_still(stage, 5)
    newest = stage.rows(_NEWEST)

    async def look(engine: Engine) -> tuple[datetime, list[SourceFigures], list[SourceRow], datetime]:
        async with engine.database.connection() as connection:
            early = await reading.read_clock(connection)
            figures = await upkeep.read_source_figures(connection)
            sources = await reading.list_sources(connection)
            return early, figures, sources, await reading.read_clock(connection)

    assert fold_all(stage) > 0
    early, figures, sources, late = stage.run(look)

    assert stage.rows(_NEWEST) == newest
    assert [row.fresh for row in sources] == [found.watches for found in figures]
    assert [row["watches"] for row in newest] == [found.watches for found in figures]
    for row, source, found in zip(newest, sources, figures, strict=True):
        ages = (source.oldest_age, timedelta(seconds=found.oldest_seconds or 0.0))
        assert all(early - row["oldest"] <= age <= late - row["oldest"] for age in ages)


def test_what_is_folded_leaves_no_other_row(stage: Stage) -> None:
    """Of all that a repeated crawl wrote one entry of a run stays; the first and the last stay whole."""
    hold_still(stage, 6)
    crawls = stage.value("SELECT count(*) FROM ledger.crawl")
    watches = stage.value("SELECT count(*) FROM ledger.watch")

    folded = fold_all(stage)

    assert folded == 4 * watches
    assert stage.value("SELECT sum(cardinality(instants)) FROM ledger.snapshot_run") == folded
    assert stage.value("SELECT count(*) FROM ledger.snapshot_run") == watches
    for table in ("snapshot", "crawl_watch", "pass_watch"):
        assert stage.value(f"SELECT count(*) FROM ledger.{table}") == 2 * watches
    assert stage.value("SELECT count(*) FROM ledger.crawl") == crawls / 3
    assert stage.value("SELECT count(*) FROM report.snapshots") == 6 * watches


_CRAWLS = "SELECT * FROM report.crawls ORDER BY crawl_id"


def test_report_crawls_goes_on_listing_what_is_folded(stage: Stage) -> None:
    """Whom, what, how often, how many requests: only the clock's last digits of its beginning and end go."""
    hold_still(stage, 3, moves=1)
    stage.sim.faults.add(Fault("hedera", "status", status=500, times=2))
    hold_still(stage, 3, moves=1)
    fold_all(stage)
    stage.sim.faults.add(Fault("algorand", "status", status=500, times=2))
    hold_still(stage, 3, moves=1)
    before = stage.rows(_CRAWLS)
    folded = stage.value("SELECT count(DISTINCT crawl_id) FROM ledger.folded_crawl")

    fold_all(stage)

    after = stage.rows(_CRAWLS)
    now = {row["crawl_id"] for row in stage.rows("SELECT crawl_id FROM ledger.folded_crawl")}
    assert len(now) > folded > 0
    assert {row["requests"] - row["pages"] for row in after if row["crawl_id"] in now} > {0}
    for was, row in zip(before, after, strict=True):
        if row["crawl_id"] in now:
            assert timedelta(0) <= was["created_at"] - row["created_at"] < timedelta(milliseconds=1)
            assert timedelta(0) <= was["finished_at"] - row["finished_at"] < timedelta(seconds=5)
            assert row["duration"] == row["finished_at"] - row["created_at"]
        clocks = ("created_at", "finished_at", "duration") if row["crawl_id"] in now else ()
        assert {key: row[key] for key in row if key not in clocks} == {
            key: was[key] for key in was if key not in clocks
        }


def test_runs_of_an_earlier_revision_grow_on(stage: Stage) -> None:
    """What was not kept of their crawls is NULL, never a guess; of those that join them it is told."""
    hold_still(stage, 4)
    fold_all(stage)
    tamper(stage, "snapshot_run", "UPDATE ledger.snapshot_run SET queued_lags = NULL")
    old = [row["crawl_id"] for row in stage.rows("SELECT crawl_id FROM ledger.folded_crawl")]
    hold_still(stage, 3)
    fold_all(stage)

    rows = stage.rows(
        "SELECT * FROM report.crawls WHERE crawl_id IN (SELECT crawl_id FROM ledger.folded_crawl)"
    )

    assert stage.value("SELECT count(*) FROM ledger.snapshot_run") == stage.value(
        "SELECT count(*) FROM ledger.watch"
    )
    for row in rows:
        unknown = {key for key in ("created_at", "duration", "attempts", "requests") if row[key] is None}
        assert len(unknown) == (4 if row["crawl_id"] in old else 0)
    assert 0 < len(old) < len(rows)


def test_repeats_are_folded_while_work_goes_on(stage: Stage) -> None:
    """Whoever looks now and then folds what came since, and what a pass was still being told of before."""
    hold_still(stage, 2)
    repeats = Repeats()
    watches = stage.value("SELECT count(*) FROM ledger.watch")
    stage.run(lambda engine: repeats.begin(engine.database))
    for _ in range(3):
        hold_still(stage, 1)
        finish_passes(stage)
        stage.run(lambda engine: repeats.fold(engine.database))
        assert stage.value("SELECT count(*) FROM ledger.snapshot") == 2 * watches
    hold_still(stage, 1)
    stage.execute("UPDATE ledger.crawl_pass SET finished_at = clock_timestamp()")
    stage.run(lambda engine: repeats.fold(engine.database))
    busy = stage.value("SELECT count(*) FROM ledger.snapshot")
    hold_still(stage, 1)
    finish_passes(stage)
    stage.run(lambda engine: repeats.fold(engine.database))

    assert busy == 3 * watches
    assert stage.value("SELECT count(*) FROM ledger.snapshot") == 2 * watches
    assert stage.run(lambda engine: repeats.fold_lately(engine.database)) == 5 * watches
    assert stage.run(lambda engine: repeats.fold_lately(engine.database)) == 0


def test_a_folded_crawl_still_says_whom_it_was_about(stage: Stage) -> None:
    """The heading of its bytes is the same before and after."""

    async def ask(engine: Engine) -> dict[int, list[str]]:
        async with engine.database.connection() as connection:
            return {crawl: await reading.list_subjects(connection, crawl) for crawl in crawls}

    hold_still(stage, 4)
    crawls = [row["crawl_id"] for row in stage.rows("SELECT crawl_id FROM ledger.crawl ORDER BY crawl_id")]
    before = stage.run(ask)
    fold_all(stage)

    assert stage.run(ask) == before
    assert all(before.values())


def _kept(stage: Stage, crawls: list[int]) -> dict[tuple[int, str, int], bytes]:
    """The exact bytes of every answer that these crawls can still give."""

    async def read(engine: Engine) -> dict[tuple[int, str, int], bytes]:
        found: dict[tuple[int, str, int], bytes] = {}
        async with engine.database.connection() as connection:
            for crawl in crawls:
                for page in await reading.list_pages(connection, crawl):
                    body = await reading.read_body(connection, crawl, page.kind, page.page_no)
                    assert body is not None
                    found[crawl, page.kind, page.page_no] = _checked(page, body)
        return found

    found: dict[tuple[int, str, int], bytes] = stage.run(read)
    return found


def _checked(page: PageRow, body: BodyRow) -> bytes:
    exact = unpack(body)
    assert len(exact) == page.bytes
    assert page.sha256 in (None, hashlib.sha256(exact).hexdigest())
    return exact


def test_every_answer_stays_to_the_byte(stage: Stage) -> None:
    """What a folded crawl was told can be read as before, the number that moved by itself too."""
    hold_still(stage, 3, moves=1)
    stage.world.churn(0.1, 1)
    hold_still(stage, 4, moves=1)
    crawls = [row["crawl_id"] for row in stage.rows("SELECT crawl_id FROM ledger.crawl ORDER BY 1")]
    before = _kept(stage, crawls)

    assert fold_all(stage) > 0

    after = _kept(stage, crawls)
    assert after == before
    assert len({hashlib.sha256(exact).digest() for exact in after.values()}) > 20


def test_crawling_goes_on_where_it_was_folded(stage: Stage) -> None:
    """Further repeats join the run; a change begins anew."""
    hold_still(stage, 4)
    fold_all(stage)
    hold_still(stage, 3)
    fold_all(stage)
    folded = stage.value("SELECT count(*) FROM ledger.snapshot_run")
    stage.world.churn(0.2, 9)
    hold_still(stage, 4)
    fold_all(stage)

    assert folded == stage.value("SELECT count(*) FROM ledger.watch")
    assert stage.value("SELECT count(*) FROM ledger.snapshot_run") > folded
    assert stage.differences(carried=False) == {}
    assert rules(verify_stage(stage)) == set()


def test_a_pass_that_waits_keeps_its_crawls(stage: Stage) -> None:
    """Outcomes are read once everybody has one: until then nothing of theirs goes."""
    hold_still(stage, 4)
    stage.execute("UPDATE ledger.crawl_pass SET finished_at = NULL")

    assert fold_stage(stage) == 0
