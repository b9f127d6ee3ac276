"""The loop around a walk: what became of it, and the one reaction to each class of failure.

A crawl with committed pages is handed back with its cursor; nothing is lost, doubled or half-believed.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, Literal

import structlog

from indexer.client import Exchange
from indexer.crashpoints import reached
from indexer.errors import (
    ApiError,
    ClockWentBack,
    CursorRejected,
    DatabaseUnavailable,
    IndexerError,
    LeaseLost,
    ListCut,
    PublishTooSlow,
    RateLimited,
    Refused,
    ServerTrouble,
    WalkMoved,
)
from indexer.store import crawls, watching
from indexer.store.crawls import Claim, Ending, Restarts
from indexer.walk import Doors, Progress, Walker

_log = structlog.get_logger()

#: How often a lost cursor is answered by starting again.
_CURSOR_RESTARTS: Final = 2

#: How long a source that refuses us is left alone, unless it says for how long.
REFUSED_PAUSE: Final = timedelta(minutes=15)

#: An API may say for how long it refuses us, within reason: nobody is left alone until the year 9999.
_LONGEST_PAUSE: Final = timedelta(days=1)

#: A failed crawl with pages waits this long before it is resumed.
_RESUME_DELAY: Final = timedelta(seconds=30)

Outcome = Literal["published", "handed back", "failed", "restarted", "lost", "refused"]


class Crawler:
    """Takes held crawls of one source as far as they get. Any number may run at once."""

    def __init__(self, doors: Doors, redact: Callable[[str], str]) -> None:
        self._source = doors.source
        self._database = doors.database
        self._walker = Walker(doors)
        self._redact = redact

    async def walk(self, held: Claim) -> Outcome:
        """Walk a held crawl to its end or to its next obstacle. Raises DatabaseUnavailable only."""
        exchange = Exchange()
        log = _log.bind(source=self._source.name, crawl=held.crawl_id, address=held.addresses[0])
        try:
            verdicts = await self._walker.walk(held, exchange)
        except asyncio.CancelledError:
            await asyncio.shield(self._hand_back(held, Ending(requests=exchange.requests), timedelta(0)))
            raise
        except LeaseLost:
            log.warning("lease lost: another worker has this crawl")
            return "lost"
        except DatabaseUnavailable:
            raise
        except IndexerError as error:
            log.warning("crawl stopped", error=str(error), kind=type(error).__name__)
            return await self._react(held, error, exchange)
        addresses = {watch: address for address, watch in held.covered.items()}
        for verdict in verdicts:
            watch = verdict.watch_id
            log = log.bind(address=addresses.get(watch, held.addresses[0]))
            log.info("crawl finished", watch=watch, verdict=verdict.verdict, error=verdict.error)
        # Read to its end, and believed for no address: to whoever counts what fails, that is no success.
        return "failed" if verdicts and all(one.verdict == "failed" for one in verdicts) else "published"

    async def _react(self, held: Claim, error: IndexerError, exchange: Exchange) -> Outcome:
        """One reaction per class of error (the failure table of the README)."""
        ending = Ending(type(error).__name__, self._told(error), exchange.requests)
        if isinstance(error, WalkMoved):
            restarts = Restarts(
                held.window_restarts + (error.cause == "window"),
                held.drift_restarts + (error.cause == "drift"),
                held.cursor_restarts,
                timedelta(seconds=error.pause_seconds),
            )
            return await self._restart(held, ending, restarts)
        if isinstance(error, CursorRejected) and held.cursor_restarts < _CURSOR_RESTARTS:
            restarts = Restarts(held.window_restarts, held.drift_restarts, held.cursor_restarts + 1)
            return await self._restart(held, ending, restarts)
        if isinstance(error, ListCut) and sum(held.open) > 1:
            same = Restarts(held.window_restarts, held.drift_restarts, held.cursor_restarts)
            return await self._restart(held, ending, same, parts=2)
        if isinstance(error, Refused):
            await self._database.steadily(lambda: self._pause(error))
            await self._give_up(held, ending, resumable=True)
            return "refused"
        resumable = isinstance(error, (RateLimited, ServerTrouble, ClockWentBack, PublishTooSlow))
        return await self._give_up(held, ending, resumable=resumable)

    def _told(self, error: IndexerError) -> str:
        text = str(error)
        named = not isinstance(error, ApiError) or text.startswith(self._source.name)
        return self._redact(text if named else f"{self._source.name}: {text}")

    async def _restart(self, held: Claim, ending: Ending, restarts: Restarts, parts: int = 1) -> Outcome:
        async def write() -> None:
            async with self._database.transaction() as connection:
                await crawls.restart(connection, held, ending, restarts, parts)
                reached("restart_written")

        return await self._unless_lost(write, "restarted")

    async def _pause(self, error: Refused) -> None:
        pause = REFUSED_PAUSE
        if error.retry_after_seconds is not None:
            longest = _LONGEST_PAUSE.total_seconds()
            pause = timedelta(seconds=min(max(error.retry_after_seconds, 1.0), longest))
        async with self._database.transaction() as connection:
            await watching.pause_source(connection, self._source.name, self._redact(str(error)), pause)

    async def _give_up(self, held: Claim, ending: Ending, *, resumable: bool) -> Outcome:
        """A crawl with committed pages stays open, so that the next worker resumes at its cursor."""
        if resumable:
            pages_now = await self._database.steadily(lambda: self._count_pages(held))
            if pages_now > 0:
                return await self._unless_lost(
                    lambda: self._release(held, ending, _RESUME_DELAY), "handed back"
                )

        async def write() -> None:
            async with self._database.transaction() as connection:
                await crawls.end(connection, held, "failed", ending)

        return await self._unless_lost(write, "failed")

    async def _count_pages(self, held: Claim) -> int:
        async with self._database.connection() as connection:
            return await crawls.count_pages(connection, held)

    async def _release(self, held: Claim, ending: Ending, delay: timedelta) -> None:
        async with self._database.transaction() as connection:
            await crawls.release(connection, held, ending, delay)
            reached("handed_back")

    async def _hand_back(self, held: Claim, ending: Ending, delay: timedelta) -> None:
        """When this worker stops. If the database is gone too, the lease runs out by itself."""
        try:
            await self._release(held, ending, delay)
        except Exception as error:  # noqa: BLE001  stopping must not fail; the lease is the safety net
            _log.warning("lease not handed back", crawl=held.crawl_id, kind=type(error).__name__)

    async def _unless_lost(self, write: Callable[[], Awaitable[None]], outcome: Outcome) -> Outcome:
        try:
            await self._database.steadily(write)
        except LeaseLost:
            return "lost"
        return outcome


__all__ = ["REFUSED_PAUSE", "Crawler", "Doors", "Outcome", "Progress"]
