"""`indexer run` and `indexer work`: the processes that stay."""

from pathlib import Path
from typing import Annotated, Final

import typer

from indexer.cli.opening import open_config
from indexer.cli.options import ConfigOption, DebugOption
from indexer.errors import UsageError

_LISTEN: Final = typer.Option(
    "--listen",
    metavar="HOST:PORT",
    show_default=False,
    help="Address of /metrics, /healthz and /readyz. Keep it private: there is no password.",
)

ListenOption = Annotated[str | None, _LISTEN]


def run(listen: ListenOption = None, config: ConfigOption = None, debug: DebugOption = False) -> None:
    """Crawl every watch when it is due, until SIGTERM or Ctrl-C.

    Follows the watchlist and the configuration while it runs: edit the files, or send SIGHUP. A set that is
    wrong is refused as a whole; `indexer status` says why. Run as many as you like on one database.
    """
    _live(listen, config, debug, ticks=True)


def work(listen: ListenOption = None, config: ConfigOption = None, debug: DebugOption = False) -> None:
    """Only work: crawl what `indexer run` finds due, on this machine or another.

    It reads no watchlist and opens no status door unless --listen is given. It needs the same
    configuration and secrets, and the same database.
    """
    _live(listen, config, debug, ticks=False)


def _live(listen: str | None, config: Path | None, debug: bool, *, ticks: bool) -> None:
    open_config(config, debug, quiet=False)
    import asyncio

    from indexer import daemon, stopping

    options = daemon.Options(config, debug, None if listen is None else read_listen(listen), ticks)
    asyncio.run(daemon.run(options))
    # Everything is in order; taking the interpreter apart would take as long again on a busy machine.
    stopping.leave(0)


def read_listen(text: str) -> tuple[str, int]:
    """Host and port. Raises UsageError."""
    from indexer.settings import split_listen

    try:
        return split_listen(text)
    except ValueError as error:
        raise UsageError(f"--listen {error}.") from None
