"""Reads the text of one watchlist file into rows: words and lists of words with their line.

Knows no source and no meaning of a column beyond its name. All text stays text: `0x10` and `1e3` are words.
"""

import csv
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from indexer.config_environment import printable, suggest

COLUMNS: Final = ("source", "address", "label", "tags", "runes", "every")
LISTS: Final = frozenset({"tags", "runes"})
REQUIRED: Final = ("source", "address")
_LINE: Final = re.compile("[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")
_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


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


def read_rows(name: str, text: str) -> Iterator[Row | RowError]:
    """The rows of a file, and its mistakes in between; the name's ending says how it is written."""
    control = _CONTROL.search(text)
    if control:
        yield RowError(text.count("\n", 0, control.start()) + 1, "contains a control character")
    elif not text.strip():
        yield RowError(1, "the file is empty")
    elif name.endswith(".csv"):
        yield from _read_csv(text)
    elif name.endswith((".yaml", ".yml")):
        # Loading the library takes longer than reading a short list.
        from indexer.watchlist_yaml import read_yaml

        yield from read_yaml(text)
    else:
        yield RowError(1, "is neither .yaml, .yml nor .csv")


def _read_csv(text: str) -> Iterator[Row | RowError]:
    reader = csv.reader(_blank_comments(text), strict=True, skipinitialspace=True)
    columns: list[str] | None = None
    line = 1
    try:
        for cells in reader:
            if columns is None and cells:
                columns = [cell.strip() for cell in cells]
                _check_header(line, columns)
            elif columns is not None and any(cell.strip() for cell in cells):
                yield _read_cells(line, columns, cells)
            line = reader.line_num + 1
    except csv.Error as error:
        yield RowError(line, f"is not CSV from here on: {error} (is a quote left open?)")
    except RowError as error:
        yield error
        return
    if columns is None:
        yield RowError(1, "has no header: the first line names the columns, " + ",".join(COLUMNS))


def _blank_comments(text: str) -> Iterator[str]:
    # Not a StringIO: it would hold four bytes for every character.
    for found in _LINE.finditer(text):
        line = found[0]
        yield "\n" if line.startswith("#") else line


def _check_header(line: int, columns: list[str]) -> None:
    for column in columns:
        if column not in COLUMNS:
            hint = (
                suggest(column, list(COLUMNS))
                or f"; the columns are {','.join(COLUMNS)}, separated by commas"
            )
            raise RowError(line, f"unknown column '{printable(column)}'{hint}")
        if columns.count(column) > 1:
            raise RowError(line, f"column '{column}' is there twice")
    for column in REQUIRED:
        if column not in columns:
            raise RowError(line, f"column '{column}' is missing: the first line must name the columns")


def _read_cells(line: int, columns: list[str], cells: list[str]) -> Row | RowError:
    if len(cells) > len(columns):
        return RowError(line, f"has {len(cells)} cells, but the header names {len(columns)} columns")
    words: dict[str, str] = {}
    lists: dict[str, tuple[str, ...]] = {}
    for column, cell in zip(columns, cells, strict=False):
        if column in LISTS:
            if cell.strip():
                lists[column] = tuple(sys.intern(item.strip()) for item in cell.split(";"))
        elif cell.strip():
            words[column] = cell.strip()
    return Row(line, words, lists)
