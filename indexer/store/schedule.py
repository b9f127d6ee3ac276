"""When to look at which watch, and which sources have work. Nothing here commits.

What is due is derived from crawls and their outcomes; `ledger.schedule` only says where to look.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from psycopg.rows import class_row

from indexer.store import statements
from indexer.store.crawls import WORKER_LOCK_CLASS
from indexer.store.database import Connection

_SQL = statements.load("schedule")


@dataclass(frozen=True, slots=True)
class LookedAt:
    """A watch whose time to be looked at has come, and what is known of it."""

    watch_id: int
    source: str
    address: str
    scope: str
    every: timedelta | None
    #: None: it is not watched any more.
    watched_from: datetime | None
    open_since: datetime | None
    ended_at: datetime | None
    failures: int
    last_due: datetime | None
    witness_at: datetime | None
    #: The database's clock.
    now: datetime


async def has_looks(connection: Connection) -> bool:
    """Whether there is any watch to look at."""
    return await _ask(connection, _SQL.has_looks)


async def read_clock(connection: Connection) -> datetime:
    """What the database's clock says."""
    cursor = await connection.execute(_SQL.read_clock)
    row = await cursor.fetchone()
    assert row is not None
    return cast("datetime", row[0])


async def lock(connection: Connection) -> bool:
    """Be the one that makes due crawls, until the transaction ends. False: another process is."""
    if not await _ask(connection, _SQL.lock_schedule):
        return False
    await connection.execute(_SQL.lock_against_changes)
    return True


async def _ask(connection: Connection, question: bytes) -> bool:
    cursor = await connection.execute(question)
    row = await cursor.fetchone()
    return bool(row and row[0])


async def follow_watchlist(connection: Connection) -> None:
    """Look at what is watched, and at nothing else."""
    await connection.execute(_SQL.add_watches)
    await connection.execute(_SQL.remove_watches)


async def look_at_all(connection: Connection) -> None:
    """Look at every watch again at the next tick, and let no open crawl wait for a clock that was ahead."""
    await connection.execute(_SQL.look_at_all)
    await connection.execute(_SQL.let_crawls_go)


async def read_looks(connection: Connection, most: int) -> list[LookedAt]:
    """Up to ``most`` watches whose time to be looked at has come."""
    async with connection.cursor(row_factory=class_row(LookedAt)) as cursor:
        await cursor.execute(_SQL.read_looks, {"most": most})
        return await cursor.fetchall()


async def write_looks(connection: Connection, look_at: Mapping[int, datetime]) -> None:
    """When to look at these watches again."""
    await connection.execute(_SQL.write_looks, {"watches": list(look_at), "look_ats": list(look_at.values())})


@dataclass(frozen=True, slots=True)
class SourceWork:
    """Whether a source has a free crawl and may be asked."""

    source: str
    state: str
    #: It is paused, and its pause is over.
    may_be_tried: bool
    has_work: bool


async def find_work(connection: Connection) -> list[SourceWork]:
    """Every source, and whether a crawl of it waits for a worker."""
    async with connection.cursor(row_factory=class_row(SourceWork)) as cursor:
        await cursor.execute(_SQL.find_work, {"lock_class": WORKER_LOCK_CLASS})
        return await cursor.fetchall()


async def try_paused_source(connection: Connection, source: str, pause: timedelta) -> bool:
    """Be the one that tries a paused source. False: it is not its time, or another process does."""
    cursor = await connection.execute(_SQL.try_paused_source, {"source": source, "pause": pause})
    return await cursor.fetchone() is not None


@dataclass(frozen=True, slots=True)
class Outlook:
    """When a source is looked at next."""

    source: str
    #: Of those that are not being crawled.
    watches: int
    next_at: datetime
    #: Watches whose time came more than a minute ago: nobody makes crawls.
    forgotten: int


async def read_outlook(connection: Connection) -> list[Outlook]:
    """Every source that a daemon looks after."""
    async with connection.cursor(row_factory=class_row(Outlook)) as cursor:
        await cursor.execute(_SQL.read_outlook)
        return await cursor.fetchall()


@dataclass(frozen=True, slots=True)
class Queue:
    """How many crawls wait and run."""

    pending: int
    running: int


async def read_queue(connection: Connection) -> Queue:
    """How many crawls wait and run."""
    async with connection.cursor(row_factory=class_row(Queue)) as cursor:
        await cursor.execute(_SQL.read_queue)
        found = await cursor.fetchone()
        assert found is not None
        return found


async def count_workers(connection: Connection) -> int:
    """How many processes can claim crawls now."""
    cursor = await connection.execute(_SQL.count_workers, {"lock_class": WORKER_LOCK_CLASS})
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def list_retries(connection: Connection, crawls: Sequence[int]) -> dict[int, datetime]:
    """When the watches of these failed crawls are asked again."""
    cursor = await connection.execute(_SQL.list_retries, {"crawls": list(crawls)})
    return {row[0]: row[1] for row in await cursor.fetchall()}


async def list_troubles(connection: Connection, crawls: Sequence[int]) -> dict[int, str]:
    """Why these open crawls wait, where they met with an error."""
    cursor = await connection.execute(_SQL.list_troubles, {"crawls": list(crawls)})
    return {row[0]: row[1] for row in await cursor.fetchall()}
