"""Runs of equal rows in two lists: what a later list took over from an earlier one, in the same order. Pure.

Equal rows are the rule, so they are compared by the block; a row that is not where it was expected is
searched for nearby, because rows appear and go but hardly ever move.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

#: Rows that stand in both lists in the same order: their first places, and how many they are.
Run = tuple[int, int, int]

#: Rows that are compared together.
_BLOCK: Final = 64

#: Rows that are searched for one which is not where it was expected.
_WINDOW: Final = 64


def find_runs(earlier: Sequence[bytes], rows: Sequence[bytes], start: int = 0) -> Iterator[Run]:
    """Runs of equal rows. Of the earlier list only what begins at ``start`` is looked at."""
    at = start
    new_start = new_at = 0
    while new_at < len(rows) and at < len(earlier):
        block = rows[new_at : new_at + _BLOCK]
        same = len(block) if earlier[at : at + _BLOCK] == block else _count_same(earlier, at, block)
        at, new_at = at + same, new_at + same
        if same == _BLOCK:
            continue
        if at > start:
            yield start, new_start, at - start
        at, new_at = _find_next(earlier, at, rows, new_at)
        start, new_start = at, new_at
    if at > start:
        yield start, new_start, at - start


def cut_runs(runs: Iterable[Run], start: int, end: int) -> Iterator[Run]:
    """What of these runs stands between two places of the earlier list, counted from the first of them."""
    for at, new_at, count in runs:
        first, last = max(at, start), min(at + count, end)
        if first < last:
            yield first - start, new_at + first - at, last - first


def _count_same(earlier: Sequence[bytes], at: int, block: Sequence[bytes]) -> int:
    """Rows from here on that are the same."""
    pairs = list(zip(earlier[at : at + len(block)], block, strict=False))
    return next((count for count, (old, new) in enumerate(pairs) if old != new), len(pairs))


def _find_next(earlier: Sequence[bytes], at: int, rows: Sequence[bytes], new_at: int) -> tuple[int, int]:
    """Where both lists go on alike; the ends of both, if they do not."""
    while new_at < len(rows):
        try:
            return earlier.index(rows[new_at], at, min(at + _WINDOW, len(earlier))), new_at
        except ValueError:
            new_at += 1
    return len(earlier), new_at
