"""One process that claims crawls: its number, its leases and their heartbeat, its clients, its committer.

A worker is alive as long as it holds an advisory lock; kill it and others take its crawls over at once.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final

import psycopg
import structlog
from msgspec.structs import replace
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from indexer.cancelling import end_tasks
from indexer.client import Client, RequestSeen
from indexer.commit import Committer
from indexer.config import Config
from indexer.crashpoints import reached
from indexer.crawl import Crawler, Doors, Outcome, Progress
from indexer.errors import DatabaseUnavailable
from indexer.pacing import Pacer
from indexer.sources.base import Source
from indexer.store import crawls, pages
from indexer.store.crawls import Claim, Ending
from indexer.store.crawls import Worker as WorkerNumber
from indexer.store.database import Database, first_line, is_passing, vigilant
from indexer.store.pacing import SharedPacer

_log = structlog.get_logger()

#: A session that was seen to live is not asked again for so long.
_REGISTERED_SECONDS: Final = 1.0

#: A lease is renewed this many times before it would run out.
_BEATS_PER_LEASE: Final = 3


#: Walks with an answer in hand keep nobody from asking, up to this many: their pages go into one commit.
MOST_WAITING: Final = 64

#: Lists with more pages than this are parsed again instead of recognised.
_MOST_KNOWN_PAGES: Final = 20_000


class Worker:
    """What crawls need around them in one process. Use as an async context manager."""

    def __init__(
        self, config: Config, database: Database, sources: Mapping[str, Source], redact: Callable[[str], str]
    ) -> None:
        self.config = config
        self.database = database
        self.sources = sources
        self.number = WorkerNumber(random.randrange(1, 2**31 - 1), config.daemon.lease)  # noqa: S311 not a secret
        self.on_page: Callable[[Progress], None] = lambda _progress: None
        self.on_waiting: Callable[[str, Claim, bool], None] = lambda _source, _claim, _waits: None
        self.on_request: Callable[[RequestSeen], None] = lambda _seen: None
        self.wrap_pacer: Callable[[str, Pacer], Pacer] = lambda _source, pacer: pacer
        self._redact = redact
        self._committer = Committer(database, config.daemon.lease)
        self._crawlers: dict[str, Crawler] = {}
        self._clients: list[Client] = []
        self._pacers: dict[str, SharedPacer] = {}
        self._held: set[int] = set()
        self._session: AsyncConnection[TupleRow] | None = None
        self._registering = asyncio.Lock()
        self._registered_at = float("-inf")
        #: Whether others know that this worker lives. One that is not registered may claim nothing.
        self.is_registered = False

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncIterator["Worker"]:
        """Register, keep leases alive and commit until the block ends."""
        await self.database.steadily(self._register)
        tasks = [asyncio.create_task(self._committer.run()), asyncio.create_task(self._beat())]
        try:
            yield self
        finally:
            await end_tasks(tasks)
            for client in self._clients:
                await client.aclose()
            if self._session is not None:
                await self._session.close()

    async def _register(self) -> None:
        """Take the lock that says this worker lives."""
        self.is_registered = False
        if self._session is not None:
            await self._session.close()
        self._session = await AsyncConnection.connect(
            vigilant(self.database.url),
            autocommit=True,
            application_name=f"indexer worker {self.number.number}",
        )
        self.is_registered = await crawls.hold_worker_number(self._session, self.number.number)
        self._registered_at = asyncio.get_running_loop().time()
        if not self.is_registered:
            _log.warning("worker number still held by its lost connection", worker=self.number.number)

    async def _stay_registered(self) -> None:
        """Notice soon that the session was lost: without it nothing can be claimed."""
        async with self._registering:
            if asyncio.get_running_loop().time() - self._registered_at < _REGISTERED_SECONDS:
                return
            assert self._session is not None
            try:
                if not self.is_registered:
                    self.is_registered = await crawls.hold_worker_number(self._session, self.number.number)
                await self._session.execute("SELECT 1")
                self._registered_at = asyncio.get_running_loop().time()
            except psycopg.Error as error:
                _log.warning("worker lost its session and registers again", kind=type(error).__name__)
                await self._register()

    async def _beat(self) -> None:
        """Renew the leases of the held crawls; register again when the connection was lost."""
        pause = self.number.lease.total_seconds() / _BEATS_PER_LEASE
        while True:
            await asyncio.sleep(pause)
            try:
                assert self._session is not None
                await crawls.renew(self._session, self.number, sorted(self._held))
                reached("heartbeat")
            except psycopg.Error as error:
                self.is_registered = False
                _log.warning("heartbeat failed", kind=type(error).__name__, error=first_line(error))
                async with self._registering:
                    with contextlib.suppress(psycopg.Error):
                        await self._register()

    async def claim(
        self, source: str, most: int, pass_id: int | None, shorter_than: int | None = None
    ) -> list[Claim]:
        """Take up to ``most`` free crawls of a source; with ``shorter_than``, of fewer pages so far."""

        async def take() -> list[Claim]:
            async with self.database.transaction() as connection:
                free = await crawls.claim(connection, self.number, source, most, pass_id, shorter_than)
                known = await pages.read_known_lists(
                    connection, {claim.watches[0] for claim in free}, _MOST_KNOWN_PAGES
                )
                return [replace(claim, earlier=known.get(claim.watches[0])) for claim in free]

        claims = await self.database.steadily(take)
        if claims:
            reached("claimed")
        else:
            await self.database.steadily(self._stay_registered)
        self._held.update(claim.crawl_id for claim in claims)
        return claims

    async def walk(self, source: str, held: Claim) -> Outcome:
        """Walk one held crawl until it ends or stops. Raises DatabaseUnavailable."""
        try:
            return await self._crawler(source).walk(held)
        except psycopg.Error as error:
            if is_passing(error):
                raise DatabaseUnavailable("The database went away and did not come back.") from None
            raise
        finally:
            self._held.discard(held.crawl_id)

    def reconfigure(
        self, config: Config, sources: Mapping[str, Source], redact: Callable[[str], str]
    ) -> None:
        """Walk by this configuration from the next claim on; walks in hand end as they began."""
        for name in list(self._crawlers):
            if self.config.sources[name] != config.sources[name]:
                del self._crawlers[name]
        self.config, self.sources, self._redact = config, sources, redact

    def _crawler(self, name: str) -> Crawler:
        if name not in self._crawlers:
            config = self.config.sources[name]
            self._pacers[name] = SharedPacer(self.database, name, config.requests_per_second)
            pacer = self.wrap_pacer(name, self._pacers[name])
            client = Client(self.sources[name], config, pacer, observe=self._see_request)
            self._clients.append(client)
            doors = Doors(
                self.sources[name],
                config,
                client,
                self.database,
                self._committer,
                on_page=self._see_page,
                on_waiting=lambda claim, waits: self.on_waiting(name, claim, waits),
            )
            self._crawlers[name] = Crawler(doors, self._redact)
        return self._crawlers[name]

    def _see_page(self, progress: Progress) -> None:
        self.on_page(progress)

    def _see_request(self, seen: RequestSeen) -> None:
        self._pacers[seen.source].see_answer(seen.seconds)
        self.on_request(seen)


def lanes(config: Config, source: str) -> int:
    """Crawls of a source in hand at once: some parse or commit while others wait for an answer."""
    return config.sources[source].concurrency * 2 + 1


def tell_breakage(source: str, claim: Claim, error: BaseException) -> Ending:
    """How a walk ends that broke on an error nobody reacts to. Logged here."""
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        # No fault of the program, and it says itself what is missing.
        said = f"{first_line(error)}: `indexer db roles` prints what its role needs"
        _log.error("walk broke", source=source, crawl=claim.crawl_id, error=said)
    else:
        # The text of an unexpected error may carry anything: only its class is stored.
        said = "internal error: the log has its traceback"
        _log.error("walk broke", source=source, crawl=claim.crawl_id, exc_info=error)
    return Ending(type(error).__name__, said)
