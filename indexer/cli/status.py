"""`indexer status`: what an operator needs to know at a glance, and what to type about it."""

import json
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
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
    from indexer.store.schedule import Outlook, Queue
    from indexer.store.upkeep import Notice, TaskDone

_REFRESH_SECONDS: Final = 2.0
_MOST_CRAWLS: Final = 20
_MOST_FAILURES: Final = 20

_STYLES: Final = {"active": "green", "paused": "red", "retired": "dim", "running": "green"}

#: What the count of each task of upkeep is a count of.
_COUNTED: Final = {
    "partitions": "tables made ahead",
    "folding": "snapshots folded",
    "retention": "tables and crawls removed",
    "invariants": "broken rules found",
}


@dataclass(frozen=True, slots=True)
class Status:
    """Everything the status shows, read at one go."""

    now: datetime
    #: Processes that can claim crawls.
    workers: int
    queue: "Queue"
    sources: "list[SourceRow]"
    outlook: "Mapping[str, Outlook]"
    quarantine: "list[QuarantineRow]"
    crawls: "list[OpenCrawlRow]"
    #: Why an open crawl waits, by its number.
    troubles: Mapping[int, str]
    failures: "list[FailureRow]"
    #: When a failed crawl is tried again, by its number.
    retries: Mapping[int, datetime]
    notices: "list[Notice]"
    upkeep: "list[TaskDone]"


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
        print_status(run(_read_once(settings)), as_json, config)
        return
    try:
        run(_watch(settings, as_json, config))
    except KeyboardInterrupt:
        return


async def _read_once(settings: "Config") -> Status:
    from indexer import bootstrap

    async with bootstrap.database(settings) as database:
        return await read_status(database)


async def read_status(database: "Database") -> Status:
    """The facts, from the database."""
    from indexer.store import reading, schedule, upkeep

    async with database.connection() as conn:
        crawls = await reading.list_open_crawls(conn, _MOST_CRAWLS)
        failures = await reading.list_failures(conn, _MOST_FAILURES)
        return Status(
            now=await reading.read_clock(conn),
            workers=await schedule.count_workers(conn),
            queue=await schedule.read_queue(conn),
            sources=await reading.list_sources(conn),
            outlook={row.source: row for row in await schedule.read_outlook(conn)},
            quarantine=await reading.list_quarantine(conn),
            crawls=crawls,
            troubles=await schedule.list_troubles(conn, [row.crawl_id for row in crawls]),
            failures=failures,
            retries=await schedule.list_retries(conn, [row.crawl_id for row in failures]),
            notices=await upkeep.read_notices(conn),
            upkeep=await upkeep.read_tasks(conn),
        )


async def _watch(settings: "Config", as_json: bool, named: Path | None) -> None:
    import asyncio

    from indexer import bootstrap

    async with bootstrap.database(settings) as database:
        while True:
            seen = await read_status(database)
            if as_json:
                sys.stdout.write(json.dumps(to_json(seen)) + "\n")
            else:
                stdout_console().clear()
                print_status(seen, as_json=False, named=named)
            sys.stdout.flush()
            await asyncio.sleep(_REFRESH_SECONDS)


def to_json(seen: Status) -> dict[str, object]:
    """The same facts for programs."""
    return {
        "now": iso(seen.now),
        "workers": seen.workers,
        "queue": to_record(seen.queue),
        "sources": [to_record(row) for row in seen.sources],
        "outlook": [to_record(row) for row in seen.outlook.values()],
        "quarantine": [to_record(row) for row in seen.quarantine],
        "crawls": [to_record(row) | {"trouble": seen.troubles.get(row.crawl_id)} for row in seen.crawls],
        "failures": [
            to_record(row) | {"retry_at": _iso(seen.retries.get(row.crawl_id))} for row in seen.failures
        ],
        "notices": [to_record(row) for row in seen.notices],
        "upkeep": [to_record(row) for row in seen.upkeep],
    }


def _iso(at: datetime | None) -> str | None:
    return None if at is None else iso(at)


def print_status(seen: Status, as_json: bool, named: Path | None = None) -> None:
    """The status on stdout. ``named``: the configuration's file, for the commands it tells to type."""
    if as_json:
        write_json(to_json(seen))
        return
    if not seen.sources:
        note("Nothing was crawled yet: `indexer crawl` reads the watchlist and begins.")
    show(_sources(seen))
    attention = list(_list_attention(seen))
    if attention:
        show(_attention(attention))
    if seen.crawls:
        show(_crawls(seen))
    if seen.quarantine:
        show_quarantine(seen.now, seen.quarantine, named)
    if seen.failures:
        show(_failures(seen))
    for line in _sum_up(seen):
        say(line)


def _sum_up(seen: Status) -> Iterator[str]:
    """The last lines: who works, and what upkeep was done."""
    processes = f"{seen.workers} process{'' if seen.workers == 1 else 'es'} can work"
    yield f"{processes} · {seen.queue.running} crawls running, {seen.queue.pending} waiting"
    done = [
        f"{row.task} {age(seen.now - row.ended_at)} ago, {row.found} {_COUNTED.get(row.task, 'counted')}"
        for row in seen.upkeep
    ]
    if done:
        yield f"Upkeep: {' · '.join(done)}"


