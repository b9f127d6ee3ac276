"""The door to the database, without one."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from indexer.store.database import Database, Lives


class DeafPool:
    """Swallows a cancellation of its waiting, as `asyncio.wait_for` may before Python 3.12."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.returned = 0

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[object]:
        """A connection, once whoever waits for it is cancelled."""
        self.asked.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        try:
            yield object()  # nobody gets so far as to use it
        finally:
            self.returned += 1


@pytest.mark.parametrize("way", ["connection", "transaction", "publisher", "publishing"])
def test_what_is_cancelled_while_it_waits_for_a_connection_ends(way: str) -> None:
    """Ctrl-C in that very moment is heard, and the connection is there for others."""

    async def test() -> tuple[bool, int]:
        pool = DeafPool()
        database = Database("postgresql://", cast("Any", pool), cast("Any", pool), Lives())

        async def work() -> None:
            async with getattr(database, way)():
                await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await pool.asked.wait()
        task.cancel()
        await asyncio.wait([task], timeout=10)
        return task.cancelled(), pool.returned

    assert asyncio.run(test()) == (True, 1)
