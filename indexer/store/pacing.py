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

#: A slot used later than this would bring two workers' requests too close together. Well inside the margin.
_LATE_SECONDS: Final = 0.03

#: A machine too busy to meet any slot sends all the same: the API's own limit is the last resort.
_MOST_TRIES: Final = 10


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
        self._holds = 0

    async def wait(self) -> None:
        """Return when one request may leave."""
        async with self._turn:
            for _ in range(_MOST_TRIES):
                if await self._wait_for_slot():
                    return

    async def _wait_for_slot(self) -> bool:
        """Wait for the next slot. False: it was missed, and by now it may be somebody else's moment."""
        # Slots are moments, not permits: what was not used in time is gone.
        missed = int(max(0.0, time.monotonic() - self._next_at) / self._spacing)
        self._slots_left -= missed
        self._next_at += missed * self._spacing
        if self._slots_left <= 0:
            await self._reserve()
        holds, slot_at = self._holds, self._next_at
        self._slots_left -= 1
        self._next_at += self._spacing
        await asyncio.sleep(max(0.0, slot_at - time.monotonic()))
        if holds == self._holds and time.monotonic() - slot_at <= _LATE_SECONDS:
            return True
        self._slots_left = 0
        return False

    async def _reserve(self) -> None:
        span = timedelta(seconds=self._spacing * self._block)

        async def ask() -> float:
            async with self._database.connection() as connection:
                cursor = await connection.execute(_SQL.reserve_slots, {"source": self._source, "span": span})
                row = await cursor.fetchone()
                return float(row[0]) if row else 0.0

        wait = await self._database.steadily(ask)
        self._next_at = time.monotonic() + max(wait, 0.0)
        self._slots_left = self._block

    async def hold(self, seconds: float) -> None:
        """Let no worker send anything for this long."""

        async def tell() -> None:
            async with self._database.connection() as connection:
                await connection.execute(
                    _SQL.hold_slots, {"source": self._source, "pause": timedelta(seconds=seconds)}
                )

        self._holds += 1
        self._slots_left = 0
        await self._database.steadily(tell)
