"""Applying a watchlist: what is the same costs one question, and every difference is seen."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from indexer.store import database, watching
from indexer.store.watching import WantedSource, WantedWatch, WatchlistChange

_SOURCES = (
    WantedSource("hedera", "hedera", "http://127.0.0.1:1"),
    WantedSource("okx_runes", "bitcoin", "http://127.0.0.1:2"),
    WantedSource("loopring", "loopring", None),
)
_WATCHES = (
    WantedWatch("hedera", "hedera", "0.0.1", "", "Treasury", ("a", "b c"), timedelta(hours=1)),
    WantedWatch("hedera", "hedera", "0.0.2", "", None, (), None),
    WantedWatch("okx_runes", "bitcoin", "bc1q", "840000:3", None, ("a",), None),
)


@dataclass(frozen=True, slots=True)
class _Applied:
    change: WatchlistChange
    #: Whether anything was written.
    wrote: bool


def _apply(url: str, *sets: tuple[Sequence[WantedSource], Sequence[WantedWatch]]) -> list[_Applied]:
    """Apply one set after the other."""

    async def go() -> list[_Applied]:
        done = []
        async with database.opened(url) as opened:
            for sources, watches in sets:
                async with opened.transaction() as connection:
                    change = await watching.apply(connection, sources, watches)
                    cursor = await connection.execute("SELECT pg_current_xact_id_if_assigned() IS NOT NULL")
                    row = await cursor.fetchone()
                    assert row is not None
                    done.append(_Applied(change, row[0]))
        return done

    return asyncio.run(go())


def _with_first(**changes: object) -> tuple[WantedWatch, ...]:
    return (replace(_WATCHES[0], **changes), *_WATCHES[1:])  # type: ignore[arg-type]  # fields of a watch


def test_the_same_watchlist_writes_nothing(database_url: str) -> None:
    """Most programs start with a watchlist that was applied before, in whatever order its lines are now."""
    first, again, reordered = _apply(
        database_url, (_SOURCES, _WATCHES), (_SOURCES, _WATCHES), (_SOURCES[::-1], _WATCHES[::-1])
    )

    assert (first.change, first.wrote) == (WatchlistChange(3, 0), True)
    assert (again.change, again.wrote) == (WatchlistChange(0, 0), False)
    assert not reordered.wrote


@pytest.mark.parametrize(
    ("watches", "change"),
    [
        (_with_first(label="Reserve"), WatchlistChange(0, 0)),
        (_with_first(label=None), WatchlistChange(0, 0)),
        (_with_first(tags=("a b", "c")), WatchlistChange(0, 0)),
        (_with_first(tags=()), WatchlistChange(0, 0)),
        (_with_first(every=None), WatchlistChange(0, 0)),
        (_with_first(address="0.0.3"), WatchlistChange(1, 1)),
        (_WATCHES[1:], WatchlistChange(0, 1)),
        ((*_WATCHES, replace(_WATCHES[2], scope="840000:4")), WatchlistChange(1, 0)),
    ],
    ids=["label", "no label", "tags", "no tags", "every", "address", "fewer", "more"],
)
def test_every_difference_of_a_watch_is_applied(
    watches: tuple[WantedWatch, ...], change: WatchlistChange, database_url: str
) -> None:
    """One field of one watch is enough; afterwards the new set is what is applied."""
    _, changed, again = _apply(database_url, (_SOURCES, _WATCHES), (_SOURCES, watches), (_SOURCES, watches))

    assert (changed.change, changed.wrote) == (change, True)
    assert not again.wrote


@pytest.mark.parametrize(
    "differ",
    [
        lambda source: replace(source, origin="http://127.0.0.1:9"),
        lambda source: replace(source, origin=None),
    ],
    ids=["origin", "retired"],
)
def test_every_difference_of_a_source_is_applied(
    differ: Callable[[WantedSource], WantedSource], database_url: str
) -> None:
    """A source that moves or retires is known before it is asked."""
    sources = (differ(_SOURCES[0]), *_SOURCES[1:])

    _, changed, again = _apply(database_url, (_SOURCES, _WATCHES), (sources, _WATCHES), (sources, _WATCHES))

    assert changed.wrote
    assert not again.wrote
