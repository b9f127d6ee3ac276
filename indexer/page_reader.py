"""What a page says: recognised, compared with the last published list, or parsed whole.

However it was read, what is kept of it are its exact bytes, and what it says is what parsing all of it says.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec

from indexer.client import Answer
from indexer.commit import Committer
from indexer.comparison import Comparison, Share, compare_with
from indexer.earlier import EarlierBodies
from indexer.errors import BadPage
from indexer.folding import ROWS_IN_MEMORY, Fold, FoldPrice, FoldRow, named_assets
from indexer.lists import Delta
from indexer.packed import MOST_BYTES, PackedRows
from indexer.recognition import KnownList, Steady, find_steady
from indexer.records import Cursor, Facts, Page, Question, Request
from indexer.row_runs import Run
from indexer.sources.base import Source
from indexer.store import bodies, pages
from indexer.store.bodies import Body
from indexer.store.crawls import Claim
from indexer.store.database import Database
from indexer.store.packing import AtHand, pack_page
from indexer.store.pages import EarlierBody, Rejected
from indexer.store.patches import CutBody

#: An API that needs more look-ups than this for one list is not teaching, it is looping.
_MOST_LOOKUPS: Final = 32

#: No account has this many pages; an API that goes on has lost its way.
_MOST_PAGES: Final = 200_000

#: Lists whose bodies are larger together are read whole when a page of them changed.
_COMPARED_BYTES: Final = 8 * 1024 * 1024


class Walk(msgspec.Struct):
    """One crawl in the hands of this worker, between two pages."""

    held: Claim
    cursor: Cursor | None
    facts: Facts
    pages: int
    lookups: int
    fold: Fold
    #: None once the crawl is too large for memory, or was begun by another worker.
    #: Only what is new, while pages are compared.
    rows: list[FoldRow] | None
    #: Those of a list that is too long for that; None: it is not, or not all of its rows were seen here.
    packed: PackedRows | None = None
    prices: list[FoldPrice] = msgspec.field(default_factory=list)
    #: The pages of the last published crawl, as long as this one repeats or is compared with them.
    known: KnownList | None = None
    #: The same pages, whatever this crawl says: what is kept of a page is what is new in it.
    earlier: KnownList | None = None
    #: Their bodies, read when a page turned out to be another; empty: not to be had.
    earlier_bodies: Sequence[EarlierBody] | None = None
    #: How this list compares with the last published one, from the first page that differs on.
    comparison: Comparison | None = None
    #: Pages that were recognised and not parsed, in case a later one differs; None: too many to keep.
    skipped: list[tuple[Question, bytes]] | None = msgspec.field(default_factory=list)
    #: Database time of each committed page.
    page_times: dict[int, datetime] = msgspec.field(default_factory=dict)
    #: Facts that are not stored with the crawl yet.
    facts_are_new: bool = True
    #: The life of the database in which it began.
    life: int = 0

    @property
    def question(self) -> Question:
        """What to ask next."""
        return Question(tuple(self.held.addresses), self.held.scope, self.cursor, self.facts)

    def give_up_comparing(self) -> None:
        """From here on pages are read whole; those that were not are read again at the publish."""
        if self.comparison is not None:
            self.forget_rows()
            self.skipped = None
        self.known = self.comparison = None

    def forget_bodies(self) -> None:
        """Its last page has been read: only what came of it is needed."""
        self.comparison, self.earlier_bodies, self.skipped = None, None, []

    def forget_rows(self) -> None:
        """From here on only the raw pages tell all of the list."""
        self.rows, self.packed, self.prices = None, None, []

    def keep_rows(self, rows: list[FoldRow], prices: list[FoldPrice], *, is_last: bool) -> None:
        """Add what a page lists, packed once the list is long."""
        if self.rows is not None:
            self.rows += rows
            self.prices += prices
            if is_last or len(self.rows) <= ROWS_IN_MEMORY:
                return
            rows, self.rows, self.packed = self.rows, None, PackedRows()
        if self.packed is None:
            return
        # Prices are not packed, and of a list that is compared only a part is here.
        if self.prices or prices or self.comparison is not None or self.packed.size > MOST_BYTES:
            self.forget_rows()
        else:
            self.packed.add(rows)


class Fetched(msgspec.Struct, frozen=True, gc=False):
    """An answer with what it took to get it."""

    request: Request
    answer: Answer
    requests: int
    sent_at: float


class PageRead(msgspec.Struct, frozen=True, gc=False):
    """What an answer says, and how its bytes are kept."""

    page: Page
    items: int
    body: Body
    steady_sha256: bytes | None
    #: It repeats a page of the last published crawl and was not parsed.
    recognised: bool = False
    #: ``page`` lists only what the last published list does not say.
    compared: bool = False


class _Compared(msgspec.Struct, frozen=True, gc=False):
    """What a page says that the last published list does not, with all of its rows."""

    page: Page
    rows: Sequence[bytes]
    #: Rows that the earlier page of its number has too.
    runs: Sequence[Run]


class PageReader:
    """Reads the pages of one source. Stateless between walks."""

    def __init__(self, source: Source, database: Database, committer: Committer) -> None:
        self._source = source
        self._database = database
        self._committer = committer
        self._earlier = EarlierBodies(self._read_earlier)

    async def read(self, walk: Walk, fetched: Fetched) -> PageRead:
        """What this answer says. Raises BadPage, whose bytes are kept as evidence."""
        body = fetched.answer.body
        steady = find_steady(body, self._source.volatile)
        sha256 = steady.whole_sha256
        if walk.known is not None:
            number = walk.pages + 1
            known = walk.known.recognise(number, walk.cursor, walk.facts, sha256, steady)
            if known is not None and (walk.comparison is None or walk.comparison.repeat(number)):
                cursor = None if known.cursor_out is None else Cursor(known.cursor_out)
                page = Page(next_cursor=cursor, height=steady.height)
                packed = await self._pack(walk, body, steady)
                return PageRead(page, known.items, packed, steady.sha256, recognised=True)
            compared = await self._compare(walk, fetched)
            if compared is not None:
                packed = await self._pack(walk, body, steady, compared)
                return PageRead(compared.page, len(compared.rows), packed, steady.sha256, compared=True)
        page = await self._parse(walk, fetched)
        items = len(page.holdings) + len(page.unreadable) + page.not_held
        return PageRead(page, items, await self._pack(walk, body, steady), steady.sha256)

    async def _pack(self, walk: Walk, body: bytes, steady: Steady, compared: _Compared | None = None) -> Body:
        part_on, number = walk.held.part_on, walk.pages + 1
        earlier = None if walk.earlier is None else walk.earlier.page_kept_in(part_on, number)
        known = walk.earlier_bodies
        at_hand = None
        if known and number <= len(known):
            cut = None
            if walk.comparison is not None and compared is not None:
                before = walk.comparison.pages[number - 1].split.rows
                cut = (
                    CutBody(known[number - 1].body, before),
                    CutBody(body, compared.rows),
                    compared.runs,
                )
            at_hand = AtHand(known[number - 1].stored, cut)
        return await pack_page(self._database, part_on, body, steady, earlier, at_hand)

    async def _compare(self, walk: Walk, fetched: Fetched) -> _Compared | None:
        """What the last published list does not say; None: read the page whole."""
        comparison = walk.comparison or await self._begin_comparison(walk)
        split = None if comparison is None else self._source.split(fetched.answer.body)
        if comparison is None or split is None or walk.facts != comparison.facts:
            walk.give_up_comparing()
            return None
        walk.comparison = comparison
        share = comparison.read(walk.pages + 1, split)
        page = self._parse_share(walk.question, share)
        if page is None:
            walk.give_up_comparing()
            return None
        await self._check_progress(walk, fetched, page)
        return _Compared(page, split.rows, share.runs)

    def _parse_share(self, question: Question, share: Share) -> Page | None:
        """What is new in a part of a page; None: something in it needs the whole page."""
        try:
            return share.take_fresh(self._source.parse(question, share.body))
        except BadPage:
            return None

    async def _begin_comparison(self, walk: Walk) -> Comparison | None:
        """The last published list as rows, passed over as far as this one repeated it."""
        known = walk.known
        assert known is not None
        fits = 0 < known.body_bytes <= _COMPARED_BYTES
        if not known.recognisable or self._source.absences_needed != 1 or not fits:
            return None
        walk.earlier_bodies = await self._earlier.read(known)
        questions = [
            Question(
                tuple(walk.held.addresses),
                walk.held.scope,
                None if page.cursor_in is None else Cursor(page.cursor_in),
                known.facts,
            )
            for page in known.pages
        ]
        splits = [self._source.split(earlier.body) for earlier in walk.earlier_bodies]
        comparison = compare_with(known, questions, splits)
        if comparison is None or not all(comparison.repeat(number + 1) for number in range(walk.pages)):
            return None
        return comparison

    async def _read_earlier(self, lists: Sequence[KnownList]) -> Mapping[int, Sequence[EarlierBody]]:
        async def read() -> Mapping[int, Sequence[EarlierBody]]:
            async with self._database.connection() as connection:
                return await pages.read_earlier(connection, lists)

        return await self._database.steadily(read)

    async def _parse(self, walk: Walk, fetched: Fetched) -> Page:
        try:
            page = self._source.parse(walk.question, fetched.answer.body)
        except BadPage:
            await self._database.steadily(lambda: self._keep_rejected(walk, fetched))
            raise
        await self._check_progress(walk, fetched, page)
        return page

    async def _check_progress(self, walk: Walk, fetched: Fetched, page: Page) -> None:
        """Raise BadPage for a list that goes nowhere."""
        problem = None
        if page.teaches_only:
            if walk.lookups >= _MOST_LOOKUPS:
                problem = f"the list could not be read after {_MOST_LOOKUPS} look-ups"
        elif page.next_cursor is not None and page.next_cursor == walk.cursor:
            problem = "the API gave the cursor it was asked with again: a loop"
        elif walk.pages >= _MOST_PAGES:
            problem = f"the list did not end after {_MOST_PAGES} pages"
        if problem is not None:
            await self._database.steadily(lambda: self._keep_rejected(walk, fetched))
            raise BadPage(problem)

    async def _keep_rejected(self, walk: Walk, fetched: Fetched) -> None:
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
                    bodies.pack(fetched.answer.body),
                ),
            )

    async def find_delta(self, walk: Walk) -> Delta | None:
        """What this list says otherwise than the last published one; None: not all of it was compared."""
        comparison = walk.comparison
        if comparison is None or walk.rows is None:
            return None
        gone, rows = Fold(walk.held.covered), list[FoldRow]()
        for number, (page, share) in enumerate(zip(comparison.pages, comparison.finish(), strict=True), 1):
            if not share.fresh:
                continue
            read = self._parse_share(page.question, share)
            # `split` promises that there is nothing odd in rows that were read before.
            if read is None:  # pragma: no cover
                return None
            numbers = await self._committer.learn_assets(self._source.network, named_assets(read), ())
            rows += gone.add(number, read, numbers)[0]
        (watch,) = walk.fold.summaries
        return Delta(
            base_crawl=comparison.crawl_id,
            listed_before=len(comparison.rows),
            listed=comparison.listed,
            fresh=walk.rows,
            gone=rows,
            digest_change=walk.fold.summaries[watch].total - gone.summaries[watch].total,
        )
