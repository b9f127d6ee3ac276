"""What a daemon looks after beside crawling: room for pages, room on the disk, and that history is whole.

Each task is done by one process at a time, however many run. A task that fails is told and tried again.
"""

import asyncio
import os
import shutil
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import psycopg
import structlog

from indexer import prune
from indexer.config import Config
from indexer.durations import format_size
from indexer.errors import DatabaseError, DatabaseUnavailable
from indexer.prune import Repeats
from indexer.store import upkeep
from indexer.store.database import Connection, Database, first_line

_log = structlog.get_logger()

_HOURLY: Final = timedelta(hours=1)
_DAILY: Final = timedelta(days=1)

#: An upkeep that cannot reach the database for this long gives up until the next one.
_PATIENCE_SECONDS: Final = 5.0

#: A notice is written again after this: see `upkeep.SILENCE`.
_REPEATED_SECONDS: Final = upkeep.SILENCE.total_seconds() / 5


async def do_upkeep(database: Database, config: Config, repeats: Repeats) -> None:
    """Do the tasks that are due, and fold what was published since the last time."""
    await _do_task(database, _Task("partitions", _HOURLY, _make_partitions))
    await make_room(database, config, repeats)
    await _do_task(database, _Task("invariants", _DAILY, _check_invariants))
    # Last: what fails every minute must not keep the others from being done.
    await repeats.fold(database)


async def make_room(database: Database, config: Config, repeats: Repeats) -> None:
    """Fold, and drop what is older than its retention, where that is due.

    A pass asked for by hand ends with it: where cron runs `indexer crawl`, nobody else would.
    """
    await _do_task(database, _Task("folding", _HOURLY, repeats.fold_lately))
    keep = config.retention.raw
    if keep is not None:
        await _do_task(database, _Task("retention", _DAILY, lambda database: _prune(database, keep)))


async def survive(name: str, work: Coroutine[object, object, None]) -> str:
    """Nothing that fails here ends the process: it is told, and tried again. Returns how it ended."""
    try:
        await work
    except (DatabaseError, psycopg.Error) as error:
        _log.warning(f"{name} failed", kind=type(error).__name__, error=first_line(error))
        return "database"
    except Exception:  # noqa: BLE001  a daemon lives for years: it tells, and goes on
        _log.exception(f"{name} broke")
        return "broken"
    return "done"


@dataclass(frozen=True, slots=True)
class _Task:
    name: str
    every: timedelta
    #: What it does, in transactions of its own; returns what it counted.
    work: Callable[[Database], Awaitable[int]]


async def _do_task(database: Database, task: _Task) -> None:
    async def take() -> bool:
        async with database.transaction() as connection:
            return await upkeep.take_task(connection, task.name, task.every)

    if not await database.steadily(take, _PATIENCE_SECONDS):
        return
    found = await task.work(database)
    async with database.transaction() as connection:
        await upkeep.end_task(connection, task.name, found)
    _log.info("upkeep done", task=task.name, found=found)


async def _make_partitions(database: Database) -> int:
    async with database.transaction() as connection:
        await upkeep.clear_silent_notices(connection)
        return await upkeep.ensure_partitions(connection)


async def _prune(database: Database, keep: timedelta) -> int:
    """What `indexer prune` does. Returns how many tables and crawls went."""
    gone = await prune.prune(database, keep, dry_run=False)
    found = len(gone.months) + gone.crawls
    if found:
        _log.info(
            "pruned",
            kept_from=str(gone.kept_from),
            tables=len(gone.months),
            pages=gone.pages,
            bytes=gone.bytes,
            crawls=gone.crawls,
        )
    for source, crawls in gone.held_back.items():
        _log.warning(
            "retention is held back",
            source=source,
            crawls=crawls,
            advice=prune.advise_held_back(source, crawls),
        )
    return found


async def _check_invariants(database: Database) -> int:
    async with database.transaction() as connection:
        violations = await upkeep.count_violations(connection)
        await _tell_violations(connection, violations)
    return sum(violations.values())


