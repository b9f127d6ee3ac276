"""The fold alone: pages of a crawl become rows and one digest per watch, whatever the pages are cut like."""

from collections.abc import Sequence
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from indexer.folding import Fold, FoldPrice, FoldRow, named_assets
from indexer.records import Asset, Holding, Page, Price, Unreadable

ASSETS = {"a": 1, "b": 2, "c": 3}


def _fold(pages: Sequence[Page], watches: dict[str, int]) -> tuple[Fold, list[FoldRow], list[FoldPrice]]:
    """All pages folded in order."""
    fold = Fold(watches)
    rows: list[FoldRow] = []
    prices: list[FoldPrice] = []
    for number, page in enumerate(pages, start=1):
        more_rows, more_prices = fold.add(number, page, ASSETS)
        rows += more_rows
        prices += more_prices
    return fold, rows, prices


def test_a_row_says_where_it_came_from() -> None:
    """Watch and asset by number, the page it stood on, its place in the whole list."""
    holding = Holding("alice", "b", "7", 2**256 - 1, 3, 5, True, "bob", '{"x":1}')

    _, rows, _ = _fold([Page(holdings=(Holding("alice", "a"),)), Page(holdings=(holding,))], {"alice": 9})

    assert rows[1] == FoldRow(9, 2, "7", 2, 2, True, 2**256 - 1, 3, 5, True, "bob", '{"x":1}', None)


def test_an_address_that_is_not_covered_is_left_out() -> None:
    """Taken off the watchlist while the batch was on its way: its rows, doubts and prices go nowhere."""
    page = Page(
        holdings=(Holding("alice", "a"), Holding("bob", "a")),
        unreadable=(Unreadable("strange", "bob", "b"),),
        prices=(Price("bob", "a", "ask", "sat", Decimal(1)),),
    )

    fold, rows, prices = _fold([page], {"alice": 1})

    assert [row.watch_id for row in rows] == [1]
    assert prices == []
    assert set(fold.summaries) == {1}


def test_an_unreadable_item_is_listed() -> None:
    """With its key it is a row without contents and with a reason, cut to what the table takes."""
    _, rows, _ = _fold([Page(unreadable=(Unreadable("x" * 900, "alice", "c", "5"),))], {"alice": 4})

    (row,) = rows
    assert (row.watch_id, row.asset_id, row.sub_key, row.readable, row.amount) == (4, 3, "5", False, None)
    assert row.reason == "x" * 500


def test_an_item_without_a_key_is_counted_and_no_row() -> None:
    """Nobody knows which holding it was."""
    fold, rows, _ = _fold([Page(unreadable=(Unreadable("no key", "alice"),))], {"alice": 4})

    assert rows == []
    assert fold.summaries[4].unkeyed == 1
    assert fold.summaries[4].first_reason == "no key"


def test_an_item_without_an_owner_may_be_anybodys() -> None:
    """Every address of the request is affected: none of their lists proves an absence."""
    fold, rows, _ = _fold([Page(unreadable=(Unreadable("whose?"),))], {"alice": 1, "bob": 2})

    assert rows == []
    assert {watch: summary.unkeyed for watch, summary in fold.summaries.items()} == {1: 1, 2: 1}


def test_a_price_keeps_every_digit() -> None:
    """Plain decimal text, never an exponent: what the API stated, exactly."""
    price = Price("alice", "a", "market", "usd", Decimal("1.2300E-20"), "s")

    _, _, prices = _fold([Page(prices=(price,))], {"alice": 1})

    assert prices == [FoldPrice(1, 1, "s", "market", "usd", "0.000000000000000000012300", 1)]


def test_every_asset_a_page_names_is_found() -> None:
    """Held, unreadable, described or priced."""
    page = Page(
        holdings=(Holding("x", "a"),),
        unreadable=(Unreadable("r", "x", "b"), Unreadable("r", "x")),
        assets=(Asset("c", "nft"),),
        prices=(Price("x", "d", "ask", "sat", Decimal(1)),),
    )

    assert named_assets(page) == {"a", "b", "c", "d"}


holdings = st.builds(
    Holding,
    st.sampled_from(["alice", "bob"]),
    st.sampled_from(sorted(ASSETS)),
    st.text("12", max_size=2),
    st.none() | st.integers(0, 2**256 - 1),
    st.none() | st.integers(0, 18),
    st.none() | st.integers(0, 9),
    st.none() | st.booleans(),
    st.none() | st.just("carol"),
    st.sampled_from(["{}", '{"k":1}']),
)


@given(st.lists(holdings, max_size=12), st.data())
def test_where_pages_are_cut_does_not_matter(listed: list[Holding], data: st.DataObject) -> None:
    """The same list in other pages gives the same digests and the same rows apart from their page."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(listed)), max_size=3)))
    pages = [
        Page(holdings=tuple(listed[start:end]))
        for start, end in zip([0, *cuts], [*cuts, len(listed)], strict=True)
    ]

    cut, cut_rows, _ = _fold(pages, {"alice": 1, "bob": 2})
    whole, whole_rows, _ = _fold([Page(holdings=tuple(listed))], {"alice": 1, "bob": 2})

    assert [row._replace(page_no=0) for row in cut_rows] == [row._replace(page_no=0) for row in whole_rows]
    assert _digests(cut) == _digests(whole)


@given(st.lists(holdings, max_size=8), st.lists(holdings, max_size=8))
def test_equal_digests_mean_equal_lists(first: list[Holding], second: list[Holding]) -> None:
    """Per address: the digest tells any two lists apart, down to None and 0, whatever others hold."""
    one, _, _ = _fold([Page(holdings=tuple(first))], {"alice": 1, "bob": 2})
    other, _, _ = _fold([Page(holdings=tuple(second))], {"alice": 1, "bob": 2})

    for address, watch in (("alice", 1), ("bob", 2)):
        same = _of(address, first) == _of(address, second)
        assert (one.summaries[watch].digest == other.summaries[watch].digest) is same


def _of(address: str, listed: list[Holding]) -> list[str]:
    return sorted(repr(holding) for holding in listed if holding.address == address)


def test_an_unreadable_item_changes_the_digest() -> None:
    """A list with a doubt is not the list without it."""
    plain, _, _ = _fold([Page(holdings=(Holding("alice", "a"),))], {"alice": 1})
    doubtful, _, _ = _fold(
        [Page(holdings=(Holding("alice", "a"),), unreadable=(Unreadable("r", "alice", "b"),))], {"alice": 1}
    )

    assert _digests(plain) != _digests(doubtful)


def _digests(fold: Fold) -> dict[int, bytes]:
    return {watch: summary.digest for watch, summary in fold.summaries.items()}
