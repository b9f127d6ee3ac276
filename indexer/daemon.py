"""The daemon: one process that makes due crawls and works on them until it is told to stop.

`indexer work` is the same process without the ticker: it only works. Any number of both share one database.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from indexer import bootstrap, door
from indexer.config import Config
from indexer.door import Answers, name_address
from indexer.jobs import Engine
from indexer.metrics import Metrics
from indexer.reload import Reloader
from indexer.shift import Shift
from indexer.standing import Standing
from indexer.stopping import run_until_told
from indexer.ticker import Follower, Ticker
from indexer.upkeep import NoticeBoard, SpaceGuard, name_place

_log = structlog.get_logger()

#: What a daemon may have to tell an operator.
_KINDS: Final = ("configuration", "restart", "space")


@dataclass(frozen=True, slots=True)
class Options:
    """How the process was called."""

    config_path: Path | None
    debug: bool
    #: Address of the status door. None: `run` takes it from the configuration, `work` opens none.
    listen: tuple[str, int] | None
    #: False: it works, but makes no due crawls and reads no watchlist.
    ticks: bool


async def run(options: Options) -> None:
    """Live until told to stop. Raises UsageError, DatabaseUnavailable, SchemaNotCurrent at the start."""
    daemon = prepare(options)
    await run_until_told(daemon.live(), daemon.ask_for_reload)


def prepare(options: Options) -> "Daemon":
    """Everything that can be wrong with files and the door is found before anything is started."""
    config = bootstrap.read_config(options.config_path)
    look = bootstrap.look_at_files if options.ticks else bootstrap.look_at_settings
    read = bootstrap.read_setup if options.ticks else bootstrap.read_worker_setup
    # Before the files are read: whatever changes from here on is read again.
    seen = look(config)
    reloader = Reloader(read(options.config_path), seen, lambda: read(options.config_path), look)
    listen = options.listen
    if listen is None and options.ticks:
        listen = (config.daemon.listen_host, config.daemon.listen_port)
    return Daemon(options, reloader, None if listen is None else door.bind(*listen))


class Daemon:
    """One process: its door, its ticker, its shift."""

    def __init__(self, options: Options, reloader: Reloader, listener: socket.socket | None) -> None:
        self._options = options
        self._reloader = reloader
        self._listener = listener
        self._metrics = Metrics()
        self._standing = Standing(self._metrics)
        self._follower: Follower | None = None

    def ask_for_reload(self) -> None:
        """Read every file at the next tick, secrets too."""
        # Before there is one, everything was read just now.
        if self._follower is not None:
            self._follower.reload_is_wanted = True

    async def live(self) -> None:
        """Work until cancelled; then everything is closed in order."""
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self._open_door())
            engine = await stack.enter_async_context(bootstrap.engine(self._reloader.setup.config, ()))
            ticks, number = self._options.ticks, engine.worker.number.number
            _log.info("working", worker=number, ticks=ticks)
            await (self._tick_and_work(engine) if ticks else self._only_work(engine))

    @contextlib.asynccontextmanager
    async def _open_door(self) -> AsyncIterator[None]:
        if self._listener is None:
            yield
            return
        host, port = self._listener.getsockname()[:2]
        answers = Answers(self._standing.render_metrics, self._standing.list_troubles)
        async with door.opened(self._listener, answers):
            _log.info("status door open", address=name_address(host, port))
            yield

    async def _tick_and_work(self, engine: Engine) -> None:
        follower = self._follow(engine, name_place(engine.config))
        ticker = Ticker(follower, self._standing)
        async with asyncio.TaskGroup() as group:
            group.create_task(ticker.run())
            group.create_task(follower.shift.run())

    async def _only_work(self, engine: Engine) -> None:
        # A place of its own: what a daemon beside it has to tell is not ours to take down.
        follower = self._follow(engine, f"{name_place(engine.config)} (work)")
        async with asyncio.TaskGroup() as group:
            group.create_task(follower.run())
            group.create_task(follower.shift.run())

    def _follow(self, engine: Engine, place: str) -> Follower:
        board = NoticeBoard(engine.database, place, _KINDS)
        shift = self._open_shift(engine, board)
        self._follower = Follower(engine, self._reloader, shift, board, self._metrics, self._options.debug)
        return self._follower

    def _open_shift(self, engine: Engine, board: NoticeBoard) -> Shift:
        guard = SpaceGuard(engine.database, board)
        self._standing.begin(engine.database, guard, lambda: engine.worker.is_registered)

        async def may_claim(config: Config) -> bool:
            has_room = await guard.check(config)
            await board.sync()
            return has_room

        # What makes crawls too lives as long as it ticks.
        return Shift(engine, self._metrics, may_claim, None if self._options.ticks else self._standing.beat)
