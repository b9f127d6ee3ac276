"""Applying a watchlist: what is the same costs one question, and every difference is seen."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import psycopg
import pytest
from msgspec.structs import replace

from indexer.store import database, watching
from indexer.store.watching import WantedSource, WatchlistChange
from indexer.watchlist import WatchEntry

_SOURCES = (
    WantedSource("hedera", "hedera", "http://127.0.0.1:1"),
    WantedSource("okx_runes", "bitcoin", "http://127.0.0.1:2"),
    WantedSource("loopring", "loopring", None),
)
_WATCHES = (
    WatchEntry("hedera", "0.0.1", "", "Treasury", ("a", "b c"), timedelta(hours=1), "w.yaml", 1),
    WatchEntry("hedera", "0.0.2", "", None, (), None, "w.yaml", 2),
    WatchEntry("okx_runes", "bc1q", "840000:3", None, ("a",), None, "w.yaml", 3),
)


@dataclass(frozen=True, slots=True)
class _Applied:
    change: WatchlistChange
    #: Whether anything was written.
    wrote: bool


def _apply(url: str, *sets: tuple[Sequence[WantedSource], Sequence[WatchEntry]]) -> list[_Applied]:
    """Apply one set after the other."""

    async def go() -> list[_Applied]:
        done = []
        async with database.opened(url) as opened:
            for sources, watches in sets:
                async with opened.transaction() as connection:
                    change = await watching.apply(connection, sources, watches)
                    if change.unwanted:
                        await watching.unwatch(connection, [watch.watch_id for watch in change.unwanted])
                    cursor = await connection.execute("SELECT pg_current_xact_id_if_assigned() IS NOT NULL")
                    row = await cursor.fetchone()
                    assert row is not None
                    done.append(_Applied(change, row[0]))
        return done

    return asyncio.run(go())


def _count(change: WatchlistChange) -> tuple[int, int, int]:
    """How many came, left, and are different."""
    return change.added.count, len(change.unwanted), change.changed.count


def _with_first(**changes: object) -> tuple[WatchEntry, ...]:
    return (replace(_WATCHES[0], **changes), *_WATCHES[1:])


def test_the_same_watchlist_writes_nothing(database_url: str) -> None:
    """Most programs start with a watchlist that was applied before, in whatever order its lines are now."""
    first, again, reordered = _apply(
        database_url, (_SOURCES, _WATCHES), (_SOURCES, _WATCHES), (_SOURCES[::-1], _WATCHES[::-1])
    )

    assert (_count(first.change), first.wrote) == ((3, 0, 0), True)
    assert (_count(again.change), again.wrote) == ((0, 0, 0), False)
    assert not reordered.wrote


@pytest.mark.parametrize(
    ("watches", "counts"),
    [
        (_with_first(label="Reserve"), (0, 0, 1)),
        (_with_first(label=None), (0, 0, 1)),
        (_with_first(tags=("a b", "c")), (0, 0, 1)),
        (_with_first(tags=()), (0, 0, 1)),
        (_with_first(every=None), (0, 0, 1)),
        (_with_first(address="0.0.3"), (1, 1, 0)),
        (_WATCHES[1:], (0, 1, 0)),
        ((*_WATCHES, replace(_WATCHES[2], scope="840000:4")), (1, 0, 0)),
    ],
    ids=["label", "no label", "tags", "no tags", "every", "address", "fewer", "more"],
)
def test_every_difference_of_a_watch_is_applied(
    watches: tuple[WatchEntry, ...], counts: tuple[int, int, int], database_url: str
) -> None:
    """One field of one watch is enough; afterwards the new set is what is applied."""
    _, changed, again = _apply(database_url, (_SOURCES, _WATCHES), (_SOURCES, watches), (_SOURCES, watches))

    assert (_count(changed.change), changed.wrote) == (counts, True)
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


def test_what_is_different_is_named(database_url: str) -> None:
    """As people know it; of a long list the first, and how many more."""
    many = tuple(replace(_WATCHES[1], address=f"0.0.{number}") for number in range(100, 125))
    _, changed, grown = _apply(
        database_url,
        (_SOURCES, _WATCHES),
        (_SOURCES, (replace(_WATCHES[0], label="Reserve"), _WATCHES[1])),
        (_SOURCES, (*_WATCHES, *many)),
    )

    assert str(changed.change.changed) == "hedera 0.0.1"
    assert [watch.name for watch in changed.change.unwanted] == ["okx_runes bc1q 840000:3"]
    assert str(changed.change.added) == ""
    assert str(grown.change.added).endswith(" … and 6 more")


def test_a_list_longer_than_one_question_is_compared_to_its_end(database_url: str) -> None:
    """It is asked about in parts: a difference in the last one is seen."""
    many = tuple(replace(_WATCHES[1], address=f"0.0.{number}") for number in range(100, 5_200))
    different = (*many[:-1], replace(many[-1], label="the last"))
    _, again, changed = _apply(database_url, (_SOURCES, many), (_SOURCES, many), (_SOURCES, different))

    assert not again.wrote
    assert str(changed.change.changed) == f"hedera {many[-1].address}"


def test_another_interval_is_looked_at_at_once(database_url: str) -> None:
    """When to look again was worked out with the old one; a new label changes nothing about that."""
    _apply(database_url, (_SOURCES, _WATCHES))
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO ledger.schedule SELECT watch_id, now() + '1 day' FROM ledger.watch")
        different = (replace(_WATCHES[0], label="Reserve"), replace(_WATCHES[1], every=timedelta(minutes=5)))
        _apply(database_url, (_SOURCES, (*different, _WATCHES[2])))

        looked_at = connection.execute(
            "SELECT address FROM ledger.schedule JOIN ledger.watch USING (watch_id)"
            " JOIN ledger.address USING (address_id) WHERE look_at < clock_timestamp()"
        ).fetchall()

    assert looked_at == [("0.0.2",)]
