"""The fold: pages of one crawl become one list per watch. Pure, and the same for publishing and replay.

Memory is bounded by pages: rows are kept as they are only while a crawl is small.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from indexer.records import Facts, Holding, Page, Price, Unreadable

#: Rows of a crawl that are kept as they are. Of more, they are packed, or read again from its raw pages.
ROWS_IN_MEMORY: Final = 10_000

#: Of nothing: copied for every line.
_SHA256: Final = hashlib.sha256()


class FoldRow(NamedTuple):
    """One listed item in the order of the columns of the temporary table ``fold``."""

    watch_id: int
    asset_id: int
    sub_key: str
    ordinal: int
    page_no: int
    readable: bool
    amount: int | None
    decimals: int | None
    locked: int | None
    frozen: bool | None
    delegate: str | None
    details: str | None
    reason: str | None


class FoldPrice(NamedTuple):
    """One price in the order of the columns of the temporary table ``fold_price``."""

    watch_id: int
    asset_id: int
    sub_key: str
    kind: str
    currency: str
    price: str
    page_no: int


class ListSummary(msgspec.Struct):
    """What a publish must know of one watch's list besides its rows."""

    #: Items whose key could not be read: the list proves no absence.
    unkeyed: int = 0
    #: What was wrong with the first unreadable item.
    first_reason: str = ""
    #: The digest of the list it repeats, where nobody parsed it.
    repeated: bytes | None = None
    #: Names of facts that make it a list with rows left out, where they are known: see `Page.lacks`.
    lacks: frozenset[str] = frozenset()
    #: The same of pages that do not show it, and the facts that pages told: see `Page.may_lack`.
    may_lack: frozenset[str] = frozenset()
    told: frozenset[str] = frozenset()
    #: Sum of the SHA-256 of every item as it was stated.
    total: int = 0

    def lacks_rows(self, facts: Facts) -> bool:
        """Whether rows are left out, by what is known."""
        return not self.lacks.isdisjoint(facts)

    def may_hide(self, facts: Facts) -> bool:
        """Whether rows may be left out, and nothing in the list shows it."""
        return not (self.may_lack - self.told).isdisjoint(facts)

    @property
    def digest(self) -> bytes:
        """The list as the API stated it, in whatever order: the sum modulo 2^256 of the SHA-256 of each item.

        A sum, so that the digest of a list follows from that of another and what is new and gone in it.
        """
        return self.repeated if self.repeated is not None else digest_of_sum(self.total)

    def add_stated(self, lines: Sequence[str]) -> None:
        """Count readable items, one line for each."""
        copy, number, total = _SHA256.copy, int.from_bytes, 0
        for line in lines:
            digest = copy()  # cheaper than making a new one
            digest.update(line.encode())
            total += number(digest.digest())
        self.total += total

    def add_unreadable(self, item: Unreadable) -> None:
        """Count one item that could not be read."""
        doubt = hashlib.sha256(f"{item.asset_ref}\x1f{item.sub_key}\n".encode()).digest()
        # Digested twice: whatever its key is made of, it cannot pass for an item that was read.
        self.total += int.from_bytes(hashlib.sha256(doubt).digest())
        self.unkeyed += item.asset_ref is None
        self.first_reason = self.first_reason or item.reason


def digest_of_sum(total: int) -> bytes:
    """The digest of a list whose items' SHA-256 add up to this."""
    return (total % 2**256).to_bytes(32)


