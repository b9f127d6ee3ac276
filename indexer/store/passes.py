"""Passes of `indexer crawl`: which watches, which crawl each waits for, what became of them.

Nothing here commits.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from psycopg.rows import class_row

from indexer.store import statements
from indexer.store.database import Connection

_SQL = statements.load("passes")


@dataclass(frozen=True, slots=True)
class Selected:
    """A watch a pass is about."""

    watch_id: int
    source: str
    address: str
    scope: str


@dataclass(frozen=True, slots=True)
class Counted:
    """How far a pass is."""

    watches: int
    finished: int
    pages: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one watch in a pass."""

    source: str
    address: str
    scope: str
    #: published, unchanged, quarantined, failed, abandoned or skipped.
    outcome: str
    snapshot_at: datetime | None
    holdings: int | None
    pages: int
    requests: int
    error: str | None


async def select(
    connection: Connection, source: str | None, addresses: Sequence[str] | None
) -> list[Selected]:
    """The watched watches of a selection."""
    cursor = await connection.execute(
        _SQL.select_watches, {"source": source, "addresses": None if addresses is None else list(addresses)}
    )
    return [Selected(*row) for row in await cursor.fetchall()]


async def join(connection: Connection, selection: Mapping[str, object], window: timedelta) -> int:
    """The unfinished pass over this selection, or a new one."""
    await connection.execute(_SQL.lock_passes)
    text = json.dumps(selection, sort_keys=True)
    await connection.execute(_SQL.close_stale_passes, {"window": window})
    cursor = await connection.execute(_SQL.find_pass, {"selection": text})
    row = await cursor.fetchone()
    if row is None:
        cursor = await connection.execute(_SQL.start_pass, {"selection": text})
        row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


async def place(
    connection: Connection, pass_id: int, selected: Sequence[Selected], batches: Mapping[str, int]
) -> None:
    """Give every selected watch a crawl to wait for: an open one, or a new one. Nothing starts twice.

    ``batches``: how many addresses one request of each source takes.
    """
    cursor = await connection.execute(_SQL.find_placed, {"pass": pass_id})
    placed = {row[0] for row in await cursor.fetchall()}
    wanting = [watch for watch in selected if watch.watch_id not in placed]
    cursor = await connection.execute(
        _SQL.adopt_open_crawls, {"pass": pass_id, "watches": [watch.watch_id for watch in wanting]}
    )
    adopted: dict[int, int] = dict(await cursor.fetchall())
    if adopted:
        await connection.execute(_SQL.hurry_crawls, {"crawls": sorted(set(adopted.values()))})
    groups = list(_groups([watch for watch in wanting if watch.watch_id not in adopted], batches))
    numbers = await create_crawls(connection, [[(watch, None) for watch in group] for group in groups])
    pairs = [
        (watch.watch_id, number) for group, number in zip(groups, numbers, strict=True) for watch in group
    ]
    await connection.execute(
        _SQL.place_watches,
        {
            "pass": pass_id,
            "watches": [watch for watch, _ in pairs],
            "crawls": [number for _, number in pairs],
        },
    )


def _groups(watches: Sequence[Selected], batches: Mapping[str, int]) -> Iterator[list[Selected]]:
    """As many watches of one source and scope per crawl as one request takes: the fewest requests."""
    ordered = sorted(watches, key=lambda watch: (watch.source, watch.scope, watch.watch_id))
    for (source, _scope), members in groupby(ordered, key=lambda watch: (watch.source, watch.scope)):
        rest = list(members)
        size = batches.get(source, 1)
        for start in range(0, len(rest), size):
            yield rest[start : start + size]


async def create_crawls(
    connection: Connection, groups: Sequence[Sequence[tuple[Selected, datetime | None]]]
) -> list[int]:
    """Queue one crawl per group of watches with their due times; returns their numbers in the same order."""
    if not groups:
        return []
    cursor = await connection.execute(
        _SQL.create_crawls,
        {
            "sources": [group[0][0].source for group in groups],
            "scopes": [group[0][0].scope for group in groups],
        },
    )
    numbers = sorted(row[0] for row in await cursor.fetchall())
    rows = [
        (number, watch.watch_id, place, due_at)
        for number, group in zip(numbers, groups, strict=True)
        for place, (watch, due_at) in enumerate(group)
    ]
    await connection.execute(
        _SQL.create_crawl_watches,
        {
            "crawls": [row[0] for row in rows],
            "watches": [row[1] for row in rows],
            "places": [row[2] for row in rows],
            "due_ats": [row[3] for row in rows],
        },
    )
    return numbers


async def touch(connection: Connection, pass_id: int) -> None:
    """Sign of life."""
    await connection.execute(_SQL.touch_pass, {"pass": pass_id})


async def finish(connection: Connection, pass_id: int) -> None:
    """Every watch has an outcome."""
    await connection.execute(_SQL.finish_pass, {"pass": pass_id})


async def count(connection: Connection, pass_id: int) -> Counted:
    """How far the pass is."""
    async with connection.cursor(row_factory=class_row(Counted)) as cursor:
        await cursor.execute(_SQL.count_progress, {"pass": pass_id})
        return await cursor.fetchone() or Counted(0, 0, 0)


async def read_outcomes(connection: Connection, pass_id: int) -> list[Outcome]:
    """What became of every watch."""
    cursor = await connection.execute(_SQL.read_outcomes, {"pass": pass_id})
    return [Outcome(*row) for row in await cursor.fetchall()]


async def fail_waiting(
    connection: Connection, pass_id: int, source: str, error: str, delay: timedelta
) -> None:
    """The source refuses us: what still waits fails without another request."""
    await connection.execute(
        _SQL.fail_waiting, {"pass": pass_id, "source": source, "error": error[:2000], "delay": delay}
    )


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the last crawls of a selection took."""

    source: str
    scope: str
    watches: int
    pages: int
    #: Watches that were never crawled.
    unknown: int


async def estimate(connection: Connection, watches: Sequence[tuple[str, str, str, str]]) -> list[Estimate]:
    """What these watches took last time: (source, network, address, scope) each."""
    sources, networks, addresses, scopes = (list(column) for column in zip(*watches, strict=True))
    cursor = await connection.execute(
        _SQL.estimate_watches,
        {"sources": sources, "networks": networks, "addresses": addresses, "scopes": scopes},
    )
    return [Estimate(*row) for row in await cursor.fetchall()]


async def count_unfinished(connection: Connection, pass_id: int, source: str) -> int:
    """Watches of one source without an outcome yet."""
    cursor = await connection.execute(_SQL.count_unfinished, {"pass": pass_id, "source": source})
    row = await cursor.fetchone()
    return int(row[0]) if row else 0
