"""One pass at work in this process: claim and walk until nothing of any source is left to wait for."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from indexer.ahead import Ahead
from indexer.cancelling import end_tasks
from indexer.config import Config
from indexer.crawl import REFUSED_PAUSE
from indexer.crawl import Progress as PageSeen
from indexer.errors import DatabaseUnavailable, IndexerError, LeaseLost
from indexer.sources.base import Source
from indexer.store import crawls, passes, watching
from indexer.store.database import Database
from indexer.watchlist import WatchEntry
from indexer.worker import MOST_WAITING, Worker, lanes, tell_breakage

_log = structlog.get_logger()

#: How often a pass looks for crawls that others hold.
_POLL_SECONDS: Final = 0.25

#: Seconds between two counts of a pass for its progress; longer where counting takes more than this share
#: of the time: the pass is large.
_COUNT_SECONDS: Final = 0.5
_COUNT_SHARE: Final = 0.02
_LONGEST_COUNT_SECONDS: Final = 5.0

#: How often the disk of the database is looked at.
_ROOM_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a pass is."""

    watches: int
    finished: int
    pages: int
    #: What happened last.
    current: str


@dataclass(frozen=True, slots=True)
class Engine:
    """Everything a pass needs."""

    config: Config
    database: Database
    sources: Mapping[str, Source]
    entries: Sequence[WatchEntry]
    worker: Worker


