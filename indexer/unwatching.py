"""Unwatching: what is not on the watchlist any more ends, in portions, each at an instant of its own.

Each portion is a transaction that commits soon after its instant, as a publish does (promise 3). What fails
is still watched, and is found again when the watchlist is applied again.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog

from indexer.crashpoints import reached
from indexer.errors import PublishTooSlow
from indexer.publish import GIVEN_UP_SECONDS, end_in_time
from indexer.store import instants, watching
from indexer.store.database import PATIENCE_SECONDS, Database
from indexer.store.watching import Named, Unwanted

_log = structlog.get_logger()

#: What one transaction ends at most, unless a single watch holds more: about a second, so that nobody waits
#: long for its locks.
MOST_HOLDINGS: Final = 50_000
MOST_WATCHES: Final = 1_000


@dataclass(frozen=True, slots=True)
class _Portion:
    """Watches that end together."""

    unwanted: Sequence[Unwanted]
    #: How far ahead of the clock: for a watch that takes so long.
    lead: timedelta = timedelta(0)


async def unwatch(
    database: Database, unwanted: Sequence[Unwanted], patience: float = PATIENCE_SECONDS
) -> None:
    """End the knowledge about these watches, the smallest first: what takes long keeps only itself waiting.

    Raises PublishTooSlow for one that takes longer than anything may, DatabaseUnavailable.
    """
    waiting = deque(_Portion(portion) for portion in divide(unwanted))
    ended: list[str] = []
    try:
        while waiting:
            portion = waiting.popleft()
            try:
                ended += await _end(database, portion, patience)
            except PublishTooSlow as slow:
                waiting.extend(_try_again(portion, slow))
    finally:
        # Also of what fails half-way: the next attempt tells of the rest.
        if ended:
            _log.info("watches removed", count=len(ended), watches=str(Named.of(ended)))


def divide(unwanted: Sequence[Unwanted]) -> Iterator[list[Unwanted]]:
    """Into portions of as much as one transaction ends, the smallest watches first."""
    portion: list[Unwanted] = []
    holdings = 0
    for watch in sorted(unwanted, key=lambda watch: (watch.holdings, watch.watch_id)):
        holdings += watch.holdings
        if portion and (holdings > MOST_HOLDINGS or len(portion) == MOST_WATCHES):
            yield portion
            portion, holdings = [], watch.holdings
        portion.append(watch)
    if portion:
        yield portion


def _try_again(portion: _Portion, slow: PublishTooSlow) -> Iterator[_Portion]:
    """Each watch alone; one that is alone, at a later instant. Raises ``slow`` if none may take so long."""
    if len(portion.unwanted) > 1:
        yield from (_Portion([watch]) for watch in portion.unwanted)
        return
    if slow.seconds > GIVEN_UP_SECONDS:
        raise slow
    _log.info("a removal takes long and is done again", watch=portion.unwanted[0].name, seconds=slow.seconds)
    yield _Portion(portion.unwanted, timedelta(seconds=slow.seconds))


async def _end(database: Database, portion: _Portion, patience: float) -> list[str]:
    """End a portion; the names of those that nobody else had ended meanwhile."""

    async def write() -> list[str]:
        async with database.transaction() as connection:
            # Whether it takes too long is known by its end, and how long it takes, only then.
            await instants.allow_time(connection)
            await watching.lock(connection)
            still = await watching.find_still_watched(connection, portion.unwanted)
            if still:
                wanted_at = await watching.unwatch(connection, sorted(still), portion.lead)
                reached("watches_removed")
                await end_in_time(connection, wanted_at, portion.lead, "unwatching")
            return [watch.name for watch in portion.unwanted if watch.watch_id in still]

    return await database.steadily(write, patience)
