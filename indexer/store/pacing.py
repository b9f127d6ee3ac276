"""The rate limit that every worker on every machine shares: one row per key in PostgreSQL.

Slots are reserved a few at a time, so that a fast API does not cost a round trip per request.
"""

import asyncio
import time
from datetime import timedelta
from typing import Final

from indexer.store import statements
from indexer.store.database import Database

_SQL = statements.load("pacing")

#: Requests leave this much slower than allowed: the way to the API may bring two closer together.
_MARGIN: Final = 1.1

#: Slots are reserved for about this long ahead.
_RESERVE_SECONDS: Final = 0.1


class SharedPacer:
    """The beat of one source's key. Safe for many tasks of one event loop."""

    def __init__(self, database: Database, source: str, requests_per_second: float) -> None:
        self._database = database
        self._source = source
        self._spacing = _MARGIN / requests_per_second
        self._block = max(1, int(_RESERVE_SECONDS / self._spacing))
        self._turn = asyncio.Lock()
        self._slots_left = 0
        self._next_at = time.monotonic()

    async def wait(self) -> None:
        """Return when one request may leave."""
        async with self._turn:
            if self._slots_left == 0:
                await self._reserve()
            self._slots_left -= 1
            while (left := self._next_at - time.monotonic()) > 0:  # noqa: ASYNC110  a hold may move it
                await asyncio.sleep(left)
            # A worker woken late must not catch up: two requests would leave closer together than allowed.
            self._next_at = max(self._next_at, time.monotonic()) + self._spacing

    async def _reserve(self) -> None:
        span = timedelta(seconds=self._spacing * self._block)

        async def ask() -> float:
            async with self._database.connection() as connection:
                cursor = await connection.execute(_SQL.reserve_slots, {"source": self._source, "span": span})
                row = await cursor.fetchone()
                return float(row[0]) if row else 0.0

        wait = await self._database.steadily(ask)
        self._next_at = max(self._next_at, time.monotonic() + wait)
        self._slots_left = self._block

    async def hold(self, seconds: float) -> None:
        """Let no worker send anything for this long."""

        async def tell() -> None:
            async with self._database.connection() as connection:
                await connection.execute(
                    _SQL.hold_slots, {"source": self._source, "pause": timedelta(seconds=seconds)}
                )

        self._next_at = max(self._next_at, time.monotonic() + seconds)
        self._slots_left = 0
        await self._database.steadily(tell)
