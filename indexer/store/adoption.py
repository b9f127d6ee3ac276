"""The history that was built again takes the place of the live one; what is replaced is kept beside it.

Every statement works on whole sets, from the scratch copy of `store.replay`, on its connection. Nothing here
commits.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psycopg.rows import class_row

from indexer import __version__
from indexer.crashpoints import reached
from indexer.sources import READER
from indexer.store import statements
from indexer.store.database import Connection

_SQL: Final = statements.load("adoption")

#: In this order: everything is kept before anything goes.
_STEPS: Final = (
    "keep_versions",
    "keep_spans",
    "keep_snapshots",
    "replace_versions",
    "replace_spans",
    "correct_snapshots",
    "drop_testimony",
    "insert_testimony",
    "mark_crawls",
)


@dataclass(frozen=True, slots=True)
class Replaced:
    """How many rows of each table differed."""

    versions: int
    carried_spans: int
    snapshots: int


async def is_owner(connection: Connection) -> bool:
    """Whether this role may adopt at all."""
    cursor = await connection.execute(_SQL.is_owner)
    row = await cursor.fetchone()
    return row is not None and bool(row[0])


async def lock(connection: Connection, watch_id: int) -> None:
    """Until the end of the transaction nothing is judged, unwatched or rejected of this watch."""
    await connection.execute(_SQL.lock_watch, {"watch": watch_id})
    await connection.execute(_SQL.lock_witness, {"watch": watch_id})


async def replace(connection: Connection, watch_id: int, since: datetime | None) -> tuple[int, Replaced]:
    """Put the scratch copy in the place of what is live after ``since``; the adoption's number and extent."""
    bind: dict[str, object] = {"watch": watch_id, "since": since}
    cursor = await connection.execute(_SQL.begin_adoption, bind | {"program": __version__, "reader": READER})
    row = await cursor.fetchone()
    assert row is not None
    bind["adoption"] = row[0]
    reached("adoption_begun")
    for step in _STEPS:
        await connection.execute(getattr(_SQL, step), bind)
    reached("adoption_written")
    async with connection.cursor(row_factory=class_row(Replaced)) as counting:
        await counting.execute(_SQL.count_rows, bind)
        replaced = await counting.fetchone()
    assert replaced is not None
    return row[0], replaced
