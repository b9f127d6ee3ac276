"""Due watches become pending crawls. What is due is read from the database each time, never remembered.

Any number of processes may do this at once: one at a time does, and the database refuses a due time that was
crawled and a second open crawl of a watch, whoever asks.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

import structlog

from indexer.config import Config
from indexer.jobs import is_crawled
from indexer.schedule import CLOCK_ERROR, Decision, Pace, WatchState, decide
from indexer.sources.base import Source
from indexer.store import passes, schedule
from indexer.store.database import Connection, Database
from indexer.store.passes import Selected
from indexer.store.schedule import LookedAt

_log = structlog.get_logger()

#: Watches looked at in one transaction: some hundred milliseconds, so that nobody waits long for its locks.
_BATCH: Final = 2_000

#: A source that is switched off is not looked at; switching it on looks at everything.
_SWITCHED_OFF: Final = timedelta(hours=1)

#: A tick that cannot reach the database for this long gives up; the next one goes on.
_PATIENCE_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Made:
    """What one batch came to."""

    looked_at: int
    #: Crawls made, by source.
    crawls: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Due:
    """A watch that is crawled now."""

    watch: Selected
    due_at: datetime
    alone: bool


async def follow_watchlist(database: Database, *, everything: bool) -> None:
    """Look at what is watched now; ``everything``: as if nothing had been looked at before."""

    async def write() -> None:
        async with database.transaction() as connection:
            await schedule.follow_watchlist(connection)
            if everything:
                await schedule.look_at_all(connection)

    await database.steadily(write, _PATIENCE_SECONDS)


async def follow_clock(database: Database, before: datetime | None) -> datetime:
    """What the database's clock says now. Where it was set back since ``before``, everything is looked at.

    Looks are planned by it: those that it planned while it was ahead would be as late.
    """

    async def read() -> datetime:
        async with database.connection() as connection:
            return await schedule.read_clock(connection)

    now = await database.steadily(read, _PATIENCE_SECONDS)
    if before is not None and before - now > CLOCK_ERROR:
        seconds = round((before - now).total_seconds())
        _log.warning("the clock of the database was set back: every watch is looked at", seconds=seconds)
        await follow_watchlist(database, everything=True)
    return now


async def make_due_crawls(
    database: Database, config: Config, sources: Mapping[str, Source]
) -> dict[str, int]:
    """Queue a crawl for every watch that is due. Returns how many crawls by source."""
    crawls: dict[str, int] = {}
    while await database.steadily(lambda: _has_looks(database), _PATIENCE_SECONDS):
        made = await database.steadily(lambda: _make_batch(database, config, sources), _PATIENCE_SECONDS)
        for source, count in made.crawls.items():
            crawls[source] = crawls.get(source, 0) + count
        if made.looked_at < _BATCH:
            break
    if crawls:
        _log.info("due", **crawls)
    return crawls


async def _has_looks(database: Database) -> bool:
    async with database.connection() as connection:
        return await schedule.has_looks(connection)


async def _make_batch(database: Database, config: Config, sources: Mapping[str, Source]) -> Made:
    async with database.transaction() as connection:
        if not await schedule.lock(connection):
            return Made(0, {})
        looked_at = await schedule.read_looks(connection, _BATCH)
        decisions = {found.watch_id: _decide(found, config) for found in looked_at}
        due = [
            _Due(_select(found), decision.due_at, decision.alone)
            for found in looked_at
            if (decision := decisions[found.watch_id]).due_at is not None
        ]
        groups = list(group_due(due, {name: source.batch for name, source in sources.items()}))
        await _queue(connection, groups)
        await schedule.write_looks(connection, {watch: made.look_at for watch, made in decisions.items()})
    return Made(len(looked_at), _count_by_source(groups))


def _select(found: LookedAt) -> Selected:
    return Selected(found.watch_id, found.source, found.address, found.scope)


def _decide(found: LookedAt, config: Config) -> Decision:
    source = config.sources.get(found.source)
    if source is None or found.watched_from is None or not is_crawled(config, found.source):
        return Decision(None, found.now + _SWITCHED_OFF)
    pace = Pace(every=found.every) if found.every is not None else Pace(source.every, source.cron)
    state = WatchState(
        watch_id=found.watch_id,
        pace=pace,
        watched_from=found.watched_from,
        open_since=found.open_since,
        ended_at=found.ended_at,
        failures=found.failures,
        last_due=found.last_due,
        witness_at=found.witness_at,
        confirm_after=source.guard.confirm_after,
    )
    return decide(state, found.now)


def group_due(due: Iterable[_Due], batches: Mapping[str, int]) -> Iterator[list[_Due]]:
    """As many watches of one source and scope per crawl as one request takes; confirmations go alone."""
    ordered = sorted(due, key=lambda item: (item.watch.source, item.watch.scope, item.watch.watch_id))
    yield from ([item] for item in ordered if item.alone)
    together = (item for item in ordered if not item.alone)
    for (source, _scope), members in groupby(
        together, key=lambda item: (item.watch.source, item.watch.scope)
    ):
        rest = list(members)
        size = batches.get(source, 1)
        yield from (rest[start : start + size] for start in range(0, len(rest), size))


async def _queue(connection: Connection, groups: Sequence[Sequence[_Due]]) -> None:
    await passes.create_crawls(
        connection, [[(item.watch, item.due_at) for item in group] for group in groups]
    )


def _count_by_source(groups: Sequence[Sequence[_Due]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for group in groups:
        source = group[0].watch.source
        counts[source] = counts.get(source, 0) + 1
    return counts
