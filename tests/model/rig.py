"""The program's own layers in one process: the real claim, walk, commit and publish on a real database.

Only the two ends are ours: the APIs are in memory, and the database's clock is moved by hand.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, TypeVar, cast

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow, class_row

from indexer import bootstrap, config, page_reader, prune, review
from indexer.client import Client
from indexer.commit import Committer
from indexer.config import Config
from indexer.crawl import Crawler, Doors
from indexer.folding import ROWS_IN_MEMORY
from indexer.jobs import apply_watchlist
from indexer.store import crawls, pages, passes, runs
from indexer.store.crawls import Claim, Worker
from indexer.store.passes import Selected
from indexer.watchlist import WatchEntry
from tests.model.apis import ModelClient, WatchKey, World
from tests.model.clock import Clock
from tests.model.lists import FullList, fold
from tests.model.oracle import Guard
from tests.model.rows import KEYS

Result = TypeVar("Result")

#: Rounds in which crawls that begin again are taken up again.
_ROUNDS = 6

_SECRETS = {
    "INDEXER_SOURCES__OKX_RUNES__API_KEY": "k",
    "INDEXER_SOURCES__OKX_RUNES__SECRET_KEY": "s",
    "INDEXER_SOURCES__OKX_RUNES__PASSPHRASE": "p",
    "INDEXER_SOURCES__SOLANA_DAS__API_KEY": "k",
    "INDEXER_SOURCES__LOOPRING__API_KEY": "k",
    "INDEXER_SOURCES__LOOPRING__BASE_URL": "http://127.0.0.1:9",
}


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of one watch of a crawl."""

    crawl_id: int
    watch_id: int
    address: str
    state: str
    error_class: str | None
    verdict: str | None


@dataclass(frozen=True, slots=True)
class Spoken:
    """A verdict in the ledger."""

    snapshot_id: int
    watch_id: int
    crawl_id: int
    state: str
    judged_at: datetime
    first_page_at: datetime
    last_page_at: datetime
    #: How often its crawl was begun again because the list moved.
    restarts: int


