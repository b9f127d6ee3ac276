"""The embedded PostgreSQL with real servers: the first start, sharing, stopping, strange folder names."""

import stat
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from indexer import embedded
from indexer.embedded.account import Account
from indexer.embedded.place import Place
from indexer.embedded.server import socket_url
from tests.integration.embedded_servers import (
    DEADLINE_SECONDS,
    another_command,
    ask,
    fresh_folder,
    made_folder,
    postmaster_of,
    processes_of,
    wait_until_in,
)


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A folder with a stopped, empty database; afterwards no process of it may be left."""
    yield from made_folder(tmp_path)


@pytest.fixture
def new_dir(tmp_path: Path) -> Iterator[Path]:
    """A folder that does not exist yet; afterwards no process of it may be left."""
    yield from fresh_folder(tmp_path)


def test_starts_for_the_first_command_and_stops_with_it(new_dir: Path) -> None:
    """Nothing is needed before and nothing runs after; the folder is private."""
    with embedded.running(new_dir) as url:
        assert ask(url, "SELECT current_user || '@' || current_database()") == "indexer@indexer"
        assert embedded.current_url(new_dir) == url

    assert embedded.current_url(new_dir) is None
    assert processes_of(new_dir) == []
    assert stat.S_IMODE(new_dir.stat().st_mode) == 0o700


def test_the_cluster_is_made_for_exact_history(data_dir: Path) -> None:
    """UTF-8, byte order, checksums, durable commits, UTC."""
    names = ("server_encoding", "data_checksums", "fsync", "synchronous_commit", "jit", "timezone")

    with embedded.running(data_dir) as url:
        settings = [ask(url, f"SHOW {name}") for name in names]
        collation = ask(url, "SELECT datcollate FROM pg_database WHERE datname = current_database()")
        version = ask(url, "SELECT current_setting('server_version_num')::int / 10000")

    assert settings == ["UTF8", "on", "on", "on", "off", "UTC"]
    assert (collation, version) == ("C", 18)


def test_data_survives_a_restart(data_dir: Path) -> None:
    """The second start finds what the first one wrote."""
    with embedded.running(data_dir) as url:
        ask(url, "CREATE TABLE kept AS SELECT 42 AS answer")

    with embedded.running(data_dir) as url:
        assert ask(url, "SELECT answer FROM kept") == 42


def test_commands_share_one_server_and_the_last_one_out_stops_it(data_dir: Path) -> None:
    """The server outlives the command that started it, but not the last one."""
    with another_command(data_dir) as other:
        other_url = wait_until_in(other)
        with embedded.running(data_dir) as url:
            assert url == other_url
            first = postmaster_of(data_dir)
            other.communicate()
            assert other.returncode == 0
            assert postmaster_of(data_dir) == first
            assert ask(url, "SELECT 1") == 1

    assert embedded.current_url(data_dir) is None


def test_commands_that_start_at_once_get_the_same_server(new_dir: Path) -> None:
    """Starts are serialised: one of them makes the database, the others find it."""
    together = threading.Barrier(4)

    def use() -> tuple[str, int]:
        with embedded.running(new_dir) as url:
            together.wait(DEADLINE_SECONDS)
            return url, postmaster_of(new_dir)

    with ThreadPoolExecutor(4) as pool:
        answers = {future.result() for future in [pool.submit(use) for _ in range(4)]}

    assert len(answers) == 1
    assert embedded.current_url(new_dir) is None


def test_start_keeps_the_server_until_stop(data_dir: Path) -> None:
    """`db start` outlives commands; `db stop` ends it once."""
    url = embedded.start(data_dir)
    with embedded.running(data_dir) as same:
        assert same == url

    assert ask(url, "SELECT 1") == 1
    assert embedded.stop(data_dir) is True
    assert processes_of(data_dir) == []
    assert embedded.stop(data_dir) is False


def test_nothing_to_stop_where_no_database_was(tmp_path: Path) -> None:
    """Asking and stopping create nothing."""
    folder = tmp_path / "nothing"

    assert embedded.stop(folder) is False
    assert embedded.current_url(folder) is None
    assert not folder.exists()


@pytest.mark.parametrize("name", ["with space", "größe ✓ %41 'q' \"d\" $HOME", "a,b", "x" * 120])
def test_works_in_strangely_named_folders(tmp_path: Path, name: str) -> None:
    """Spaces, unicode, quotes, a comma, and a path too long for a socket; psql from the wheel agrees."""
    folder = tmp_path / name

    for _ in range(2):
        with embedded.running(folder) as url:
            assert embedded.current_url(folder) == url
            command = [str(embedded.psql_path()), "-X", "-At", "-c", "SELECT 42", url]
            assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "42\n"

    assert processes_of(folder) == []
    host = Path(str(conninfo_to_dict(url)["host"]))
    assert host == folder / "run" or not host.exists()


@given(
    name=st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20)
)
def test_the_url_names_any_folder_exactly(name: str) -> None:
    """Whatever the folder is called, libpq reads the same name, or a short folder is used instead."""
    place = Place(Path("/nonexistent") / name, Account(0, 0, "root", is_switched=False))

    url = socket_url(place)

    if "," in name:
        assert url is None
    elif url is not None:
        assert conninfo_to_dict(url)["host"] == str(place.run)
