"""A clock of our own inside PostgreSQL, so that hours pass between two statements and runs repeat exactly.

In a database made here `now()`, `clock_timestamp()` and `statement_timestamp()` are those of schema `model`,
which stands before `pg_catalog` in its search path: the program, its defaults and the reports tell the time
by it. It ticks a microsecond whenever it is looked at, and moves only when it is told to.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql

#: Far from any real date: what the server's own clock says can never pass for ours.
EPOCH = datetime(1500, 1, 1, tzinfo=UTC)

#: Days and the rest apart: as one float the microseconds of centuries would be rounded.
_READ = """SELECT '1500-01-01 00:00:00+00'::timestamptz + (v.t / 86400000000) * interval '1 day'
    + (v.t % 86400000000) * interval '1 microsecond' FROM (SELECT {look} AS t) AS v"""

_FUNCTION = "CREATE FUNCTION model.{name}() RETURNS timestamptz LANGUAGE sql {volatility} AS $$ {body} $$"


def install(url: str) -> None:
    """Give a database without our schema its clock; migrate it afterwards."""
    look = "pg_catalog.pg_sequence_last_value('model.ticks'::regclass)"
    still = _READ.format(look=look)
    ticking = _READ.format(look="nextval('model.ticks')")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(b"CREATE SCHEMA model")
        connection.execute(b"CREATE SEQUENCE model.ticks")
        connection.execute(b"SELECT nextval('model.ticks')")
        for name, volatility, body in (
            ("clock_timestamp", "VOLATILE", ticking),
            ("statement_timestamp", "STABLE", still),
            ("now", "STABLE", still),
        ):
            statement = _FUNCTION.format(name=name, volatility=volatility, body=body)
            connection.execute(statement.encode())
    follow(url)


def follow(url: str) -> None:
    """Let every new session of this database tell the time by our clock."""
    with psycopg.connect(url, autocommit=True) as connection:
        name = sql.Identifier(connection.info.dbname)
        path = sql.SQL("ALTER DATABASE {} SET search_path = model, pg_catalog, public").format(name)
        connection.execute(path)
        zone = sql.SQL("ALTER DATABASE {} SET timezone = 'UTC'").format(name)
        connection.execute(zone)


class Clock:
    """The hand on the clock of one database."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def read(self) -> datetime:
        """The time, without a tick."""
        row = self._connection.execute(b"SELECT last_value FROM model.ticks").fetchone()
        assert row is not None
        return EPOCH + timedelta(microseconds=row[0])

    def set(self, moment: datetime) -> None:
        """Make it this time now: everybody sees it at once."""
        ticks = (moment - EPOCH) // timedelta(microseconds=1)
        self._connection.execute(b"SELECT setval('model.ticks', %s)", (ticks,))

    def move(self, span: timedelta) -> datetime:
        """Go on, or step back; returns the new time."""
        moment = self.read() + span
        self.set(moment)
        return moment
