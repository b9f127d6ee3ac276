"""The beat of the daemon: its jobs go on whatever is done to the clock of the machine."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import pytest
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger
from structlog.testing import capture_logs

from indexer.metrics import Metrics
from indexer.standing import Standing
from indexer.ticker import Follower, Ticker, catch_up

#: Longer than any machine needs for what takes no time.
_PATIENCE_SECONDS = 10


def _plan(scheduler: AsyncIOScheduler, ahead: timedelta, work: Callable[[], None]) -> None:
    """A job of every ten seconds as a clock leaves it that was set back meanwhile."""

    async def job() -> None:
        work()

    trigger = IntervalTrigger(seconds=10, timezone=UTC)
    scheduler.add_job(job, trigger, id="watchdog", next_run_time=datetime.now(UTC) + ahead)


def test_a_clock_that_was_set_back_stops_no_job() -> None:
    """Planned an hour ahead, the job runs now, though its scheduler sleeps; and it is said once."""

    async def live() -> datetime:
        ran = asyncio.Event()
        scheduler = AsyncIOScheduler(timezone=UTC)
        _plan(scheduler, timedelta(hours=1), ran.set)
        scheduler.start()
        try:
            catch_up(scheduler, datetime.now(UTC))
            await asyncio.wait_for(ran.wait(), _PATIENCE_SECONDS)
            catch_up(scheduler, datetime.now(UTC))
            return cast("datetime", scheduler.get_job("watchdog").next_run_time)
        finally:
            scheduler.shutdown(wait=False)

    with capture_logs() as told:
        planned = asyncio.run(live())

    assert planned <= datetime.now(UTC) + timedelta(seconds=10)
    (entry,) = told
    assert (entry["log_level"], entry["seconds"]) == ("warning", pytest.approx(3600, abs=10))


@pytest.mark.parametrize("seconds", [-3600, 0, 10, 19])
def test_what_is_planned_for_the_next_interval_stays(seconds: int) -> None:
    """Nothing is moved for less than two intervals, nor for a clock that was set forward."""

    async def live() -> bool:
        scheduler = AsyncIOScheduler(timezone=UTC)
        _plan(scheduler, timedelta(seconds=seconds), lambda: None)
        scheduler.start(paused=True)
        try:
            planned = scheduler.get_job("watchdog").next_run_time
            catch_up(scheduler, datetime.now(UTC))
            return bool(scheduler.get_job("watchdog").next_run_time == planned)
        finally:
            scheduler.shutdown(wait=False)

    with capture_logs() as told:
        assert asyncio.run(live())

    assert told == []


class Counting(Ticker):
    """A ticker whose jobs only say that they ran."""

    runs: asyncio.Queue[str]

    async def tick(self) -> None:
        """Instead of a tick."""
        await self.runs.put("tick")

    async def watch_over(self) -> None:
        """Instead of a look of the watchdog."""
        await self.runs.put("watchdog")

    async def do_upkeep(self) -> None:
        """Instead of an upkeep."""
        await self.runs.put("upkeep")


def test_every_second_the_daemon_looks_whether_its_jobs_are_ahead_of_the_clock() -> None:
    """All of its jobs, the watchdog too, run again when the clock says an hour less than it did."""
    config = SimpleNamespace(daemon=SimpleNamespace(tick=timedelta(seconds=30)))
    follower = SimpleNamespace(engine=SimpleNamespace(config=config), metrics=Metrics())
    ticker = Counting(cast("Follower", follower), Standing(Metrics(), lambda: 0.0))
    ticker.clock = lambda: datetime.now(UTC) - timedelta(hours=1)
    rounds: list[list[str]] = []

    async def live() -> None:
        ticker.runs = asyncio.Queue()
        over = asyncio.Event()

        async def pause(_seconds: float) -> None:
            rounds.append(sorted([await ticker.runs.get() for _ in range(3)]))
            if len(rounds) > 1:
                over.set()
                await asyncio.Event().wait()

        ticker.pause = pause
        task = asyncio.create_task(ticker.run())
        await asyncio.wait_for(over.wait(), _PATIENCE_SECONDS)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(live())

    assert rounds == [["tick", "upkeep", "watchdog"]] * 2


def test_files_are_read_again_in_another_life_of_the_database() -> None:
    """What was applied last may be lost with it: once it is applied again, that is enough."""
    database = SimpleNamespace(life=0)
    follower = SimpleNamespace(engine=SimpleNamespace(database=database), reload_is_wanted=False)
    ticker = Ticker(cast("Follower", follower), cast("Standing", None))

    told = []
    for life in (0, 1, 1, 2):
        database.life, follower.reload_is_wanted = life, False
        ticker.notice_another_life()
        told.append(follower.reload_is_wanted)

    assert told == [False, True, False, True]
