"""The ticker: APScheduler rings, and each tick follows the files and makes due crawls.

The scheduler only says "now"; what is due is read from the database, so a tick that is late, lost or doubled
by a second process changes nothing.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

import psycopg
import structlog
from apscheduler.events import EVENT_JOB_MAX_INSTANCES
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from indexer import bootstrap, due
from indexer.cancelling import end_tasks
from indexer.errors import DatabaseError
from indexer.jobs import Engine, apply_watchlist
from indexer.metrics import Metrics
from indexer.reload import Changed, Refused, Reloader, Setup, abbreviate
from indexer.shift import Shift
from indexer.standing import Standing
from indexer.upkeep import NoticeBoard, do_upkeep

_log = structlog.get_logger()

#: How often upkeep is looked for; whether any is due, the database says.
_UPKEEP_SECONDS: Final = 60.0

#: Ticks start on whole multiples of their interval, as due times do.
_ALIGNED: Final = datetime(2000, 1, 1, tzinfo=UTC)

#: However late a tick is, it runs, once: nothing is missed by coalescing what the database remembers.
_RULES: Final = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}


@dataclass(slots=True)
class Ticker:
    """Rings for one daemon."""

    engine: Engine
    reloader: Reloader
    shift: Shift
    board: NoticeBoard
    standing: Standing
    metrics: Metrics
    debug: bool
    #: What the database and the workers know; None: they know nothing yet.
    applied: Setup | None = None
    reload_is_wanted: bool = False

    async def run(self) -> None:
        """Tick until cancelled."""
        # It would warn at every tick that comes while one still runs; those are counted instead.
        logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)
        scheduler = AsyncIOScheduler(timezone=UTC)
        scheduler.add_listener(
            lambda _event: self.metrics.ticks.labels("skipped").inc(), EVENT_JOB_MAX_INSTANCES
        )
        running: set[asyncio.Task[object]] = set()
        self._add_job(scheduler, running, "upkeep", _every(_UPKEEP_SECONDS), self.do_upkeep)
        seconds = self.engine.config.daemon.tick.total_seconds()
        self._add_job(scheduler, running, "tick", _every(seconds), self.tick)
        scheduler.start()
        try:
            await self._keep_pace(scheduler, seconds)
        finally:
            scheduler.shutdown(wait=False)
            await end_tasks(running)

    async def _keep_pace(self, scheduler: AsyncIOScheduler, seconds: float) -> None:
        """A new interval between ticks counts from now on."""
        while True:
            await asyncio.sleep(1)
            wanted = self.engine.config.daemon.tick.total_seconds()
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
        outcome = await self._survive("tick", self._tick())
        self.metrics.ticks.labels(outcome).inc()
        if outcome == "database":
            await self._survive("revival", asyncio.to_thread(bootstrap.revive_database, self.engine.config))

    async def do_upkeep(self) -> None:
        """Do the upkeep that is due."""
        await self._survive("upkeep", do_upkeep(self.engine.database, self.engine.config))

    async def _survive(self, name: str, work: Coroutine[object, object, None]) -> str:
        """Nothing that fails here ends the daemon: it is told, and tried again."""
        try:
            await work
        except (DatabaseError, psycopg.Error) as error:
            _log.warning(f"{name} failed", kind=type(error).__name__, error=str(error).partition("\n")[0])
            return "database"
        except Exception:  # noqa: BLE001  a daemon lives for years: it tells, and goes on
            _log.exception(f"{name} broke")
            return "broken"
        return "done"

    async def _tick(self) -> None:
        await self._follow_files()
        if self.applied is not self.reloader.setup:
            await self._apply(self.reloader.setup)
        await self.board.sync()
        made = await due.make_due_crawls(self.engine.database, self.engine.config, self.engine.sources)
        for source, count in made.items():
            self.metrics.due.labels(source).inc(count)
        if made:
            self.shift.ring()
        self.standing.beat(self.engine.config)

    async def _follow_files(self) -> None:
        forced, self.reload_is_wanted = self.reload_is_wanted, False
        found = await self.reloader.check(forced=forced)
        if isinstance(found, Refused):
            self._refuse(found)
        elif found is not None:
            self._tell_plan(found)

    def _refuse(self, found: Refused) -> None:
        message = bootstrap.build_redactor(self.engine.config)(found.message)
        _log.error("configuration refused: the one before stays", mistakes=message)
        self.metrics.refused.set(1)
        self.board.set("configuration", f"Refused, the configuration before it stays in force: {message}")

    def _tell_plan(self, found: Changed) -> None:
        self.metrics.refused.set(0)
        self.board.set("configuration", None)
        for word, names in (("added", found.added), ("removed", found.removed), ("changed", found.changed)):
            if names:
                _log.info(f"watches {word}", count=len(names), watches=abbreviate(names))
        if found.keys:
            _log.info("configuration changed", keys=abbreviate(found.keys))
        message = f"Restart to apply: {', '.join(found.kept)}." if found.kept else None
        if message:
            _log.warning("refused: cannot change while running", keys=", ".join(found.kept))
        self.board.set("restart", message)

    async def _apply(self, setup: Setup) -> None:
        """Make true what the files say. What fails half-way is done again, whole, by the next tick."""
        before = self.applied
        config_changed = before is None or before.config != setup.config
        if config_changed:
            self._reconfigure(setup)
        await apply_watchlist(self.engine.database, setup.config, setup.sources, setup.entries)
        await due.follow_watchlist(
            self.engine.database, everything=config_changed or self._paces_changed(setup)
        )
        self.applied = setup

    def _paces_changed(self, setup: Setup) -> bool:
        """An interval of a watch is different: when it was to be looked at is no longer true."""
        before = {} if self.applied is None else _list_paces(self.applied)
        return any(before.get(key, pace) != pace for key, pace in _list_paces(setup).items())

    def _reconfigure(self, setup: Setup) -> None:
        old = [] if self.applied is None else [self.applied.config]
        bootstrap.configure_logs(setup.config, self.debug, self.engine.config, *old)
        redact = bootstrap.build_redactor(setup.config, self.engine.config, *old)
        self.engine.worker.reconfigure(setup.config, setup.sources, redact)
        self.engine = replace(self.engine, config=setup.config, sources=setup.sources)
        self.shift.reconfigure(self.engine)


def _list_paces(setup: Setup) -> dict[tuple[str, str, str], object]:
    return {(entry.source, entry.address, entry.scope): entry.every for entry in setup.entries}


def _every(seconds: float) -> IntervalTrigger:
    return IntervalTrigger(seconds=seconds, start_date=_ALIGNED, timezone=UTC)
