"""How migrations meet a database: one connection, an advisory lock, a lock timeout, one transaction each.

`indexer db upgrade` passes the connection in; `alembic` on the command line takes INDEXER_DATABASE__URL.
"""

import os

from alembic import context
from sqlalchemy import Connection, create_engine, text

from indexer.crashpoints import reached
from indexer.store.migrations import COMPARISON
from indexer.store.tables import metadata

#: Any number that no other program is likely to use: two upgrades must not run at once.
ADVISORY_LOCK = 7_201_964_001

#: A migration waits this long for a busy table, then gives up instead of queueing everybody behind it.
LOCK_TIMEOUT = "5s"


def run_on(connection: Connection) -> None:
    """Run the wanted migrations on this connection, holding the advisory lock."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        transaction_per_migration=True,
        on_version_apply=lambda **_step: reached("migration_written"),
        **COMPARISON,
    )
    # Without the time-out: another upgrade takes as long as it takes, and then there is nothing left to do.
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ADVISORY_LOCK})
    connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
    connection.execute(text("CREATE SCHEMA IF NOT EXISTS ledger"))
    connection.commit()
    try:
        with context.begin_transaction():
            context.run_migrations()
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": ADVISORY_LOCK})
        connection.commit()


def run_from_command_line() -> None:
    """Developers' entry: the database named by the environment."""
    url = os.environ.get("INDEXER_DATABASE__URL", "")
    if not url:
        raise SystemExit("Set INDEXER_DATABASE__URL to the database to migrate.")
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.connect() as connection:
        run_on(connection)
    engine.dispose()


given = context.config.attributes.get("connection")
if given is None:
    run_from_command_line()
else:
    run_on(given)
