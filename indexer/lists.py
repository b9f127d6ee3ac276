"""Lists on their way into history: rows from memory or from raw pages, gathered in the fold.

Everything happens on the connection that is passed in; what is decided about them is `publish`'s business.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain

import msgspec

from indexer.baseline import is_plain
from indexer.config import SourceConfig
from indexer.errors import BadPage
from indexer.folding import Fold, FoldPrice, FoldRow, ListSummary, digest_of_sum, named_assets
from indexer.packed import PackedRows
from indexer.records import Cursor, Facts, Page, Question
from indexer.sources.base import Source
from indexer.store import assets, history, instants, pages
from indexer.store.crawls import Claim
from indexer.store.database import Connection
from indexer.store.history import Known, Measured, Repeats
from indexer.store.pages import Advanced
from indexer.verdict import Verdict

#: Gives every asset that a page names its number.
Numbering = Callable[[Connection, str, Page], Awaitable[dict[str, int]]]


class Delta(msgspec.Struct, frozen=True):
    """What a list says otherwise than the last published one; all other rows stand in both byte for byte."""

    #: The published crawl it was compared with, and how many rows that had.
    base_crawl: int
    listed_before: int
    listed: int
    #: The rows that are new, and those that are not there any more; a changed one is in both.
    fresh: Sequence[FoldRow]
    gone: Sequence[FoldRow]
    #: What the sum of the items' digests changed by.
    digest_change: int

    @property
    def keys_gone(self) -> set[tuple[int, str]]:
        """Asset and position of every row that is not there as it was."""
        return {(row.asset_id, row.sub_key) for row in self.gone}

    @property
    def missing(self) -> int:
        """How many holdings are not listed any more."""
        return len(self.keys_gone - {(row.asset_id, row.sub_key) for row in self.fresh})

    @property
    def appeared(self) -> int:
        """How many holdings are listed that were not."""
        return len(self.fresh) - (len(self.keys_gone) - self.missing)

    def is_plain(self) -> bool:
        """Whether no holding is in it twice."""
        return is_plain(self.fresh) and is_plain(self.gone)


class NeedsWholeList(Exception):
    """What a delta takes for granted is not so, or what follows needs all rows: read the pages again."""

    def __init__(self, crawls: Collection[int]) -> None:
        super().__init__(crawls)
        self.crawls = frozenset(crawls)


class FinishedCrawl(msgspec.Struct):
    """A crawl whose last page is in hand."""

    claim: Claim
    source: Source
    config: SourceConfig
    facts: Facts
    #: Watch number of each address it still covers.
    covered: Mapping[str, int]
    #: The folded list while it is small.
    rows: list[FoldRow] | None
    #: The folded list when it is long. Neither: read the raw pages again.
    packed: PackedRows | None = None
    #: Whether a history may begin with the packed rows as they are: no holding turned out to be there twice.
    may_begin: bool = True
    prices: list[FoldPrice] = msgspec.field(default_factory=list)
    summaries: Mapping[int, ListSummary] = msgspec.field(default_factory=dict)
    #: Database time of each committed page; the last one is committed together with the publish.
    page_times: dict[int, datetime] = msgspec.field(default_factory=dict)
    #: How many raw pages it was folded from, where it was read again.
    pages_read: int = 0
    #: The published crawl whose pages these repeat one by one, so that nobody parsed them.
    repeats_crawl: int | None = None
    #: What is new and gone, where every page was compared with the last published list.
    delta: Delta | None = None
    #: How far ahead of the clock its instant is named: publishing takes that long, as was seen.
    lead: timedelta = timedelta(0)
    #: The life of the database in which its walk began.
    life: int = 0

    def forget_numbers_of_other_lives(self, life: int) -> None:
        """The same numbers may be other assets' now: then its pages are read again."""
        if life != self.life:
            self.rows = self.packed = self.delta = None
            self.prices = []


