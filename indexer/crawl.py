"""The loop: ask, fetch, parse, commit, until the last page; and what to do when any of it fails.

One walk per held crawl. HTTP happens outside of transactions; every page is durable before the next is asked.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Literal

import structlog

from indexer.client import Answer, Client, Exchange
from indexer.commit import WINDOW_RESTARTS, Committer, Work
from indexer.config import SourceConfig
from indexer.errors import (
    ApiError,
    BadPage,
    ClockWentBack,
    CursorRejected,
    DatabaseUnavailable,
    IndexerError,
    LeaseLost,
    PublishTooSlow,
    RateLimited,
    Refused,
    RequestRejected,
    ServerTrouble,
    WalkMoved,
)
from indexer.folding import ROWS_IN_MEMORY, Fold, FoldPrice, FoldRow, named_assets
from indexer.publish import FinishedCrawl, window_of
from indexer.records import NO_FACTS, Cursor, Facts, Page, Question, Request
from indexer.sources.base import Source
from indexer.store import crawls, pages, watching
from indexer.store.crawls import Claim, Ending, Restarts, WatchVerdict
from indexer.store.database import Database
from indexer.store.pages import RawPage, Rejected

_log = structlog.get_logger()

#: An API that needs more look-ups than this for one list is not teaching, it is looping.
_MOST_LOOKUPS: Final = 32

#: No account has this many pages; an API that goes on has lost its way.
_MOST_PAGES: Final = 200_000

#: How often a lost cursor is answered by starting again.
_CURSOR_RESTARTS: Final = 2

#: How long a source that refuses us is left alone, unless it says for how long.
REFUSED_PAUSE: Final = timedelta(minutes=15)

#: A failed crawl with pages waits this long before the daemon resumes it.
_RESUME_DELAY: Final = timedelta(seconds=30)

Outcome = Literal["published", "handed back", "failed", "restarted", "lost", "refused"]


@dataclass(slots=True)
class Walk:
    """One crawl in the hands of this worker, between two pages."""

    held: Claim
    cursor: Cursor | None
    facts: Facts
    pages: int
    lookups: int
    fold: Fold
    #: None once the crawl is too large for memory, or was begun by another worker.
    rows: list[FoldRow] | None
    prices: list[FoldPrice] = field(default_factory=list)
    #: Facts that are not stored with the crawl yet.
    facts_are_new: bool = True

    @property
    def question(self) -> Question:
        return Question(tuple(self.held.addresses), self.held.scope, self.cursor, self.facts)


@dataclass(frozen=True, slots=True)
class _Fetched:
    """An answer with what it took to get it."""

    request: Request
    answer: Answer
    requests: int
    sent_at: float


@dataclass(frozen=True, slots=True)
class Progress:
    """One page became durable."""

    source: str
    address: str
    page: int
    holdings: int


class Crawler:
    """Walks the crawls of one source. Stateless between walks; any number may run at once."""

    def __init__(
        self,
        source: Source,
        config: SourceConfig,
        client: Client,
        database: Database,
        committer: Committer,
        on_page: Callable[[Progress], None] = lambda _progress: None,
        redact: Callable[[str], str] = str,
    ) -> None:
        self._source = source
        self._config = config
        self._client = client
        self._database = database
        self._committer = committer
        self._on_page = on_page
        self._redact = redact

    async def walk(self, held: Claim) -> Outcome:
        """Walk a held crawl to its end or to its next obstacle. Raises DatabaseUnavailable only."""
        exchange = Exchange()
        log = _log.bind(source=self._source.name, crawl=held.crawl_id, address=held.addresses[0])
        try:
            verdicts = await self._walk(held, exchange)
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
        for verdict in verdicts:
            log.info("crawl finished", watch=verdict.watch_id, verdict=verdict.verdict, error=verdict.error)
        return "published"

    async def _walk(self, held: Claim, exchange: Exchange) -> list[WatchVerdict]:
        self._check_age(held)
        walk = await self._begin(held)
        while True:
            fetched = await self._fetch(walk, exchange)
            page = await self._parse(walk, fetched)
            verdicts = await self._take(walk, fetched, page)
            exchange.requests = 0
            if page.next_cursor is None and not page.teaches_only:
                return verdicts

    def _check_age(self, held: Claim) -> None:
        """A walk resumed after its window has gone by is begun again before anything is asked."""
        window = window_of(held, self._config).total_seconds()
        too_long = (held.first_page_age or 0) > window and held.window_restarts < WINDOW_RESTARTS
        if too_long or (held.last_page_age or 0) > window:
            raise WalkMoved("it was interrupted for longer than its window allows", "window")

    async def _begin(self, held: Claim) -> Walk:
        facts: Facts = held.facts or NO_FACTS
        question = Question(tuple(held.addresses), held.scope, None, facts)
        names = () if held.facts is not None else self._source.fact_names(question)
        if names:
            facts = await self._database.steadily(lambda: self._read_facts(names))
        return Walk(
            held=held,
            cursor=None if held.cursor is None else Cursor(held.cursor),
            facts=facts,
            pages=held.pages,
            lookups=held.lookups,
            fold=Fold(held.covered),
            rows=[] if held.pages == 0 else None,
            facts_are_new=bool(facts) and held.facts is None,
        )

    async def _read_facts(self, names: tuple[str, ...]) -> dict[str, str]:
        async with self._database.connection() as connection:
            return await pages.read_facts(connection, self._source.name, names)

    async def _fetch(self, walk: Walk, exchange: Exchange) -> _Fetched:
        request = self._source.request(walk.question)
        before = time.monotonic()
        answer = await self._client.fetch(walk.question, request, exchange)
        return _Fetched(request, answer, exchange.requests, before)

    async def _parse(self, walk: Walk, fetched: _Fetched) -> Page:
        try:
            page = self._source.parse(walk.question, fetched.answer.body)
            if not page.teaches_only:
                if page.next_cursor is not None and page.next_cursor == walk.cursor:
                    raise BadPage("the API gave the cursor it was asked with again: a loop")
                if walk.pages >= _MOST_PAGES:
                    raise BadPage(f"the list did not end after {_MOST_PAGES} pages")
            elif walk.lookups >= _MOST_LOOKUPS:
                raise BadPage(f"the list could not be read after {_MOST_LOOKUPS} look-ups")
        except BadPage:
            await self._database.steadily(lambda: self._keep_rejected(walk, fetched))
            raise
        return page

    async def _keep_rejected(self, walk: Walk, fetched: _Fetched) -> None:
        held = walk.held
        async with self._database.transaction() as connection:
            await pages.keep_rejected(
                connection,
                Rejected(
                    held.crawl_id,
                    held.part_on,
                    held.lease_epoch,
                    fetched.answer.status,
                    fetched.request.template,
                    walk.cursor,
                    pages.pack(fetched.answer.body),
                ),
            )

    async def _take(self, walk: Walk, fetched: _Fetched, page: Page) -> list[WatchVerdict]:
        """Make one page durable, and publish after the last."""
        network = self._source.network
        named = named_assets(page)
        numbers = await self._committer.learn_assets(network, named, page.assets)
        if page.teaches_only:
            return await self._take_lookup(walk, fetched, page)
        walk.pages += 1
        if walk.rows is not None:
            rows, prices = walk.fold.add(walk.pages, page, numbers)
            walk.rows += rows
            walk.prices += prices
            if len(walk.rows) > ROWS_IN_MEMORY and page.next_cursor is not None:
                walk.rows, walk.prices = None, []
        verdicts = await self._committer.commit(self._work(walk, fetched, page))
        walk.cursor = page.next_cursor
        walk.facts_are_new = False
        items = len(page.holdings) + len(page.unreadable) + page.not_held
        _log.info(
            "page committed",
            source=self._source.name,
            address=walk.held.addresses[0],
            page=walk.pages,
            holdings=items,
        )
        self._on_page(Progress(self._source.name, walk.held.addresses[0], walk.pages, items))
        return verdicts

    async def _take_lookup(self, walk: Walk, fetched: _Fetched, page: Page) -> list[WatchVerdict]:
        walk.facts = {**walk.facts, **page.facts}
        walk.lookups += 1
        lasting = {name: value for name, value in page.facts.items() if name in page.lasting}
        await self._committer.commit(
            Work(
                RawPage(
                    crawl_id=walk.held.crawl_id,
                    part_on=walk.held.part_on,
                    lease_epoch=walk.held.lease_epoch,
                    kind="lookup",
                    page_no=walk.lookups,
                    status=fetched.answer.status,
                    template=fetched.request.template,
                    cursor_in=walk.cursor,
                    cursor_out=None,
                    items=0,
                    body=pages.pack(fetched.answer.body),
                    requests=fetched.requests,
                    seconds=time.monotonic() - fetched.sent_at,
                    facts=walk.facts,
                    lasting=lasting,
                ),
                window_of(walk.held, self._config),
                may_restart_window=False,
            )
        )
        walk.facts_are_new = False
        return []

    def _work(self, walk: Walk, fetched: _Fetched, page: Page) -> Work:
        held = walk.held
        raw = RawPage(
            crawl_id=held.crawl_id,
            part_on=held.part_on,
            lease_epoch=held.lease_epoch,
            kind="page",
            page_no=walk.pages,
            status=fetched.answer.status,
            template=fetched.request.template,
            cursor_in=walk.cursor,
            cursor_out=page.next_cursor,
            items=len(page.holdings) + len(page.unreadable) + page.not_held,
            body=pages.pack(fetched.answer.body),
            requests=fetched.requests,
            seconds=time.monotonic() - fetched.sent_at,
            facts=walk.facts if walk.facts_are_new else None,
            reported_total=page.reported_total,
            height=page.height,
            moved=page.moved,
        )
        finished = self._finished(walk) if page.next_cursor is None else None
        return Work(raw, window_of(held, self._config), held.window_restarts < WINDOW_RESTARTS, finished)

    def _finished(self, walk: Walk) -> FinishedCrawl:
        return FinishedCrawl(
            claim=walk.held,
            source=self._source,
            config=self._config,
            facts=walk.facts,
            covered=walk.held.covered,
            rows=walk.rows,
            prices=walk.prices,
            summaries=walk.fold.summaries,
        )

    async def _react(self, held: Claim, error: IndexerError, exchange: Exchange) -> Outcome:
        """One reaction per class of error (the failure table of the README)."""
        ending = Ending(type(error).__name__, self._told(error), exchange.requests)
        if isinstance(error, WalkMoved):
            restarts = Restarts(
                held.window_restarts + (error.cause == "window"),
                held.drift_restarts + (error.cause == "drift"),
                held.cursor_restarts,
            )
            return await self._restart(held, ending, restarts)
        if isinstance(error, CursorRejected) and held.cursor_restarts < _CURSOR_RESTARTS:
            restarts = Restarts(held.window_restarts, held.drift_restarts, held.cursor_restarts + 1)
            return await self._restart(held, ending, restarts)
        if isinstance(error, Refused):
            await self._database.steadily(lambda: self._pause(error))
            await self._give_up(held, ending, resumable=True)
            return "refused"
        resumable = isinstance(error, (RateLimited, ServerTrouble, ClockWentBack, PublishTooSlow))
        return await self._give_up(held, ending, resumable=resumable)

    def _told(self, error: IndexerError) -> str:
        return self._redact(f"{self._source.name}: {error}" if isinstance(error, ApiError) else str(error))

    async def _restart(self, held: Claim, ending: Ending, restarts: Restarts) -> Outcome:
        async def write() -> None:
            async with self._database.transaction() as connection:
                await crawls.restart(connection, held, ending, restarts)

        return await self._unless_lost(write, "restarted")

    async def _pause(self, error: Refused) -> None:
        pause = REFUSED_PAUSE
        if error.retry_after_seconds is not None:
            pause = timedelta(seconds=max(error.retry_after_seconds, 1.0))
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


__all__ = ["Crawler", "Outcome", "Progress", "RequestRejected"]
