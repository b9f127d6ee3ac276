"""A person's word that comes while the list in question is being decided by another publish."""

import asyncio
from collections.abc import Callable, Coroutine

import psycopg
import pytest

from indexer import bootstrap, jobs, review
from indexer.errors import UsageError
from indexer.jobs import Engine, Selection
from indexer.store import crawls
from tests.integration.engine.conftest import OpenStage
from tests.integration.engine.stage import Fault, Stage

_DEADLINE_SECONDS = 30.0

_WAITERS = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


async def _see_somebody_wait(url: str) -> None:
    """Return when a session of this database waits for a lock."""
    async with (
        asyncio.timeout(_DEADLINE_SECONDS),
        await psycopg.AsyncConnection.connect(url, autocommit=True) as connection,
    ):
        while True:
            row = await (await connection.execute(_WAITERS)).fetchone()
            if row is not None and row[0]:
                return
            await asyncio.sleep(0.01)


async def _speak_beside_a_publish(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, speak: Callable[[Engine], Coroutine[object, object, str]]
) -> None:
    """One pass; while its publish holds the watch, somebody speaks. Raises what that comes to."""
    publishing, may_end = asyncio.Event(), asyncio.Event()
    complete = crawls.complete

    async def complete_later(*arguments: object) -> None:
        publishing.set()
        await may_end.wait()
        await complete(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(crawls, "complete", complete_later)
    async with bootstrap.engine(stage.config()) as engine:
        running = asyncio.create_task(jobs.run_pass(engine, Selection(None, None), lambda _progress: None))
        await publishing.wait()
        speaking = asyncio.create_task(speak(engine))
        await _see_somebody_wait(stage.url)
        may_end.set()
        await running
        await speaking


def _resolution(stage: Stage) -> str:
    """What became of the first list that was not believed."""
    return str(stage.value("SELECT resolution FROM ledger.snapshot WHERE snapshot_id = 2"))


def test_a_release_waits_for_what_is_being_decided(
    open_stage: OpenStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A better list that is on its way into history counts: the disbelieved one is not released after it."""
    stage = open_stage({"hedera": (12,)}, pages=10)
    stage.crawl()
    before = stage.held()
    fault = stage.sim.faults.add(Fault("hedera", "empty_200", times=None))
    stage.crawl()
    stage.sim.faults.remove(fault)

    async def release(engine: Engine) -> str:
        return await review.release(engine.database, engine.config, engine.sources, 2)

    with pytest.raises(UsageError, match="it is superseded"):
        asyncio.run(_speak_beside_a_publish(stage, monkeypatch, release))

    assert stage.held() == before
    assert _resolution(stage) == "superseded"


def test_a_rejection_that_comes_too_late_says_so(
    open_stage: OpenStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second witness that is being published confirms the list: it is not told to be rejected."""
    stage = open_stage({"hedera": (12,)}, pages=10)
    stage.settings["GUARD__CONFIRM_AFTER"] = "0s"
    stage.crawl()
    stage.sim.faults.add(Fault("hedera", "empty_200", times=None))
    stage.crawl()

    async def reject(engine: Engine) -> str:
        return await review.reject(engine.database, 2)

    with pytest.raises(UsageError, match="it is confirmed"):
        asyncio.run(_speak_beside_a_publish(stage, monkeypatch, reject))

    assert _resolution(stage) == "confirmed"
