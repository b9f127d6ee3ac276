"""Databases for tests: one migrated template per session, cloned for each test that asks.

INDEXER_TEST_DATABASE__URL names a server on which databases may be created; without it the embedded
PostgreSQL runs in a temporary folder, in memory where there is room for it.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import psutil  # type: ignore[import-untyped,unused-ignore]
import psycopg
import pytest
import structlog
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from indexer.store import migrations

# A machine that is busy with something else is not a wrong answer: no example is timed.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


def _with_database(url: str, name: str) -> str:
    """The same server, another database, as a URL."""
    head, _, rest = url.partition("://")
    place, _, query = rest.partition("?")
    host = place.split("/", 1)[0]
    return f"{head}://{host}/{name}" + (f"?{query}" if query else "")


#: A file system in memory, and what must be free there and in memory itself for a whole server.
_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 8 * 2**30


def _find_fast_place() -> Path | None:
    """Where a server is quickest; None: the usual place for what is temporary.

    A clone is some seven hundred files. On a disk making them can take ten times as long as all else.
    """
    if not os.access(_MEMORY, os.W_OK):
        return None
    room = min(shutil.disk_usage(_MEMORY).free, psutil.virtual_memory().available)
    return _MEMORY if room >= _ROOM_BYTES else None


@pytest.fixture(scope="session")
def server_url(worker_id: str) -> Iterator[str]:
    """A server on which databases may be created: given by the environment, or embedded."""
    given = os.environ.get("INDEXER_TEST_DATABASE__URL")
    if given:
        yield given
        return
    from indexer import embedded

    with (
        tempfile.TemporaryDirectory(prefix=f"indexer-{worker_id}-", dir=_find_fast_place()) as folder,
        embedded.running(Path(folder) / "database") as url,
    ):
        yield url


@pytest.fixture(scope="session")
def template_url(server_url: str, worker_id: str) -> Iterator[str]:
    """A migrated database nobody connects to, so that it can be cloned."""
    name = f"indexer_template_{worker_id}_{os.getpid()}"
    _create(server_url, name, None)
    url = _with_database(server_url, name)
    migrations.upgrade(url)
    yield url
    _drop(server_url, name)


@pytest.fixture(autouse=True)
def _logs_as_they_come() -> Iterator[None]:
    """The level one test logs with is not what the next one hears."""
    yield
    structlog.reset_defaults()


_clones = 0


@pytest.fixture
def database_url(server_url: str, template_url: str, worker_id: str) -> Iterator[str]:
    """A fresh migrated database of this test's own, as a libpq URL."""
    global _clones  # noqa: PLW0603  one counter per process names the clones
    _clones += 1
    name = f"indexer_test_{worker_id}_{os.getpid()}_{_clones}"
    _create(server_url, name, str(conninfo_to_dict(template_url)["dbname"]))
    yield _with_database(server_url, name)
    _drop(server_url, name)


def _create(server_url: str, name: str, template: str | None) -> None:
    statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
    if template:
        # FILE_COPY would checkpoint; the default WAL_LOG strategy is faster for a small template.
        statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
    with psycopg.connect(make_conninfo(server_url), autocommit=True) as connection:
        connection.execute(statement)


def _drop(server_url: str, name: str) -> None:
    with psycopg.connect(make_conninfo(server_url), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
