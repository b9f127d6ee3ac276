"""`indexer export`: the analysts' tables as Parquet, for tools that read no PostgreSQL."""

import sys
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from indexer.cli.moments import Moment, brief, iso, read_moment
from indexer.cli.opening import open_config, run
from indexer.cli.options import ConfigOption, DebugOption, JsonOption
from indexer.cli.output import cell, new_table, note, say, show, write_json
from indexer.cli.reading import AsOfOption
from indexer.cli.upkeep import progress_bar
from indexer.errors import UsageError

if TYPE_CHECKING:
    from indexer.config import Config
    from indexer.export import Exported


class Amounts(StrEnum):
    """How amounts are written."""

    AUTO = "auto"
    DECIMAL = "decimal"
    TEXT = "text"


def export(  # noqa: PLR0913, PLR0917  # one parameter for each option
    folder: Annotated[
        Path, typer.Argument(metavar="[FOLDER]", help="Where to: a folder that is empty or not there.")
    ] = Path("export"),
    as_of: AsOfOption = None,
    tables: Annotated[
        list[str] | None,
        typer.Option(
            "--table", metavar="NAME", show_default=False, help="Only this table; may be given again."
        ),
    ] = None,
    amounts: Annotated[
        Amounts,
        typer.Option(
            "--amounts",
            metavar="auto|decimal|text",
            help="auto: decimals, or text (in every table) when one has more than 38 digits.",
        ),
    ] = Amounts.AUTO,
    replaces: Annotated[
        bool, typer.Option("--replace", help="Put it in the place of the export that is there.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    debug: DebugOption = False,
) -> None:
    """Write the tables of the schema `report` as Parquet, one file each, all read at one moment.

    holdings, balances and coverage are as of T. The folder appears only when everything is in it.
    """
    moment = read_moment("now" if as_of is None else as_of)
    settings = open_config(config, debug)
    if find_spec("pyarrow") is None:
        install = f"{sys.executable} -m pip install pyarrow"
        raise UsageError(f"Parquet is written with pyarrow, which is not installed: {install}")
    exported = run(_export(settings, folder, moment, tables, amounts, replaces))
    if moment.zone_assumed:
        note(f"No zone was given: read as UTC, {iso(exported.as_of)}.")
    print_exported(folder, exported, as_json)


async def _export(
    settings: "Config",
    folder: Path,
    moment: Moment,
    tables: list[str] | None,
    amounts: Amounts,
    replaces: bool,
) -> "Exported":
    from indexer import bootstrap
    from indexer.export import Wanted, require_room
    from indexer.export import export as write

    # Before anything is started, and again by the export itself.
    require_room(folder, replaces=replaces)
    wanted = Wanted(tables or None, moment.resolve, amounts.value)
    async with bootstrap.database(settings) as database:
        with progress_bar() as on_table:
            return await write(database, folder, wanted, on_table, replaces=replaces)


def print_exported(folder: Path, exported: "Exported", as_json: bool) -> None:
    """What was written, and what to know before reading it."""
    if as_json:
        write_json({"folder": str(folder.resolve()), **exported.to_record()})
        return
    table = new_table(f"Exported to {folder}", "file", "rows", "bytes", right=("rows", "bytes"))
    for one in exported.tables:
        table.add_row(cell(one.file), cell(one.rows), cell(one.bytes))
    show(table)
    say(f"As of {brief(exported.as_of)}; amounts are {exported.amounts}.")
