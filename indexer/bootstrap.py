"""Builds everything from the configuration. Nobody else reads the environment.

A function imports what only some commands need (crawling, watchlists, the embedded server): to those that
only read the database, loading these would be most of their time.
"""

import asyncio
import contextlib
import os
import resource
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from indexer import config as configuration
from indexer import crashpoints, logs
from indexer.config import Config
from indexer.config_environment import list_secret_files
from indexer.errors import SchemaNotCurrent
from indexer.sources import SOURCES, build
from indexer.sources.base import Source
from indexer.store import database as store
from indexer.store import revision
from indexer.store.database import Connection, Database

if TYPE_CHECKING:
    from indexer.jobs import Engine
    from indexer.reload import FileSeen, Fingerprint, Setup
    from indexer.watchlist import WatchEntry

#: What libpq sets in every session before our own settings could.
_SESSION_VARIABLES: Final = frozenset({"PGTZ", "PGDATESTYLE", "PGGEQO"})


def read_config(path: Path | None) -> Config:
    """The configuration from file and environment. Raises UsageError naming every mistake."""
    crashpoints.arm(os.environ.get("INDEXER_TEST_CRASH_AT", ""))
    # From here on keys are in memory, and a core dump would write all of it to a file.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    config = configuration.load(path, os.environ)
    overrule_libpq(config)
    return config


def overrule_libpq(config: Config) -> None:
    """Forget variables by which libpq would change what our sessions are, or where the embedded server is.

    Some of them (PGHOSTADDR, PGSERVICE) win over a URL, and would lead to another server than the embedded.
    https://www.postgresql.org/docs/current/libpq-envars.html
    """
    is_embedded = config.database.url is None
    for name in [name for name in os.environ if name.startswith("PG")]:
        if is_embedded or name in _SESSION_VARIABLES:
            del os.environ[name]


def configure_logs(config: Config, debug: bool, *older: Config) -> None:
    """Send logs to stderr, with every secret hidden; those of configurations before this one, too."""
    level = "DEBUG" if debug else config.log.level
    secrets = [secret for one in (config, *older) for secret in configuration.secret_values(one)]
    logs.configure(level, config.log.format, secrets)


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


def read_watchlist(config: Config, sources: Mapping[str, Source]) -> tuple["WatchEntry", ...]:
    """The watchlist. Raises UsageError naming every mistake with file and line."""
    from indexer import watchlist

    return watchlist.load(config.watchlists, configuration.watchlist_folder(config), sources)


def read_setup(path: Path | None) -> "Setup":
    """Configuration and watchlist together. Raises UsageError naming every mistake, missing secrets too."""
    from indexer.jobs import Selection, check_secrets
    from indexer.reload import Setup

    config = read_config(path)
    sources = build_sources(config)
    entries = read_watchlist(config, sources)
    check_secrets(config, entries, Selection(None, None))
    return Setup(config, sources, entries)


def read_worker_setup(path: Path | None) -> "Setup":
    """What a process needs that only works: no watchlist. Raises UsageError naming every mistake."""
    from indexer.reload import Setup

    config = read_config(path)
    return Setup(config, build_sources(config), None)


def look_at_files(config: Config) -> "Fingerprint":
    """Every file that configuration and watchlist are read from, as it stands on disk now."""
    from indexer import watchlist

    folder = configuration.watchlist_folder(config)
    watchlists = watchlist.list_files(config.watchlists, folder)
    return look_at_settings(config) | frozenset(_look_at_file(path) for path in watchlists)


def look_at_settings(config: Config) -> "Fingerprint":
    """The configuration file and the files of secrets, as they stand on disk now."""
    paths = [config.path or configuration.DEFAULT_PATH, *list_secret_files(os.environ)]
    return frozenset(_look_at_file(path) for path in paths)


def _look_at_file(path: Path) -> "FileSeen":
    from indexer.reload import FileSeen

    try:
        found = path.stat()
    except OSError:
        return FileSeen(str(path), None, None, None)
    return FileSeen(str(path), found.st_size, max(found.st_mtime_ns, found.st_ctime_ns), found.st_ino)


def build_redactor(*configs: Config) -> logs.Redactor:
    """Hides every secret of these configurations."""
    return logs.Redactor(secret for config in configs for secret in configuration.secret_values(config))


@contextlib.asynccontextmanager
async def database_url(config: Config, *, reason: str = "indexer") -> AsyncIterator[str]:
    """The URL of a database that answers. The embedded one runs at least as long as this block."""
    if config.database.url is not None:
        yield config.database.url.get_secret_value()
        return
    from indexer import embedded

    running = embedded.running(config.database.data_dir, reason=reason)
    starting = asyncio.ensure_future(asyncio.to_thread(running.__enter__))
    try:
        url = await asyncio.shield(starting)
    except asyncio.CancelledError:
        # The thread goes on whatever happens to us: leave as somebody who was there, so the server stops.
        await starting
        await asyncio.to_thread(running.__exit__, None, None, None)
        raise
    try:
        yield url
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)


def revive_database(config: Config) -> None:
    """Bring the embedded server up again when it died under us. A server of its own is not ours to start."""
    if config.database.url is None:
        from indexer import embedded

        with embedded.running(config.database.data_dir, reason="revival"):
            pass


@contextlib.asynccontextmanager
async def database(config: Config) -> AsyncIterator[Database]:
    """A database whose schema is current. The embedded one upgrades itself.

    Raises DatabaseUnavailable, SchemaNotCurrent.
    """
    async with (
        database_url(config) as url,
        store.opened(url, prepare_publisher=_prepare_publisher) as opened,
    ):
        async with opened.connection() as connection:
            is_current = await revision.is_current(connection)
        if not is_current:
            await asyncio.to_thread(_make_current, config, url)
        yield opened


async def _prepare_publisher(connection: Connection) -> None:
    from indexer.store import history

    await history.create_fold(connection)


def _make_current(config: Config, url: str) -> None:
    """Upgrade the embedded database; say what to type about a server. Alembic is loaded only here."""
    from indexer.store import migrations

    try:
        migrations.check(url)
    except SchemaNotCurrent:
        if config.database.url is not None:
            raise
        migrations.upgrade(url)


@contextlib.asynccontextmanager
async def engine(config: Config, entries: Sequence["WatchEntry"] | None = None) -> AsyncIterator["Engine"]:
    """Everything a crawl needs. The watchlist is read before anything is started."""
    from indexer.jobs import Engine
    from indexer.worker import Worker

    sources = build_sources(config)
    if entries is None:
        entries = read_watchlist(config, sources)
    redact = build_redactor(config)
    async with database(config) as opened, Worker(config, opened, sources, redact).working() as worker:
        yield Engine(config, opened, sources, entries, worker)