class Fold:
    """The pages of one crawl, folded in order."""

    def __init__(self, watches: Mapping[str, int]) -> None:
        #: Watch number of each address that is still covered.
        self._watches = watches
        self.summaries: dict[int, ListSummary] = {watch: ListSummary() for watch in watches.values()}
        self._ordinal = 0

    def add(
        self, page_no: int, page: Page, assets: Mapping[str, int]
    ) -> tuple[list[FoldRow], list[FoldPrice]]:
        """The rows and prices of the next page. ``assets`` numbers every asset the page names."""
        if page.lacks or page.may_lack or page.facts:
            for summary in self.summaries.values():
                summary.lacks |= page.lacks
                summary.may_lack |= page.may_lack
                summary.told |= page.facts.keys()
        rows = self._holding_rows(page_no, page.holdings, assets)
        rows.extend(self._unreadable_rows(page_no, page.unreadable, assets))
        return rows, list(self._prices(page_no, page.prices, assets))

    def _holding_rows(
        self, page_no: int, holdings: Sequence[Holding], assets: Mapping[str, int]
    ) -> list[FoldRow]:
        """One turn per holding, of which there may be a million: nothing is looked up twice in it."""
        rows: list[FoldRow] = []
        stated: dict[int, list[str]] = {watch_id: [] for watch_id in self.summaries}
        watches, ordinal, make, owner = self._watches, self._ordinal, tuple.__new__, None
        for one in holdings:
            if one.address != owner:
                owner = one.address
                watch_id = watches.get(owner)
                lines = stated.get(watch_id or 0, [])
            if watch_id is None:
                continue
            ordinal += 1
            asset_ref, sub_key, amount, decimals = one.asset_ref, one.sub_key, one.amount, one.decimals
            locked, frozen, delegate, details = one.locked, one.frozen, one.delegate, one.details
            # Only a delegate may be any text: in quotes it cannot pass for None, nor for the end of the line.
            quoted = "None" if delegate is None else json.dumps(delegate)
            # `!s`: to ask None or a truth value how it wants to be formatted takes twice as long.
            lines.append(
                f"{asset_ref}\x1f{sub_key}\x1f{amount!s}\x1f{decimals!s}\x1f{locked!s}\x1f{frozen!s}"
                f"\x1f{quoted}\x1f{details}\n"
            )
            cells = (
                watch_id, assets[asset_ref], sub_key, ordinal, page_no, True, amount, decimals, locked,
                frozen, delegate, details, None,
            )  # fmt: skip
            rows.append(make(FoldRow, cells))
        self._ordinal = ordinal
        for watch_id, lines in stated.items():
            self.summaries[watch_id].add_stated(lines)
        return rows

    def _unreadable_rows(
        self, page_no: int, items: Sequence[Unreadable], assets: Mapping[str, int]
    ) -> Iterator[FoldRow]:
        for item in items:
            for watch_id in self._affected(item):
                self.summaries[watch_id].add_unreadable(item)
                if item.asset_ref is None:
                    continue
                self._ordinal += 1
                yield FoldRow(
                    watch_id=watch_id,
                    asset_id=assets[item.asset_ref],
                    sub_key=item.sub_key,
                    ordinal=self._ordinal,
                    page_no=page_no,
                    readable=False,
                    amount=None,
                    decimals=None,
                    locked=None,
                    frozen=None,
                    delegate=None,
                    details=None,
                    reason=item.reason[:500],
                )

    def _affected(self, item: Unreadable) -> Sequence[int]:
        """An item without a readable owner may belong to any address that was asked for."""
        if item.address is None:
            return tuple(self._watches.values())
        watch_id = self._watches.get(item.address)
        return () if watch_id is None else (watch_id,)

    def _prices(
        self, page_no: int, prices: Sequence[Price], assets: Mapping[str, int]
    ) -> Iterator[FoldPrice]:
        for price in prices:
            watch_id = self._watches.get(price.address)
            if watch_id is not None:
                yield FoldPrice(
                    watch_id,
                    assets[price.asset_ref],
                    price.sub_key,
                    price.kind,
                    price.currency,
                    format(price.price, "f"),
                    page_no,
                )


def named_assets(page: Page) -> set[str]:
    """References of all assets a page names."""
    refs = {holding.asset_ref for holding in page.holdings}
    refs.update(item.asset_ref for item in page.unreadable if item.asset_ref is not None)
    refs.update([asset.asset_ref for asset in page.assets])
    refs.update(price.asset_ref for price in page.prices)
    return refs
