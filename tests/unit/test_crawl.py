"""A crawl whose database is gone: nothing can be written, so nothing is decided about it."""

import asyncio
from datetime import date
from pathlib import Path
from typing import Never, cast

import pytest

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


def test_a_lost_database_is_no_failure_of_the_crawl(tmp_path: Path) -> None:
    """Whoever runs it hears of it; the crawl is neither ended nor blamed on the API, its lease runs out."""
    (tmp_path / "indexer.toml").write_text('watchlists = ["*.yaml"]\n')
    settings = config.load(tmp_path / "indexer.toml", {}).sources["hedera"]
    nobody = object()  # any use of it would be another error
    client = cast("Client", WithoutDatabase())
    doors = Doors(Hedera(), settings, client, cast("Database", nobody), cast("Committer", nobody))

    with pytest.raises(DatabaseUnavailable):
        asyncio.run(Crawler(doors, str).walk(CLAIM))
