"""What is watched: sources, addresses, watches, periods. Nothing here commits.

Removing an address ends knowledge about it; it never looks like a sale.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from indexer.store import statements
from indexer.store.database import Connection

_SQL = statements.load("watching")


@dataclass(frozen=True, slots=True)
class WantedSource:
    """A source as configured."""

    name: str
    network: str
    #: scheme://host[:port]; None: retired.
    origin: str | None


@dataclass(frozen=True, slots=True)
class WantedWatch:
    """A watch as the watchlist wants it."""

    source: str
    network: str
    address: str
    scope: str
    label: str | None
    tags: tuple[str, ...]
    every: timedelta | None


@dataclass(frozen=True, slots=True)
class WatchlistChange:
    """What applying a watchlist changed: numbers of watches."""

    added: int
    removed: int


async def apply(
    connection: Connection, sources: Sequence[WantedSource], watches: Sequence[WantedWatch]
) -> WatchlistChange:
    """Make the watched set what it should be. The caller has checked that the set is valid and not empty."""
    if await _is_applied(connection, sources, watches):
        return WatchlistChange(0, 0)
    await connection.execute(_SQL.lock_watchlist)
    await connection.execute(
        _SQL.write_sources,
        {
            "sources": [source.name for source in sources],
            "networks": [source.network for source in sources],
            "origins": [source.origin for source in sources],
        },
    )
    await _fill_wanted(connection, watches)
    for step in (_SQL.insert_addresses, _SQL.insert_watches, _SQL.update_watches):
        await connection.execute(step)
    opened = await connection.execute(_SQL.open_periods)
    cursor = await connection.execute(_SQL.find_unwanted)
    unwanted = [row[0] for row in await cursor.fetchall()]
    if unwanted:
        await unwatch(connection, unwanted)
    return WatchlistChange(opened.rowcount, len(unwanted))


async def _is_applied(
    connection: Connection, sources: Sequence[WantedSource], watches: Sequence[WantedWatch]
) -> bool:
    cursor = await connection.execute(
        _SQL.is_applied,
        {
            "sources": [source.name for source in sources],
            "origins": [source.origin for source in sources],
            "watch_sources": [watch.source for watch in watches],
            "watch_networks": [watch.network for watch in watches],
            "addresses": [watch.address for watch in watches],
            "scopes": [watch.scope for watch in watches],
            "labels": [watch.label for watch in watches],
            "tags": ["\x1f".join(watch.tags) for watch in watches],
            "everies": [watch.every for watch in watches],
        },
    )
    row = await cursor.fetchone()
    return row is not None and bool(row[0])


async def _fill_wanted(connection: Connection, watches: Sequence[WantedWatch]) -> None:
    await connection.execute(_SQL.create_wanted)
    async with connection.cursor() as cursor, cursor.copy(_SQL.copy_wanted) as copy:
        for watch in watches:
            await copy.write_row(
                (
                    watch.source,
                    watch.network,
                    watch.address,
                    watch.scope,
                    watch.label,
                    list(watch.tags),
                    watch.every,
                )
            )


async def unwatch(connection: Connection, watches: Sequence[int]) -> None:
    """End the knowledge about these watches; their open crawls cover them no longer."""
    bind: dict[str, object] = {"watches": list(watches)}
    await connection.execute(_SQL.lock_their_crawls, bind)
    cursor = await connection.execute(_SQL.skip_their_crawls, bind)
    crawls = sorted({row[0] for row in await cursor.fetchall()})
    await connection.execute(_SQL.lock_watches, bind)
    if crawls:
        await connection.execute(_SQL.abandon_empty_crawls, {"crawls": crawls})
    cursor = await connection.execute(_SQL.choose_end, bind)
    row = await cursor.fetchone()
    assert row is not None
    bind["instant"] = row[0]
    await connection.execute(_SQL.close_versions, bind)
    await connection.execute(_SQL.close_spans, bind)
    cursor = await connection.execute(_SQL.close_witnesses, bind)
    witnesses = [row[0] for row in await cursor.fetchall()]
    if witnesses:
        await drop_testimony(connection, witnesses)
    await connection.execute(_SQL.close_periods, bind)


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


@dataclass(frozen=True, slots=True)
class SourceState:
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
