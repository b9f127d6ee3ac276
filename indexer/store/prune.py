"""What a prune removes: whole months of raw pages, and crawls of which nothing else is kept.

Nothing here commits. History is not named here: what as-of answers need stays.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from psycopg.rows import class_row

from indexer.store import statements
from indexer.store.database import Connection

_SQL: Final = statements.load("prune")


@dataclass(frozen=True, slots=True)
class Limits:
    """Up to where things may go."""

    #: Months that end before this day go.
    before: date
    #: First day of the first month that stays.
    kept_from: date
    #: Crawls that ended before this instant may go.
    finished_before: datetime
    #: Unfinished crawls without which more months would go, by source.
    held_back: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Month:
    """One table of raw pages or bodies of one month."""

    name: str
    bytes: int

    @property
    def start(self) -> date:
        """Its first day."""
        return date(int(self.name[-6:-2]), int(self.name[-2:]), 1)

    @property
    def end(self) -> date:
        """The first day after it."""
        year, month = int(self.name[-6:-2]), int(self.name[-2:])
        return date(year + month // 12, month % 12 + 1, 1)


async def read_limits(connection: Connection, keep: timedelta) -> Limits:
    """Up to where a prune may go that keeps this much."""
    async with connection.cursor(row_factory=class_row(Limits)) as cursor:
        await cursor.execute(_SQL.read_limits, {"keep": keep})
        limits = await cursor.fetchone()
        assert limits is not None
        return limits


async def lock_pruning(connection: Connection) -> None:
    """Wait until no other prune is at it."""
    await connection.execute(_SQL.lock_pruning)


async def list_months(connection: Connection, limits: Limits) -> list[Month]:
    """The tables that go."""
    async with connection.cursor(row_factory=class_row(Month)) as cursor:
        await cursor.execute(_SQL.list_months, {"kept_from": limits.kept_from})
        return await cursor.fetchall()


async def allow_time(connection: Connection) -> None:
    """What follows in this transaction may count all there is."""
    await connection.execute(_SQL.allow_time)


async def count_raw(connection: Connection, limits: Limits, folded: Sequence[int] = ()) -> tuple[int, int]:
    """Pages and bodies that go; the pages of ``folded`` crawls are gone before."""
    bind = {"kept_from": limits.kept_from, "folded": list(folded)}
    cursor = await connection.execute(_SQL.count_raw, bind)
    row = await cursor.fetchone()
    assert row is not None
    return row[0], row[1]


async def drop_raw(connection: Connection, limits: Limits) -> int:
    """Drop the tables; returns how many."""
    cursor = await connection.execute(_SQL.drop_raw, {"before": limits.before})
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def find_crawls(connection: Connection, limits: Limits, after: int, most: int) -> list[int]:
    """The next crawls of which nothing else is kept, by number."""
    cursor = await connection.execute(
        _SQL.find_crawls,
        {
            "after": after,
            "finished_before": limits.finished_before,
            "kept_from": limits.kept_from,
            "most": most,
        },
    )
    return [row[0] for row in await cursor.fetchall()]


async def delete_crawls(connection: Connection, crawls: Sequence[int]) -> None:
    """Delete these crawls with their verdicts."""
    bind = {"crawls": list(crawls)}
    await connection.execute(_SQL.delete_pass_watches, bind)
    await connection.execute(_SQL.delete_crawl_watches, bind)
    await connection.execute(_SQL.delete_crawls, bind)


async def delete_passes(connection: Connection, limits: Limits) -> int:
    """Delete the passes of which nothing is left; returns how many."""
    cursor = await connection.execute(_SQL.delete_passes, {"finished_before": limits.finished_before})
    return cursor.rowcount


async def count_passes(connection: Connection, limits: Limits, crawls: Sequence[int]) -> int:
    """How many passes would be left with nothing if these crawls were deleted."""
    cursor = await connection.execute(
        _SQL.count_passes, {"finished_before": limits.finished_before, "crawls": list(crawls)}
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0
