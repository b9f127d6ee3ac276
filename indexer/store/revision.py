"""Which revision a database has, asked with one plain query: commands start without loading Alembic.

`migrations.py` knows more and says what to type; it is asked only when this finds a difference.
"""

from pathlib import Path

import psycopg

from indexer.store.database import Connection
from indexer.store.places import folder


def expected() -> str:
    """The newest revision among the files of the migrations."""
    return max(file.name.split("_", 1)[0] for file in Path(folder() / "versions").glob("[0-9]*_*.py"))


async def is_current(connection: Connection) -> bool:
    """Whether the schema is this program's. False for any doubt: no table, no right, another revision."""
    try:
        cursor = await connection.execute("SELECT version_num FROM ledger.alembic_version")
        rows = await cursor.fetchall()
    except psycopg.Error:
        return False
    return rows == [(expected(),)]
