"""Comparing lists by their rows' bytes: what is new, what is gone, and that nothing else is ever skipped."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.comparison import Comparison, compare_with
from indexer.errors import BadPage
from indexer.folding import Fold, digest_of_sum, named_assets
from indexer.recognition import KnownList, KnownPage
from indexer.records import NO_FACTS, Cursor, Page, Question, SplitPage
from indexer.sources import SOURCES, build
from indexer.sources.base import Source

ADDRESS = {"algorand": "A" * 58, "hedera": "0.0.7"}

#: Asset (or serial) and amount (or spender) of each holding.
listings = st.dictionaries(st.integers(1, 40), st.integers(0, 3), max_size=24)
sizes = st.integers(1, 9)


@dataclass(frozen=True)
class Asked:
    """One page with the cursor it was asked with."""

    cursor: str | None
    body: bytes


def algorand_row(asset: int, amount: int) -> object:
    return {
        "asset-holding": {"asset-id": asset, "amount": amount, "is-frozen": False},
        "asset-params": {"decimals": amount, "total": 10},
    }


def hedera_row(serial: int, spender: int) -> object:
    return {
        "account_id": ADDRESS["hedera"],
        "deleted": False,
        "serial_number": serial % 10 + 1,
        "spender": f"0.0.{spender}" if spender else None,
        "token_id": f"0.0.{serial // 10 + 100}",
    }


ROWS = {"algorand": algorand_row, "hedera": hedera_row}


def algorand_page(rows: Sequence[object], following: int | None) -> tuple[object, str | None]:
    token = None if following is None else str(following)
    return {"asset-holdings": rows, "round": 7, **({"next-token": token} if token else {})}, token


def hedera_page(rows: Sequence[object], following: int | None) -> tuple[object, str | None]:
    query = None
    if following is not None:
        token, serial = f"0.0.{following // 10 + 100}", following % 10 + 1
        query = f"limit=100&order=asc&token.id=gte:{token}&serialnumber=gt:{serial}"
    link = None if query is None else f"/api/v1/accounts/0.0.7/nfts?{query}"
    return {"nfts": rows, "links": {"next": link}}, query


PAGES = {"algorand": algorand_page, "hedera": hedera_page}


def paged(source: str, listing: dict[int, int], size: int) -> list[Asked]:
    """The list as the API pages it."""
    keys = sorted(listing)
    pages, cursor = [], None
    for start in range(0, max(len(keys), 1), size):
        here = keys[start : start + size]
        more = start + size < len(keys)
        answer, following = PAGES[source](
            [ROWS[source](key, listing[key]) for key in here], here[-1] if more else None
        )
        pages.append(Asked(cursor, json.dumps(answer).encode()))
        cursor = following
    return pages


def question(source: str, asked: Asked) -> Question:
    return Question((ADDRESS[source],), "", None if asked.cursor is None else Cursor(asked.cursor), NO_FACTS)


def begin(source: Source, pages: Sequence[Asked]) -> Comparison:
    """A comparison with a list that was published."""
    splits = [cut(source, asked) for asked in pages]
    known = KnownList(
        1,
        date(2026, 1, 1),
        NO_FACTS,
        [
            KnownPage(number, asked.cursor, None, len(split.rows), b"", None, b"", len(asked.body))
            for number, (asked, split) in enumerate(zip(pages, splits, strict=True), start=1)
        ],
    )
    comparison = compare_with(known, [question(source.name, asked) for asked in pages], splits)
    assert comparison is not None
    return comparison


def cut(source: Source, asked: Asked) -> SplitPage:
    split = source.split(asked.body)
    assert split is not None
    return split


def fold(source: Source, pages: Sequence[tuple[Question, Page]]) -> tuple[int, Counter[tuple[object, ...]]]:
    """Sum of the digests, and the rows without their places."""
    fold = Fold({ADDRESS[source.name]: 1})
    rows: Counter[tuple[object, ...]] = Counter()
    for number, (_, page) in enumerate(pages, start=1):
        numbers = {ref: int(ref.replace(".", "")) for ref in named_assets(page)}
        rows.update(row[:3] + row[6:] for row in fold.add(number, page, numbers)[0])
    return fold.summaries[1].total, rows


def whole(source: Source, pages: Sequence[Asked]) -> tuple[int, Counter[tuple[object, ...]]]:
    read = [(question(source.name, asked), asked.body) for asked in pages]
    return fold(source, [(asked, source.parse(asked, body)) for asked, body in read])


@pytest.mark.parametrize("name", ["algorand", "hedera"])
@given(before=listings, after=listings, kept=st.booleans(), size_before=sizes, size_after=sizes)
def test_what_is_new_and_what_is_gone_make_the_new_list(
    name: str, before: dict[int, int], after: dict[int, int], kept: bool, size_before: int, size_after: int
) -> None:
    """The earlier list without what is gone and with what is new is the new one: its rows and its digest."""
    after = {**before, **after} if kept else after
    source = build(name, "", {})
    earlier, now = paged(name, before, size_before), paged(name, after, size_after)
    comparison = begin(source, earlier)

    fresh = []
    for page_no, asked in enumerate(now, 1):
        split = cut(source, asked)
        share = comparison.read(page_no, split)
        if page_no <= len(earlier):
            known_rows = cut(source, earlier[page_no - 1]).rows
            for start, new_start, count in share.runs:
                assert known_rows[start : start + count] == split.rows[new_start : new_start + count]
        page = share.take_fresh(source.parse(question(name, asked), share.body))
        assert page is not None
        full = source.parse(question(name, asked), asked.body)
        assert (page.next_cursor, page.height) == (full.next_cursor, full.height)
        fresh.append((question(name, asked), page))
    gone = []
    for known, share in zip(comparison.pages, comparison.finish(), strict=True):
        if share.fresh:
            page = share.take_fresh(source.parse(known.question, share.body))
            assert page is not None
            gone.append((known.question, page))

    (total_before, rows_before), (total_after, rows_after) = whole(source, earlier), whole(source, now)
    (total_fresh, rows_fresh), (total_gone, rows_gone) = fold(source, fresh), fold(source, gone)
    assert rows_before - rows_gone + rows_fresh == rows_after
    assert digest_of_sum(total_before + total_fresh - total_gone) == digest_of_sum(total_after)
    assert comparison.listed == len(after)


@pytest.mark.parametrize("name", ["algorand", "hedera"])
@given(listing=listings, size=sizes)
def test_an_equal_list_leaves_nothing_to_read(name: str, listing: dict[int, int], size: int) -> None:
    """Only the edges of each page are looked at again."""
    source = build(name, "", {})
    pages = paged(name, listing, size)
    comparison = begin(source, pages)

    shares = [comparison.read(page_no, cut(source, asked)) for page_no, asked in enumerate(pages, 1)]

    assert not any(any(share.fresh) for share in shares)
    assert all(len(share.fresh) <= 2 for share in shares)
    assert not any(share.fresh for share in comparison.finish())


@pytest.mark.parametrize("name", ["algorand", "hedera"])
@given(listing=listings, data=st.data())
def test_rows_in_another_order_are_seen(name: str, listing: dict[int, int], data: st.DataObject) -> None:
    """Where parsing the whole page refuses its order, parsing what is new refuses it too."""
    source = build(name, "", {})
    earlier = paged(name, listing, 100)
    keys = data.draw(st.permutations(sorted(listing)))
    answer, _ = PAGES[name]([ROWS[name](key, listing[key]) for key in keys], None)
    asked = Asked(None, json.dumps(answer).encode())
    share = begin(source, earlier).read(1, cut(source, asked))

    assert refuses(source, asked.body) == refuses(source, share.body) == (keys != sorted(keys))


def refuses(source: Source, body: bytes) -> bool:
    try:
        source.parse(question(source.name, Asked(None, b"")), body)
    except BadPage:
        return True
    return False


@pytest.mark.parametrize("name", ["algorand", "hedera"])
def test_pages_that_came_again_are_passed_over(name: str) -> None:
    """Recognised pages before and after one that changed: only that one is read."""
    source = build(name, "", {})
    pages = paged(name, dict.fromkeys(range(1, 10), 1), 3)
    comparison = begin(source, pages)
    changed = cut(source, pages[1])

    assert comparison.repeat(1)
    share = comparison.read(2, SplitPage(changed.rows[:2], changed.before, changed.after))
    assert not any(share.fresh)
    assert comparison.repeat(3)
    assert [len(share.fresh) for share in comparison.finish()] == [0, 1, 0]
    assert comparison.listed == 8


def test_a_page_that_came_too_late_ends_the_comparison() -> None:
    """Its rows were passed already: it cannot be the same page at the same place."""
    source = build("algorand", "", {})
    pages = paged("algorand", dict.fromkeys(range(1, 7), 1), 3)
    comparison = begin(source, pages)
    comparison.read(1, cut(source, Asked(None, paged("algorand", dict.fromkeys(range(1, 7), 1), 9)[0].body)))

    assert not comparison.repeat(2)
    assert not comparison.repeat(3)


def test_an_unreadable_row_needs_the_whole_page() -> None:
    """What cannot be read may say anything of the rest."""
    source = build("algorand", "", {})
    pages = paged("algorand", {1: 1, 2: 1}, 9)
    share = begin(source, pages).read(
        1,
        SplitPage(
            [*cut(source, pages[0]).rows, b'{"asset-holding":{"asset-id":9}}'],
            b'{"asset-holdings":[',
            b'],"round":1}',
        ),
    )

    assert share.take_fresh(source.parse(question("algorand", pages[0]), share.body)) is None


def test_a_list_whose_pages_are_gone_cannot_be_compared() -> None:
    """Pruned or cut otherwise: there is nothing to compare with."""
    page = KnownPage(1, None, None, 2, b"", None, b"", 10)
    known = KnownList(1, date(2026, 1, 1), NO_FACTS, [page])
    asked = Question(("a",), "", None, NO_FACTS)

    assert compare_with(known, [asked], []) is None
    assert compare_with(known, [asked], [None]) is None
    assert compare_with(known, [asked], [SplitPage([b"{}"], b"", b"")]) is None
    assert compare_with(known, [asked], [SplitPage([b"{}", b"{}"], b"", b"")]) is not None


@pytest.mark.parametrize("name", sorted(set(SOURCES) - {"algorand", "hedera"}))
def test_other_lists_are_never_cut(name: str) -> None:
    """Their pages say more than their rows do."""
    assert build(name, "", {}).split(b'{"list":[]}') is None


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"nfts":{},"links":{}}', b'{"asset-holdings":[],"round":null}', b"\xff"]
)
@pytest.mark.parametrize("name", ["algorand", "hedera"])
def test_what_is_no_page_is_not_cut(name: str, body: bytes) -> None:
    """Reading the whole page says what it is."""
    assert build(name, "", {}).split(body) is None
