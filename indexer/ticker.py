"""The ticker: APScheduler rings, and each tick follows the files and makes due crawls.

The scheduler only says "now"; what is due is read from the database, so a tick that is late, lost or doubled
by a second process changes nothing. Processes that only work follow their files without it.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

import structlog
from apscheduler.events import EVENT_JOB_MAX_INSTANCES
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from indexer import bootstrap, due
from indexer.cancelling import end_tasks
from indexer.config import Config
from indexer.crashpoints import reached
from indexer.jobs import Engine, write_watchlist
from indexer.metrics import Metrics
from indexer.prune import Repeats
from indexer.reload import Changed, Refused, Reloader, Setup
from indexer.shift import Shift
from indexer.standing import Standing
from indexer.unwatching import unwatch
from indexer.upkeep import NoticeBoard, do_upkeep, survive

_log = structlog.get_logger()

#: How often upkeep is looked for; whether any is due, the database says.
_UPKEEP_SECONDS: Final = 60.0

#: How often it is looked whether ticks still end, and how often it is said while they do not.
_WATCHDOG_SECONDS: Final = 10.0
_REPEATED_SECONDS: Final = 60.0

#: A watchlist that cannot be applied for this long, as the database is away or others hold what it takes,
#: is left to the next tick: this one has crawls to make.
_PATIENCE_SECONDS: Final = 5.0

#: Long ago: an interval that was changed is not waited for as a whole before the next tick.
_START: Final = datetime(2000, 1, 1, tzinfo=UTC)

#: However late a tick is, it runs, once: nothing is missed by coalescing what the database remembers.
_RULES: Final = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}


@dataclass(slots=True)
class Follower:
    """Keeps one process in step with its files: what is wrong is refused whole, and told."""

    engine: Engine
    reloader: Reloader
    shift: Shift
    board: NoticeBoard
    metrics: Metrics
    debug: bool
    #: What the workers know.
    known: Config | None = None
    reload_is_wanted: bool = False

    async def run(self) -> None:
        """Follow until cancelled: for processes that do nothing else at a tick."""
        while True:
            await survive("following the files", self.follow())
            await asyncio.sleep(self.engine.config.daemon.tick.total_seconds())

    async def follow(self) -> None:
        """Read what changed; what is right counts from the next claim on."""
        forced, self.reload_is_wanted = self.reload_is_wanted, False
        found = await self.reloader.check(forced=forced)
        if isinstance(found, Refused):
            self._refuse(found)
        elif found is not None:
            self._tell_plan(found)
        setup = self.reloader.setup
        if setup.config != self.known:
            self._reconfigure(setup)

    def _refuse(self, found: Refused) -> None:
        message = bootstrap.build_redactor(self.engine.config)(found.message)
        _log.error("configuration refused: the one before stays", mistakes=message)
        self.metrics.refused.set(1)
        self.board.set("configuration", f"Refused, the configuration before it stays in force: {message}")

    def _tell_plan(self, found: Changed) -> None:
        self.metrics.refused.set(0)
        self.board.set("configuration", None)
        if found.keys:
            _log.info("configuration changed", keys=", ".join(found.keys))
        message = f"Restart to apply: {', '.join(found.kept)}." if found.kept else None
        if message:
            _log.warning("refused: cannot change while running", keys=", ".join(found.kept))
        self.board.set("restart", message)

    def _reconfigure(self, setup: Setup) -> None:
        old = [] if self.known is None else [self.known]
        bootstrap.configure_logs(setup.config, self.debug, self.engine.config, *old)
        redact = bootstrap.build_redactor(setup.config, self.engine.config, *old)
        self.engine.worker.reconfigure(setup.config, setup.sources, redact)
        self.engine = replace(self.engine, config=setup.config, sources=setup.sources)
        self.shift.reconfigure(self.engine)
        self.known = setup.config


@dataclass(slots=True)
class Ticker:
    """Rings for one daemon."""

    follower: Follower
    standing: Standing
    #: What the schedule in the database is made for; None: for nothing yet.
    applied: Config | None = None
    #: When it was said last that no tick ends; None: they do.
    told_silence_at: float | None = None
    #: The life of the database that was told what the files say.
    life: int = 0
    #: What the clock of the database said at the last tick.
    database_clock: datetime | None = None
    #: What this daemon has folded.
    repeats: Repeats = field(default_factory=Repeats)
    #: What the scheduler plans by: the clock of the machine, which may be set.
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    #: On the monotonic clock, which nobody sets.
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def run(self) -> None:
        """Tick until cancelled."""
        # It would warn at every tick that comes while one still runs; those are counted instead.
        logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)
        scheduler = AsyncIOScheduler(timezone=UTC)
        scheduler.add_listener(
            lambda _event: self.follower.metrics.ticks.labels("skipped").inc(), EVENT_JOB_MAX_INSTANCES
        )
        running: set[asyncio.Task[object]] = set()
        self._add_job(scheduler, running, "upkeep", _every(_UPKEEP_SECONDS), self.do_upkeep)
        self._add_job(scheduler, running, "watchdog", _every(_WATCHDOG_SECONDS), self.watch_over)
        seconds = self.follower.engine.config.daemon.tick.total_seconds()
        self._add_job(scheduler, running, "tick", _every(seconds), self.tick)
        scheduler.start()
        try:
            await self._keep_pace(scheduler, seconds)
        finally:
            scheduler.shutdown(wait=False)
            await end_tasks(running)

    async def _keep_pace(self, scheduler: AsyncIOScheduler, seconds: float) -> None:
        """A new interval between ticks counts from now on, and a clock that was set back stops no job."""
        while True:
            await self.pause(1)
            catch_up(scheduler, self.clock())
            wanted = self.follower.engine.config.daemon.tick.total_seconds()
            if wanted != seconds:
                scheduler.reschedule_job("tick", trigger=_every(wanted))
                seconds = wanted

    def _add_job(
        self,
        scheduler: AsyncIOScheduler,
        running: set["asyncio.Task[object]"],
        name: str,
        trigger: IntervalTrigger,
        work: Callable[[], Coroutine[object, object, None]],
    ) -> None:
        """Run ``work`` when the trigger says, and at once. Its tasks are kept, to be waited for."""

        async def job() -> None:
            task = asyncio.current_task()
            assert task is not None
            running.add(task)
            try:
                await work()
            except asyncio.CancelledError:
                # Told to stop; the scheduler would log it as a failure.
                return
            finally:
                running.discard(task)

        scheduler.add_job(job, trigger, id=name, next_run_time=datetime.now(UTC), **_RULES)

    async def tick(self) -> None:
        """Follow the files, then make due crawls."""
        outcome = await survive("tick", self._tick())
        self.follower.metrics.ticks.labels(outcome).inc()
        if outcome == "database":
            await survive(
                "revival", asyncio.to_thread(bootstrap.revive_database, self.follower.engine.config)
            )

    async def watch_over(self) -> None:
        """Say that nothing happens: a database that swallows every question leaves no other trace."""
        silent, now = self.standing.measure_silence(), time.monotonic()
        if silent is None:
            if self.told_silence_at is not None:
                _log.info("ticks end again")
            self.told_silence_at = None
        elif self.told_silence_at is None or now - self.told_silence_at > _REPEATED_SECONDS:
            self.told_silence_at = now
            _log.warning("no tick ends: does the database answer?", seconds=round(silent))

    async def do_upkeep(self) -> None:
        """Do the upkeep that is due."""
        engine = self.follower.engine
        await survive("upkeep", do_upkeep(engine.database, engine.config, self.repeats))

    async def _tick(self) -> None:
        self.notice_another_life()
        await self.follower.follow()
        try:
            await self._apply(self.follower.reloader)
        except Exception:
            # It is told and tried again; what is watched meanwhile is crawled meanwhile.
            await self._make_crawls()
            raise
        await self._make_crawls()
        self.standing.beat(self.follower.engine.config)

    async def _make_crawls(self) -> None:
        follower = self.follower
        await follower.board.sync()
        engine = follower.engine
        self.database_clock = await due.follow_clock(engine.database, self.database_clock)
        made = await due.make_due_crawls(engine.database, engine.config, engine.sources)
        for source, count in made.items():
            follower.metrics.due.labels(source).inc(count)
        if made:
            follower.shift.ring()

    def notice_another_life(self) -> None:
        """A database that lost what was committed last may have lost what the files say: read them again."""
        life = self.follower.engine.database.life
        if life != self.life:
            self.life, self.applied, self.follower.reload_is_wanted = life, None, True

    async def _apply(self, reloader: Reloader) -> None:
        """Make true what the files say. What fails half-way is done again, whole, by the next tick."""
        config, sources, entries = reloader.setup.config, reloader.setup.sources, reloader.setup.entries
        if entries is None:
            return
        reached("files_reloaded")
        database = self.follower.engine.database
        unwanted = await write_watchlist(database, config, sources, entries, _PATIENCE_SECONDS)
        # Before anything is removed, which may take long, or fail: what is new need not wait for it.
        await due.follow_watchlist(database, everything=self.applied != config)
        self.applied = config
        if unwanted:
            await unwatch(database, unwanted, _PATIENCE_SECONDS)
            await due.follow_watchlist(database, everything=False)
        reloader.forget_entries()


def catch_up(scheduler: AsyncIOScheduler, now: datetime) -> None:
    """Run now what is planned further ahead than any job is.

    The scheduler plans by the clock of the machine: set back by an hour, it would let an hour pass without a
    tick, and without the watchdog that tells so.
    """
    waits = [(job, job.next_run_time - now) for job in scheduler.get_jobs()]
    late = [(job, wait) for job, wait in waits if wait > 2 * job.trigger.interval]
    if not late:
        return
    # The job that comes round most often knows best by how much.
    seconds = round(min(wait for _job, wait in late).total_seconds())
    _log.warning("the clock was set back: what it held up runs now", seconds=seconds)
    for job, _wait in late:
        # This wakes the scheduler too, which would sleep until the time it knew before.
        job.modify(next_run_time=now)


def _every(seconds: float) -> IntervalTrigger:
    return IntervalTrigger(seconds=seconds, start_date=_START, timezone=UTC)