class FoldedList(msgspec.Struct):
    """One watch's list on its way into history, or on its way through a replay."""

    crawl: FinishedCrawl
    advanced: Advanced
    known: Known
    summary: ListSummary
    measured: Measured | None = None
    repeats: Repeats | None = None
    verdict: Verdict = msgspec.field(default_factory=lambda: Verdict("publish"))
    changed: bool = False
    #: The rows of a first list that needs no comparison.
    first_rows: Sequence[FoldRow] | PackedRows | None = None
    #: What is new and gone, instead of rows in the fold.
    delta: Delta | None = None
    #: It may leave rows out, and misses such as would be: see `Page.may_lack`.
    hides: bool = False

    @property
    def same_as_before(self) -> bool:
        """The API stated exactly the list of the last snapshot, and nothing about it is in doubt."""
        return (
            self.known.digest == self.summary.digest
            and not self.known.carries
            and self.known.witness is None
            and self.known.unreadable == 0
            and not self.known.drifted
            and self.summary.unkeyed == 0
            and not self.advanced.moved
            and not self.lag
        )

    @property
    def lag(self) -> int:
        """How many blocks before a list that is known already this one was told; 0: it was not."""
        first, last = self.advanced.height_from, self.advanced.height_to
        if self.known.height is None or first is None or last is None:
            return 0
        return max(0, self.known.height - min(first, last))

    @property
    def drifted(self) -> bool:
        """The list moved while we paged. Identical repeats at an edge are no drift where nobody counts."""
        found = self.repeats
        if self.advanced.moved or found is None:
            return self.advanced.moved
        return self._falls_short or found.conflicting or found.far or found.whole_page

    @property
    def proves(self) -> bool:
        """Whether what is not listed is missing: every row is there, has a name, and was seen once."""
        hides = self.hides or self.summary.lacks_rows(self.crawl.facts)
        return self.summary.unkeyed == 0 and not hides and not self._falls_short

    @property
    def proves_absence(self) -> bool:
        """Whether what it does not list is absent. One that moved may have missed what nobody ever saw."""
        return self.proves and not self.drifted

    @property
    def _falls_short(self) -> bool:
        """Where the API counts its rows, one that came twice stands in the place of one that never came."""
        return self.repeats is not None and self.advanced.reported_total is not None

    @property
    def absences_needed(self) -> int:
        """How many lists in a row must miss a holding. One that moved may have missed what is there."""
        return max(self.crawl.source.absences_needed, 2 if self.drifted else 1)


async def gather(
    connection: Connection,
    finished: Sequence[FinishedCrawl],
    advanced: Mapping[int, Advanced],
    known: Mapping[int, Known],
) -> list[FoldedList]:
    """Put every list that may change something into the fold."""
    lists: list[FoldedList] = []
    copied = 0
    for crawl in finished:
        mine = _repeated(crawl, advanced, known) or _compared(crawl, advanced, known)
        if mine is None:
            if crawl.rows is None:
                await instants.allow_time(connection)
                if crawl.packed is None:
                    copied += await read_again(connection, crawl)
                    _check_complete(crawl, advanced[crawl.claim.crawl_id])
            mine = _lists(crawl, advanced, known, crawl.summaries)
        lists += mine
        whole = [item for item in mine if item.delta is None and not item.same_as_before]
        copied += await _fill(connection, crawl, whole)
        if crawl.prices:
            await history.fill_prices(connection, crawl.prices)
    if copied:
        repeats = await history.finish_fold(connection, copied)
        for item in lists:
            item.repeats = repeats.get(item.known.watch_id)
    return lists


def _lists(
    crawl: FinishedCrawl,
    advanced: Mapping[int, Advanced],
    known: Mapping[int, Known],
    summaries: Mapping[int, ListSummary],
) -> list[FoldedList]:
    return [
        FoldedList(crawl, advanced[crawl.claim.crawl_id], known[watch], summaries[watch])
        for watch in crawl.covered.values()
        if watch in known and _is_of_this_period(known[watch], advanced[crawl.claim.crawl_id])
    ]


def _is_of_this_period(known: Known, advanced: Advanced) -> bool:
    """Whether the list was begun while the watch was on the watchlist as it is now."""
    return advanced.first_page_at is not None and known.watched_from <= advanced.first_page_at


def _repeated(
    crawl: FinishedCrawl, advanced: Mapping[int, Advanced], known: Mapping[int, Known]
) -> list[FoldedList] | None:
    """The lists of a crawl that repeats the last published one; None: its pages must be read."""
    if crawl.repeats_crawl is None:
        return None
    mine = [known[watch] for watch in crawl.covered.values() if watch in known]
    if any(item.crawl_id != crawl.repeats_crawl or not item.proved_before for item in mine):
        return None
    lists = _lists(
        crawl, advanced, known, {item.watch_id: ListSummary(repeated=item.digest) for item in mine}
    )
    return lists if all(item.same_as_before for item in lists) else None


