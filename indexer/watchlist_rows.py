"""The rows of a watchlist file as written, however that is written: words and lists of words with their line.

Knows no source and no meaning of a column beyond its name. All text stays text: `0x10` and `1e3` are words.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

COLUMNS: Final = ("source", "address", "label", "tags", "runes", "every")
LISTS: Final = frozenset({"tags", "runes"})
REQUIRED: Final = ("source", "address")


class RowError(Exception):
    """One mistake in one file: the line, and what is wrong there."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line = line


class Row(msgspec.Struct, frozen=True):
    """One entry as written. A column that was left empty is not in ``words`` or ``lists``."""

    line: int
    words: Mapping[str, str]
    lists: Mapping[str, tuple[str, ...]]
