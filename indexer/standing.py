"""What the status door says of this process: its metrics, and why it may not be ready.

Asks the database little and never waits long for it: a status that hangs helps nobody.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

import psycopg
from psycopg_pool import PoolTimeout

from indexer.config import Config
from indexer.metrics import CONTENT_TYPE, DatabaseFigures, Metrics
from indexer.store import migrations, upkeep
from indexer.store.database import Database, first_line
from indexer.upkeep import SpaceGuard

Answer = TypeVar("Answer")

#: Callers that come together share one reading of the whole database.
_FIGURES_SECONDS: Final = 5.0

_PATIENCE_SECONDS: Final = 3.0

#: A working part that was silent for so many of its beats is stuck; and never less than some seconds.
_SILENT_BEATS: Final = 5
_SILENT_SECONDS: Final = 30.0


class Standing:
    """How this process stands."""

    def __init__(self, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        self._metrics = metrics
        self._clock = clock
        self._database: Database | None = None
        self._guard: SpaceGuard | None = None
        self._is_registered: Callable[[], bool] = lambda: True
        self._head = ""
        #: Questions under way, by what they ask. One that is late is not asked again beside itself.
        self._asked: dict[str, asyncio.Task[Any]] = {}
        self._heard_at: float | None = None
        self._beat_seconds = 1.0
        self._beat_at: float | None = None
        self._figures_at: float | None = None

    def begin(
        self, database: Database, guard: SpaceGuard, is_registered: Callable[[], bool] = lambda: True
    ) -> None:
        """There is a database now. ``is_registered``: whether others know that our worker lives."""
        self._database, self._guard, self._is_registered = database, guard, is_registered
        self._head = migrations.head()

    def beat(self, config: Config) -> None:
        """The working part lives: to be called at every tick."""
        self._beat_at = self._clock()
        self._beat_seconds = config.daemon.tick.total_seconds()
        self._metrics.ticked_at.set(time.time())
        self._metrics.floor_bytes.set(config.retention.min_free_space_bytes)

    async def list_troubles(self) -> list[str]:
        """Why this process is not ready, empty when it is."""
        if self._database is None:
            return ["starting: the database is not open yet"]
        troubles = await self._ask_database(self._database)
        if not troubles and not self._is_registered():
            troubles = ["this worker lost its session, and may claim nothing until it has another"]
        silent = self.measure_silence()
        if self._beat_at is None:
            troubles.append("starting: no tick has ended yet")
        elif silent is not None:
            troubles.append(f"no tick has ended for {silent:.0f} s")
        return troubles

    def measure_silence(self) -> float | None:
        """For how many seconds the working part has been silent; None: for no longer than it may be."""
        if self._beat_at is None:
            return None
        seconds = self._clock() - self._beat_at
        return seconds if seconds > max(_SILENT_SECONDS, _SILENT_BEATS * self._beat_seconds) else None

    async def _ask_database(self, database: Database) -> list[str]:
        async def ask() -> str | None:
            async with database.connection() as connection:
                return await upkeep.read_revision(connection)

        try:
            found = await self._within("revision", ask)
        except (TimeoutError, PoolTimeout):
            return ["the database does not answer"]
        except psycopg.Error as error:
            return [f"the database does not answer: {first_line(error)}"]
        return [] if found == self._head else [f"the schema is {found}, this program needs {self._head}"]

    async def render_metrics(self) -> tuple[bytes, str]:
        """Every metric as text, and its content type."""
        if self._database is not None:
            self._metrics.see_pool(self._database.read_pool())
            await self._read_figures(self._database)
        if self._guard is not None:
            self._metrics.has_room.set(self._guard.has_room)
            self._metrics.free_bytes.set(
                float("nan") if self._guard.free_bytes is None else self._guard.free_bytes
            )
        return self._metrics.render(), CONTENT_TYPE

    async def _read_figures(self, database: Database) -> None:
        now = self._clock()
        if self._figures_at is not None and now - self._figures_at < _FIGURES_SECONDS:
            return
        self._figures_at = now

        async def read() -> DatabaseFigures:
            async with database.connection() as connection:
                return DatabaseFigures(
                    await upkeep.read_source_figures(connection),
                    await upkeep.read_violations(connection),
                    Counter(notice.kind for notice in await upkeep.read_notices(connection)),
                )

        try:
            figures = await self._within("figures", read)
        except (TimeoutError, psycopg.Error, PoolTimeout):
            self._metrics.database_up.set(0)
            if self._heard_at is not None:
                self._metrics.see_silence(self._clock() - self._heard_at)
            return
        self._heard_at = self._clock()
        self._metrics.database_up.set(1)
        self._metrics.see_figures(figures)

    async def _within(self, name: str, ask: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
        """What ``ask`` answers, soon. Raises TimeoutError; the question goes on then, and is not asked twice.

        Not cancelled: to cancel a question the driver asks the server, which takes as long again.
        """
        task = self._asked.get(name)
        if task is None or task.done():
            task = self._asked[name] = asyncio.create_task(ask())
            # Nobody may be there any more when it fails.
            task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        done, _ = await asyncio.wait({task}, timeout=_PATIENCE_SECONDS)
        if not done:
            raise TimeoutError
        answer: Answer = task.result()
        return answer
