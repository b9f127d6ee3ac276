"""Running the daemon's working parts in this process until something is true."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from indexer import due, jobs
from indexer.config import Config
from indexer.jobs import Engine
from indexer.metrics import Metrics
from indexer.shift import Shift

_DEADLINE_SECONDS: Final = 60.0


async def begin(engine: Engine) -> None:
    """Apply the watchlist and look at everything, as a daemon does when it starts."""
    await jobs.apply_watchlist(engine.database, engine.config, engine.sources, engine.entries)
    await due.follow_watchlist(engine.database, everything=True)


async def make_due(engine: Engine) -> dict[str, int]:
    """One tick's due crawls, by source."""
    return await due.make_due_crawls(engine.database, engine.config, engine.sources)


async def always(_config: Config) -> bool:
    """There is room on the disk."""
    return True


def open_shift(engine: Engine) -> Shift:
    """A shift that may claim."""
    return Shift(engine, Metrics(), always)


async def wait_until(is_done: Callable[[], object], what: str) -> None:
    """Return when something is true, asked again and again."""
    give_up = time.monotonic() + _DEADLINE_SECONDS
    while not await asyncio.to_thread(is_done):
        assert time.monotonic() < give_up, f"waited in vain until {what}"
        await asyncio.sleep(0.05)


async def work_until(engine: Engine, is_done: Callable[[], object], what: str) -> None:
    """Let a shift work until something is true."""
    shift = asyncio.create_task(open_shift(engine).run())
    try:
        await wait_until(lambda: shift.done() or is_done(), what)
        assert not shift.done(), "the shift ended"
    finally:
        shift.cancel()
        await asyncio.gather(shift, return_exceptions=True)
