"""Packed rows are the rows: as lines for the fold, and as the versions of a first list."""

import tracemalloc
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from indexer import copying
from indexer.baseline import first_versions, versions_of_lines
from indexer.folding import FoldRow
from indexer.packed import PackedRows

#: No NUL and no lone surrogate: pages are cleaned of them.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
amounts = st.none() | st.integers(0, 2**256 - 1)


@st.composite
def rows(draw: st.DrawFn, page_no: int, *, readable: bool | None = None) -> FoldRow:
    """Any row of a page."""
    can_be_read = draw(st.booleans()) if readable is None else readable
    return FoldRow(
        watch_id=7,
        asset_id=draw(st.integers(1, 2**40)),
        sub_key=draw(texts),
        ordinal=draw(st.integers(1, 10**6)),
        page_no=page_no,
        readable=can_be_read,
        amount=draw(amounts),
        decimals=draw(st.none() | st.integers(0, 255)),
        locked=draw(amounts),
        frozen=draw(st.none() | st.booleans()),
        delegate=draw(st.none() | texts),
        details=draw(st.just("{}") | texts),
        reason=None if can_be_read else draw(texts),
    )


def pages(*, readable: bool | None = None) -> st.SearchStrategy[list[list[FoldRow]]]:
    """A few pages with their numbers, some of them empty."""
    three = [st.lists(rows(number, readable=readable), max_size=6) for number in (1, 2, 3)]
    return st.tuples(*three).map(list)


def pack(listed: list[list[FoldRow]]) -> PackedRows:
    """All pages packed in order."""
    packed = PackedRows()
    for page in listed:
        packed.add(page)
    return packed


def in_order(page: list[FoldRow]) -> list[FoldRow]:
    """As a page is packed."""
    return sorted(page, key=lambda row: row.asset_id)


@given(pages())
def test_what_is_unpacked_is_what_was_packed(listed: list[list[FoldRow]]) -> None:
    """To the byte what the usual way would send to the database, as often as it is asked for."""
    packed = pack(listed)
    expected = "".join(copying.line(row) for page in listed for row in in_order(page)).encode()

    assert b"".join(packed.blocks()) == expected
    assert b"".join(packed.blocks()) == expected
    assert len(packed) == len(list(packed.lines())) == sum(map(len, listed))
    assert packed.all_readable == all(row.readable for page in listed for row in page)


@given(pages(readable=True))
def test_a_history_begins_with_the_same_versions(listed: list[list[FoldRow]]) -> None:
    """However the rows were kept until then."""
    instant = datetime(2026, 11, 22, 12, 0, 0, 1, UTC)
    times = {number: instant - timedelta(seconds=number) for number in (1, 2, 3)}

    begun = list(versions_of_lines(pack(listed).lines(), 3, times, instant))

    assert begun == [line for page in listed for line in first_versions(page, 3, times, instant)]


def test_packed_rows_take_the_room_of_their_bytes() -> None:
    """A million of them are held at once: what holds them must not be larger than they are."""
    page = [
        FoldRow(7, 5000 + n % 7, str(n), n, 1, True, 1, 0, None, None, None, '{"metadata":"ipfs"}', None)
        for n in range(100)
    ]
    packed = PackedRows()
    packed.add(page)
    tracemalloc.start()
    try:
        for _ in range(200):
            packed.add(page)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held < 1.5 * packed.size
