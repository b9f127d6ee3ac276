"""What leaves the program: exact for programs, harmless for terminals."""

import csv
import io
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from indexer.cli.output import cell, exact, new_table, note, show, to_record, write_csv, write_json

HOSTILE = "\x1b[2Jrich\u202ex\x9b31m[red]"


@dataclass(frozen=True, slots=True)
class Row:
    """A row with every kind of value that reports carry."""

    name: str | None
    amount: Decimal | None
    at: datetime | None = None
    span: timedelta | None = None
    tags: tuple[str, ...] = ()
    frozen: bool | None = None
    details: str = field(default="{}", metadata={"json": True})


@given(st.integers(0, 2**256 - 1), st.integers(0, 255))
def test_amounts_leave_exactly(amount: int, decimals: int) -> None:
    """2^256-1 with 255 decimals loses no digit and gets no exponent."""
    text = exact(Decimal(f"{amount}e-{decimals}"))

    assert "e" not in text.lower()
    assert Decimal(text) == Decimal(f"{amount}e-{decimals}")


def test_a_record_keeps_unknown_apart_from_zero() -> None:
    """None stays null; amounts are text; instants are UTC with microseconds."""
    at = datetime(2026, 11, 20, 1, 2, 3, tzinfo=UTC)
    row = Row(None, Decimal("1E+3"), at, timedelta(minutes=1), ("a", "b"), None, '{"n": 1}')

    assert to_record(row) == {
        "name": None,
        "amount": "1000",
        "at": "2026-11-20T01:02:03.000000Z",
        "span": 60.0,
        "tags": ["a", "b"],
        "frozen": None,
        "details": {"n": 1},
    }


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text())
def test_json_carries_any_name_exactly_and_no_terminal_code(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only printable ASCII reaches stdout; the name is read back as it was."""
    capsys.readouterr()

    write_json({"name": name})

    out = capsys.readouterr().out
    assert all(character == "\n" or " " <= character <= "~" for character in out)
    assert json.loads(out) == {"name": name}


def test_csv_into_a_pipe_is_exact_and_unknown_is_empty(capsys: pytest.CaptureFixture[str]) -> None:
    """A program reads the name as the chain has it; a missing amount is no 0."""
    write_csv(Row, [Row(HOSTILE, None, tags=("a", "b"), frozen=True)])

    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert rows == [
        {
            "name": HOSTILE,
            "amount": "",
            "at": "",
            "span": "",
            "tags": "a;b",
            "frozen": "true",
            "details": "{}",
        }
    ]


def test_csv_without_rows_still_has_its_header(capsys: pytest.CaptureFixture[str]) -> None:
    """An empty result keeps its shape."""
    write_csv(Row, [])

    assert capsys.readouterr().out == "name,amount,at,span,tags,frozen,details\n"


def test_a_strangers_name_cannot_move_the_cursor_or_be_markup(capsys: pytest.CaptureFixture[str]) -> None:
    """Escape codes and bidi overrides are shown, not obeyed; brackets are text."""
    table = new_table("T", "name")
    table.add_row(cell(HOSTILE))

    show(table)

    out = capsys.readouterr().out
    assert "\\x1b[2Jrich\\u202ex\\x9b31m[red]" in out
    assert not any(code in out for code in ("\x1b[2J", "\u202e", "\x9b"))


def test_a_table_into_a_pipe_cuts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """grep finds a whole address, however long the line."""
    table = new_table("T", *"abcdef")
    table.add_row(*(cell(letter * 100) for letter in "abcdef"))

    show(table)

    out = capsys.readouterr().out
    assert all(letter * 100 in out for letter in "abcdef")


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_a_narrow_terminal_keeps_every_column(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One long amount leaves no number without what it is of, and cuts no number, instant or word."""
    monkeypatch.setattr(
        "indexer.cli.output.stdout_console", lambda: Console(width=width, force_terminal=True, no_color=True)
    )
    table = new_table("T", "changed at", "address", "asset", "change", "after", right=("after",))
    values = ("2026-11-20 12:00:00Z", "0.0.1001", "0.0.5005", "disappeared", "9" * 40)
    table.add_row(*map(cell, values))

    show(table)

    cells = [line.split("│")[1:-1] for line in capsys.readouterr().out.splitlines() if "│" in line]
    assert tuple("".join(part.strip() for part in column) for column in zip(*cells, strict=True)) == values


def test_notes_go_to_stderr_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    """stdout belongs to the result."""
    note("watch \x1b[1m")

    assert capsys.readouterr() == ("", "watch \\x1b[1m\n")
