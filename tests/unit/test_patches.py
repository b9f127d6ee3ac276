"""Patches: one body from another by what differs, exactly, whatever the rows are made of."""

from collections.abc import Sequence

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from indexer.row_runs import cut_runs, find_runs
from indexer.store.patches import CutBody, apply_patch, make_patch

#: Few different rows, so that runs, repetitions and moves are common; some longer than a compressor is worth.
rows = st.one_of(st.binary(max_size=3), st.sampled_from([b"a", b"{}", b'{"n":1}', b"x" * 300, b",", b"],["]))
lists = st.lists(rows, max_size=300)
envelopes = st.tuples(
    st.sampled_from([b"[", b'{"rows":[', b""]), st.sampled_from([b"]", b'],"round":7}\n', b""])
)


def cut_body(listed: Sequence[bytes], envelope: tuple[bytes, bytes] = (b"[", b"]")) -> CutBody:
    before, after = envelope
    return CutBody(before + b",".join(listed) + after, listed)


@given(before=lists, after=lists, envelope=envelopes, other=envelopes)
def test_gives_back_the_exact_bytes(
    before: list[bytes], after: list[bytes], envelope: tuple[bytes, bytes], other: tuple[bytes, bytes]
) -> None:
    """Any list to any list, whatever stands around the rows."""
    earlier, now = cut_body([b"first", *before], envelope), cut_body([b"first", *after], other)

    patch = make_patch(earlier, now)

    assert patch is not None
    assert apply_patch(earlier.body, patch) == now.body


@given(kept=lists, data=st.data())
def test_runs_are_equal_in_order_and_never_overlap(kept: list[bytes], data: st.DataObject) -> None:
    """Whatever is said to be the same is."""
    changed = list(kept)
    for _ in range(data.draw(st.integers(0, 5))):
        place = data.draw(st.integers(0, len(changed)))
        changed[place : place + data.draw(st.integers(0, 3))] = data.draw(st.lists(rows, max_size=3))

    end = new_end = 0
    for start, new_start, count in find_runs(kept, changed):
        assert start >= end
        assert new_start >= new_end
        assert count > 0
        assert kept[start : start + count] == changed[new_start : new_start + count]
        end, new_end = start + count, new_start + count


@given(kept=lists, added=lists, data=st.data())
def test_runs_of_a_part_are_those_of_the_whole(
    kept: list[bytes], added: list[bytes], data: st.DataObject
) -> None:
    """A page of a longer list: the patch is made of what stands in that page, counted from its first row."""
    start = data.draw(st.integers(0, len(kept)))
    end = data.draw(st.integers(start, len(kept)))
    kept = [b"row " + row for row in kept]
    part, changed = kept[start:end], [b"row first", *kept[:end], *added]

    runs = list(cut_runs(find_runs(kept, changed), start, end))

    assert all(part[at : at + n] == changed[new_at : new_at + n] for at, new_at, n in runs)
    if part:
        patch = make_patch(cut_body(part), cut_body(changed), runs)
        assert patch is not None
        assert apply_patch(cut_body(part).body, patch) == cut_body(changed).body


def numbered(count: int) -> list[bytes]:
    """Rows as an API writes them."""
    return [b'{"amount":%d,"id":%d,"of":"%s"}' % (n * 7, n, b"Z" * 200) for n in range(count)]


@pytest.mark.parametrize("at", [0, 63, 64, 500, 999])
def test_one_changed_number_is_a_few_bytes(at: int) -> None:
    """A thousand rows of two hundred kilobytes: what is kept is where, and the new digits."""
    before = numbered(1_000)
    after = list(before)
    after[at] = after[at].replace(b'"amount":', b'"amount":9')
    earlier, now = cut_body(before), cut_body(after)

    patch = make_patch(earlier, now)

    assert patch is not None
    assert apply_patch(earlier.body, patch) == now.body
    assert len(patch) < 20


def test_a_new_row_is_written_like_its_neighbours() -> None:
    """It is compressed with other rows as an example."""
    before = numbered(100)
    after = [*before[:50], b'{"amount":5,"id":4950,"of":"%s"}' % (b"Z" * 200), *before[50:]]

    patch = make_patch(cut_body(before), cut_body(after))

    assert patch is not None
    assert len(patch) < 70


def test_rows_that_do_not_follow_each_other_have_no_patch() -> None:
    """A body with spaces between its rows is kept another way."""
    spaced = CutBody(b"[1, 2]", [b"1", b"2"])

    assert make_patch(spaced, cut_body([b"1", b"2"])) is None
    assert make_patch(cut_body([b"1"]), spaced) is None
    assert make_patch(cut_body([]), cut_body([b"1"])) is None


@pytest.mark.parametrize(
    "stored", [b"", b"\x00", b"not a patch", msgspec.msgpack.encode(([1, 2], b"", False))]
)
def test_what_is_no_patch_is_an_error(stored: bytes) -> None:
    """A hand or a disk changed it."""
    with pytest.raises(ValueError, match=r"(?i)msgpack|truncated|expected|zip"):
        apply_patch(b"[1]", stored)


def test_a_compressed_part_that_was_changed_is_an_error() -> None:
    """The compressor's own error, which readers of stored bodies expect."""
    with pytest.raises(zstandard.ZstdError):
        apply_patch(b"[1]", msgspec.msgpack.encode(([1, 1, 9], b"123456789", True)))
