"""The status door beside a silent database: it answers soon, and not what is no longer so."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest
from structlog.testing import capture_logs

from indexer import standing as module
from indexer.metrics import DatabaseFigures, Metrics
from indexer.standing import Standing
from indexer.store.database import Connection, Database
from indexer.store.upkeep import SourceFigures
from indexer.ticker import Follower, Ticker
from indexer.upkeep import SpaceGuard


class Silent:
    """A database that takes every question and answers none."""

    def __init__(self) -> None:
        self.asked = 0

    def read_pool(self) -> dict[str, int]:
        return {}

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        self.asked += 1
        await asyncio.Event().wait()
        yield cast("Connection", None)


class Room:
    """A disk of which nothing is known."""

    has_room = True
    free_bytes = None


def _stand(clock: list[float]) -> tuple[Standing, Metrics, Silent]:
    metrics, silent = Metrics(), Silent()
    standing = Standing(metrics, lambda: clock[0])
    standing.begin(cast("Database", silent), cast("SpaceGuard", Room()))
    return standing, metrics, silent


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE_SECONDS", 0.01)


def test_a_silent_database_is_asked_once_and_reported_soon() -> None:
    """Questions do not pile up on the few connections a process has; nor does anybody wait for them."""
    standing, _, silent = _stand([0.0])

    async def look() -> list[list[str]]:
        return [await standing.list_troubles() for _ in range(3)]

    seen = asyncio.run(look())

    assert all("the database does not answer" in troubles for troubles in seen)
    assert silent.asked == 1


def test_answers_grow_older_while_the_database_is_silent() -> None:
    """Frozen at a few seconds, their age would say that all is well for as long as the outage lasts."""
    clock = [0.0]
    standing, metrics, _ = _stand(clock)
    known = SourceFigures(
        source="hedera", is_paused=False, watches=1, never_observed=0, stale=0, oldest_seconds=4.0,
        quarantined=0, pending=0, running=0, waiting_seconds=None,
    )  # fmt: skip
    standing._heard_at = clock[0]
    metrics.see_figures(DatabaseFigures([known], None, {}))

    clock[0] = 100.0
    text = asyncio.run(standing.render_metrics())[0].decode()

    assert "indexer_database_up 0.0" in text
    assert 'indexer_oldest_snapshot_age_seconds{source="hedera"} 104.0' in text


def test_a_worker_that_lost_its_session_is_not_ready() -> None:
    """It may claim nothing: a load balancer, and whoever looks, should know."""
    standing = Standing(Metrics(), lambda: 0.0)
    standing.begin(cast("Database", None), cast("SpaceGuard", Room()), lambda: False)
    standing._beat_at = 0.0

    async def nothing(_database: Database) -> list[str]:
        return []

    standing._database = cast("Database", object())
    vars(standing)["_ask_database"] = nothing

    assert ["lost its session" in trouble for trouble in asyncio.run(standing.list_troubles())] == [True]


def test_a_silence_is_told_at_once_again_and_when_it_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that swallows every question leaves no other line in the log, for as long as it lasts."""
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    standing = Standing(Metrics(), lambda: clock[0])
    standing._beat_at = 0.0
    ticker = Ticker(cast("Follower", None), standing)

    def look(at: float) -> None:
        clock[0] = at
        asyncio.run(ticker.watch_over())

    with capture_logs() as told:
        for second in (10, 29, 31, 41, 81, 92):
            look(second)
        standing._beat_at = 95.0
        look(100)
        look(110)

    assert [(entry["log_level"], entry.get("seconds")) for entry in told] == [
        ("warning", 31),
        ("warning", 92),
        ("info", None),
    ]