class RunningPass:
    """One pass at work in this process; others may work on the same pass."""

    def __init__(
        self,
        engine: Engine,
        number: int,
        on_progress: Callable[[Progress], None],
        check_room: Callable[[], Awaitable[None]],
    ) -> None:
        self._engine = engine
        self._check_room = check_room
        self._checked_at = float("-inf")
        self._number = number
        self._on_progress = on_progress
        self._current = "starting"
        #: Crawls whose answer is being read and committed, by source; and who wants to know.
        self._waiting: dict[str, set[int]] = {}
        self._bells: dict[str, asyncio.Event] = {}

    async def run(self, sources: Sequence[str]) -> None:
        """Return when every watch of these sources has an outcome."""
        self._engine.worker.on_page = self._see_page
        self._engine.worker.on_waiting = self._see_waiting
        reporter = asyncio.create_task(self._report())
        try:
            async with asyncio.TaskGroup() as group:
                for source in sources:
                    group.create_task(self._work(source))
        except BaseExceptionGroup as group_error:
            raise _first(group_error) from None
        finally:
            await end_tasks([reporter])
        await self._count()

    def _see_page(self, seen: PageSeen) -> None:
        self._current = f"{seen.source} {seen.address} page {seen.page}"

    def _see_waiting(self, source: str, claim: crawls.Claim, waits: bool) -> None:
        waiting = self._waiting[source]
        if waits:
            waiting.add(claim.crawl_id)
            self._bells[source].set()
        else:
            waiting.discard(claim.crawl_id)

    async def _report(self) -> None:
        """Tell how far the pass is, and others that it lives."""
        while True:
            started = time.monotonic()
            # Walks may be waiting for their API meanwhile: the pass goes on, and others must see it live.
            with contextlib.suppress(DatabaseUnavailable):
                await self._count()
            took = time.monotonic() - started
            await asyncio.sleep(min(max(_COUNT_SECONDS, took / _COUNT_SHARE), _LONGEST_COUNT_SECONDS))

    async def _count(self) -> None:
        counted = await self._engine.database.steadily(self._read_counts)
        self._on_progress(Progress(counted.watches, counted.finished, counted.pages, self._current))

    async def _read_counts(self) -> passes.Counted:
        async with self._engine.database.connection() as connection:
            await passes.touch(connection, self._number)
            return await passes.count(connection, self._number)

    async def _work(self, source: str) -> None:
        """Claim and walk until nothing of this source is left to wait for."""
        worker, database = self._engine.worker, self._engine.database
        # A paused source is tried with one crawl first; success lets the others go.
        paused = await database.steadily(lambda: self._is_paused(source))
        most = 1 if paused else lanes(self._engine.config, source)
        running: set[asyncio.Task[str]] = set()
        bell = self._bells[source] = asyncio.Event()
        waiting = self._waiting[source] = set[int]()
        is_idle, is_empty = True, False
        ahead = Ahead()
        try:
            while True:
                # A trial is alone until it is over.
                more = ahead.count() if most > 1 else 0
                free = most + more - len(running) + (min(len(waiting), MOST_WAITING) if most > 1 else 0)
                # Several at a time, unless nothing happens meanwhile: each claim is a transaction.
                claims: list[crawls.Claim] = []
                if free > 0 and (is_idle or (free > (most + more) // 3 and not is_empty)):
                    await self._look_for_room()
                    claims = await worker.claim(source, free, self._number)
                    is_empty = len(claims) < free
                for claim in claims:
                    task = asyncio.create_task(self._walk(source, claim))
                    # One bell for all: to wait for tasks, each of them would be asked every time.
                    task.add_done_callback(lambda _task: bell.set())
                    running.add(task)
                if not running and not await database.steadily(lambda: self._unfinished(source)):
                    return
                done, running, is_idle = await _wait(running, bell)
                outcomes = [task.result() for task in done]
                _note(ahead, outcomes)
                if "refused" in outcomes:
                    await database.steadily(lambda: self._fail_waiting(source))
                elif "published" in outcomes and most == 1:
                    await database.steadily(lambda: self._unpause(source))
                    most = lanes(self._engine.config, source)
        finally:
            await end_tasks(running)

    async def _look_for_room(self) -> None:
        """Whatever ``check_room`` raises ends the pass; committed pages stay, and it can be joined."""
        if time.monotonic() - self._checked_at > _ROOM_SECONDS:
            self._checked_at = time.monotonic()
            await self._check_room()

    async def _walk(self, source: str, claim: crawls.Claim) -> str:
        """A walk that breaks costs its own watches, not the pass."""
        try:
            return await self._engine.worker.walk(source, claim)
        except IndexerError:
            raise
        except Exception as error:  # noqa: BLE001  the floor that logs and records what nobody expected
            ending = tell_breakage(source, claim, error)
        try:
            await self._engine.database.steadily(lambda: self._fail(claim, ending))
        except LeaseLost:
            return "lost"
        return "failed"

    async def _fail(self, claim: crawls.Claim, ending: crawls.Ending) -> None:
        async with self._engine.database.transaction() as connection:
            await crawls.end(connection, claim, "failed", ending)

    async def _is_paused(self, source: str) -> bool:
        async with self._engine.database.connection() as connection:
            return (await watching.read_sources(connection))[source].state == "paused"

    async def _unpause(self, source: str) -> None:
        async with self._engine.database.transaction() as connection:
            if await watching.unpause_source(connection, source):
                _log.info("source answers again", source=source)

    async def _unfinished(self, source: str) -> int:
        async with self._engine.database.connection() as connection:
            return await passes.count_unfinished(connection, self._number, source)

    async def _fail_waiting(self, source: str) -> None:
        async with self._engine.database.transaction() as connection:
            state = (await watching.read_sources(connection))[source]
            reason = f"{source} is paused: {state.reason}"
            await passes.fail_waiting(connection, self._number, source, reason, REFUSED_PAUSE)


def _note(ahead: Ahead, outcomes: Sequence[str]) -> None:
    published = outcomes.count("published")
    ahead.count_published(published)
    if published < len(outcomes):
        ahead.forget()


_Walks = set["asyncio.Task[str]"]


async def _wait(running: _Walks, bell: asyncio.Event) -> tuple[_Walks, _Walks, bool]:
    """The walks that ended, soon: others may hand crawls back meanwhile. And whether nothing happened."""
    try:
        async with asyncio.timeout(_POLL_SECONDS):
            await bell.wait()
        is_idle = False
    except TimeoutError:
        is_idle = True
    bell.clear()
    done = {task for task in running if task.done()}
    return done, running - done, is_idle and not done


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What went wrong first; the rest only followed."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
