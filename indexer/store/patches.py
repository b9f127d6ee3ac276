"""Patches: a body as an earlier one with some places replaced. Pure.

Where both bodies were cut into rows, finding the places in a page of a thousand costs a quarter of what a
compressor takes that knows nothing of rows, and reading one back costs a copy.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import msgspec
import zstandard

from indexer.row_runs import Run, find_runs

#: What is new is compressed from this many bytes on; its dictionary is what it replaces, behind this many
#: bytes of the earlier body, which show what a row looks like.
_COMPRESSED: Final = 48
_EXAMPLE: Final = 4096


class CutBody(msgspec.Struct, frozen=True):
    """A body and the rows it was cut into."""

    body: bytes
    rows: Sequence[bytes]


class _Patch(msgspec.Struct, array_like=True):
    """As it is stored, in MessagePack: its integers are as short as they can be."""

    #: Three for each place: bytes to copy up to it, bytes that are replaced there, bytes that replace them.
    steps: list[int]
    #: What replaces, one after the other.
    new: bytes
    is_compressed: bool = False


_DECODER: Final = msgspec.msgpack.Decoder(_Patch)

#: From where to where the earlier body is replaced, and by what part of the new one.
_Place = tuple[int, int, int, int]


def make_patch(earlier: CutBody, now: CutBody, runs: Iterable[Run] | None = None) -> bytes | None:
    """The patch from one body to the other; None where the rows do not stand in them side by side.

    ``runs``: equal rows of both, where somebody has looked for them already.
    """
    old, new = _find_rows(earlier), _find_rows(now)
    if old is None or new is None:
        return None
    steps: list[int] = []
    replacing: list[bytes] = []
    at = 0
    runs = find_runs(earlier.rows, now.rows) if runs is None else runs
    for place in _find_places(earlier, now, old, new, runs):
        start, end, new_start, new_end = _trim(earlier.body, now.body, *place)
        if start != end or new_start != new_end:
            steps += (start - at, end - start, new_end - new_start)
            replacing.append(now.body[new_start:new_end])
            at = end
    return _encode(steps, b"".join(replacing), earlier.body)


def apply_patch(earlier: bytes, stored: bytes) -> bytes:
    """The later body. Raises ValueError or zstandard.ZstdError for what is no patch of this body."""
    patch = _DECODER.decode(stored)
    new = patch.new
    if patch.is_compressed:
        new = zstandard.ZstdDecompressor(dict_data=_dictionary(earlier, patch.steps)).decompress(new)
    pieces: list[bytes] = []
    at = read = 0
    for copied, replaced, replacing in _by_place(patch.steps):
        pieces += (earlier[at : at + copied], new[read : read + replacing])
        at += copied + replaced
        read += replacing
    return b"".join([*pieces, earlier[at:]])


def _encode(steps: list[int], new: bytes, earlier: bytes) -> bytes:
    if len(new) >= _COMPRESSED:
        compressed = zstandard.ZstdCompressor(dict_data=_dictionary(earlier, steps)).compress(new)
        if len(compressed) < len(new):
            return msgspec.msgpack.encode(_Patch(steps, compressed, is_compressed=True))
    return msgspec.msgpack.encode(_Patch(steps, new))


def _dictionary(earlier: bytes, steps: list[int]) -> zstandard.ZstdCompressionDict:
    pieces, at = [earlier[:_EXAMPLE]], 0
    for copied, replaced, _ in _by_place(steps):
        pieces.append(earlier[at + copied : at + copied + replaced])
        at += copied + replaced
    return zstandard.ZstdCompressionDict(b"".join(pieces), dict_type=zstandard.DICT_TYPE_RAWCONTENT)


def _by_place(steps: list[int]) -> Iterator[tuple[int, int, int]]:
    return zip(steps[::3], steps[1::3], steps[2::3], strict=True)


def _find_rows(cut: CutBody) -> int | None:
    """Where the rows begin, if they follow each other with nothing but commas between them."""
    if not cut.rows:
        return None
    start = cut.body.find(cut.rows[0])
    return start if cut.body.startswith(b",".join(cut.rows), start) else None


def _find_places(earlier: CutBody, now: CutBody, old: int, new: int, runs: Iterable[Run]) -> Iterator[_Place]:
    """What stands between the runs of equal rows, before the first and after the last: it may differ."""
    old_rows, new_rows = _Places(earlier.rows, old), _Places(now.rows, new)
    old_end = new_end = 0
    for start, new_start, count in runs:
        yield old_end, old_rows.begin(start), new_end, new_rows.begin(new_start)
        old_end, new_end = old_rows.end(start + count), new_rows.end(new_start + count)
    yield old_end, len(earlier.body), new_end, len(now.body)


class _Places(msgspec.Struct):
    """Where rows stand in a body that lists them with a comma between, asked in their order."""

    rows: Sequence[bytes]
    #: Where the row ``_row`` begins.
    _at: int
    _row: int = 0

    def begin(self, row: int) -> int:
        """Where this row begins."""
        self._at += sum(map(len, self.rows[self._row : row])) + row - self._row
        self._row = row
        return self._at

    def end(self, row: int) -> int:
        """Where the row before this one ends: at the comma between them, if there is one."""
        return self.begin(row) - 1


def _trim(
    earlier: bytes, now: bytes, start: int, end: int, new_start: int, new_end: int
) -> tuple[int, int, int, int]:
    """The place without what both begin and end with."""
    most = min(end - start, new_end - new_start)
    before = _count_equal(most, lambda n: earlier[start : start + n] == now[new_start : new_start + n])
    most -= before
    after = _count_equal(most, lambda n: earlier[end - n : end] == now[new_end - n : new_end])
    return start + before, end - after, new_start + before, new_end - after


def _count_equal(most: int, is_equal: Callable[[int], bool]) -> int:
    """The largest number up to ``most`` of which this is true, as it is of every smaller one."""
    least = 0
    while least < most:
        middle = (least + most + 1) // 2
        if is_equal(middle):
            least = middle
        else:
            most = middle - 1
    return least
