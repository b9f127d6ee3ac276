"""`indexer crawl`: one pass over the selected watches, with progress and an outcome for each."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Final

from typer import Option

from indexer.cli.failures import NOT_PUBLISHED, Ended
from indexer.cli.moments import age
from indexer.cli.opening import is_interactive, open_config, run
from indexer.cli.options import ConfigOption, DebugOption, JsonOption
from indexer.cli.output import cell, new_table, note, show, stderr_console, to_record, write_json
from indexer.cli.watches import canonical_forms
from indexer.errors import UsageError

if TYPE_CHECKING:
    from indexer.config import Config
    from indexer.jobs import Engine, Plan, Progress, Selection
    from indexer.prune import Repeats
    from indexer.sources.base import Source
    from indexer.store.passes import Outcome
    from indexer.watchlist import WatchEntry

#: Outcomes that leave history without what was asked for.
NOT_PUBLISHED_OUTCOMES: Final = frozenset({"failed", "quarantined", "abandoned"})

#: More outcomes than this are counted; only those that need a person are listed.
_MOST_LISTED: Final = 200

#: Outcomes of which folding takes so long that a person wonders.
_MANY: Final = 10_000

_STYLES: Final = {
    "published": "green",
    "unchanged": "green",
    "quarantined": "magenta",
    "failed": "red",
    "abandoned": "red",
    "skipped": "dim",
}


def crawl(
    source: Annotated[
        str | None,
        Option("--source", metavar="S", show_default=False, help="Only watches of this source."),
    ] = None,
    address: Annotated[
        str | None,
        Option("--address", metavar="A", show_default=False, help="Only watches of this address."),
    ] = None,
    as_json: JsonOption = False,
    dry_run: Annotated[bool, Option("--dry-run", help="Send nothing; estimate requests and time.")] = False,
    config: ConfigOption = None,
    debug: DebugOption = False,
) -> None:
    """Crawl every selected watch once, due or not, and wait until each has an outcome.

    Joins a pass that runs elsewhere or was interrupted: finished watches keep their outcome, unfinished
    crawls go on where they stopped. Exit code 3 when a watch was not published.
    """
    settings = open_config(config, debug, quiet=is_interactive())
    entries, selection = select_watches(settings, source, address)
    if dry_run:
        print_plan(run(_plan(settings, entries, selection)), as_json)
        return
    try:
        outcomes = run(_crawl(settings, entries, selection, as_json))
    except KeyboardInterrupt:
        note("Interrupted: committed pages are kept, and the next `indexer crawl` goes on from them.")
        raise
    if any(outcome.outcome in NOT_PUBLISHED_OUTCOMES for outcome in outcomes):
        raise Ended(NOT_PUBLISHED)


def select_watches(
    settings: "Config", source: str | None, address: str | None
) -> tuple[Sequence["WatchEntry"], "Selection"]:
    """The watchlist, and what is selected of it (the address in its stored form). Raises UsageError."""
    from indexer import bootstrap
    from indexer.jobs import Selection

    sources = bootstrap.build_sources(settings)
    entries = bootstrap.read_watchlist(settings, sources)
    chosen = [entry for entry in entries if source is None or entry.source == source]
    if not chosen:
        possible = ", ".join(sorted({entry.source for entry in entries}))
        raise UsageError(f"No watch has the source {source!r}: the watchlist has {possible}.")
    stored = None if address is None else find_address(address, chosen, sources)
    return entries, Selection(source, stored)


def find_address(text: str, entries: Sequence["WatchEntry"], sources: Mapping[str, "Source"]) -> str:
    """The stored form of an address that is watched, by every source's rules. Raises UsageError."""
    watched = {entry.address for entry in entries}
    for form in canonical_forms(text, sources):
        if form in watched:
            return form
    possible = ", ".join(sorted({entry.source for entry in entries}))
    raise UsageError(
        f"No watch of {possible} has the address {text!r}: `indexer watchlist check` counts what is watched."
    )


