"""The options that several commands share, spelled once."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from typer import Option

ConfigOption = Annotated[
    Path | None,
    Option(
        "--config",
        metavar="FILE",
        show_default=False,
        help="Configuration file. Default: config/indexer.toml if it is there, else built-in defaults.",
    ),
]

DebugOption = Annotated[
    bool,
    Option("--debug", help="Log everything, and show a traceback when something fails."),
]

JsonOption = Annotated[bool, Option("--json", help="Print JSON on stdout; everything else goes to stderr.")]


class Format(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


FormatOption = Annotated[
    Format,
    Option(
        "--format",
        metavar="table|json|csv",
        help="table for people; json or csv for programs (amounts are exact text).",
    ),
]
