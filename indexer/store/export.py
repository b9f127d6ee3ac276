"""What an export reads: the analysts' tables, row by row as COPY gives them. Nothing here writes."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from psycopg import sql
from psycopg.rows import class_row

from indexer.store import statements
from indexer.store.database import Connection

_SQL: Final = statements.load("export")

#: Tables that can be asked for as of any instant, by a function that has their columns.
_AS_OF: Final = frozenset({"balances", "coverage", "holdings"})

#: What CSV cannot say as the type it is: arrays as JSON, spans in seconds.
_SPELLED: Final = MappingProxyType(
    {"text[]": "to_json({})", "interval": "extract(epoch FROM {})::double precision"}
)


@dataclass(frozen=True, slots=True)
class Moment:
    """When everything is read, and what that moment is like."""

    #: The database clock.
    read_at: datetime
    #: Answers before it change no more.
    settled_until: datetime | None
    #: Whether an amount has more digits than decimals of 38 have.
    exceeds: bool


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the schema ``report``: its columns in order, and PostgreSQL's name of each one's type."""

    name: str
    columns: list[str]
    types: list[str]


async def list_tables(connection: Connection) -> Mapping[str, Table]:
    """The tables there are, by name."""
    async with connection.cursor(row_factory=class_row(Table)) as cursor:
        await cursor.execute(_SQL.list_columns)
        return {table.name: table async for table in cursor}


async def read_moment(connection: Connection) -> Moment:
    """The moment of this transaction."""
    async with connection.cursor(row_factory=class_row(Moment)) as cursor:
        await cursor.execute(_SQL.read_moment)
        moment = await cursor.fetchone()
        assert moment is not None
        return moment


async def copy_rows(connection: Connection, table: Table, at: datetime) -> AsyncGenerator[bytes, None]:
    """Every row as a line of CSV, NULL as nothing, the empty text as ``""``; as of ``at`` where it can be."""
    columns = sql.SQL(", ").join(map(_spell, table.columns, table.types))
    place = sql.Identifier("report", f"{table.name}_as_of" if table.name in _AS_OF else table.name)
    source = sql.SQL("{}({})").format(place, sql.Literal(at)) if table.name in _AS_OF else place
    statement = sql.SQL(_SQL.copy_rows.decode()).format(columns=columns, table=source)
    async with connection.cursor() as cursor, cursor.copy(statement) as copy:
        async for line in copy:
            yield bytes(line)


def _spell(column: str, kind: str) -> sql.Composable:
    return sql.SQL(_SPELLED.get(kind, "{}")).format(sql.Identifier(column))