def _sources(seen: Status) -> "Table":
    columns = ("fresh", "stale", "never", "review", "oldest", "next in")
    table = new_table(f"Sources at {brief(seen.now)}", "source", "state", *columns, right=columns)
    for row in seen.sources:
        table.add_row(
            cell(row.source),
            cell(row.state, _STYLES.get(row.state, "")),
            cell(row.fresh),
            cell(row.stale, "yellow" if row.stale else ""),
            cell(row.never_observed, "red" if row.never_observed else ""),
            cell(row.pending_review, "magenta" if row.pending_review else ""),
            cell(age(row.oldest_age) if row.oldest_age is not None else "never"),
            cell(_describe_next(seen, row.source)),
        )
    return table


def _describe_next(seen: Status, source: str) -> str:
    """When the first watch of a source is due; nothing where no daemon looks after it."""
    outlook = seen.outlook.get(source)
    return "" if outlook is None else age(outlook.next_at - seen.now)


def _list_attention(seen: Status) -> Iterator[tuple[str, str, str]]:
    """What an operator should act on: about what, since when, what it is."""
    for row in seen.sources:
        if row.state == "paused":
            until = f" Tried again at {brief(row.paused_until)}." if row.paused_until else ""
            yield row.source, "", f"Paused: {row.paused_reason or 'no reason given'}.{until}"
    if seen.workers == 0 and (seen.outlook or seen.queue.pending):
        yield "work", "", "No process can work: start `indexer run`."
    forgotten = [row for row in seen.outlook.values() if row.forgotten]
    if forgotten:
        since = min(row.next_at for row in forgotten)
        count = sum(row.forgotten for row in forgotten)
        yield (
            "schedule",
            age(seen.now - since),
            f"{count} watches are due and nobody makes crawls: {_TICKLESS}",
        )
    for told in seen.notices:
        message = " · ".join(told.message.splitlines())
        place = f" ({told.place})" if told.place else ""
        yield told.kind, age(seen.now - told.noticed_at), f"{message}{place}"


_TICKLESS: Final = "is `indexer run` up? Its log says why it does not tick."


def _attention(rows: list[tuple[str, str, str]]) -> "Table":
    table = new_table("What needs attention", "about", "for", "note")
    for about, since, message in rows:
        table.add_row(cell(about, "red"), cell(since), cell(message))
    return table


def _crawls(seen: Status) -> "Table":
    total = seen.queue.pending + seen.queue.running
    title = f"Open crawls ({len(seen.crawls)} of {total})" if total > len(seen.crawls) else "Open crawls"
    table = new_table(
        title, "crawl", "watch", "state", "pages", "rows", "for", "note", right=("pages", "rows")
    )
    for row in seen.crawls:
        rows = f"{row.listed} of {row.reported_total}" if row.reported_total is not None else row.listed
        table.add_row(
            cell(row.crawl_id),
            cell(_name_crawl(row)),
            cell(row.state, _STYLES.get(row.state, "")),
            cell(row.pages),
            cell(rows),
            cell(age(seen.now - (row.first_page_at or row.created_at))),
            cell(_describe_wait(seen, row)),
        )
    return table


def _name_crawl(row: "OpenCrawlRow") -> str:
    others = len(row.addresses) - 1
    more = f" and {others} more" if others else ""
    return " ".join(part for part in (row.source, row.addresses[0] + more, row.scope) if part)


def _describe_wait(seen: Status, row: "OpenCrawlRow") -> str:
    """Why a crawl is not at work, or what it met with last."""
    trouble = seen.troubles.get(row.crawl_id, "")
    if row.state == "pending" and any(s.source == row.source and s.state == "paused" for s in seen.sources):
        return "its source is paused"
    if row.state == "pending" and row.next_attempt_at > seen.now:
        return f"again in {age(row.next_attempt_at - seen.now)}; {trouble}".rstrip("; ")
    return trouble


def show_quarantine(now: datetime, rows: "list[QuarantineRow]", named: Path | None = None) -> None:
    """The lists that are not believed, and what to type about each. ``named``: the configuration's file.

    Without it, what is typed would be about the same number in another database.
    """
    numbers = ("listed", "held", "missing")
    table = new_table(
        "Lists that are not believed", "snapshot", "watch", "for", *numbers, "why", right=numbers
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
    config = f" --config {shlex.quote(str(named))}" if named else ""
    for row in rows:
        say(
            f"Look at it: {row.raw_command}{config} · believe it: {row.release_command}{config} · "
            f"dismiss it: {row.reject_command}{config}"
        )


def _failures(seen: Status) -> "Table":
    table = new_table("Watches whose last crawl failed", "crawl", "watch", "ago", "again in", "error")
    for row in seen.failures:
        ended = age(seen.now - row.finished_at) if row.finished_at else ""
        retry_at = seen.retries.get(row.crawl_id)
        told = [part for part in (row.error_class, row.error) if part]
        table.add_row(
            cell(row.crawl_id),
            cell(_name(row)),
            cell(ended),
            cell(age(retry_at - seen.now) if retry_at else ""),
            cell(f"{row.verdict}: {': '.join(told)}"),
        )
    return table


def _name(row: "QuarantineRow | FailureRow") -> str:
    scope = f" {row.scope}" if row.scope else ""
    label = f" ({row.label})" if row.label else ""
    return f"{row.source} {row.address}{scope}{label}"