def _compared(
    crawl: FinishedCrawl, advanced: Mapping[int, Advanced], known: Mapping[int, Known]
) -> list[FoldedList] | None:
    """The list of a crawl that was compared with the last published one; None: its pages must be read."""
    delta = crawl.delta
    mine = [known[watch] for watch in crawl.covered.values() if watch in known]
    if delta is None or len(mine) != 1 or not _is_still_the_base(delta, mine[0]):
        return None
    (item,) = mine
    assert item.digest is not None
    total = int.from_bytes(item.digest) + delta.digest_change
    summary = ListSummary(repeated=digest_of_sum(total))
    lists = _lists(crawl, advanced, known, {item.watch_id: summary})
    for one in lists:
        one.delta = delta
    return None if any(one.advanced.moved for one in lists) else lists


def _is_still_the_base(delta: Delta, known: Known) -> bool:
    """Whether what is held is exactly what the list it was compared with says, one holding for each row."""
    return (
        known.crawl_id == delta.base_crawl
        and known.holdings == delta.listed_before
        and known.digest is not None
        and known.unreadable == 0
        and known.proved_before
        and not known.carries
        and known.witness is None
        and delta.is_plain()
    )


async def _fill(connection: Connection, crawl: FinishedCrawl, lists: Sequence[FoldedList]) -> int:
    """Copy the rows in memory that have something to be compared with; returns how many."""
    if crawl.packed is not None and lists:
        return await _fill_packed(connection, crawl.packed, crawl, lists)
    if crawl.rows is None or not lists:
        return 0
    by_watch = _by_watch(crawl, crawl.rows, [item.known.watch_id for item in lists])
    for item in lists:
        rows = by_watch[item.known.watch_id]
        if _is_first(item) and is_plain(rows):
            item.first_rows = by_watch.pop(item.known.watch_id)
    return await history.fill_fold(connection, chain.from_iterable(by_watch.values())) if by_watch else 0


def _by_watch(
    crawl: FinishedCrawl, rows: list[FoldRow], watches: Sequence[int]
) -> dict[int, Sequence[FoldRow]]:
    """The rows of each of these watches."""
    if len(crawl.covered) == 1:
        return dict.fromkeys(watches, rows)  # there are no others
    by_watch: dict[int, list[FoldRow]] = {watch: [] for watch in watches}
    for row in rows:
        if row.watch_id in by_watch:
            by_watch[row.watch_id].append(row)
    return dict(by_watch)


async def _fill_packed(
    connection: Connection, packed: PackedRows, crawl: FinishedCrawl, lists: Sequence[FoldedList]
) -> int:
    """Copy the rows of a long list. Whether one came twice in a first one, the database will say."""
    item = lists[0]
    if len(crawl.covered) == 1 and crawl.may_begin and packed.all_readable and _is_first(item):
        item.first_rows = packed
        return 0
    return await history.fill_fold_packed(connection, packed.blocks())


def _is_first(item: FoldedList) -> bool:
    """Whether there is nothing to compare a list with: no version and no snapshot before it."""
    return item.known.baseline and item.known.unheard_of and item.proves and not item.advanced.moved


async def _resolve(connection: Connection, network: str, page: Page) -> dict[str, int]:
    return await assets.resolve(connection, network, named_assets(page))


async def read_again(connection: Connection, crawl: FinishedCrawl, resolve: Numbering = _resolve) -> int:
    """Fold the raw pages of a crawl: too large for memory, begun by another worker, or replayed."""
    fold = Fold(crawl.covered)
    copied = crawl.pages_read = 0
    claim = crawl.claim
    # Pages first, then the copy: one connection does one thing at a time.
    async for stored in pages.read(connection, claim.part_on, claim.crawl_id):
        cursor = None if stored.cursor_in is None else Cursor(stored.cursor_in)
        question = Question(tuple(claim.addresses), claim.scope, cursor, crawl.facts)
        page = crawl.source.parse(question, stored.body)
        numbers = await resolve(connection, crawl.source.network, page)
        rows, prices = fold.add(stored.page_no, page, numbers)
        copied += await history.fill_fold(connection, rows)
        if prices:
            await history.fill_prices(connection, prices)
        crawl.pages_read += 1
    crawl.summaries = fold.summaries
    return copied


def _check_complete(crawl: FinishedCrawl, advanced: Advanced) -> None:
    """A list read again from half of its pages would look like a loss."""
    if crawl.pages_read != advanced.pages:
        raise BadPage(
            f"only {crawl.pages_read} of its {advanced.pages} raw pages are there: were they pruned?"
        )


def window_of(claim: Claim, config: SourceConfig) -> timedelta:
    """How long one walk may take from its first to its last page."""
    return max(config.max_window, timedelta(seconds=claim.grown_window or 0))
