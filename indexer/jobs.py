"""What a pass does: apply the watchlist, make the crawls, work until every watch has an outcome.

This is where transactions begin that are not part of a walk.
"""

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import structlog

from indexer.config import Config, missing_secrets
from indexer.crashpoints import reached
from indexer.errors import UsageError
from indexer.running_pass import Engine, Progress, RunningPass
from indexer.sources.base import Source
from indexer.store import pages, passes, watching
from indexer.store.database import PATIENCE_SECONDS, Database
from indexer.store.passes import Outcome, Selected
from indexer.store.watching import Unwanted, WantedSource, WatchlistChange
from indexer.unwatching import unwatch
from indexer.watchlist import WatchEntry

_log = structlog.get_logger()

#: What became of a watch whose pass is gone from the database.
LOST: Final = "the database lost this pass (a failover, or a backup that was restored): crawl again"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which watches a pass is about; None selects all."""

    source: str | None
    #: In its stored form.
    address: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a pass over one source would take."""

    source: str
    watches: int
    requests: int
    seconds: float


async def apply_watchlist(
    database: Database, config: Config, sources: Mapping[str, Source], entries: Sequence[WatchEntry]
) -> None:
    """Make the watched set what the files say. An empty set is refused before it gets here.

    What fails half-way is done when it is applied again. Raises PublishTooSlow, DatabaseUnavailable.
    """
    await unwatch(database, await write_watchlist(database, config, sources, entries))


async def write_watchlist(
    database: Database,
    config: Config,
    sources: Mapping[str, Source],
    entries: Sequence[WatchEntry],
    patience: float = PATIENCE_SECONDS,
) -> Sequence[Unwanted]:
    """Watch all that the files say. Returns what is watched beyond that: it still has to end."""
    wanted_sources = [
        WantedSource(name, source.network, _origin(config, name)) for name, source in sources.items()
    ]

    async def write() -> WatchlistChange:
        async with database.transaction() as connection:
            change = await watching.apply(connection, wanted_sources, entries)
            reached("watchlist_written")
            return change

    change = await database.steadily(write, patience)
    for word, named in (("added", change.added), ("changed", change.changed)):
        if named.count:
            _log.info(f"watches {word}", count=named.count, watches=str(named))
    if change.unwanted and change.added.count == len(entries):
        # Somebody may crawl from another folder, and not know that the embedded database is the same.
        _log.warning(
            "nothing is left of the watchlist before this one: a database follows one watchlist",
            watches=len(change.unwanted),
            holdings=sum(watch.holdings for watch in change.unwanted),
        )
    return change.unwanted


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


async def _find_room() -> None:
    """There is always room: for those who do not ask."""


async def run_pass(
    engine: Engine,
    selection: Selection,
    on_progress: Callable[[Progress], None],
    check_room: Callable[[], Awaitable[None]] = _find_room,
) -> tuple[Outcome, ...]:
    """Crawl every selected watch once and wait until each has an outcome.

    Joins an unfinished pass over the same selection. Raises UsageError, DatabaseUnavailable, and what
    ``check_room`` raises before crawls are claimed.
    """
    check_secrets(engine.config, engine.entries, selection)
    await apply_watchlist(engine.database, engine.config, engine.sources, engine.entries)
    prepared = await engine.database.steadily(lambda: _prepare(engine, selection))
    reached("pass_prepared")
    running = RunningPass(engine, prepared.number, on_progress, check_room)
    await running.run(sorted({watch.source for watch in prepared.crawled}))
    outcomes = await engine.database.steadily(lambda: _finish(engine.database, prepared.number))
    reached("pass_finished")
    told = [item for item in outcomes if is_crawled(engine.config, item.source)]
    told += [_skip(engine.config, watch) for watch in prepared.skipped]
    kept = {(item.source, item.address, item.scope) for item in outcomes}
    told += [
        _lose(watch) for watch in prepared.crawled if (watch.source, watch.address, watch.scope) not in kept
    ]
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
        reached("partitions_made")
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


def _lose(watch: Selected) -> Outcome:
    """No crawl of it is known any more: what is not told must not pass for done."""
    return Outcome(watch.source, watch.address, watch.scope, "failed", None, None, 0, 0, LOST)


async def _finish(database: Database, pass_id: int) -> list[Outcome]:
    async with database.transaction() as connection:
        outcomes = await passes.read_outcomes(connection, pass_id)
        await passes.finish(connection, pass_id)
    return outcomes


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


__all__ = [
    "LOST",
    "Engine",
    "Outcome",
    "Plan",
    "Progress",
    "Selection",
    "apply_watchlist",
    "plan_pass",
    "run_pass",
    "write_watchlist",
]
