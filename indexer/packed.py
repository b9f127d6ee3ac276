"""Rows of a list too long to be kept as they are: lines of COPY, compressed to four to ten bytes a row. Pure.

What is published from them is what the raw pages say when they are read again, without reading them again.
"""

from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Final

import zstandard

from indexer.baseline import stated
from indexer.copying import NULL, escape
from indexer.folding import FoldRow

#: Rows that take more than this are forgotten, and the raw pages read again: a bound, seldom met.
MOST_BYTES: Final = 64 * 1024 * 1024

_ASSET: Final = attrgetter("asset_id")
_COMPRESSOR: Final = zstandard.ZstdCompressor(level=1)
_DECOMPRESSOR: Final = zstandard.ZstdDecompressor()


class PackedRows:
    """The rows of all pages of one crawl so far."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._rows = 0
        #: Bytes they take.
        self.size = 0
        self.all_readable = True

    def __len__(self) -> int:
        return self._rows

    def add(self, rows: Sequence[FoldRow]) -> None:
        """Pack the rows of the next page.

        In the order of their assets: a history that begins with them grows at the ends of its indexes.
        """
        if not rows:
            return
        block = _COMPRESSOR.compress("".join([_line(row) for row in sorted(rows, key=_ASSET)]).encode())
        # A copy: the compressor's own answer holds on to all the room that it might have needed.
        block = bytes(memoryview(block))
        self._blocks.append(block)
        self._rows += len(rows)
        self.size += len(block)
        self.all_readable = self.all_readable and all(row.readable for row in rows)

    def blocks(self) -> Iterator[bytes]:
        """All rows as they are sent to the temporary table ``fold``."""
        return map(_DECOMPRESSOR.decompress, self._blocks)

    def lines(self) -> Iterator[str]:
        """The same, line by line, without their ends."""
        for block in self.blocks():
            # Not `splitlines`, which knows more ends than this one.
            yield from block.decode()[:-1].split("\n")


def _line(row: FoldRow) -> str:
    """What `copying.line` says, without asking each value for its type: a million come here."""
    (
        watch_id, asset_id, sub_key, ordinal, page_no, readable, amount, decimals, locked, frozen, delegate,
        details, reason,
    ) = row  # fmt: skip
    if sub_key:
        sub_key = escape(sub_key)
    said = stated(amount, decimals, locked, frozen, delegate, details)
    return (
        f"{watch_id}\t{asset_id}\t{sub_key}\t{ordinal}\t{page_no}\t{'t' if readable else 'f'}\t{said}"
        f"\t{NULL if reason is None else escape(reason)}\n"
    )
