"""Where text goes and in which shape: tables for people, JSON and CSV for programs, notes to stderr.

Everything that came from a chain or a file passes `printable` before a terminal sees it.
"""

import csv
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from indexer.cli.moments import iso
from indexer.printable import printable

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

#: Wide enough that nothing is cut when no terminal limits the line.
_UNLIMITED: Final = 10_000

#: What every column that folds keeps of its width: of less, nothing can be read.
_NARROWEST: Final = 6

#: Columns that may be broken over lines. A broken number or instant would be read as another one.
_FOLDING: Final = frozenset(
    {
        "address",
        "addresses",
        "asset",
        "error",
        "note",
        "position",
        "request",
        "sha256",
        "symbol",
        "watch",
        "why",
    }
)

#: Mark of a dataclass field that holds JSON text.
JSON_TEXT: Final = "json"


def note(text: str) -> None:
    """One line for the person at the terminal; never on stdout."""
    sys.stderr.write(f"{printable(text)}\n")


def say(text: str) -> None:
    """One line that is the command's result."""
    sys.stdout.write(f"{printable(text)}\n")


def exact(value: Decimal) -> str:
    """A number as plain digits: no exponent, no rounding, no thousands separators."""
    return format(value, "f")


def to_record(row: "DataclassInstance") -> dict[str, object]:
    """A row with values JSON can carry exactly: amounts as text, instants as ISO 8601 UTC."""
    return {
        field.name: _to_json(getattr(row, field.name), field.metadata.get(JSON_TEXT, False))
        for field in fields(row)
    }


def _to_json(value: object, is_json: bool) -> object:
    if is_json and isinstance(value, str):
        return json.loads(value)
    if isinstance(value, Decimal):
        return exact(value)
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, list | tuple):
        return list(value)
    return value


def write_json(value: Mapping[str, object]) -> None:
    """One JSON document on stdout. ASCII only: exact everywhere, and no terminal code survives in it."""
    text = json.dumps(value, ensure_ascii=True, indent=2).replace("\x7f", "\\u007f")
    sys.stdout.write(f"{text}\n")


def write_csv(kind: "type[DataclassInstance]", rows: Iterable["DataclassInstance"]) -> None:
    """Rows as CSV with a header, even when there are none. Unknown is the empty field, never 0."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(field.name for field in fields(kind))
    # Into a file or pipe the text goes exactly; on a terminal names must not carry codes.
    clean = printable if sys.stdout.isatty() else str
    for row in rows:
        writer.writerow(clean(_to_csv(value)) for value in to_record(row).values())


def _to_csv(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ";".join(str(item) for item in value)
    if isinstance(value, dict):
        return json.dumps(value, sort_keys=True, ensure_ascii=False)
    return str(value)


def cell(value: object, style: str = "") -> "Text":
    """Text for a table cell: safe to show, never read as markup."""
    from rich.text import Text

    return Text(printable("" if value is None else str(value)), style=style)


def new_table(title: str, *columns: str, right: Sequence[str] = ()) -> "Table":
    """An empty table. Texts fold rather than being cut: half an address is no address."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(printable(title)), title_justify="left", header_style="bold")
    for column in columns:
        folds = column in _FOLDING
        table.add_column(
            column,
            overflow="fold" if folds else "ellipsis",
            no_wrap=not folds,
            justify="right" if column in right else "left",
        )
    return table


def show(table: "Table") -> None:
    """Print a table on stdout. Captured first: rich would turn a closed pipe into exit 1."""
    console = stdout_console()
    if console.is_terminal:
        console.width = max(console.width, _reserve_width(table, console))
    with console.capture() as captured:
        console.print(table)
    sys.stdout.write(captured.get())


def _reserve_width(table: "Table", console: "Console") -> int:
    """What the table needs, on a narrow terminal too, which then breaks its lines.

    Left to itself, rich makes room for one long amount by leaving out the columns that say of what it is.
    """
    from rich.measure import Measurement

    unlimited = console.options.update_width(_UNLIMITED)
    needed = 1
    for column in table.columns:
        texts = (column.header, *column.cells)
        widest = max(Measurement.get(console, unlimited, text).maximum for text in texts)
        column.min_width = min(widest, _NARROWEST) if column.header in _FOLDING else widest
        # With a blank on either side, and the line after it.
        needed += column.min_width + 3
    return needed


def stdout_console() -> "Console":
    """A console on stdout that cuts nothing when no terminal is there."""
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, emoji=False, width=_UNLIMITED)
    return console


def stderr_console() -> "Console":
    """A console on stderr, for progress."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False, emoji=False)
