"""The working part of a process: claims free crawls and walks them, for as long as the process lives.

Sources never wait for each other. Work is looked for at every poll, when a walk ends, and when the ticker
rings. Other processes may do the same on the same database.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Final

import psycopg
import structlog

from indexer.cancelling import end_tasks, was_told_to_stop
from indexer.config import Config, missing_secrets
from indexer.crawl import Progress as PageSeen
from indexer.errors import DatabaseError, IndexerError, LeaseLost
from indexer.jobs import Engine, is_crawled
from indexer.lanes import LONG_WALK, Lanes, Task
from indexer.metrics import Metrics
from indexer.store import crawls, schedule, watching
from indexer.store.crawls import Claim, Ending
from indexer.store.database import first_line
from indexer.store.schedule import SourceWork
from indexer.worker import lanes as count_lanes
from indexer.worker import tell_breakage

_log = structlog.get_logger()

#: While one crawl tries a paused source, the others wait this long for what it finds.
TRIAL: Final = timedelta(minutes=1)

#: A poll that cannot reach the database for this long gives up; the next one tries again.
_PATIENCE_SECONDS: Final = 5.0

#: What other processes make due is seen this soon, however rarely this one ticks.
_LONGEST_POLL_SECONDS: Final = 2.0

#: How long a stopping process waits for commits in hand and for its leases to be written.
_HAND_BACK_SECONDS: Final = 1.5


class Shift:
    """Keeps the lanes of every source busy. One per process."""

    def __init__(
        self,
        engine: Engine,
        metrics: Metrics,
        may_claim: Callable[[Config], Awaitable[bool]],
        beat: Callable[[Config], None] | None = None,
    ) -> None:
        self._engine = engine
        self._metrics = metrics
        self._may_claim = may_claim
        #: Called when work was looked for, and what there was could be claimed.
        self._beat = beat
        self._lanes: dict[str, Lanes] = {}
        self._trials: set[str] = set()
        #: Sources we were seen to have no key for, or not to know.
        self._left_alone: set[str] = set()
        #: Small writes beside the walks.
        self._errands: set[asyncio.Task[None]] = set()
        self._taking: asyncio.Task[list[Claim]] | None = None
        self._bell = asyncio.Event()
        worker = engine.worker
        worker.on_page, worker.on_request = self._see_page, metrics.see_request
        worker.on_waiting = self._see_waiting
        worker.wrap_pacer = metrics.wrap_pacer

    def ring(self) -> None:
        """Look for work now."""
        self._bell.set()

    def reconfigure(self, engine: Engine) -> None:
        """Work by this engine's configuration from the next claim on."""
        self._engine = engine
        self._bell.set()

    def _see_page(self, seen: PageSeen) -> None:
        """Called in the walk's own task, after each page."""
        self._metrics.see_page(seen)
        self._get_lanes(seen.source).see_page(asyncio.current_task(), seen.page)
        if seen.source in self._trials:
            self._trials.discard(seen.source)
            self._run_errand(self._unpause(seen.source))

    def _see_waiting(self, source: str, claim: Claim, waits: bool) -> None:
        lanes = self._get_lanes(source)
        lanes.see_waiting(claim.crawl_id, waits)
        if waits and lanes.is_worth_claiming():
            self._bell.set()

    def _run_errand(self, errand: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(errand)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    async def run(self) -> None:
        """Work until cancelled; then every walk hands its crawl back."""
        try:
            while not was_told_to_stop():
                await self._work_once()
                await self._rest()
        finally:
            await self._hand_back_all()

    async def _work_once(self) -> None:
        try:
            if await self._may_claim(self._engine.config):
                for found in await self._engine.database.steadily(self._find_work, _PATIENCE_SECONDS):
                    await self._serve(found)
            if self._beat is not None:
                self._beat(self._engine.config)
        except (DatabaseError, psycopg.Error) as error:
            _log.warning("no work can be claimed", kind=type(error).__name__, error=first_line(error))

    async def _find_work(self) -> list[SourceWork]:
        async with self._engine.database.connection() as connection:
            return await schedule.find_work(connection)

    async def _serve(self, found: SourceWork) -> None:
        """Fill the lanes of one source."""
        if not found.has_work or not self._may_ask(found.source):
            return
        lanes = self._get_lanes(found.source)
        lanes.is_paused = found.state == "paused"
        if lanes.is_paused:
            if found.may_be_tried and not lanes.walks:
                await self._try_once(lanes)
            return
        self._trials.discard(found.source)
        intruder = lanes.find_intruder()
        if intruder is not None:
            lanes.walks[intruder].steps_back = True
            intruder.cancel()
        await self._claim(lanes, lanes.count_free())

    def _may_ask(self, source: str) -> bool:
        """Without its key a source is left to others: asking would get it paused for everybody. So is one
        that only a newer program on the same database knows.
        """
        if source not in self._engine.config.sources:
            missing: Sequence[str] = ["the source: a newer program knows it"]
        else:
            missing = missing_secrets(source, self._engine.config)
        if missing and source not in self._left_alone:
            _log.warning("crawls are left to others", source=source, missing=", ".join(missing))
        (self._left_alone.add if missing else self._left_alone.discard)(source)
        return not missing and is_crawled(self._engine.config, source)

    async def _try_once(self, lanes: Lanes) -> None:
        """One crawl finds out whether the source answers again."""
        async with self._engine.database.connection() as connection:
            mine = await schedule.try_paused_source(connection, lanes.source, TRIAL)
        if mine:
            _log.info("paused source is tried with one crawl", source=lanes.source)
            self._trials.add(lanes.source)
            await self._claim(lanes, 1)

    async def _claim(self, lanes: Lanes, most: int) -> None:
        if most <= 0:
            return
        shorter_than = None if lanes.has_room_for_long() else LONG_WALK
        worker = self._engine.worker
        # Not to be cancelled half-way: what the database gave us must be walked or handed back.
        self._taking = asyncio.create_task(worker.claim(lanes.source, most, None, shorter_than))
        for claim in await asyncio.shield(self._taking):
            if claim.taken_over:
                self._metrics.takeovers.labels(lanes.source).inc()
            task = asyncio.create_task(worker.walk(lanes.source, claim))
            lanes.begin(task, claim)
            task.add_done_callback(lambda _task: self._bell.set())
        self._taking = None

    async def _rest(self) -> None:
        """Until a walk ends, somebody rings, or it is time to poll."""
        try:
            tick = self._engine.config.daemon.tick.total_seconds()
            async with asyncio.timeout(min(tick, _LONGEST_POLL_SECONDS)):
                await self._bell.wait()
        except TimeoutError:
            pass
        self._bell.clear()
        for lanes in self._lanes.values():
            for task, walk in list(lanes.take_ended()):
                self._settle(lanes, task, walk.claim)

    def _settle(self, lanes: Lanes, task: Task, claim: Claim) -> None:
        """Note what a walk came to. It reacts to every API error itself; what comes here is all the rest."""
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            lanes.count(task.result())
            self._metrics.crawls.labels(lanes.source, task.result()).inc()
        elif isinstance(error, IndexerError | psycopg.OperationalError):
            # The lease runs out, and whoever claims the crawl then goes on from its last page.
            _log.warning(
                "walk stopped",
                source=lanes.source,
                crawl=claim.crawl_id,
                kind=type(error).__name__,
                error=first_line(error),
            )
        else:
            ending = tell_breakage(lanes.source, claim, error)
            self._metrics.crawls.labels(lanes.source, "broken").inc()
            lanes.failures_in_a_row += 1
            self._run_errand(self._record_failure(claim, ending))

    async def _record_failure(self, claim: Claim, ending: Ending) -> None:
        """A walk that broke would break again: its watches fail, and are asked again when they are due."""
        try:
            async with self._engine.database.transaction() as connection:
                await crawls.end(connection, claim, "failed", ending)
        except (LeaseLost, psycopg.Error) as problem:
            _log.warning("failure not recorded", crawl=claim.crawl_id, kind=type(problem).__name__)

    def _get_lanes(self, source: str) -> Lanes:
        width = count_lanes(self._engine.config, source)
        lanes = self._lanes.setdefault(source, Lanes(source, width))
        lanes.width = width
        return lanes

    async def _unpause(self, source: str) -> None:
        try:
            async with self._engine.database.transaction() as connection:
                if await watching.unpause_source(connection, source):
                    _log.info("source answers again", source=source)
        except psycopg.Error as error:
            _log.warning("source stays paused", source=source, kind=type(error).__name__)
            self._trials.add(source)
        self._bell.set()

    async def _hand_back_all(self) -> None:
        taking, self._taking = self._taking, None
        returning = asyncio.create_task(self._return_unwalked(taking))
        walks = [task for lanes in self._lanes.values() for task in lanes.walks]
        # Whatever the database keeps waiting is free when the lease runs out.
        late = await end_tasks([*walks, *self._errands], _HAND_BACK_SECONDS)
        await asyncio.wait([returning], timeout=_HAND_BACK_SECONDS)
        if walks:
            _log.info("leases handed back", crawls=len(walks) - late, late=late)

    async def _return_unwalked(self, taking: "asyncio.Task[list[Claim]] | None") -> None:
        """What was claimed while we were told to stop."""
        for claim in [] if taking is None else await taking:
            async with self._engine.database.transaction() as connection:
                await crawls.release(connection, claim, Ending(), timedelta(0))
