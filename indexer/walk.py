"""One walk: ask, fetch, parse, commit, until the last page. What to do when it fails is `crawl`'s business.

HTTP happens outside of transactions; every page is durable before the next is asked.
"""

import logging
import time
from collections.abc import Callable
from typing import Final

import msgspec
import structlog

from indexer.client import Client, Exchange
from indexer.commit import WINDOW_RESTARTS, Committer, Work
from indexer.config import SourceConfig
from indexer.crashpoints import reached
from indexer.errors import WalkMoved
from indexer.folding import Fold, named_assets
from indexer.lists import FinishedCrawl, window_of
from indexer.page_reader import Fetched, PageRead, PageReader, Walk
from indexer.recognition import SKIPPED_BYTES
from indexer.records import NO_FACTS, Cursor, Facts, Page, Question
from indexer.sources.base import Source
from indexer.store import pages
from indexer.store.crawls import Claim, WatchVerdict
from indexer.store.database import Database
from indexer.store.pages import RawPage

_log = structlog.get_logger()
_LEVELS: Final = logging.getLogger(__name__)


class Progress(msgspec.Struct, frozen=True):
    """One page became durable."""

    source: str
    address: str
    page: int
    holdings: int


class Doors(msgspec.Struct, frozen=True):
    """What a walk needs around it: one source, its client, the database, the committer."""

    source: Source
    config: SourceConfig
    client: Client
    database: Database
    committer: Committer
    on_page: Callable[[Progress], None] = lambda _progress: None
    #: Called as a walk has an answer in hand (True), and when it may ask again or is over (False).
    on_waiting: Callable[[Claim, bool], None] = lambda _claim, _waits: None


