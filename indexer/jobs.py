"""What a pass does: apply the watchlist, make the crawls, work until every watch has an outcome.

This is where transactions begin that are not part of a walk.
"""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import structlog

from indexer.cancelling import end_tasks
from indexer.config import Config, missing_secrets
from indexer.crashpoints import reached
from indexer.crawl import REFUSED_PAUSE
from indexer.crawl import Progress as PageSeen
from indexer.errors import IndexerError, LeaseLost, UsageError
from indexer.sources.base import Source
from indexer.store import crawls, pages, passes, watching
from indexer.store.database import Database
from indexer.store.passes import Outcome, Selected
from indexer.store.watching import WantedSource, WantedWatch, WatchlistChange
from indexer.watchlist import WatchEntry
from indexer.worker import Worker, lanes

_log = structlog.get_logger()

#: How often a pass looks for crawls that others hold.
_POLL_SECONDS: Final = 0.25

#: How often the counts of a pass are read for its progress.
_COUNT_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Selection:
    """Which watches a pass is about; None selects all."""

    source: str | None
    #: In its stored form.
    address: str | None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a pass is."""

    watches: int
    finished: int
    pages: int
    #: What happened last.
    current: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a pass over one source would take."""

    source: str
    watches: int
    requests: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Engine:
    """Everything a pass needs."""

    config: Config
    database: Database
    sources: Mapping[str, Source]
    entries: Sequence[WatchEntry]
    worker: Worker


async def apply_watchlist(
    database: Database, config: Config, sources: Mapping[str, Source], entries: Sequence[WatchEntry]
) -> WatchlistChange:
    """Make the watched set what the files say. An empty set is refused before it gets here."""
    wanted_sources = [
        WantedSource(name, source.network, _origin(config, name)) for name, source in sources.items()
    ]
    wanted = [
        WantedWatch(
            entry.source,
            sources[entry.source].network,
            entry.address,
            entry.scope,
            entry.label,
            entry.tags,
            entry.every,
        )
        for entry in entries
    ]

    async def write() -> WatchlistChange:
        async with database.transaction() as connection:
            return await watching.apply(connection, wanted_sources, wanted)

    change = await database.steadily(write)
    if change.added or change.removed:
        _log.info("watchlist applied", added=change.added, removed=change.removed)
    return change


def _origin(config: Config, source: str) -> str | None:
    base_url = config.sources[source].base_url
    if base_url is None:
        return None
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc}"


def is_crawled(config: Config, source: str) -> bool:
    """Whether a source is asked at all: enabled, and not retired."""
    return config.sources[source].enabled and config.sources[source].base_url is not None


def check_secrets(config: Config, entries: Sequence[WatchEntry], selection: Selection) -> None:
    """Raise UsageError naming every variable that a selected watch needs and that is not set."""
    needed = sorted({entry.source for entry in entries if _is_selected(entry, selection)})
    missing = [
        f"{source} needs {name}"
        for source in needed
        if is_crawled(config, source)
        for name in missing_secrets(source, config)
    ]
    if missing:
        raise UsageError("Set the missing secrets in the environment: " + "; ".join(missing) + ".")


def _is_selected(entry: WatchEntry, selection: Selection) -> bool:
    return selection.source in (None, entry.source) and selection.address in (None, entry.address)


