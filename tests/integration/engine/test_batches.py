"""Pages of many crawls in one transaction: what is wrong with one costs no other anything."""

import asyncio
import time
from collections.abc import Callable

import psycopg
import pytest

from indexer import jobs
from indexer.commit import Committer
from indexer.jobs import Engine, Selection
from tests.integration.engine.conftest import OpenStage
from tests.integration.engine.gate import DEADLINE_SECONDS, Gate
from tests.integration.engine.stage import Outcome, Stage, by_watch, outcomes

#: What becomes of a crawl whose lease ran out and that another worker has taken.
_TAKEN = "UPDATE ledger.crawl SET lease_epoch = lease_epoch + 1, lease_until = clock_timestamp()"

_SNAPSHOTS = "SELECT count(*) FROM ledger.snapshot WHERE watch_id = %(watch)s"
_BLOCKING = "SELECT unnest(pg_blocking_pids(pid)) FROM pg_stat_activity WHERE datname = current_database()"


def commit_together(
    monkeypatch: pytest.MonkeyPatch, works: int, before: Callable[[], object] = lambda: None
) -> None:
    """The first transaction waits for so many pages, and for something that happens before it."""
    plain = Committer.run

    async def run(self: Committer) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while len(self._queue) < works:
                self._stirred.clear()
                await self._stirred.wait()
        before()
        await plain(self)

    monkeypatch.setattr(Committer, "run", run)


def test_a_lost_lease_costs_the_other_pages_nothing(
    open_stage: OpenStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of three crawls is in other hands when its page is to be written: the others are durable."""
    stage = open_stage({"hedera": (3, 2, 1)})
    commit_together(monkeypatch, 3, lambda: stage.execute(f"{_TAKEN} WHERE crawl_id = 2"))

    found = stage.crawl()

    assert outcomes(found) == {"published": 3}
    assert stage.differences() == {}
    assert [row["attempts"] for row in stage.rows("SELECT attempts FROM ledger.crawl ORDER BY 1")] == [
        1,
        1,
        2,
    ]


def test_a_surprise_leaves_the_other_lists_what_they_are(
    open_stage: OpenStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One list lost too much and is read whole; the other, which only changed, is published beside it."""
    stage = open_stage({"algorand": (12, 12)})
    stage.crawl()
    lost, changed = sorted(stage.truth())
    for item in stage.world.items(*lost)[:8]:
        stage.world.remove(*lost[:2], item.key)
    stage.world.mint(*changed[:2], index=10_000)
    commit_together(monkeypatch, 2)

    found = stage.crawl()

    assert by_watch(found) == {lost: "quarantined", changed: "published"}
    assert stage.differences().keys() == {lost}
    assert stage.value("SELECT missing FROM ledger.snapshot WHERE state = 'quarantined'") == 8


def test_a_publish_that_takes_long_keeps_no_other_waiting(open_stage: OpenStage) -> None:
    """One list waits for a lock; another, which comes later, is history before the first one is."""
    stage = open_stage({"hedera": (3, 2)})
    stage.crawl()
    watches = [row["watch_id"] for row in stage.rows("SELECT watch_id FROM ledger.watch")]
    holders = {watch: psycopg.connect(stage.url) for watch in watches}
    for watch, holder in holders.items():
        holder.execute("SELECT FROM ledger.watch WHERE watch_id = %s FOR NO KEY UPDATE", [watch])

    async def pass_by(engine: Engine) -> tuple[Outcome, ...]:
        gate = Gate(stage.sim, "hedera", nth=2)
        passing = asyncio.create_task(jobs.run_pass(engine, Selection(None, None), lambda _seen: None))
        await gate.reached()
        blocking = await _ask_until(stage, _BLOCKING)
        (held,) = [watch for watch in watches if holders[watch].info.backend_pid == blocking]
        (free,) = set(watches) - {held}
        holders[free].rollback()
        gate.open()
        await _ask_until(stage, f"SELECT true WHERE ({_SNAPSHOTS}) = 2", watch=free)
        assert stage.value(_SNAPSHOTS, watch=held) == 1
        holders[held].rollback()
        return await passing

    assert outcomes(stage.run(pass_by)) == {"unchanged": 2}
    for holder in holders.values():
        holder.close()


async def _ask_until(stage: Stage, query: str, **values: object) -> object:
    """Ask again until there is an answer."""
    give_up = time.monotonic() + DEADLINE_SECONDS
    while not (found := await asyncio.to_thread(lambda: stage.rows(query, **values))):
        assert time.monotonic() < give_up, f"no answer: {query}"
    (answer,) = found[0].values()
    return answer
