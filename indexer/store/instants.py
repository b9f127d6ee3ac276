"""The instant of a publish: the database clock chooses it, and no commit comes long after it."""

from datetime import datetime, timedelta

from indexer.errors import ClockWentBack
from indexer.store import statements
from indexer.store.database import Connection

_SQL = statements.load("instants")


async def choose_instant(
    connection: Connection, latest: datetime, lead: timedelta = timedelta(0)
) -> datetime:
    """The instant of this publish, ``lead`` ahead of the clock.

    Raises ClockWentBack when history is over a minute ahead of the clock.
    """
    cursor = await connection.execute(_SQL.choose_instant, {"latest": latest, "lead": lead})
    row = await cursor.fetchone()
    assert row is not None
    if row[1]:
        raise ClockWentBack(
            f"History is already at {latest:%Y-%m-%d %H:%M:%S} UTC, more than a minute ahead of the database"
            " clock: set the clock right, nothing is published until it has caught up."
        )
    instant: datetime = row[0]
    return instant


async def measure_age(connection: Connection, instant: datetime) -> timedelta:
    """How long ago this instant was; negative: it is still to come."""
    cursor = await connection.execute(_SQL.measure_age, {"instant": instant})
    row = await cursor.fetchone()
    assert row is not None
    age: timedelta = row[0]
    return age


async def await_instant(connection: Connection, instant: datetime) -> None:
    """Let an instant come."""
    await connection.execute(_SQL.await_instant, {"instant": instant})


async def allow_time(connection: Connection) -> None:
    """Let the statements of this transaction take as long as a publish may."""
    await connection.execute(_SQL.allow_time)