async def run_pass(
    engine: Engine, selection: Selection, on_progress: Callable[[Progress], None]
) -> tuple[Outcome, ...]:
    """Crawl every selected watch once and wait until each has an outcome.

    Joins an unfinished pass over the same selection. Raises UsageError, DatabaseUnavailable.
    """
    check_secrets(engine.config, engine.entries, selection)
    await apply_watchlist(engine.database, engine.config, engine.sources, engine.entries)
    prepared = await engine.database.steadily(lambda: _prepare(engine, selection))
    reached("pass_prepared")
    running = _RunningPass(engine, prepared.number, on_progress)
    await running.run(sorted({watch.source for watch in prepared.crawled}))
    outcomes = await engine.database.steadily(lambda: _finish(engine.database, prepared.number))
    reached("pass_finished")
    told = [item for item in outcomes if is_crawled(engine.config, item.source)]
    told += [_skip(engine.config, watch) for watch in prepared.skipped]
    return tuple(sorted(told, key=lambda item: (item.source, item.address, item.scope)))


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A pass whose crawls are queued."""

    number: int
    crawled: Sequence[Selected]
    skipped: Sequence[Selected]


async def _prepare(engine: Engine, selection: Selection) -> _Prepared:
    config = engine.config
    window = max(source.max_window for source in config.sources.values())
    addresses = None if selection.address is None else [selection.address]
    async with engine.database.transaction() as connection:
        await pages.ensure_partitions(connection)
        selected = await passes.select(connection, selection.source, addresses)
        crawled = [watch for watch in selected if is_crawled(config, watch.source)]
        number = await passes.join(
            connection, {"source": selection.source, "address": selection.address}, window
        )
        await passes.place(
            connection, number, crawled, {name: source.batch for name, source in engine.sources.items()}
        )
    skipped = [watch for watch in selected if not is_crawled(config, watch.source)]
    return _Prepared(number, crawled, skipped)


def _skip(config: Config, watch: Selected) -> Outcome:
    enabled = config.sources[watch.source].enabled
    reason = "the source is retired: it has no base_url" if enabled else "the source is disabled"
    return Outcome(watch.source, watch.address, watch.scope, "skipped", None, None, 0, 0, reason)


async def _finish(database: Database, pass_id: int) -> list[Outcome]:
    async with database.transaction() as connection:
        outcomes = await passes.read_outcomes(connection, pass_id)
        await passes.finish(connection, pass_id)
    return outcomes


class _RunningPass:
    """One pass at work in this process; others may work on the same pass."""

    def __init__(self, engine: Engine, number: int, on_progress: Callable[[Progress], None]) -> None:
        self._engine = engine
        self._number = number
        self._on_progress = on_progress
        self._current = "starting"

    async def run(self, sources: Sequence[str]) -> None:
        """Return when every watch of these sources has an outcome."""
        self._engine.worker.on_page = self._see_page
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

    async def _report(self) -> None:
        """Tell how far the pass is, and others that it lives."""
        while True:
            await self._count()
            await asyncio.sleep(_COUNT_SECONDS)

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
        free = most = 1 if paused else lanes(self._engine.config, source)
        running: set[asyncio.Task[str]] = set()
        try:
            while True:
                claims = await worker.claim(source, free, self._number) if free > 0 else []
                running |= {asyncio.create_task(self._walk(source, claim)) for claim in claims}
                if not running and not await database.steadily(lambda: self._unfinished(source)):
                    return
                done, running = await _wait(running)
                outcomes = {task.result() for task in done}
                if "refused" in outcomes:
                    await database.steadily(lambda: self._fail_waiting(source))
                elif "published" in outcomes and most == 1:
                    await database.steadily(lambda: self._unpause(source))
                    most = lanes(self._engine.config, source)
                free = most - len(running)
        finally:
            await end_tasks(running)

    async def _walk(self, source: str, claim: crawls.Claim) -> str:
        """A walk that breaks costs its own watches, not the pass. Of its error only the class is stored."""
        try:
            return await self._engine.worker.walk(source, claim)
        except IndexerError:
            raise
        except Exception as error:  # noqa: BLE001  the floor that logs and records what nobody expected
            _log.exception("walk broke", source=source, crawl=claim.crawl_id)
            ending = crawls.Ending(type(error).__name__, "internal error: the log has its traceback")
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


async def _wait(
    running: set["asyncio.Task[str]"],
) -> tuple[set["asyncio.Task[str]"], set["asyncio.Task[str]"]]:
    """The walks that ended, soon: others may hand crawls back meanwhile."""
    if not running:
        await asyncio.sleep(_POLL_SECONDS)
        return set(), set()
    return await asyncio.wait(running, timeout=_POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What went wrong first; the rest only followed."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def plan_pass(engine: Engine, selection: Selection) -> tuple[Plan, ...]:
    """What a pass would take, from what each watch took last time. Writes nothing, sends nothing."""
    check_secrets(engine.config, engine.entries, selection)
    watches = [
        (entry.source, engine.sources[entry.source].network, entry.address, entry.scope)
        for entry in engine.entries
        if _is_selected(entry, selection) and is_crawled(engine.config, entry.source)
    ]
    if not watches:
        return ()
    async with engine.database.connection() as connection:
        estimates = await passes.estimate(connection, watches)
    plans: dict[str, Plan] = {}
    for found in estimates:
        batch = engine.sources[found.source].batch
        crawls = math.ceil(found.watches / batch)
        known = found.watches - found.unknown
        mean = found.pages / known if known else 1.0
        requests = max(crawls, math.ceil(crawls * mean))
        before = plans.get(found.source, Plan(found.source, 0, 0, 0.0))
        seconds = requests / engine.config.sources[found.source].requests_per_second
        plans[found.source] = Plan(
            found.source, before.watches + found.watches, before.requests + requests, before.seconds + seconds
        )
    return tuple(plans.values())


__all__ = ["Engine", "Outcome", "Plan", "Progress", "Selection", "apply_watchlist", "plan_pass", "run_pass"]
