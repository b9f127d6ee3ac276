"""A crawl whose database is gone: nothing can be written, so nothing is decided about it."""

import asyncio
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Never, cast

import psycopg
import pytest
from structlog.testing import capture_logs

from indexer import config
from indexer.client import Client
from indexer.commit import Committer
from indexer.crawl import Crawler, Doors
from indexer.errors import DatabaseUnavailable
from indexer.sources.hedera import Hedera
from indexer.store.crawls import Claim
from indexer.store.database import Database

CLAIM = Claim(
    crawl_id=1,
    part_on=date(2026, 11, 1),
    lease_epoch=1,
    scope="",
    cursor=None,
    pages=0,
    lookups=0,
    facts=None,
    first_page_age=None,
    last_page_age=None,
    window_restarts=0,
    drift_restarts=0,
    cursor_restarts=0,
    watches=[1],
    addresses=["0.0.2"],
    open=[True],
    grown_window=None,
)


class WithoutDatabase:
    """A client that cannot take its turn: turns are kept in the database."""

    async def fetch(self, *_: object) -> Never:
        """The database does not answer."""
        raise DatabaseUnavailable("the database does not answer")


class Waiting:
    """A client that waits for its answer."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def fetch(self, *_: object) -> Never:
        """It never comes."""
        self.asked.set()
        await asyncio.Event().wait()
        raise AssertionError


class Gone:
    """A database that was stopped together with us."""

    life = 0

    def transaction(self) -> Never:
        """Nobody answers."""
        raise psycopg.OperationalError("the connection is closed")


def _crawler(folder: Path, client: object, database: object) -> Crawler:
    (folder / "indexer.toml").write_text('watchlists = ["*.yaml"]\n')
    settings = config.load(folder / "indexer.toml", {}).sources["hedera"]
    nobody = SimpleNamespace(life=0)  # any use of it would be another error
    doors = Doors(
        Hedera(), settings, cast("Client", client), cast("Database", database), cast("Committer", nobody)
    )
    return Crawler(doors, str)


def test_a_lost_database_is_no_failure_of_the_crawl(tmp_path: Path) -> None:
    """Whoever runs it hears of it; the crawl is neither ended nor blamed on the API, its lease runs out."""
    with pytest.raises(DatabaseUnavailable):
        asyncio.run(_crawler(tmp_path, WithoutDatabase(), SimpleNamespace(life=0)).walk(CLAIM))


def test_stopping_without_a_database_is_no_error(tmp_path: Path) -> None:
    """The lease cannot be handed back and runs out by itself; whoever stops us is not kept waiting."""

    async def stop() -> None:
        client = Waiting()
        walking = asyncio.create_task(_crawler(tmp_path, client, Gone()).walk(CLAIM))
        await client.asked.wait()
        walking.cancel()
        await walking

    with capture_logs() as logs, pytest.raises(asyncio.CancelledError):
        asyncio.run(stop())

    assert [(line["event"], line["kind"]) for line in logs] == [
        ("lease not handed back", "OperationalError"),
    ]
