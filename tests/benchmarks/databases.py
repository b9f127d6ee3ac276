"""The one PostgreSQL server of a run, a fresh database for every contender, and how large it became."""

import os
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from indexer import embedded
from tests.benchmarks.machine import Backends, no_backends

_GIVEN: Final = "INDEXER_TEST_DATABASE__URL"


@contextmanager
def server() -> Iterator[str]:
    """A server on which databases may be created: the given one, or the embedded one over TCP."""
    given = os.environ.get(_GIVEN)
    if given:
        yield given
        return
    with _leaving_in_order(), tempfile.TemporaryDirectory(prefix="indexer-benchmark-") as folder:
        data_dir = Path(folder) / "database"
        try:
            yield embedded.start(data_dir, _free_port())
        finally:
            embedded.stop(data_dir)


@contextmanager
def _leaving_in_order() -> Iterator[None]:
    """Leave as at Ctrl+C when told to end, and not on the spot: a server would stay behind."""

    def leave(number: int, _frame: FrameType | None) -> None:
        sys.exit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def describe(url: str) -> str:
    """Version and the settings that decide how fast a commit is."""
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT current_setting('server_version'), current_setting('fsync'),"
            " current_setting('synchronous_commit'), current_setting('shared_buffers')"
        ).fetchone()
    assert row is not None
    return f"PostgreSQL {row[0]}, fsync {row[1]}, synchronous_commit {row[2]}, shared_buffers {row[3]}"


@contextmanager
def database(server_url: str, name: str) -> Iterator[str]:
    """A fresh, empty database; dropped at the end."""
    name = f"benchmark_{name}_{os.getpid()}"
    _execute(server_url, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
    # template0: nobody can be connected to it, and a connection would make this fail.
    _execute(server_url, sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
    # With PostgreSQL's 4 MB the merge of dlt compares 200 000 rows one by one for hours; we do not need it.
    _execute(server_url, sql.SQL("ALTER DATABASE {} SET work_mem = '64MB'").format(sql.Identifier(name)))
    try:
        yield urlsplit(server_url)._replace(path=f"/{name}").geturl()
    finally:
        _execute(server_url, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _execute(url: str, statement: sql.Composed) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


def count(url: str, query: str) -> int:
    """The number a query gives."""
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])


@contextmanager
def sessions(server_url: str, database_url: str) -> Iterator[Backends]:
    """Who works in a database right now, for a server on this machine."""
    if urlsplit(server_url).hostname not in {"127.0.0.1", "localhost", None}:
        yield no_backends
        return
    name = urlsplit(database_url).path.lstrip("/")
    with psycopg.connect(server_url, autocommit=True) as connection:

        def find() -> list[int]:
            rows = connection.execute("SELECT pid FROM pg_stat_activity WHERE datname = %s", [name])
            return [row[0] for row in rows.fetchall()]

        yield find


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes on disk, indexes included."""

    database: int
    #: The tables that hold what was crawled in its final form.
    history: int


def measure_size(url: str, history: tuple[str, ...]) -> Size:
    """How large the database and these tables are now."""
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT pg_database_size(current_database()),"
            " (SELECT coalesce(sum(pg_total_relation_size(to_regclass(name))), 0)::bigint"
            "  FROM unnest(%(names)s::text[]) AS name)",
            {"names": list(history)},
        ).fetchone()
    assert row is not None
    return Size(row[0], row[1])
