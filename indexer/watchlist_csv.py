"""Reads a CSV watchlist into rows: a header, one watch a line, lists separated by semicolons."""

import csv
import re
import sys
from collections.abc import Iterator
from typing import Final

from indexer.config_environment import printable, suggest
from indexer.watchlist_rows import COLUMNS, LISTS, REQUIRED, Row, RowError

#: What spreadsheets write instead of commas in some countries, or by another menu entry.
_OTHER_SEPARATORS: Final = {";": "semicolons", "\t": "tabs"}

_LINE: Final = re.compile("[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")


def read_csv(text: str) -> Iterator[Row | RowError]:
    """The rows of a file, and its mistakes in between."""
    reader = csv.reader(_blank_comments(text), strict=True, skipinitialspace=True)
    columns: list[str] | None = None
    line = 1
    try:
        for cells in reader:
            if columns is None and any(cell.strip() for cell in cells):
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
    for separator, name in _OTHER_SEPARATORS.items():
        if len(columns) == 1 and separator in columns[0]:
            raise RowError(line, f"its columns are separated by {name}: save it with commas")
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
