"""Comparing a list with the last published one by the bytes of its rows: equal ones are not read again. Pure.

A row that stands byte for byte in the earlier list, in the same order, says what it said then. Only the
others are parsed, and with them their neighbours and the edges of the page, so that the source sees every
place where the order may be broken. Whatever is unusual ends the comparison; the page is read whole then.
"""

from collections.abc import Sequence
from itertools import pairwise

import msgspec

from indexer.recognition import KnownList
from indexer.records import Facts, Page, Question, SplitPage
from indexer.row_runs import Run, cut_runs, find_runs


class Share(msgspec.Struct, frozen=True):
    """The part of a page that has to be parsed."""

    body: bytes
    #: For each of its rows whether it is new; the others are there for the order's sake.
    fresh: Sequence[bool]
    #: Rows of the whole page that the earlier page of its number has too.
    runs: Sequence[Run] = ()

    def take_fresh(self, page: Page) -> Page | None:
        """The parsed page without its known rows; None: something in it needs the whole page."""
        odd = page.unreadable or page.prices or page.not_held or page.moved or page.teaches_only or page.facts
        if odd or len(page.holdings) != len(self.fresh):
            return None
        fresh = tuple(one for one, is_fresh in zip(page.holdings, self.fresh, strict=True) if is_fresh)
        # The others are described as the earlier list described them.
        named = {one.asset_ref for one in fresh}
        assets = tuple(asset for asset in page.assets if asset.asset_ref in named)
        return Page(fresh, assets=assets, next_cursor=page.next_cursor, height=page.height)


class EarlierPage(msgspec.Struct):
    """A page of the last published list."""

    question: Question
    split: SplitPage
    #: Its first row's place in the list.
    start: int


class Comparison(msgspec.Struct):
    """A list on its way through the last published one."""

    #: The crawl it is compared with, and the facts it was asked with.
    crawl_id: int
    facts: Facts
    pages: Sequence[EarlierPage]
    rows: Sequence[bytes]
    #: Rows listed so far.
    listed: int = 0
    #: The earlier rows up to here have been found again or given up.
    _at: int = 0
    #: Places of the earlier rows that are not there any more.
    _gone: list[int] = msgspec.field(default_factory=list)

    def repeat(self, page_no: int) -> bool:
        """Pass over a page that came again as it was. False: it cannot have come here."""
        if page_no > len(self.pages) or self._at > self.pages[page_no - 1].start:
            return False
        page = self.pages[page_no - 1]
        self._gone.extend(range(self._at, page.start))
        self._at = page.start + len(page.split.rows)
        self.listed += len(page.split.rows)
        return True

    def read(self, page_no: int, split: SplitPage) -> Share:
        """What must be parsed of the next page."""
        runs = list(find_runs(self.rows, split.rows, self._at))
        fresh = self._find_fresh(runs, len(split.rows))
        self.listed += len(split.rows)
        last = len(split.rows) - 1
        shown = sorted(
            {place for one in fresh for place in (one - 1, one, one + 1) if 0 <= place <= last}
            | ({0, last} if last >= 0 else set())
        )
        is_fresh = set(fresh)
        body = split.with_rows([split.rows[place] for place in shown])
        return Share(body, [place in is_fresh for place in shown], self._runs_of_page(page_no, runs))

    def _runs_of_page(self, page_no: int, runs: Sequence[Run]) -> Sequence[Run]:
        """Those that stand in the earlier page of this number."""
        if page_no > len(self.pages):
            return ()
        page = self.pages[page_no - 1]
        return list(cut_runs(runs, page.start, page.start + len(page.split.rows)))

    def _find_fresh(self, runs: Sequence[Run], listed: int) -> list[int]:
        """Places of the rows that do not stand in the earlier list where the order allows it."""
        fresh: list[int] = []
        place = 0
        for start, new_start, count in runs:
            fresh.extend(range(place, new_start))
            self._gone.extend(range(self._at, start))
            place, self._at = new_start + count, start + count
        fresh.extend(range(place, listed))
        return fresh

    def finish(self) -> list[Share]:
        """The earlier rows that are gone, as pages that can be parsed: one for each that had any."""
        self._gone.extend(range(self._at, len(self.rows)))
        self._at = len(self.rows)
        edges = [page.start for page in self.pages] + [len(self.rows)]
        shares = []
        for page, (start, end) in zip(self.pages, pairwise(edges), strict=True):
            gone = {place for place in self._gone if start <= place < end}
            # With its last row, gone or not: the link to the next page is compared with it.
            shown = sorted(gone | {end - 1}) if gone else []
            body = page.split.with_rows([self.rows[place] for place in shown]) if gone else b""
            shares.append(Share(body, [place in gone for place in shown]))
        return shares


def compare_with(
    known: KnownList, questions: Sequence[Question], splits: Sequence[SplitPage | None]
) -> Comparison | None:
    """A comparison with this list; None where a page of it is gone or cannot be cut into the rows it had."""
    if len(splits) != len(known.pages) or not splits:
        return None
    earlier: list[EarlierPage] = []
    rows: list[bytes] = []
    for page, question, split in zip(known.pages, questions, splits, strict=True):
        if split is None or len(split.rows) != page.items:
            return None
        earlier.append(EarlierPage(question, split, len(rows)))
        rows += split.rows
    return Comparison(known.crawl_id, known.facts, earlier, rows)
