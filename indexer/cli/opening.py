"""How a command starts: its configuration read, its logs set up, its coroutine run to the end."""

import asyncio
import signal
import sys
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from indexer.cli.failures import TERMINATED, known_secrets

if TYPE_CHECKING:
    from indexer.config import Config

Result = TypeVar("Result")


def open_config(path: Path | None, debug: bool, *, quiet: bool = True) -> "Config":
    """The configuration, with logs set up by it. Quiet commands log warnings only: their output is enough."""
    from indexer import bootstrap
    from indexer.config import secret_values

    config = bootstrap.read_config(path)
    known_secrets.set(tuple(secret_values(config)))
    if quiet and config.log.level == "INFO":
        config = replace(config, log=replace(config.log, level="WARNING"))
    bootstrap.configure_logs(config, debug)
    return config


def run(work: Coroutine[object, object, Result]) -> Result:
    """Run a command's coroutine. SIGTERM ends it as Ctrl-C does: what it opened is closed in order."""
    return asyncio.run(_run_until_told(work))


async def _run_until_told(work: Coroutine[object, object, Result]) -> Result:
    import typer

    task = asyncio.ensure_future(work)
    told: list[int] = []

    def stop() -> None:
        told.append(signal.SIGTERM)
        task.cancel()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
    try:
        return await task
    except asyncio.CancelledError:
        if told:
            raise typer.Exit(TERMINATED) from None
        raise


def is_interactive() -> bool:
    """Whether a person watches stderr, so that progress is worth drawing."""
    return sys.stderr.isatty()
