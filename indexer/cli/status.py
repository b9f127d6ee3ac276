"""`indexer status`: what an operator needs to know at a glance, and what to type about it."""

import asyncio
import json
import sys
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from indexer.cli.moments import age, brief, iso
from indexer.cli.opening import open_config, run
from indexer.cli.options import ConfigOption, DebugOption, JsonOption
from indexer.cli.output import cell, new_table, note, say, show, stdout_console, to_record, write_json

if TYPE_CHECKING:
    from rich.table import Table

    from indexer.config import Config
    from indexer.store.database import Database
    from indexer.store.reading import FailureRow, OpenCrawlRow, QuarantineRow, SourceRow
    from indexer.store.upkeep import Notice

_REFRESH_SECONDS: Final = 2.0
_MOST_CRAWLS: Final = 20
_MOST_FAILURES: Final = 20

_STYLES: Final = {"active": "green", "paused": "red", "retired": "dim", "running": "green"}


@dataclass(frozen=True, slots=True)
class Status:
    """Everything the status shows, read at one go."""

    now: datetime
    sources: "list[SourceRow]"
    quarantine: "list[QuarantineRow]"
    crawls: "list[OpenCrawlRow]"
    failures: "list[FailureRow]"
    notices: "list[Notice]"


def status(
    as_json: JsonOption = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it again every two seconds until Ctrl-C.")
    ] = False,
    config: ConfigOption = None,
    debug: DebugOption = False,
) -> None:
    """Sources, freshness, running crawls, disbelieved lists and the last errors."""
    settings = open_config(config, debug)
    if not watch:
        print_status(run(_read_once(settings)), as_json)
        return
    try:
        run(_watch(settings, as_json))
    except KeyboardInterrupt:
        return


async def _read_once(settings: "Config") -> Status:
    from indexer import bootstrap

    async with bootstrap.database(settings) as database:
        return await read_status(database)


async def read_status(database: "Database") -> Status:
    """The facts, from the database."""
    from indexer.store import reading, upkeep

    async with database.connection() as conn:
        return Status(
            now=await reading.read_clock(conn),
            sources=await reading.list_sources(conn),
            quarantine=await reading.list_quarantine(conn),
            crawls=await reading.list_open_crawls(conn, _MOST_CRAWLS),
            failures=await reading.list_failures(conn, _MOST_FAILURES),
            notices=await upkeep.read_notices(conn),
        )


async def _watch(settings: "Config", as_json: bool) -> None:
    from indexer import bootstrap

    async with bootstrap.database(settings) as database:
        while True:
            seen = await read_status(database)
            if as_json:
                sys.stdout.write(json.dumps(to_json(seen)) + "\n")
            else:
                stdout_console().clear()
                print_status(seen, as_json=False)
            sys.stdout.flush()
            await asyncio.sleep(_REFRESH_SECONDS)


def to_json(seen: Status) -> dict[str, object]:
    """The same facts for programs."""
    return {
        "now": iso(seen.now),
        "sources": [to_record(row) for row in seen.sources],
        "quarantine": [to_record(row) for row in seen.quarantine],
        "crawls": [to_record(row) for row in seen.crawls],
        "failures": [to_record(row) for row in seen.failures],
        "notices": [to_record(row) for row in seen.notices],
    }


def print_status(seen: Status, as_json: bool) -> None:
    """The status on stdout."""
    if as_json:
        write_json(to_json(seen))
        return
    if not seen.sources:
        note("Nothing was crawled yet: `indexer crawl` reads the watchlist and begins.")
    show(_sources(seen))
    if seen.notices:
        show(_notices(seen))
    if seen.crawls:
        show(_crawls(seen))
    if seen.quarantine:
        show_quarantine(seen.now, seen.quarantine)
    if seen.failures:
        show(_failures(seen))


def _sources(seen: Status) -> "Table":
    columns = ("fresh", "stale", "never observed", "under review", "oldest answer")
    table = new_table(f"Sources at {brief(seen.now)}", "source", "state", *columns, "note", right=columns)
    for row in seen.sources:
        remark = row.paused_reason or ""
        if row.paused_until:
            remark += f" (tried again at {brief(row.paused_until)})"
        table.add_row(
            cell(row.source),
            cell(row.state, _STYLES.get(row.state, "")),
            cell(row.fresh),
            cell(row.stale, "yellow" if row.stale else ""),
            cell(row.never_observed, "red" if row.never_observed else ""),
            cell(row.pending_review, "magenta" if row.pending_review else ""),
            cell(age(row.oldest_age) if row.oldest_age is not None else "never"),
            cell(remark),
        )
    return table


def _notices(seen: Status) -> "Table":
    table = new_table("What needs attention", "about", "where", "since", "what")
    for row in seen.notices:
        message = " · ".join(row.message.splitlines())
        table.add_row(
            cell(row.kind, "red"),
            cell(row.place),
            cell(f"{age(seen.now - row.noticed_at)} ago"),
            cell(message),
        )
    return table


def _crawls(seen: Status) -> "Table":
    table = new_table(
        "Open crawls",
        "crawl",
        "source",
        "addresses",
        "scope",
        "state",
        "pages",
        "rows",
        "since",
        right=("pages", "rows"),
    )
    for row in seen.crawls:
        rows = f"{row.listed} of {row.reported_total}" if row.reported_total is not None else row.listed
        table.add_row(
            cell(row.crawl_id),
            cell(row.source),
            cell(" ".join(row.addresses)),
            cell(row.scope),
            cell(row.state, _STYLES.get(row.state, "")),
            cell(row.pages),
            cell(rows),
            cell(age(seen.now - (row.first_page_at or row.created_at))),
        )
    return table


def show_quarantine(now: datetime, rows: "list[QuarantineRow]") -> None:
    """The lists that are not believed, and what to type about each."""
    table = new_table(
        "Lists that are not believed",
        "snapshot",
        "watch",
        "since",
        "listed",
        "held before",
        "missing",
        "why",
        right=("listed", "held before", "missing"),
    )
    for row in rows:
        table.add_row(
            cell(row.snapshot_id),
            cell(_name(row)),
            cell(age(now - row.judged_at)),
            cell(row.holdings),
            cell(row.held),
            cell(row.missing),
            cell(row.reason),
        )
    show(table)
    for row in rows:
        say(f"Believe it: {row.release_command} · dismiss it: {row.reject_command}")


def _failures(seen: Status) -> "Table":
    table = new_table("Watches whose last crawl failed", "crawl", "watch", "ended", "outcome", "error")
    for row in seen.failures:
        ended = f"{age(seen.now - row.finished_at)} ago" if row.finished_at else ""
        error = (
            f"{row.error_class}: {row.error}"
            if row.error_class and row.error
            else row.error or row.error_class
        )
        table.add_row(
            cell(row.crawl_id), cell(_name(row)), cell(ended), cell(row.verdict, "red"), cell(error)
        )
    return table


def _name(row: "QuarantineRow | FailureRow") -> str:
    scope = f" {row.scope}" if row.scope else ""
    label = f" ({row.label})" if row.label else ""
    return f"{row.source} {row.address}{scope}{label}"
