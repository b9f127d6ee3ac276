"""`indexer release` and `reject`: a person's word on a list that was not believed."""

from typing import TYPE_CHECKING, Annotated

import typer

from indexer.cli.opening import open_config, run
from indexer.cli.options import ConfigOption, DebugOption
from indexer.cli.output import say

if TYPE_CHECKING:
    from indexer.config import Config

SnapshotArgument = Annotated[
    int,
    typer.Argument(
        metavar="SNAPSHOT",
        min=1,
        max=2**63 - 1,
        help="Number of a quarantined snapshot, as `indexer status` shows it.",
    ),
]


def release(snapshot: SnapshotArgument, config: ConfigOption = None, debug: DebugOption = False) -> None:
    """Believe a quarantined list after all: it becomes history now."""
    say(run(_release(open_config(config, debug), snapshot)))


def reject(snapshot: SnapshotArgument, config: ConfigOption = None, debug: DebugOption = False) -> None:
    """Dismiss a quarantined list: history stays as it is."""
    say(run(_reject(open_config(config, debug), snapshot)))


async def _release(settings: "Config", snapshot_id: int) -> str:
    from indexer import bootstrap, review

    sources = bootstrap.build_sources(settings)
    async with bootstrap.database(settings) as database:
        return await review.release(database, settings, sources, snapshot_id)


async def _reject(settings: "Config", snapshot_id: int) -> str:
    from indexer import bootstrap, review

    async with bootstrap.database(settings) as database:
        return await review.reject(database, snapshot_id)