async def _tell_violations(connection: Connection, violations: Mapping[str, int]) -> None:
    if violations:
        told = ", ".join(f"{count} {rule}" for rule, count in violations.items())
        _log.error("history breaks its own rules", **violations)
        await upkeep.write_notice(
            connection, "invariants", "", f"History breaks its own rules ({told}): run `indexer verify`."
        )
    else:
        await upkeep.clear_notice(connection, "invariants", "")


class NoticeBoard:
    """What the operator must know about this process, brought into the database when it can be reached."""

    def __init__(
        self,
        database: Database,
        place: str,
        kinds: Sequence[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._clock = clock
        self._place = place
        self._wanted: dict[str, str | None] = dict.fromkeys(kinds)
        #: What the database says; a kind that is not in it may still hang there from an earlier process.
        self._told: dict[str, str | None] = {}
        self._told_at = 0.0

    def set(self, kind: str, message: str | None) -> None:
        """Say this from now on; None: nothing."""
        self._wanted[kind] = message

    async def sync(self) -> None:
        """Write what changed, and now and then what stays. Raises psycopg errors; call it again then."""
        now = self._clock()
        if now - self._told_at > _REPEATED_SECONDS:
            self._told = {kind: None for kind, message in self._told.items() if message is None}
            self._told_at = now
        for kind, message in self._wanted.items():
            if kind in self._told and self._told[kind] == message:
                continue
            async with self._database.transaction() as connection:
                if message is None:
                    await upkeep.clear_notice(connection, kind, self._place)
                else:
                    await upkeep.write_notice(connection, kind, self._place, message)
            self._told[kind] = message


class SpaceGuard:
    """Whether the disk of the database has room. Below the floor nothing is claimed; reads go on."""

    def __init__(self, database: Database, board: NoticeBoard) -> None:
        self._database = database
        self._board = board
        self._folder: Path | None = None
        self._folder_is_known = False
        #: None: the disk is another machine's, or we may not know which it is.
        self.free_bytes: int | None = None
        self.has_room = True

    async def check(self, config: Config) -> bool:
        """Whether there is room now. Raises psycopg errors while the database cannot be asked."""
        if not self._folder_is_known:
            self._folder = await self._find_folder(config)
            self._folder_is_known = True
        self.free_bytes = None if self._folder is None else await asyncio.to_thread(_free, self._folder)
        self._judge(config.retention.min_free_space_bytes)
        return self.has_room

    async def insist(self, config: Config) -> None:
        """Raise DatabaseUnavailable while there is no room: for a command that would not wait for it."""
        if not await self.check(config):
            floor = format_size(config.retention.min_free_space_bytes)
            raise DatabaseUnavailable(
                f"Less than {floor} free on the disk of the database: crawling stops, and what was committed "
                "is kept. Make room, or lower retention.min_free_space; the next `indexer crawl` goes on."
            )

    def _judge(self, floor: int) -> None:
        had_room, self.has_room = self.has_room, self.free_bytes is None or self.free_bytes >= floor
        if self.has_room:
            self._board.set("space", None)
            if not had_room:
                _log.info("crawling resumes: there is free space again")
            return
        self._board.set(
            "space",
            f"Less than {format_size(floor)} free on the disk of the database: crawling pauses until there "
            "is more; reading goes on. Make room, or lower retention.min_free_space.",
        )
        if had_room:
            _log.warning("crawling pauses: too little free space", free=self.free_bytes, floor=floor)

    async def _find_folder(self, config: Config) -> Path | None:
        """The folder of the database, if it is on this machine."""
        if config.database.url is None:
            return config.database.data_dir
        async with self._database.connection() as connection:
            host = connection.info.host
            named = await upkeep.read_data_folder(connection)
        is_here = host.startswith("/") or host in {"", "localhost", "127.0.0.1", "::1"}
        return Path(named) if named is not None and is_here else None


def _free(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def name_place(config: Config) -> str:
    """What notices of this process are about: the machine and the configuration file."""
    path = "built-in values" if config.path is None else config.path.absolute()
    return f"{os.uname().nodename}:{path}"
