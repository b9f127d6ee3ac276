"""Notices, upkeep tasks and the figures of the status door. Nothing here commits."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import psycopg
from psycopg.rows import class_row

from indexer.store import statements
from indexer.store.database import Connection

_SQL = statements.load("upkeep")

#: A process that has not repeated what it said for this long is gone.
SILENCE: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Notice:
    """What an operator must know."""

    kind: str
    #: Machine and configuration file it is about, or ''.
    place: str
    noticed_at: datetime
    message: str


async def write_notice(connection: Connection, kind: str, place: str, message: str) -> None:
    """Let the operator know. The message is redacted by the caller."""
    told = message.replace("\x00", "")[:4000]
    await connection.execute(_SQL.write_notice, {"kind": kind, "place": place, "message": told})


async def clear_notice(connection: Connection, kind: str, place: str) -> None:
    """It is no longer so."""
    await connection.execute(_SQL.clear_notice, {"kind": kind, "place": place})


async def read_notices(connection: Connection) -> list[Notice]:
    """Everything an operator must know, oldest first."""
    async with connection.cursor(row_factory=class_row(Notice)) as cursor:
        await cursor.execute(_SQL.read_notices, {"silence": SILENCE})
        return await cursor.fetchall()


async def clear_silent_notices(connection: Connection) -> None:
    """Forget what processes said that are gone."""
    await connection.execute(_SQL.clear_silent_notices, {"silence": SILENCE})


async def take_task(connection: Connection, task: str, every: timedelta) -> bool:
    """Take up a task that is due. False: it is not, or somebody else has it."""
    cursor = await connection.execute(_SQL.take_task, {"task": task, "every": every})
    return await cursor.fetchone() is not None


async def end_task(connection: Connection, task: str, found: int) -> None:
    """It is done, and this is what it counted."""
    await connection.execute(_SQL.end_task, {"task": task, "found": found})


@dataclass(frozen=True, slots=True)
class TaskDone:
    """A task of upkeep, as it was last finished."""

    task: str
    ended_at: datetime
    found: int


async def read_tasks(connection: Connection) -> list[TaskDone]:
    """What upkeep was done, and what it counted."""
    async with connection.cursor(row_factory=class_row(TaskDone)) as cursor:
        await cursor.execute(_SQL.read_tasks)
        return await cursor.fetchall()


async def ensure_partitions(connection: Connection) -> int:
    """Make the partitions of the next months. Returns how many tables were missing."""
    return await _count(connection, _SQL.ensure_partitions, {})


async def _count(connection: Connection, statement: bytes, bind: dict[str, object]) -> int:
    cursor = await connection.execute(statement, bind)
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def count_violations(connection: Connection) -> dict[str, int]:
    """Broken invariants by rule. Reads all of history: belongs into a transaction of its own."""
    await connection.execute(_SQL.allow_half_an_hour)
    cursor = await connection.execute(_SQL.count_violations)
    return {row[0]: row[1] for row in await cursor.fetchall()}


async def read_violations(connection: Connection) -> int | None:
    """What the last finished check found; None: there was none."""
    cursor = await connection.execute(_SQL.read_violations)
    row = await cursor.fetchone()
    return row[0] if row else None


async def read_data_folder(connection: Connection) -> str | None:
    """Where the server keeps its data; None when we may not know."""
    try:
        cursor = await connection.execute(_SQL.read_data_folder)
    except psycopg.errors.InsufficientPrivilege:
        return None
    row = await cursor.fetchone()
    return str(row[0]) if row else None


async def read_revision(connection: Connection) -> str | None:
    """The revision of the schema."""
    cursor = await connection.execute(_SQL.read_revision)
    row = await cursor.fetchone()
    return str(row[0]) if row else None


@dataclass(frozen=True, slots=True)
class SourceFigures:
    """One source in figures."""

    source: str
    is_paused: bool
    watches: int
    never_observed: int
    #: Watches whose last answer is older than fresh_for.
    stale: int
    #: Age of the oldest last answer; None: no watch has one.
    oldest_seconds: float | None
    quarantined: int
    pending: int
    running: int
    #: How long the oldest pending crawl has waited; None: none waits.
    waiting_seconds: float | None


async def read_source_figures(connection: Connection) -> list[SourceFigures]:
    """Every source in figures."""
    async with connection.cursor(row_factory=class_row(SourceFigures)) as cursor:
        await cursor.execute(_SQL.read_source_figures)
        return await cursor.fetchall()
