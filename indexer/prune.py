"""Pruning: old raw pages and ended crawls go, what as-of answers need stays.

History is not touched (the database would refuse it); how far replay and `indexer raw` reach back is what
a prune takes away.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import partial
from typing import Final

from indexer.store import prune as store
from indexer.store import runs
from indexer.store.database import Database
from indexer.store.prune import Limits, Month

#: Crawls in one transaction: locks stay short.
_BATCH: Final = 1_000

#: Snapshots a daemon looks back over each hour: those of a million watches crawled twice.
_LATELY: Final = 2_000_000


@dataclass(frozen=True, slots=True)
class Pruned:
    """What went, or would go."""

    #: First day whose raw pages are all kept.
    kept_from: date
    months: tuple[Month, ...]
    #: Rows of raw pages and bodies in those months.
    pages: int
    bodies: int
    crawls: int
    passes: int
    #: Snapshots that were folded into runs, with the crawls and pages they came from.
    folded: int = 0
    #: Unfinished crawls that keep months past the retention, by source.
    held_back: Mapping[str, int] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """Space given back to the disk."""
        return sum(month.bytes for month in self.months)


async def prune(database: Database, keep: timedelta, *, dry_run: bool) -> Pruned:
    """Remove what is older than ``keep``; ``dry_run`` only tells. Raises DatabaseUnavailable."""
    if dry_run:
        return await database.steadily(lambda: _tell(database, keep))
    folded = await runs.fold_unchanged(database)
    limits, dropped = await database.steadily(lambda: _drop_months(database, keep))
    crawls = await _delete_crawls(database, limits)
    passes = await database.steadily(lambda: _delete_passes(database, limits))
    if folded or crawls:
        await database.steadily(lambda: runs.give_space_back(database))
    raw, held_back = (dropped.months, dropped.pages, dropped.bodies), limits.held_back
    return Pruned(limits.kept_from, *raw, crawls, passes, folded, held_back)


async def fold(database: Database, *, dry_run: bool) -> int:
    """Fold unchanged crawls only; returns how many, per watch. Raises DatabaseUnavailable."""
    if dry_run:
        return await database.steadily(lambda: _count_foldable(database))
    folded = await runs.fold_unchanged(database)
    if folded:
        await database.steadily(lambda: runs.give_space_back(database))
    return folded


async def _count_foldable(database: Database) -> int:
    async with database.transaction() as connection:
        await store.allow_time(connection)
        snapshots, _ = await runs.find_foldable(connection)
    return snapshots


class Repeats:
    """Folds what repeats the crawl before it while work goes on, without a lock on anybody.

    The newest snapshot of a watch stays as it is, and report.crawls tells the same of a folded crawl: nobody
    who looks at what was just done misses anything. Raises DatabaseUnavailable.
    """

    def __init__(self) -> None:
        self._mark: int | None = None
        self._folded = 0

    async def begin(self, database: Database) -> None:
        """From here on: what is published now is another one's to fold."""
        self._mark = await _read_mark(database)

    async def fold(self, database: Database) -> None:
        """Fold what was published since the last time; the first time, begin."""
        newest = await _read_mark(database)
        if self._mark is not None and newest > self._mark:
            # And as many before: what a pass had only just been told of was left alone then.
            self._folded += await runs.fold_unchanged(database, max(0, 2 * self._mark - newest))
        self._mark = newest

    async def fold_lately(self, database: Database) -> int:
        """What others published and nobody folded too; returns how many were folded since the last time."""
        newest = await _read_mark(database)
        folded = await runs.fold_unchanged(database, max(0, newest - _LATELY))
        folded, self._folded = folded + self._folded, 0
        self._mark = newest
        return folded


async def _read_mark(database: Database) -> int:
    async def read() -> int:
        async with database.connection() as connection:
            return await runs.read_mark(connection)

    return await database.steadily(read)


@dataclass(frozen=True, slots=True)
class _Raw:
    """Months of raw pages, and the rows in them."""

    months: tuple[Month, ...]
    pages: int
    bodies: int


def advise_held_back(source: str, crawls: int) -> str:
    """What to do about crawls that nobody goes on with."""
    return (
        f"Raw pages past retention.raw stay for unfinished crawls of {source} ({crawls}): let it be crawled"
        " again (enabled, with its base_url and its key), or take its addresses off the watchlist."
    )


async def _drop_months(database: Database, keep: timedelta) -> tuple[Limits, _Raw]:
    """One month after the other: years of them at once take more locks than a server has."""
    limits, months = await database.steadily(lambda: _list_months(database, keep))
    pages = bodies = 0
    for end in sorted({month.end for month in months}):
        so_far = replace(limits, before=end, kept_from=end)
        counted = await database.steadily(partial(_drop_before, database, so_far))
        pages, bodies = pages + counted[0], bodies + counted[1]
    left = await database.steadily(lambda: _list_left(database, limits)) if months else ()
    if left:
        # Somebody has gone on with a crawl of such a month meanwhile: its crawls stay with their pages.
        limits = replace(limits, kept_from=min(month.start for month in left))
    names = {month.name for month in left}
    return limits, _Raw(tuple(month for month in months if month.name not in names), pages, bodies)


async def _list_left(database: Database, limits: Limits) -> tuple[Month, ...]:
    async with database.transaction() as connection:
        return tuple(await store.list_months(connection, limits))


async def _list_months(database: Database, keep: timedelta) -> tuple[Limits, tuple[Month, ...]]:
    async with database.transaction() as connection:
        limits = await store.read_limits(connection, keep)
        return limits, tuple(await store.list_months(connection, limits))


async def _drop_before(database: Database, limits: Limits) -> tuple[int, int]:
    async with database.transaction() as connection:
        await store.lock_pruning(connection)
        await store.allow_time(connection)
        counted = await store.count_raw(connection, limits)
        dropped = await store.drop_raw(connection, limits)
    return counted if dropped else (0, 0)


async def _delete_crawls(database: Database, limits: Limits) -> int:
    deleted = after = 0
    while True:
        crawls = await database.steadily(partial(_delete_batch, database, limits, after))
        if not crawls:
            return deleted
        deleted += len(crawls)
        after = crawls[-1]


async def _delete_batch(database: Database, limits: Limits, after: int) -> list[int]:
    async with database.transaction() as connection:
        await store.lock_pruning(connection)
        crawls = await store.find_crawls(connection, limits, after, _BATCH)
        await store.delete_crawls(connection, crawls)
    return crawls


async def _delete_passes(database: Database, limits: Limits) -> int:
    async with database.transaction() as connection:
        return await store.delete_passes(connection, limits)


async def _tell(database: Database, keep: timedelta) -> Pruned:
    async with database.transaction() as connection:
        await store.allow_time(connection)
        limits = await store.read_limits(connection, keep)
        months = tuple(await store.list_months(connection, limits))
        # Folding comes first: what it takes away is not taken away again.
        snapshots, folded = await runs.find_foldable(connection)
        pages, bodies = await store.count_raw(connection, limits, folded)
        ended: list[int] = []
        while found := await store.find_crawls(connection, limits, ended[-1] if ended else 0, _BATCH):
            ended += found
        crawls = set(ended).difference(folded)
        passes = await store.count_passes(connection, limits, [*crawls, *folded])
    raw, held_back = (months, pages, bodies), limits.held_back
    return Pruned(limits.kept_from, *raw, len(crawls), passes, snapshots, held_back)