class Walker:
    """Walks crawls of one source to their last page. Stateless between walks."""

    def __init__(self, doors: Doors) -> None:
        self._source = doors.source
        self._config = doors.config
        self._client = doors.client
        self._database = doors.database
        self._committer = doors.committer
        self._on_page = doors.on_page
        self._on_waiting = doors.on_waiting
        self._reader = PageReader(doors.source, doors.database, doors.committer)

    async def walk(self, held: Claim, exchange: Exchange) -> list[WatchVerdict]:
        """Walk to the last page and publish. Raises what stopped it; ``exchange`` counts the requests."""
        self._check_age(held)
        walk = await self._begin(held)
        while True:
            fetched = await self._fetch(walk, exchange)
            self._on_waiting(held, True)
            try:
                work = await self._take(walk, fetched)
                # Many walks wait for their commit: answers, and what was read in them, are let go before.
                del fetched
                exchange.body = None
                verdicts = await self._commit(walk, work)
            finally:
                self._on_waiting(held, False)
            exchange.requests = 0
            if work.finished is not None:
                return verdicts

    def _check_age(self, held: Claim) -> None:
        """A walk resumed after its window has gone by is begun again before anything is asked."""
        window = window_of(held, self._config).total_seconds()
        too_long = (held.first_page_age or 0) > window and held.window_restarts < WINDOW_RESTARTS
        if too_long or (held.last_page_age or 0) > window:
            raise WalkMoved("it was interrupted for longer than its window allows", "window")

    async def _begin(self, held: Claim) -> Walk:
        facts, are_old = held.facts or NO_FACTS, False
        question = Question(tuple(held.addresses), held.scope, None, facts)
        names = () if held.facts is not None else self._source.fact_names(question)
        if names:
            facts, are_old = await self._database.steadily(lambda: self._read_facts(names))
        earlier = held.earlier
        # A page that is only recognised tells nothing again.
        tells_again = are_old and self._source.repeats_facts
        is_comparable = held.pages == 0 and len(held.watches) == 1 and not tells_again
        return Walk(
            held=held,
            cursor=None if held.cursor is None else Cursor(held.cursor),
            facts=facts,
            pages=held.pages,
            lookups=held.lookups,
            fold=Fold(held.covered),
            rows=[] if held.pages == 0 else None,
            known=earlier if is_comparable else None,
            earlier=earlier,
            facts_are_new=bool(facts) and held.facts is None,
            life=self._database.life,
        )

    async def _read_facts(self, names: tuple[str, ...]) -> tuple[Facts, bool]:
        async with self._database.connection() as connection:
            return await pages.read_facts(connection, self._source.name, names)

    async def _fetch(self, walk: Walk, exchange: Exchange) -> Fetched:
        request = self._source.request(walk.question)
        before = time.monotonic()
        reached("asking")
        answer = await self._client.fetch(walk.question, request, exchange)
        reached("answered")
        return Fetched(request, answer, exchange.requests, before)

    async def _take(self, walk: Walk, fetched: Fetched) -> Work:
        """Read one page, and gather the list behind the last."""
        read = await self._reader.read(walk, fetched)
        reached("parsed")
        window = window_of(walk.held, self._config)
        if read.page.teaches_only:
            await self._take_lookup(walk, read.page)
            return Work(self._raw_page(walk, fetched, read), window, may_restart_window=False)
        await self._fold(walk, fetched, read)
        if not read.page.facts.items() <= walk.facts.items():
            # Of this crawl too: the next one starts with them, and should know its pages again.
            walk.facts, walk.facts_are_new = {**walk.facts, **read.page.facts}, True
        walk.pages += 1
        return Work(
            self._raw_page(walk, fetched, read),
            window,
            may_restart_window=walk.held.window_restarts < WINDOW_RESTARTS,
            finished=await self._finish(walk) if read.page.next_cursor is None else None,
        )

    async def _commit(self, walk: Walk, work: Work) -> list[WatchVerdict]:
        """Make one page durable, and publish after the last."""
        verdicts = await self._committer.commit(work)
        walk.facts_are_new = False
        if work.page.kind == "lookup":
            return []
        assert work.committed_at is not None
        walk.page_times[walk.pages] = work.committed_at
        reached("page_durable")
        walk.cursor = work.page.cursor_out
        self._tell(Progress(self._source.name, walk.held.addresses[0], walk.pages, work.page.items))
        return verdicts

    async def _fold(self, walk: Walk, fetched: Fetched, read: PageRead) -> None:
        """Fold a parsed page; keep a recognised one aside until one differs."""
        if read.recognised:
            if walk.comparison is None:
                self._set_aside(walk, fetched.answer.body)
            return
        if read.compared:
            await self._fold_page(walk, walk.pages + 1, read.page)
            return
        walk.known = None
        if walk.skipped is None:
            walk.forget_rows()
        else:
            for number, (question, body) in enumerate(walk.skipped, start=1):
                await self._fold_page(walk, number, self._source.parse(question, body))
            walk.skipped = []
        await self._fold_page(walk, walk.pages + 1, read.page)

    def _set_aside(self, walk: Walk, body: bytes) -> None:
        if walk.skipped is None:
            return
        walk.skipped.append((walk.question, body))
        if sum(len(kept) for _, kept in walk.skipped) > SKIPPED_BYTES:
            walk.skipped = None

    async def _fold_page(self, walk: Walk, number: int, page: Page) -> None:
        """Number the assets of a page and add its rows, unless the crawl is read again anyway."""
        named = named_assets(page)
        numbers = await self._committer.learn_assets(self._source.network, named, page.assets)
        reached("assets_learned")
        if walk.rows is None and walk.packed is None:
            return
        rows, prices = walk.fold.add(number, page, numbers)
        walk.keep_rows(rows, prices, is_last=page.next_cursor is None)

    def _tell(self, progress: Progress) -> None:
        # Asked of the standard library: to see that nobody listens takes structlog a fiftieth of a page.
        if _LEVELS.isEnabledFor(logging.DEBUG):
            _log.debug(
                "page committed",
                source=progress.source,
                address=progress.address,
                page=progress.page,
                holdings=progress.holdings,
            )
        self._on_page(progress)

    async def _take_lookup(self, walk: Walk, page: Page) -> None:
        await self._committer.learn_assets(self._source.network, named_assets(page), page.assets)
        walk.facts = {**walk.facts, **page.facts}
        walk.lookups += 1
        walk.facts_are_new = True

    def _raw_page(self, walk: Walk, fetched: Fetched, read: PageRead) -> RawPage:
        page, lookup = read.page, read.page.teaches_only
        return RawPage(
            crawl_id=walk.held.crawl_id,
            part_on=walk.held.part_on,
            lease_epoch=walk.held.lease_epoch,
            kind="lookup" if lookup else "page",
            page_no=walk.lookups if lookup else walk.pages,
            status=fetched.answer.status,
            template=fetched.request.template,
            cursor_in=walk.cursor,
            cursor_out=page.next_cursor,
            items=read.items,
            body=read.body,
            requests=fetched.requests,
            sent_at=fetched.sent_at,
            facts=walk.facts if walk.facts_are_new else None,
            lasting={name: value for name, value in page.facts.items() if name in page.lasting},
            reported_total=page.reported_total,
            height=page.height,
            moved=page.moved,
            steady_sha256=read.steady_sha256,
        )

    async def _finish(self, walk: Walk) -> FinishedCrawl:
        delta = await self._reader.find_delta(walk)
        is_whole = walk.known is None
        finished = FinishedCrawl(
            claim=walk.held,
            source=self._source,
            config=self._config,
            facts=walk.facts,
            covered=walk.held.covered,
            rows=walk.rows if is_whole else None,
            packed=walk.packed if is_whole else None,
            prices=walk.prices,
            page_times=walk.page_times,
            repeats_crawl=self._repeated_crawl(walk),
            delta=delta,
            summaries=walk.fold.summaries,
            life=walk.life,
        )
        walk.forget_bodies()
        return finished

    def _repeated_crawl(self, walk: Walk) -> int | None:
        """The published crawl that this one repeats page by page, if it does."""
        known = walk.known
        if known is None or walk.comparison is not None or len(known.pages) != walk.pages:
            return None
        return known.crawl_id
