"""A person's word on a list that was not believed. Nothing here commits."""

from dataclasses import dataclass
from datetime import date, datetime

from psycopg.rows import class_row

from indexer.store import statements
from indexer.store.database import Connection

_SQL = statements.load("review")


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A disbelieved list, and what is needed to fold it again."""

    snapshot_id: int
    state: str
    resolution: str | None
    watch_id: int
    crawl_id: int
    first_page_at: datetime
    last_page_at: datetime
    height_from: int | None
    height_to: int | None
    pages: int
    #: None when the crawl was pruned.
    part_on: date | None
    facts: dict[str, str] | None
    scope: str | None
    drift_restarts: int | None
    source_id: str | None
    moved: bool | None
    reported_total: int | None
    addresses: list[str] | None
    address: str
    #: A later list of the same watch was published.
    superseded: bool


async def read(connection: Connection, snapshot_id: int) -> Quarantined | None:
    """The list with this number, whatever its state."""
    async with connection.cursor(row_factory=class_row(Quarantined)) as cursor:
        await cursor.execute(_SQL.read_quarantined, {"snapshot": snapshot_id})
        return await cursor.fetchone()


async def reject(connection: Connection, snapshot_id: int) -> bool:
    """Dismiss a list; False when somebody was faster."""
    return (await connection.execute(_SQL.reject_snapshot, {"snapshot": snapshot_id})).rowcount == 1
