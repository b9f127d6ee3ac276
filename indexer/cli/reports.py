"""How holdings, history and changes look: one function per report, rows in, text out."""

import sys
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from indexer.cli.moments import age, brief, iso
from indexer.cli.options import Format
from indexer.cli.output import cell, exact, new_table, note, show, to_record, write_csv, write_json
from indexer.cli.watches import describe_unknown, note_unknowns
from indexer.store.reading import AnswerRow, ChangeRow, CoverageRow, HoldingRow, VersionRow

if TYPE_CHECKING:
    from rich.text import Text

#: A table longer than this is read by nobody; --format csv or json gives everything.
MOST_ROWS: Final = 1_000

STYLES: Final = {
    "fresh": "green",
    "stale": "yellow",
    "carried": "magenta",
    "never_observed": "red",
    "not_watched": "dim",
    "future": "dim",
    "appeared": "green",
    "increased": "green",
    "disappeared": "red",
    "decreased": "red",
    "knowledge_ended": "magenta",
}


def print_holdings(
    at: datetime, coverage: Sequence[CoverageRow], rows: Sequence[HoldingRow], output: Format
) -> None:
    """Holdings at an instant, with what is not known beside them."""
    if output is Format.JSON:
        unknown = [to_record(row) for row in coverage if describe_unknown(row)]
        write_json({"as_of": iso(at), "holdings": [to_record(row) for row in rows], "not_fresh": unknown})
    elif output is Format.CSV:
        write_csv(HoldingRow, rows)
        note_unknowns(coverage)
    else:
        show_holdings(f"Holdings as of {brief(at)}", at, rows)
        _note_extent(at, coverage, rows)


def show_holdings(title: str, at: datetime, rows: Sequence[HoldingRow]) -> None:
    """A table of holdings and how old each answer is."""
    table = new_table(
        title,
        "source",
        "address",
        "asset",
        "symbol",
        "quantity",
        "status",
        "age",
        right=("quantity", "age"),
    )
    for row in rows[:MOST_ROWS]:
        table.add_row(
            cell(row.source),
            _where(row),
            _asset(row.asset_ref, row.sub_key),
            cell(row.symbol or row.name),
            _quantity(row.amount, row.quantity),
            _status(row),
            cell(age(at - row.observed_at)),
        )
    show(table)


def _note_extent(at: datetime, coverage: Sequence[CoverageRow], rows: Sequence[HoldingRow]) -> None:
    if len(rows) > MOST_ROWS:
        note(f"Only the first {MOST_ROWS} rows are shown: --format csv or json gives all of them.")
    if not coverage:
        note("Nothing is watched yet: write a watchlist (`indexer init`), then run `indexer crawl`.")
    elif all(row.status == "future" for row in coverage):
        note(f"{brief(at)} is still to come: nothing is known of it.")
        return
    empty = [row for row in coverage if row.status in ("fresh", "stale") and row.holdings == 0]
    if empty:
        note(f"{len(empty)} watch(es) hold nothing: proved by a complete crawl.")
    note_unknowns(coverage)


def print_history(
    asset_ref: str,
    rows: Sequence[VersionRow],
    answers: Sequence[tuple[CoverageRow, AnswerRow]],
    output: Format,
) -> None:
    """The versions of one asset, and what the answer is today."""
    if output is Format.JSON:
        today = [
            {"source": watch.source, "address": watch.address} | to_record(row) for watch, row in answers
        ]
        write_json({"asset_ref": asset_ref, "versions": [to_record(row) for row in rows], "today": today})
        return
    if output is Format.CSV:
        write_csv(VersionRow, rows)
    else:
        _show_history(asset_ref, rows)
    for watch, answer in answers:
        note(f"Today: {_describe_answer(watch, answer)}")


