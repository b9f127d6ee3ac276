"""What is watched: sources, addresses, watches, periods. Nothing here commits.

Removing an address ends knowledge about it; it never looks like a sale.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from indexer.store import statements
from indexer.store.database import Connection
from indexer.watchlist import WatchEntry

_SQL = statements.load("watching")

#: More than this are counted.
_MOST_NAMED: Final = 20

#: Watches asked about at once.
_PART: Final = 5_000


class WantedSource(msgspec.Struct, frozen=True):
    """A source as configured."""

    name: str
    network: str
    #: scheme://host[:port]; None: retired.
    origin: str | None


class Named(msgspec.Struct, frozen=True):
    """Some watches: how many, and the names of the first."""

    count: int
    #: Such as `hedera 0.0.1001`.
    names: tuple[str, ...]

    @classmethod
    def of(cls, names: Sequence[str]) -> "Named":
        """Count these, and keep the first."""
        return cls(len(names), tuple(names[:_MOST_NAMED]))

    def __str__(self) -> str:
        rest = self.count - len(self.names)
        return ", ".join(self.names) + (f" … and {rest} more" if rest else "")


class Unwanted(msgspec.Struct, frozen=True):
    """A watch that is not on the watchlist any more."""

    watch_id: int
    #: Which period it is that has to end.
    watched_from: datetime
    #: Such as `hedera 0.0.1001`.
    name: str
    #: As its last list said.
    holdings: int


class WatchlistChange(msgspec.Struct, frozen=True):
    """What applying a watchlist changed, and what it leaves to do."""

    added: Named
    #: Other labels, tags or intervals.
    changed: Named
    #: Still watched: to be unwatched.
    unwanted: tuple[Unwanted, ...]


_NONE: Final = Named(0, ())


async def lock(connection: Connection) -> None:
    """Be the one that changes what is watched, until the transaction ends."""
    await connection.execute(_SQL.lock_watchlist)


async def apply(
    connection: Connection, sources: Sequence[WantedSource], entries: Sequence[WatchEntry]
) -> WatchlistChange:
    """Watch all that is wanted, and find what is not: the caller ends that, in transactions of its own.

    The set was checked: it is valid and not empty.
    """
    if await _is_applied(connection, sources, entries):
        return WatchlistChange(_NONE, _NONE, ())
    await lock(connection)
    await connection.execute(
        _SQL.write_sources,
        {
            "sources": [source.name for source in sources],
            "networks": [source.network for source in sources],
            "origins": [source.origin for source in sources],
        },
    )
    await _fill_wanted(connection, {source.name: source.network for source in sources}, entries)
    for step in (_SQL.insert_addresses, _SQL.insert_watches):
        await connection.execute(step)
    changed = await _fetch_numbers(connection, _SQL.update_watches)
    added = await _fetch_numbers(connection, _SQL.open_periods)
    cursor = await connection.execute(_SQL.find_unwanted)
    unwanted = tuple([Unwanted(*row) for row in await cursor.fetchall()])
    return WatchlistChange(await _name(connection, added), await _name(connection, changed), unwanted)


async def _fetch_numbers(connection: Connection, statement: bytes) -> list[int]:
    cursor = await connection.execute(statement)
    return [row[0] for row in await cursor.fetchall()]


async def _name(connection: Connection, watches: list[int]) -> Named:
    if not watches:
        return _NONE
    cursor = await connection.execute(_SQL.name_watches, {"watches": watches[:_MOST_NAMED]})
    return Named(len(watches), tuple([row[0] async for row in cursor]))


async def _is_applied(
    connection: Connection, sources: Sequence[WantedSource], entries: Sequence[WatchEntry]
) -> bool:
    wanted = {
        "watches": len(entries),
        "sources": [source.name for source in sources],
        "origins": [source.origin for source in sources],
    }
    row = await (await connection.execute(_SQL.may_be_applied, wanted)).fetchone()
    if row is None or not row[0]:
        return False
    networks = {source.name: source.network for source in sources}
    # In parts: as parameters, a long list is larger than the list.
    for start in range(0, len(entries), _PART):
        part = entries[start : start + _PART]
        bind = {
            "watch_sources": [entry.source for entry in part],
            "watch_networks": [networks[entry.source] for entry in part],
            "addresses": [entry.address for entry in part],
            "scopes": [entry.scope for entry in part],
            "labels": [entry.label for entry in part],
            "tags": ["\x1f".join(entry.tags) for entry in part],
            "everies": [entry.every for entry in part],
        }
        row = await (await connection.execute(_SQL.count_applied, bind)).fetchone()
        if row is None or row[0] != len(part):
            return False
    return True


async def _fill_wanted(
    connection: Connection, networks: Mapping[str, str], entries: Sequence[WatchEntry]
) -> None:
    await connection.execute(_SQL.create_wanted)
    async with connection.cursor() as cursor, cursor.copy(_SQL.copy_wanted) as copy:
        for entry in entries:
            await copy.write_row(
                (
                    entry.source,
                    networks[entry.source],
                    entry.address,
                    entry.scope,
                    entry.label,
                    list(entry.tags),
                    entry.every,
                )
            )


async def find_still_watched(connection: Connection, unwanted: Sequence[Unwanted]) -> set[int]:
    """Which of these are still in the period that has to end. The caller holds the lock."""
    bind = {
        "watches": [watch.watch_id for watch in unwanted],
        "watched_froms": [watch.watched_from for watch in unwanted],
    }
    return {row[0] async for row in await connection.execute(_SQL.find_still_watched, bind)}


async def unwatch(connection: Connection, watches: Sequence[int], lead: timedelta = timedelta(0)) -> datetime:
    """End the knowledge about these watches; their open crawls cover them no longer.

    Returns when, by the clock and ``lead`` ahead of it: the caller commits neither before nor long after.
    """
    bind: dict[str, object] = {"watches": list(watches), "lead": lead}
    await connection.execute(_SQL.lock_their_crawls, bind)
    cursor = await connection.execute(_SQL.skip_their_crawls, bind)
    crawls = sorted({row[0] for row in await cursor.fetchall()})
    await connection.execute(_SQL.lock_watches, bind)
    if crawls:
        await connection.execute(_SQL.abandon_empty_crawls, {"crawls": crawls})
    cursor = await connection.execute(_SQL.choose_end, bind)
    row = await cursor.fetchone()
    assert row is not None
    wanted_at: datetime = row[0]
    # Later where history is ahead of the clock.
    bind["instant"] = row[1]
    await connection.execute(_SQL.close_versions, bind)
    await connection.execute(_SQL.close_spans, bind)
    cursor = await connection.execute(_SQL.close_witnesses, bind)
    witnesses = [row[0] for row in await cursor.fetchall()]
    if witnesses:
        await drop_testimony(connection, witnesses)
    await connection.execute(_SQL.close_periods, bind)
    return wanted_at


async def drop_testimony(connection: Connection, snapshots: Sequence[int]) -> None:
    """Forget what resolved lists missed."""
    await connection.execute(_SQL.drop_testimony, {"snapshots": list(snapshots)})


async def count_watched(connection: Connection) -> int:
    """How many watches are open now."""
    cursor = await connection.execute(_SQL.count_watched)
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def pause_source(connection: Connection, source: str, reason: str, pause: timedelta) -> None:
    """Leave a source alone that refuses us."""
    await connection.execute(_SQL.pause_source, {"source": source, "reason": reason[:500], "pause": pause})


async def unpause_source(connection: Connection, source: str) -> bool:
    """The source answered: go on. True when it was paused."""
    return (await connection.execute(_SQL.unpause_source, {"source": source})).rowcount > 0


class SourceState(msgspec.Struct, frozen=True):
    """Whether a source may be asked."""

    name: str
    state: str
    reason: str | None
    #: Seconds until a paused source is tried again.
    seconds: float | None


async def read_sources(connection: Connection) -> dict[str, SourceState]:
    """State of every source."""
    cursor = await connection.execute(_SQL.read_sources)
    return {row[0]: SourceState(*row) for row in await cursor.fetchall()}
