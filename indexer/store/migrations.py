"""The schema: where its migrations are, bringing a database up to date, and saying whether it is.

Alembic runs them; migrations/env.py holds the advisory lock and the lock timeout.
"""

import re
import threading
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import psycopg
import sqlalchemy
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.schema import SchemaItem

from indexer.errors import DatabaseUnavailable, SchemaNotCurrent
from indexer.store.database import first_line, vigilant
from indexer.store.places import folder
from indexer.store.tables import metadata

#: Alembic keeps the migration that runs in module globals: one at a time in a process.
_ALEMBIC: Final = threading.Lock()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(folder()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def head() -> str:
    """The revision this program was written for."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def _engine(url: str) -> sqlalchemy.Engine:
    """Connects as everything else does: libpq reads more URLs than SQLAlchemy (several hosts, services)."""
    if url.partition("://")[0] not in ("postgresql", "postgres"):
        raise DatabaseUnavailable("database.url must start with postgresql://")
    return sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(vigilant(url)), poolclass=sqlalchemy.NullPool
    )


def _refusal(error: DBAPIError) -> Exception:
    """What to tell about an error of the driver; the error itself where it is a bug."""
    if isinstance(error.orig, psycopg.errors.InsufficientPrivilege):
        return DatabaseUnavailable(
            "This role may not do that to the schema: use the URL of its owner (`indexer db url`), or of the "
            "daemon's role for crawling. Analysts read the schema `report` in SQL."
        )
    if isinstance(error.orig, psycopg.errors.ReadOnlySqlTransaction):
        return error.orig
    if isinstance(error, OperationalError):
        return DatabaseUnavailable(f"The database cannot be reached: {first_line(error.orig)}")
    return error


def current(url: str) -> str | None:
    """The revision of a database, None when it has no schema of ours. Raises DatabaseUnavailable."""
    engine = _engine(url)
    try:
        with engine.connect() as connection:
            _require_utf8(connection)
            return MigrationContext.configure(
                connection, opts={"version_table_schema": "ledger"}
            ).get_current_revision()
    except DBAPIError as error:
        raise _refusal(error) from None
    finally:
        engine.dispose()


def _require_utf8(connection: sqlalchemy.Connection) -> None:
    """Names of assets are written in every script there is."""
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
    if encoding != "UTF8":
        raise DatabaseUnavailable(
            f"The database keeps text as {encoding}: create one with ENCODING 'UTF8' TEMPLATE template0."
        )


def check(url: str) -> None:
    """Return when the schema is current. Raises SchemaNotCurrent saying what to type, DatabaseUnavailable."""
    found = current(url)
    if found == head():
        return
    if found is None:
        raise SchemaNotCurrent("The database has no schema yet: run `indexer db upgrade`.")
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if found in known:
        raise SchemaNotCurrent(
            f"The schema is {found}, this program needs {head()}: run `indexer db upgrade`."
        )
    raise SchemaNotCurrent(
        f"The schema is {found}, newer than this program knows ({head()}): upgrade the program."
    )


def upgrade(url: str) -> str:
    """Bring the database to this program's revision and return it. Raises DatabaseUnavailable."""
    # A role that may not change the schema may still find that there is nothing to change.
    return head() if current(url) == head() else _move(url, "upgrade", "head")


def downgrade(url: str, revision: str) -> str:
    """Go back to an older revision ("base": no schema). For tests and developers."""
    return _move(url, "downgrade", revision)


def _move(url: str, direction: str, revision: str) -> str:
    engine = _engine(url)
    config = _config()
    try:
        with _ALEMBIC, engine.connect() as connection:
            config.attributes["connection"] = connection
            getattr(command, direction)(config, revision)
    except DBAPIError as error:
        raise _refusal(error) from None
    finally:
        engine.dispose()
    return head()


def is_compared(
    item: SchemaItem, name: str | None, kind: str, _reflected: bool, _other: SchemaItem | None
) -> bool:
    """Partitions, the foreign keys PostgreSQL clones for them, and the version table are nobody's model."""
    if kind == "table":
        return getattr(item, "schema", None) == "ledger" and re.search(r"_\d{6}$", name or "") is None
    return kind != "foreign_key_constraint" or re.search(r"_fkey_?\d+$", name or "") is None


#: How tables in code are compared with a database, for autogenerate and for `differences`.
COMPARISON: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "include_schemas": True,
        "include_name": lambda name, kind, _parents: kind != "schema" or name == "ledger",
        "include_object": is_compared,
        "version_table_schema": "ledger",
        # Domains reflect as their base types: columns are compared by name, nullability and comment.
        "compare_type": False,
    }
)


def differences(url: str) -> list[object]:
    """What `alembic check` finds between the tables in code and the database: empty when they agree."""
    engine = _engine(url)
    try:
        with engine.connect() as connection:
            return list(
                compare_metadata(MigrationContext.configure(connection, opts=dict(COMPARISON)), metadata)
            )
    finally:
        engine.dispose()