def _show_history(asset_ref: str, rows: Sequence[VersionRow]) -> None:
    if not rows:
        note(f"No crawl ever published {asset_ref!r} there.")
        return
    table = new_table(
        f"History of {asset_ref}",
        "source",
        "address",
        "position",
        "quantity",
        "from",
        "to",
        "why",
        right=("quantity",),
    )
    for row in rows:
        until = brief(row.valid_to) if row.valid_to else "now"
        why = row.open_reason if row.close_reason is None else f"{row.open_reason} … {row.close_reason}"
        table.add_row(
            cell(row.source),
            _where(row),
            cell(row.sub_key or row.scope),
            _quantity(row.amount, row.quantity),
            cell(brief(row.valid_from)),
            cell(until),
            cell(why),
        )
    show(table)


def _describe_answer(watch: CoverageRow, answer: AnswerRow) -> str:
    where = f"{watch.source} {watch.address}"
    if answer.answer == "unknown":
        return f"{where}: unknown ({answer.reason})."
    if answer.answer == "absent":
        return f"{where}: absent, proved by a complete crawl ({answer.status})."
    return f"{where}: held, {_plain_quantity(answer.amount, answer.quantity)} ({answer.status})."


def print_changes(
    since: datetime, coverage: Sequence[CoverageRow], rows: Sequence[ChangeRow], output: Format
) -> None:
    """Changes from an instant on, oldest first."""
    oldest_first = list(reversed(rows))
    if output is Format.JSON:
        write_json({"since": iso(since), "changes": [to_record(row) for row in oldest_first]})
        return
    if output is Format.CSV:
        write_csv(ChangeRow, oldest_first)
    else:
        show_changes(f"Changes since {brief(since)}", oldest_first[-MOST_ROWS:])
        if len(rows) > MOST_ROWS:
            note(f"Only the newest {MOST_ROWS} changes are shown: --format csv or json gives all of them.")
    note_unknowns(coverage)


def show_changes(title: str, rows: Sequence[ChangeRow]) -> None:
    """A table of changes."""
    table = new_table(
        title,
        "changed at",
        "source",
        "address",
        "asset",
        "symbol",
        "change",
        "before",
        "after",
        right=("before", "after"),
    )
    for row in rows:
        table.add_row(
            cell(brief(row.changed_at)),
            cell(row.source),
            _where(row),
            _asset(row.asset_ref, row.sub_key),
            cell(row.symbol or row.name),
            cell(row.change, STYLES.get(row.change, "")),
            _quantity(row.old_amount, row.old_quantity),
            _quantity(row.new_amount, row.new_quantity),
        )
    show(table)


def show_coverage(rows: Sequence[CoverageRow]) -> None:
    """Every watch with what is known of it."""
    table = new_table(
        "Coverage",
        "source",
        "address",
        "scope",
        "status",
        "snapshot",
        "holdings",
        "note",
        right=("holdings",),
    )
    for row in rows:
        note_text = "pending review" if row.pending_review else row.consistency
        table.add_row(
            cell(row.source),
            _where(row),
            cell(row.scope),
            cell(row.status, STYLES.get(row.status, "")),
            cell(brief(row.snapshot_at) if row.snapshot_at else "never"),
            cell(row.holdings),
            cell(note_text),
        )
    show(table)


def _where(row: HoldingRow | VersionRow | ChangeRow | CoverageRow) -> "Text":
    """Label and address; on a terminal, where columns are scarce, the label alone if there is one."""
    if row.label is None:
        return cell(row.address)
    return cell(row.label if sys.stdout.isatty() else f"{row.label} · {row.address}")


def _asset(asset_ref: str, sub_key: str) -> "Text":
    return cell(f"{asset_ref} / {sub_key}" if sub_key else asset_ref)


def _quantity(amount: Decimal | None, quantity: Decimal | None) -> "Text":
    return cell(_plain_quantity(amount, quantity))


def _plain_quantity(amount: Decimal | None, quantity: Decimal | None) -> str:
    if quantity is not None:
        return exact(quantity)
    return "unknown" if amount is None else f"{exact(amount)} base units"


def _status(row: HoldingRow) -> "Text":
    text = f"{row.status}, review pending" if row.pending_review else row.status
    return cell(text, "magenta" if row.pending_review else STYLES.get(row.status, ""))
