"""How a command starts: its configuration read, its logs set up, its coroutine run to the end."""

import gc
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from indexer.cli.failures import TERMINATED, Ended, known_secrets

if TYPE_CHECKING:
    from indexer.config import Config

Result = TypeVar("Result")

#: What structlog loads if it is there, for tracebacks in colour, which we never show.
_DECORATION: Final = ("rich", "pygments")


def open_config(path: Path | None, debug: bool, *, quiet: bool = True) -> "Config":
    """The configuration, with logs set up by it. Quiet commands log warnings only: their output is enough."""
    with without_decoration():
        from indexer import bootstrap
        from indexer.config import secret_values

    config = bootstrap.read_config(path)
    known_secrets.set(tuple(secret_values(config)))
    if quiet and config.log.level == "INFO":
        config = replace(config, log=replace(config.log, level="WARNING"))
    bootstrap.configure_logs(config, debug)
    return config


@contextmanager
def without_decoration() -> Iterator[None]:
    """Imports inside find no package for decoration, unless it is loaded: it takes 50 ms."""
    absent = [name for name in _DECORATION if name not in sys.modules]
    # None is Python's own mark of a module that is known not to be there.
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]  # the mark has no type
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


def run(work: Coroutine[object, object, Result]) -> Result:
    """Run a command's coroutine. SIGTERM ends it as Ctrl-C does: what it opened is closed in order."""
    import asyncio

    # What is loaded by now stays: the collector need not look at it again.
    gc.freeze()
    return asyncio.run(_run_until_told(work))


async def _run_until_told(work: Coroutine[object, object, Result]) -> Result:
    # Not at the top: help runs nothing, and asyncio brings sockets and TLS along.
    import asyncio
    import signal

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
            raise Ended(TERMINATED) from None
        raise


def is_interactive() -> bool:
    """Whether a person watches stderr, so that progress is worth drawing."""
    return sys.stderr.isatty()