class Rig:
    """One process over one database. Use as a context manager."""

    def __init__(self, url: str, folder: Path) -> None:
        self.world = World()
        #: Snapshots after this one are looked at when repeats are folded.
        self.fold_from = 0
        self._url = url
        self._config = _read_config(folder, url)
        self._sources = bootstrap.build_sources(self._config)
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self._worker = Worker(1, timedelta(seconds=30))

    def __enter__(self) -> Self:
        # The same few questions thousands of times: planned once, which takes longer than answering.
        options = "-c plan_cache_mode=force_generic_plan -c jit=off"
        self.reading = psycopg.connect(self._url, autocommit=True, prepare_threshold=0, options=options)
        self.clock = Clock(self.reading)
        self._run(self._open())
        return self

    def remember(self, rows: int) -> None:
        """Let lists of more rows than this be packed on their way."""
        vars(page_reader)["ROWS_IN_MEMORY"] = rows

    def __exit__(self, *_: object) -> None:
        self.remember(ROWS_IN_MEMORY)
        self._run(self._close())
        self._runner.close()
        self.reading.close()

    async def _open(self) -> None:
        self._database = await self._stack.enter_async_context(bootstrap.database(self._config))
        # Nothing is given to a worker that is not known to live.
        self._session = await AsyncConnection.connect(self._database.url, autocommit=True)
        await crawls.hold_worker_number(self._session, self._worker.number)
        self._committer = Committer(self._database, self._worker.lease)
        self._committing = asyncio.get_running_loop().create_task(self._committer.run())

    async def _close(self) -> None:
        self._committing.cancel()
        await asyncio.gather(self._committing, return_exceptions=True)
        await self._session.close()
        await self._stack.aclose()

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self._runner.run(work)

    # What an operator and a watchlist owner do

    def configure(self, guard: Guard, fresh_for: timedelta) -> None:
        """Judge by this guard from now on."""
        given = config.GuardConfig(
            guard.min_holdings, guard.max_shrink, guard.confirm_after, guard.max_unreadable
        )
        sources = {
            name: replace(source, guard=given, fresh_for=fresh_for)
            for name, source in self._config.sources.items()
        }
        self._config = replace(self._config, sources=MappingProxyType(sources))

    def apply(self, wanted: Sequence[WatchKey]) -> None:
        """Make this the watchlist."""
        entries = [
            WatchEntry(source, address, scope, label=None, tags=(), every=None, file="", line=0)
            for source, address, scope in wanted
        ]
        self._run(apply_watchlist(self._database, self._config, self._sources, entries))

    def release(self, snapshot_id: int) -> None:
        """Believe a list after all."""
        self._run(review.release(self._database, self._config, self._sources, snapshot_id))

    def reject(self, snapshot_id: int) -> None:
        """Dismiss a list."""
        self._run(review.reject(self._database, snapshot_id))

    def prune(self, keep: timedelta) -> None:
        """Throw old raw pages and crawls away, after making room for this month's."""
        self._run(prune.prune(self._database, keep, dry_run=False))

    def fold_repeats(self) -> int:
        """Fold crawls that repeat the one before them into runs; how many went."""
        return self._run(runs.fold_unchanged(self._database, self.fold_from))

    def make_room(self) -> None:
        """Make the partitions of this month and the next."""

        async def write() -> None:
            async with self._database.transaction() as connection:
                await pages.ensure_partitions(connection)

        self._run(write())

    # Crawling

    def queue(self, groups: Sequence[Sequence[Selected]]) -> None:
        """One crawl for each group of watches."""

        async def write() -> None:
            async with self._database.transaction() as connection:
                await passes.create_crawls(connection, [[(watch, None) for watch in one] for one in groups])

        self._run(write())

    def claim(self, sources: Sequence[str]) -> list[tuple[str, Claim]]:
        """Take every crawl of these sources that is due, for a worker that seems gone afterwards."""

        async def claim_and_sleep() -> list[tuple[str, Claim]]:
            sleeper = Worker(self._worker.number + 1, self._worker.lease)
            await crawls.hold_worker_number(self._session, sleeper.number)
            claims = await self._claim(sources, sleeper)
            await self._session.execute(
                "SELECT pg_advisory_unlock(%s, %s)", [crawls.WORKER_LOCK_CLASS, sleeper.number]
            )
            return claims

        return self._run(claim_and_sleep())

    async def _claim(self, sources: Sequence[str], worker: Worker) -> list[tuple[str, Claim]]:
        claims: list[tuple[str, Claim]] = []
        async with self._database.transaction() as connection:
            for source in sources:
                found = await crawls.claim(connection, worker, source, 50, None)
                claims += [(source, held) for held in found]
        return claims

    def work(self, sources: Sequence[str]) -> list[int]:
        """Walk every crawl of these sources that is due, all at once; which crawls those were."""

        async def walk_all() -> list[int]:
            walked: list[int] = []
            for _ in range(_ROUNDS):
                claims = await self._claim(sources, self._worker)
                if not claims:
                    break
                await asyncio.gather(*(self._walk(source, held) for source, held in claims))
                walked += [held.crawl_id for _, held in claims]
            return walked

        return self._run(walk_all())

    def walk(self, source: str, held: Claim) -> str:
        """Walk one crawl with a claim that may have been lost meanwhile."""
        return self._run(self._walk(source, held))

    async def _walk(self, source: str, held: Claim) -> str:
        settings = self._config.sources[source]
        client = cast("Client", ModelClient(self.world, self._sources[source]))
        doors = Doors(self._sources[source], settings, client, self._database, self._committer)
        return await Crawler(doors, str).walk(held)

    # What the ledger says about it

    def number_watches(self, addresses: Sequence[str]) -> dict[WatchKey, int]:
        """The number of every watch at these addresses."""
        query = b"""SELECT w.source_id, a.address, w.scope, w.watch_id FROM ledger.watch AS w
            JOIN ledger.address AS a USING (address_id) WHERE a.address = ANY(%s)"""
        rows = self.reading.execute(query, (list(addresses),)).fetchall()
        return {(row[0], row[1], row[2]): row[3] for row in rows}

    def read_periods(self, watches: Sequence[int]) -> dict[int, tuple[datetime, datetime | None]]:
        """The last period of each watch."""
        query = b"""SELECT DISTINCT ON (watch_id) watch_id, watched_from, watched_to
            FROM ledger.watch_period WHERE watch_id = ANY(%s) ORDER BY watch_id, watched_from DESC"""
        rows = self.reading.execute(query, (list(watches),)).fetchall()
        return {row[0]: (row[1], row[2]) for row in rows}

    def find_open(self, watches: Sequence[int]) -> set[int]:
        """Which of these watches an open crawl covers."""
        query = b"SELECT watch_id FROM ledger.crawl_watch WHERE watch_id = ANY(%s) AND open"
        return {row[0] for row in self.reading.execute(query, (list(watches),))}

    def read_endings(self, walked: Sequence[int]) -> list[Ended]:
        """How these crawls ended, for each of their watches."""
        query = b"""SELECT c.crawl_id, cw.watch_id, a.address, c.state, c.error_class, cw.verdict
            FROM ledger.crawl AS c JOIN ledger.crawl_watch AS cw USING (crawl_id)
            JOIN ledger.watch AS w USING (watch_id) JOIN ledger.address AS a USING (address_id)
            WHERE c.crawl_id = ANY(%s) ORDER BY c.crawl_id, cw.place"""
        with self.reading.cursor(row_factory=class_row(Ended)) as cursor:
            return cursor.execute(query, (list(walked),)).fetchall()

    def read_spoken(self, after: int) -> list[Spoken]:
        """Every verdict since, in the order in which they were spoken."""
        query = b"""SELECT s.snapshot_id, s.watch_id, s.crawl_id, s.state, s.judged_at, s.first_page_at,
                s.last_page_at, c.drift_restarts AS restarts
            FROM ledger.snapshot AS s JOIN ledger.crawl AS c USING (crawl_id)
            WHERE s.snapshot_id > %s ORDER BY s.snapshot_id"""
        with self.reading.cursor(row_factory=class_row(Spoken)) as cursor:
            return cursor.execute(query, (after,)).fetchall()

    def last_snapshot(self) -> int:
        """The number of the last verdict."""
        row = self.reading.execute(b"SELECT coalesce(max(snapshot_id), 0) FROM ledger.snapshot").fetchone()
        assert row is not None
        return int(row[0])

    def find_witness(self, watch: int) -> tuple[int, bool] | None:
        """The disbelieved list that waits for somebody, and whether all its pages are kept."""
        query = b"""SELECT s.snapshot_id, s.pages = (SELECT count(*) FROM ledger.raw_page AS p
                JOIN ledger.crawl AS c USING (crawl_id) WHERE p.crawl_id = s.crawl_id AND p.kind = 'page')
            FROM ledger.snapshot AS s
            WHERE s.watch_id = %s AND s.state = 'quarantined' AND s.resolution IS NULL"""
        row = self.reading.execute(query, (watch,)).fetchone()
        return None if row is None else (row[0], row[1])

    def read_settled(self, snapshot_id: int) -> datetime:
        """When a disbelieved list was settled."""
        query = b"SELECT resolved_at FROM ledger.snapshot WHERE snapshot_id = %s"
        row = self.reading.execute(query, (snapshot_id,)).fetchone()
        assert row is not None
        settled_at: datetime = row[0]
        return settled_at

    def read_list(self, crawl_id: int, address: str, source: str) -> FullList:
        """What the committed pages of a crawl told of one address."""
        query = b"""SELECT p.page_no, p.fetched_at, c.part_on, c.first_page_at, c.last_page_at,
                coalesce(c.facts ? 'balances', false)
            FROM ledger.crawl AS c JOIN ledger.raw_page AS p USING (part_on, crawl_id)
            WHERE c.crawl_id = %s AND p.kind = 'page' ORDER BY p.page_no"""
        rows: list[TupleRow] = self.reading.execute(query, (crawl_id,)).fetchall()
        bodies = self._run(self._read_bodies(rows[0][2], crawl_id))
        told = [(self.world.recall(body), row[1]) for body, row in zip(bodies, rows, strict=True)]
        found = fold(told, address if KEYS[source][0][0] == "" else "", (rows[0][3], rows[0][4]))
        # Whether its server told a balance is heard from the pages; what was known of others, from the crawl.
        shows = any(content and content.amount is not None for content in found.listed.values())
        return replace(found, may_hide=rows[0][5] and not shows)

    async def _read_bodies(self, part_on: date, crawl_id: int) -> list[bytes]:
        async with self._database.connection() as connection:
            return [page.body async for page in pages.read(connection, part_on, crawl_id)]

    def ask(self, query: bytes, **values: object) -> list[TupleRow]:
        """What a report answers."""
        return self.reading.execute(query, values).fetchall()


def _read_config(folder: Path, url: str) -> Config:
    path = folder / "indexer.toml"
    path.write_text('watchlists = ["*.yaml"]\n')
    return config.load(path, _SECRETS | {"INDEXER_DATABASE__URL": url})


__all__ = ["Ended", "Rig", "Spoken"]