async def _plan(
    settings: "Config", entries: Sequence["WatchEntry"], selection: "Selection"
) -> Sequence["Plan"]:
    from indexer import bootstrap, jobs

    async with bootstrap.engine(settings, entries) as engine:
        return await jobs.plan_pass(engine, selection)


async def _crawl(
    settings: "Config", entries: Sequence["WatchEntry"], selection: "Selection", as_json: bool
) -> Sequence["Outcome"]:
    from indexer import bootstrap, jobs, upkeep
    from indexer.prune import Repeats

    async with bootstrap.engine(settings, entries) as engine:
        repeats = Repeats()
        await repeats.begin(engine.database)
        guard = upkeep.SpaceGuard(engine.database, upkeep.NoticeBoard(engine.database, "", ()))
        with progress_bar() as on_progress:
            outcomes = await jobs.run_pass(engine, selection, on_progress, lambda: guard.insist(settings))
        print_outcomes(outcomes, as_json)
        # Not before its outcomes are told: it may take a while. A pass that is whole is not lost to what
        # comes after it either.
        await upkeep.survive("upkeep", _make_room(engine, repeats, outcomes))
        return outcomes


async def _make_room(engine: "Engine", repeats: "Repeats", outcomes: Sequence["Outcome"]) -> None:
    from indexer import upkeep

    await upkeep.make_room(engine.database, engine.config, repeats)
    # Where everything changed, the little there is to fold is left to the next pass.
    if any(outcome.outcome == "unchanged" for outcome in outcomes):
        if len(outcomes) > _MANY:
            note("Folding what repeats the crawls before it. Ctrl-C leaves that to the next pass.")
        await repeats.fold(engine.database)


@contextmanager
def progress_bar() -> Iterator[Callable[["Progress"], None]]:
    """A bar on stderr while a person watches it; nothing at all otherwise."""
    if not is_interactive():
        yield lambda _seen: None
        return
    from rich import progress

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
    )
    with progress.Progress(*columns, console=stderr_console(), transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def draw(seen: "Progress") -> None:
            text = cell(f"{seen.current} · {seen.pages} pages").plain
            bar.update(task, total=seen.watches, completed=seen.finished, description=text)

        yield draw


def print_outcomes(outcomes: Sequence["Outcome"], as_json: bool) -> None:
    """What became of every selected watch."""
    if as_json:
        write_json({"watches": [to_record(outcome) for outcome in outcomes]})
    else:
        _show_outcomes(outcomes)
    counts = Counter(outcome.outcome for outcome in outcomes)
    note(
        f"{len(outcomes)} watches: " + ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    )
    if counts["quarantined"]:
        note("A list was too surprising to believe: `indexer status` says what to type.")


def _show_outcomes(outcomes: Sequence["Outcome"]) -> None:
    listed = outcomes
    if len(outcomes) > _MOST_LISTED:
        listed = [outcome for outcome in outcomes if outcome.outcome in NOT_PUBLISHED_OUTCOMES]
    table = new_table(
        "Outcomes",
        "source",
        "address",
        "scope",
        "outcome",
        "holdings",
        "pages",
        "requests",
        "error",
        right=("holdings", "pages", "requests"),
    )
    for outcome in listed:
        table.add_row(
            cell(outcome.source),
            cell(outcome.address),
            cell(outcome.scope),
            cell(outcome.outcome, _STYLES.get(outcome.outcome, "")),
            cell("unknown" if outcome.holdings is None else outcome.holdings),
            cell(outcome.pages),
            cell(outcome.requests),
            cell(outcome.error),
        )
    show(table)


def print_plan(plans: Sequence["Plan"], as_json: bool) -> None:
    """What a pass would cost. Nothing was sent."""
    if as_json:
        write_json({"plan": [to_record(plan) for plan in plans]})
        return
    from datetime import timedelta

    table = new_table(
        "Estimate", "source", "watches", "requests", "time", right=("watches", "requests", "time")
    )
    for plan in plans:
        span = age(timedelta(seconds=plan.seconds))
        table.add_row(cell(plan.source), cell(plan.watches), cell(plan.requests), cell(span))
    show(table)
    note("Nothing was sent. Estimates come from each watch's last crawl; sources are crawled side by side.")
