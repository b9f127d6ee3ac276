"""`indexer verify`, `replay`, `prune`: whether history is whole, and what is kept of where it came from."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Final

import typer

from indexer.cli.failures import NOT_PUBLISHED, Ended
from indexer.cli.opening import is_interactive, open_config, run
from indexer.cli.options import ConfigOption, DebugOption, JsonOption
from indexer.cli.output import cell, new_table, note, say, show, stderr_console, to_record, write_json
from indexer.cli.watches import canonical_forms
from indexer.errors import UsageError

if TYPE_CHECKING:
    from indexer.adoption import Adopted
    from indexer.config import Config
    from indexer.prune import Pruned
    from indexer.replay import Report
    from indexer.verify import Findings

#: Finished, but not all is well.
SOMETHING_FOUND: Final = NOT_PUBLISHED

#: Rows a person is shown; --json has more.
_MOST_LISTED: Final = 50


def verify(
    as_json: JsonOption = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Only the rules of history; no raw page is read.")
    ] = False,
    config: ConfigOption = None,
    debug: DebugOption = False,
) -> None:
    """Check that history keeps its own rules and that the raw pages still say what was made of them.

    Reads only. Exit code 3 when something is found.
    """
    findings = run(_verify(open_config(config, debug), quick))
    print_findings(findings, as_json)
    if findings.found:
        raise Ended(SOMETHING_FOUND)


async def _verify(settings: "Config", quick: bool) -> "Findings":
    from indexer import bootstrap
    from indexer.verify import verify as check

    sources = bootstrap.build_sources(settings)
    async with bootstrap.database(settings) as database:
        return await check(database, sources, quick=quick)


def print_findings(findings: "Findings", as_json: bool) -> None:
    """What was checked and what is wrong."""
    if as_json:
        violations = [to_record(violation) for violation in findings.violations]
        write_json(
            {"violations": violations, "found": dict(findings.found), "checked": dict(findings.checked)}
        )
        return
    if findings.violations:
        table = new_table("Violations", "rule", "ref")
        for violation in findings.violations[:_MOST_LISTED]:
            table.add_row(cell(violation.rule), cell(violation.ref))
        show(table)
    say(f"Checked {_count_all(findings.checked)}: {_count_all(findings.found) or 'nothing is wrong'}.")
    if findings.found:
        note("Each of these is a bug of this program or a hand in the tables: keep a backup and report it.")


def _count_all(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items())


def replay(
    source: Annotated[
        str | None,
        typer.Option("--source", metavar="S", show_default=False, help="Only watches of this source."),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option("--address", metavar="A", show_default=False, help="Only watches of this address."),
    ] = None,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Let what was built replace the live history where they differ.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    debug: DebugOption = False,
) -> None:
    """Build history again from the raw pages, beside the live one, and compare the two row by row.

    Changes nothing without --adopt, which is for after a parser was fixed: then what was built replaces what
    differs, and what is replaced is kept. Exit code 3 when they differ (with --adopt: when they still do).
    """
    report = run(_replay(open_config(config, debug), source, address, adopt))
    print_replay(report, as_json, adopt)
    if report.left_alone if adopt else report.found:
        raise Ended(SOMETHING_FOUND)


async def _replay(settings: "Config", source: str | None, address: str | None, adopts: bool) -> "Report":
    from indexer import bootstrap
    from indexer.replay import replay as build_again

    sources = bootstrap.build_sources(settings)
    if source is not None and source not in sources:
        raise UsageError(f"There is no source {source!r}: there are {', '.join(sorted(sources))}.")
    forms = None if address is None else canonical_forms(address, sources)
    async with bootstrap.database(settings) as database:
        with progress_bar() as on_watch:
            report = await build_again(database, settings, sources, (source, forms), on_watch, adopts=adopts)
    if not report.watches and (source or address):
        raise UsageError("No watch matches: `indexer holdings` lists what is watched.")
    return report


@contextmanager
def progress_bar() -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr while a person watches it; nothing at all otherwise."""
    if not is_interactive():
        yield lambda _done, _all: None
        return
    from rich import progress

    columns = (progress.BarColumn(), progress.MofNCompleteColumn(), progress.TimeElapsedColumn())
    with progress.Progress(*columns, console=stderr_console(), transient=True) as bar:
        task = bar.add_task("watches", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def print_replay(report: "Report", as_json: bool, adopts: bool = False) -> None:
    """What was built again, where it differs, and what was adopted."""
    replayed = {
        "watches": report.watches,
        "snapshots": report.snapshots,
        "snapshots_without_pages": report.without_pages,
        "versions": report.versions,
        "carried_spans": report.carried_spans,
    }
    if as_json:
        record: dict[str, object] = {
            "identical": not report.found,
            "found": report.found,
            "differences": [to_record(difference) for difference in report.differences],
            "replayed": replayed,
        }
        if adopts:
            record["adopted"] = [to_record(adopted) for adopted in report.adopted]
            record["left_alone"] = [to_record(left) for left in report.left_alone]
        write_json(record)
        return
    if report.differences:
        _show_differences(report)
    found = f"{report.found} differences" if report.found else "identical"
    say(f"Replayed {_count_all(replayed)}: {found}.")
    if report.without_pages:
        note("Where pages were pruned, replay began with the versions that were open then.")
    for adopted in report.adopted:
        _say_adopted(adopted)
    for left in report.left_alone:
        watch = _name_watch(left.source, left.address, left.scope)
        note(f"{watch} keeps the history it had: {left.why}.")


def _show_differences(report: "Report") -> None:
    table = new_table("Differences", "kind", "watch", "ref", "live", "replayed")
    for difference in report.differences[:_MOST_LISTED]:
        watch = _name_watch(difference.source, difference.address, difference.scope)
        live, again = _side(difference.live), _side(difference.replayed)
        table.add_row(cell(difference.kind), cell(watch), cell(difference.ref), cell(live), cell(again))
    show(table)


def _say_adopted(adopted: "Adopted") -> None:
    counts = {
        "versions": adopted.versions,
        "carried_spans": adopted.carried_spans,
        "snapshots": adopted.snapshots,
    }
    watch = _name_watch(adopted.source, adopted.address, adopted.scope)
    say(f"Adoption {adopted.adoption}: {watch} has {_count_all(counts)} that are others now.")


def _name_watch(*parts: str) -> str:
    return " ".join(filter(None, parts))


def _side(facts: str | None) -> str:
    if facts is None:
        return "no such row"
    value = json.loads(facts)
    if isinstance(value, str):
        return value
    return ", ".join(f"{name}={json.dumps(fact)}" for name, fact in value.items())


def prune(
    as_json: JsonOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Remove nothing; tell what would go.")] = False,
    config: ConfigOption = None,
    debug: DebugOption = False,
) -> None:
    """Fold unchanged crawls; remove raw pages and ended crawls past `retention.raw`. History stays whole.

    Raw pages go by whole months, never the youngest week; then replay begins where they end.
    """
    settings = open_config(config, debug)
    if settings.retention.raw is None:
        _print_forever(as_json, dry_run, run(_fold(settings, dry_run)))
        return
    pruned = run(_prune(settings, dry_run))
    print_pruned(pruned, as_json, dry_run)
    _note_held_back(pruned)


def _note_held_back(pruned: "Pruned") -> None:
    from indexer.prune import advise_held_back

    for source, crawls in pruned.held_back.items():
        note(advise_held_back(source, crawls))


async def _prune(settings: "Config", dry_run: bool) -> "Pruned":
    from indexer import bootstrap
    from indexer.prune import prune as remove

    assert settings.retention.raw is not None
    async with bootstrap.database(settings) as database:
        return await remove(database, settings.retention.raw, dry_run=dry_run)


async def _fold(settings: "Config", dry_run: bool) -> int:
    from indexer import bootstrap
    from indexer.prune import fold

    async with bootstrap.database(settings) as database:
        return await fold(database, dry_run=dry_run)


def _print_forever(as_json: bool, dry_run: bool, folded: int) -> None:
    if as_json:
        record = {"kept_from": None, "dry_run": dry_run, "pruned": _count(None) | {"folded": folded}}
        write_json(record)
        return
    say(f"{'Would fold' if dry_run else 'Folded'} {folded} unchanged crawls of a watch into runs.")
    say('retention.raw is "forever": nothing is pruned. Set it to an age (such as "90d") to change that.')


def print_pruned(pruned: "Pruned", as_json: bool, dry_run: bool) -> None:
    """What went, or would go."""
    if as_json:
        record = {"kept_from": pruned.kept_from.isoformat(), "dry_run": dry_run, "pruned": _count(pruned)}
        write_json(record)
        return
    say(
        f"{'Would remove' if dry_run else 'Removed'} {pruned.pages} raw pages and {pruned.bodies} bodies"
        f" ({pruned.bytes / 1e6:.1f} MB) of the months before {pruned.kept_from:%Y-%m},"
        f" {pruned.crawls} ended crawls and {pruned.passes} passes;"
        f" {'would fold' if dry_run else 'folded'} {pruned.folded} unchanged crawls of a watch into runs."
    )


def _count(pruned: "Pruned | None") -> dict[str, object]:
    return {
        "raw_pages": pruned.pages if pruned else 0,
        "raw_bodies": pruned.bodies if pruned else 0,
        "bytes": pruned.bytes if pruned else 0,
        "crawls": pruned.crawls if pruned else 0,
        "passes": pruned.passes if pruned else 0,
        "folded": pruned.folded if pruned else 0,
        "tables": [to_record(month) for month in pruned.months] if pruned else [],
    }
