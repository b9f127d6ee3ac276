"""`indexer holdings`, `history` and `changes`: what the warehouse knows, for people and programs."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from indexer.cli.moments import Moment, iso, read_moment
from indexer.cli.opening import open_config, run
from indexer.cli.options import ConfigOption, DebugOption, Format, FormatOption
from indexer.cli.watches import find_watches, require_text, watch_key

if TYPE_CHECKING:
    from indexer.config import Config
    from indexer.store.database import Connection


AsOfOption = Annotated[
    str | None,
    Option(
        "--as-of",
        metavar="T",
        show_default=False,
        help="What was known then: 2026-11-20, 2026-11-20T12:00:00Z, '1h ago' or -1h. Default: now.",
    ),
]


def holdings(
    address: Annotated[
        str | None,
        Argument(metavar="[ADDRESS|LABEL]", show_default=False, help="Only this address or label."),
    ] = None,
    as_of: AsOfOption = None,
    output: FormatOption = Format.TABLE,
    config: ConfigOption = None,
    debug: DebugOption = False,
) -> None:
    """What the watched addresses hold, now or at an earlier instant, and what is not known."""
    moment = read_moment("now" if as_of is None else as_of)
    settings = open_config(config, debug)
    run(_holdings(settings, address, moment, output))


def history(
    address: Annotated[str, Argument(metavar="ADDRESS", help="A watched address, or its label.")],
    asset: Annotated[
        str, Argument(metavar="ASSET", help="The asset's own key: rune id, mint, asset id, token id …")
    ],
    output: FormatOption = Format.TABLE,
    config: ConfigOption = None,
    debug: DebugOption = False,
) -> None:
    """Every version of one asset at one address: how much, from when to when, and why it changed."""
    require_text(asset)
    settings = open_config(config, debug)
    run(_history(settings, address, asset, output))


def changes(
    since: Annotated[
        str, Option("--since", metavar="T", help="From then on. Written as for `holdings --as-of`.")
    ] = "24h ago",
    output: FormatOption = Format.TABLE,
    config: ConfigOption = None,
    debug: DebugOption = False,
) -> None:
    """What changed, and between which two crawls it must have happened."""
    moment = read_moment(since)
    settings = open_config(config, debug)
    run(_changes(settings, moment, output))


async def _holdings(settings: "Config", text: str | None, moment: Moment, output: Format) -> None:
    from indexer import bootstrap
    from indexer.cli import reports
    from indexer.store import reading

    limit = reports.MOST_ROWS + 1 if output is Format.TABLE else None
    async with bootstrap.database(settings) as database, database.connection() as conn:
        at = await _resolve(conn, moment)
        # Coverage first: whatever is published in between can only make the list newer than the notes.
        if text is None:
            coverage = await reading.list_coverage(conn, at)
            rows = await reading.list_holdings(conn, at, limit)
        else:
            coverage = await find_watches(conn, text, bootstrap.build_sources(settings), at)
            rows = await reading.list_holdings_of(conn, at, [row.address for row in coverage], limit)
            meant = {watch_key(row) for row in coverage}
            rows = [row for row in rows if (row.source, row.address, row.scope) in meant]
    reports.print_holdings(at, coverage, rows, output)


async def _history(settings: "Config", text: str, asset_ref: str, output: Format) -> None:
    from indexer import bootstrap
    from indexer.cli import reports
    from indexer.store import reading

    async with bootstrap.database(settings) as database, database.connection() as conn:
        at = await reading.read_clock(conn)
        watches = await find_watches(conn, text, bootstrap.build_sources(settings), at)
        rows = await reading.list_history(conn, [row.address for row in watches], asset_ref)
        meant = {watch_key(row) for row in watches}
        rows = [row for row in rows if (row.source, row.address, row.scope) in meant]
        pairs = {(row.source, row.address): row for row in watches}
        answers = [(row, await reading.read_answer(conn, row, asset_ref, at)) for row in pairs.values()]
    reports.print_history(asset_ref, rows, answers, output)


async def _changes(settings: "Config", moment: Moment, output: Format) -> None:
    from indexer import bootstrap
    from indexer.cli import reports
    from indexer.store import reading

    limit = reports.MOST_ROWS + 1 if output is Format.TABLE else None
    async with bootstrap.database(settings) as database, database.connection() as conn:
        since = await _resolve(conn, moment)
        coverage = await reading.list_coverage(conn, await reading.read_clock(conn))
        rows = await reading.list_changes(conn, since, limit)
    reports.print_changes(since, coverage, rows, output)


async def _resolve(conn: "Connection", moment: Moment) -> datetime:
    from indexer.cli.output import note
    from indexer.store.reading import read_clock

    at = moment.resolve(await read_clock(conn))
    if moment.zone_assumed:
        note(f"No zone was given: read as UTC, {iso(at)}.")
    return at
