"""The rate limit that every worker on every machine shares: one row per key in PostgreSQL."""

import contextlib
from datetime import timedelta
from typing import Final

import psycopg

from indexer.pacing import AHEAD_SECONDS, LAG_DECAY_SECONDS, MOST_LAG_SECONDS, SECOND, BeatPacer, Mark, Turn
from indexer.store import statements
from indexer.store.database import Database

_SQL = statements.load("pacing")

_CONSTANTS: Final = {
    "second": timedelta(seconds=SECOND),
    "most_lag": timedelta(seconds=MOST_LAG_SECONDS),
    "decay": timedelta(seconds=LAG_DECAY_SECONDS),
}

#: No beat is further ahead: no pause is as long (`ClientLimits.max_wait_seconds`). Two turns come on top.
_FARTHEST: Final = timedelta(hours=1)


class SharedBeat:
    """The turns of one source's key, by the database's clock: the workers' own do not matter."""

    def __init__(
        self,
        database: Database,
        source: str,
        requests_per_second: float,
        ahead_seconds: float = AHEAD_SECONDS,
    ) -> None:
        self._database = database
        self._source = source
        self._rate = requests_per_second
        self._ahead = timedelta(seconds=ahead_seconds)

    async def take(self, requests: int, missed: Mark = None) -> Turn:
        """The next ``requests`` turns, if the first of them is near. Raises DatabaseUnavailable."""
        share = requests / self._rate
        farthest = _FARTHEST + 2 * timedelta(seconds=(SECOND + MOST_LAG_SECONDS) * share)
        bind = {"source": self._source, "ahead": self._ahead, "share": share, "missed": missed, **_CONSTANTS}
        bind["farthest"] = farthest

        async def ask() -> Turn:
            async with self._database.connection() as connection:
                cursor = await connection.execute(_SQL.take_turns, bind)
                row = await cursor.fetchone()
            # Nothing at all: the first two ever to ask did so at once, and the other was quicker.
            return Turn(*row) if row else Turn(False, 0.0, 0.0)

        return await self._database.steadily(ask)

    async def widen(self, lag_seconds: float) -> None:
        """Make room for requests on their way. While the database is away nobody takes turns either."""
        bind = {"source": self._source, "lag": timedelta(seconds=lag_seconds)}
        with contextlib.suppress(psycopg.Error):
            async with self._database.connection() as connection:
                await connection.execute(_SQL.widen_beat, bind)

    async def hold(self, seconds: float) -> None:
        """No turn for this long. Raises DatabaseUnavailable."""
        bind = {"source": self._source, "pause": timedelta(seconds=seconds)}

        async def tell() -> None:
            async with self._database.connection() as connection:
                await connection.execute(_SQL.hold_beat, bind)

        await self._database.steadily(tell)


class SharedPacer(BeatPacer):
    """Waits for turns of the beat that all workers share."""

    def __init__(self, database: Database, source: str, requests_per_second: float) -> None:
        super().__init__(SharedBeat(database, source, requests_per_second), requests_per_second)
