"""Builds everything from the configuration. Nobody else reads the environment."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from indexer import config as configuration
from indexer import embedded, logs, watchlist
from indexer.config import Config
from indexer.errors import SchemaNotCurrent
from indexer.jobs import Engine
from indexer.sources import SOURCES, build
from indexer.sources.base import Source
from indexer.store import database as store
from indexer.store import history, migrations
from indexer.store.database import Database
from indexer.watchlist import WatchEntry
from indexer.worker import Worker


def read_config(path: Path | None) -> Config:
    """The configuration from file and environment. Raises UsageError naming every mistake."""
    return configuration.load(path, os.environ)


def configure_logs(config: Config, debug: bool) -> None:
    """Send logs to stderr, with every secret hidden."""
    level = "DEBUG" if debug else config.log.level
    logs.configure(level, config.log.format, configuration.secret_values(config))


def build_sources(config: Config) -> Mapping[str, Source]:
    """The five sources as configured. Retired ones too: their addresses and history are still read."""
    return MappingProxyType(
        {
            name: build(
                name, urlsplit(config.sources[name].base_url or "").path, config.sources[name].options
            )
            for name in SOURCES
        }
    )


def read_watchlist(config: Config, sources: Mapping[str, Source]) -> tuple[WatchEntry, ...]:
    """The watchlist. Raises UsageError naming every mistake with file and line."""
    return watchlist.load(config.watchlists, configuration.watchlist_folder(config), sources)


@contextlib.asynccontextmanager
async def database_url(config: Config, *, reason: str = "indexer") -> AsyncIterator[str]:
    """The URL of a database that answers. The embedded one runs at least as long as this block."""
    if config.database.url is not None:
        yield config.database.url.get_secret_value()
        return
    running = embedded.running(config.database.data_dir, reason=reason)
    url = await asyncio.to_thread(running.__enter__)
    try:
        yield url
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)


@contextlib.asynccontextmanager
async def database(config: Config) -> AsyncIterator[Database]:
    """A database whose schema is current. The embedded one upgrades itself.

    Raises DatabaseUnavailable, SchemaNotCurrent.
    """
    async with database_url(config) as url:
        try:
            await asyncio.to_thread(migrations.check, url)
        except SchemaNotCurrent:
            if config.database.url is not None:
                raise
            await asyncio.to_thread(migrations.upgrade, url)
        async with store.opened(url, configure=history.create_fold) as opened:
            yield opened


@contextlib.asynccontextmanager
async def engine(config: Config, entries: Sequence[WatchEntry] | None = None) -> AsyncIterator[Engine]:
    """Everything a crawl needs. The watchlist is read before anything is started."""
    sources = build_sources(config)
    if entries is None:
        entries = read_watchlist(config, sources)
    redact = logs.Redactor(configuration.secret_values(config))
    async with database(config) as opened, Worker(config, opened, sources, redact).working() as worker:
        yield Engine(config, opened, sources, entries, worker)
