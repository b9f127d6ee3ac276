"""What the status door says of this process: its metrics, and why it may not be ready.

Asks the database little and never waits long for it: a status that hangs helps nobody.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

import psycopg
from psycopg_pool import PoolTimeout

from indexer.config import Config
from indexer.metrics import CONTENT_TYPE, DatabaseFigures, Metrics
from indexer.store import migrations, upkeep
from indexer.store.database import Database
from indexer.upkeep import SpaceGuard

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
        self._head = ""
        self._beat_seconds = 1.0
        self._beat_at: float | None = None
        self._figures_at: float | None = None

    def begin(self, database: Database, guard: SpaceGuard) -> None:
        """There is a database now."""
        self._database, self._guard = database, guard
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
        limit = max(_SILENT_SECONDS, _SILENT_BEATS * self._beat_seconds)
        if self._beat_at is None:
            troubles.append("starting: no tick has ended yet")
        elif self._clock() - self._beat_at > limit:
            troubles.append(f"no tick has ended for {self._clock() - self._beat_at:.0f} s")
        return troubles

    async def _ask_database(self, database: Database) -> list[str]:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS), database.connection() as connection:
                found = await upkeep.read_revision(connection)
        except (TimeoutError, psycopg.Error, PoolTimeout):
            return ["the database does not answer"]
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
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS), database.connection() as connection:
                figures = DatabaseFigures(
                    await upkeep.read_source_figures(connection),
                    await upkeep.read_violations(connection),
                    Counter(notice.kind for notice in await upkeep.read_notices(connection)),
                )
        except (TimeoutError, psycopg.Error, PoolTimeout):
            self._metrics.database_up.set(0)
            return
        self._metrics.database_up.set(1)
        self._metrics.see_figures(figures)
