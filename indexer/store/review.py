"""A person's word on a list that was not believed. Nothing here commits."""

from dataclasses import dataclass

from psycopg.rows import class_row

from indexer.store import statements
from indexer.store.database import Connection
from indexer.store.past import PastList

_SQL = statements.load("review")


@dataclass(frozen=True, slots=True)
class Quarantined(PastList):
    """A disbelieved list, and what is needed to fold it again."""

    watch_id: int
    source_id: str | None
    address: str
    #: A later list of the same watch was published.
    superseded: bool


async def lock(connection: Connection, snapshot_id: int) -> None:
    """Nobody publishes, unwatches, releases or rejects anything of its watch until the transaction ends."""
    await connection.execute(_SQL.lock_watch, {"snapshot": snapshot_id})


async def read(connection: Connection, snapshot_id: int) -> Quarantined | None:
    """The list with this number, whatever its state."""
    async with connection.cursor(row_factory=class_row(Quarantined)) as cursor:
        await cursor.execute(_SQL.read_quarantined, {"snapshot": snapshot_id})
        return await cursor.fetchone()


async def reject(connection: Connection, snapshot_id: int) -> bool:
    """Dismiss a list; False when somebody was faster."""
    return (await connection.execute(_SQL.reject_snapshot, {"snapshot": snapshot_id})).rowcount == 1
