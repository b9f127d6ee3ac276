"""Runs: crawls that repeat the one before them to the byte are folded into rows that only say when.

Folding is housekeeping between other work: it takes batches, each in a transaction of its own, and gives up
where another process is at it.
"""

from typing import Final, LiteralString

from psycopg import sql

from indexer.store import statements
from indexer.store.database import Connection, Database

_SQL: Final = statements.load("runs")

#: Snapshots looked at in one transaction: locks stay short.
_BATCH: Final = 2_000

#: Fewer dead rows than this are not worth a VACUUM.
_LEAST_WASTE: Final = 50


async def read_mark(connection: Connection) -> int:
    """Number of the newest snapshot: folding what comes after it begins here."""
    cursor = await connection.execute(_SQL.read_mark)
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def fold_unchanged(database: Database, after: int = 0) -> int:
    """Fold what the snapshots after this one made foldable; returns how many.

    Raises DatabaseUnavailable.
    """
    folded = 0
    seen: int | None = after
    while seen is not None:
        mark = seen
        seen, count = await database.steadily(lambda: _fold_batch(database, mark))  # noqa: B023  awaited here
        folded += count
    if folded:
        await database.steadily(lambda: clear_waste(database))
    return folded


async def _fold_batch(database: Database, after: int) -> tuple[int | None, int]:
    async with database.transaction() as connection:
        cursor = await connection.execute(_SQL.fold_unchanged, {"after": after, "most": _BATCH})
        row = await cursor.fetchone()
    assert row is not None
    return row[0], row[1]


async def find_foldable(connection: Connection) -> tuple[int, list[int]]:
    """How many snapshots folding would fold now, and the crawls that would go with them."""
    cursor = await connection.execute(_SQL.find_foldable)
    row = await cursor.fetchone()
    assert row is not None
    return row[0], row[1]


async def clear_waste(database: Database, least: int = _LEAST_WASTE) -> None:
    """Let the place of dead rows be used again, where there are many."""
    async with database.connection() as connection:
        await connection.execute(_SQL.flush_counts)
        cursor = await connection.execute(_SQL.find_waste, {"least": least})
        for (table,) in await cursor.fetchall():
            # Whoever is at it already does the same.
            await connection.execute(_on_table("VACUUM (SKIP_LOCKED) {}", table))


async def give_space_back(database: Database) -> None:
    """Return place that a prune made empty to the disk.

    A table is rewritten under a lock nobody can work beside, so only where that takes a moment and nobody is
    at it. Larger tables keep their place and use it again.
    """
    await clear_waste(database, least=0)
    async with database.connection() as connection:
        cursor = await connection.execute(_SQL.list_small_tables)
        tables = [row[0] for row in await cursor.fetchall()]
        for table in tables:
            await connection.execute(_on_table("VACUUM (FULL, SKIP_LOCKED) {}", table))


def _on_table(statement: LiteralString, table: str) -> sql.Composed:
    return sql.SQL(statement).format(sql.Identifier("ledger", table))
