"""The embedded PostgreSQL after kill -9, power cuts, and with data it must not touch."""

import errno
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from indexer import embedded
from indexer.embedded.account import choose_account
from indexer.errors import DatabaseUnavailable
from tests.integration.embedded_servers import (
    DEADLINE_SECONDS,
    another_command,
    ask,
    free_port,
    fresh_folder,
    made_folder,
    on_linux,
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


def test_a_command_killed_outright_leaves_a_server_the_next_one_adopts(data_dir: Path) -> None:
    """kill -9 unregisters nobody, but the kernel does: the next last one out stops the server."""
    with another_command(data_dir) as other:
        wait_until_in(other)
        first = postmaster_of(data_dir)
        other.kill()
        other.wait()

    with embedded.running(data_dir) as url:
        assert postmaster_of(data_dir) == first
        assert ask(url, "SELECT 1") == 1
    assert embedded.current_url(data_dir) is None


def test_a_server_killed_outright_recovers_on_the_next_start(data_dir: Path) -> None:
    """Committed rows are there after kill -9 of the postmaster."""
    url = embedded.start(data_dir)
    ask(url, "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS number")
    first = postmaster_of(data_dir)
    os.kill(first, signal.SIGKILL)

    with embedded.running(data_dir) as url:
        assert postmaster_of(data_dir) != first
        assert ask(url, "SELECT count(*) FROM kept") == 1000


def test_a_slow_recovery_is_waited_for(data_dir: Path) -> None:
    """A server that is alive and still starting up is neither refused nor started twice."""
    with embedded.running(data_dir) as url:
        ask(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    # Recovery from an archive that takes its time and has nothing.
    with (data_dir / "data" / "postgresql.conf").open("a") as settings:
        settings.write("restore_command = 'sleep 0.4; false'\nhot_standby = off\n")
    signal_file = data_dir / "data" / "recovery.signal"
    signal_file.touch()
    shutil.chown(signal_file, (data_dir / "data").stat().st_uid)

    with embedded.running(data_dir) as url:
        assert ask(url, "SELECT answer FROM kept") == 42

    log = "".join(path.read_text() for path in (data_dir / "logs").glob("server-*.log"))
    assert "the database system is" in log
    assert not signal_file.exists()


def test_an_interrupted_first_start_does_not_block_the_next(new_dir: Path) -> None:
    """kill -9 in the middle of initdb: the half-made database is thrown away."""
    with another_command(new_dir) as other:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not list(new_dir.glob("data.new-*/base")):
            assert time.monotonic() < deadline
        other.kill()
        other.wait()
    assert not (new_dir / "data").exists()

    with embedded.running(new_dir) as url:
        assert ask(url, "SELECT 1") == 1
    assert (new_dir / "version").read_text() == "18\n"


def test_a_stale_pid_of_a_living_stranger_is_not_a_server(data_dir: Path) -> None:
    """After a power cut the old process id may be anybody's: here a process of the server's own user."""
    with embedded.running(data_dir):
        lines = (data_dir / "data" / "postmaster.pid").read_text().splitlines()
    account = choose_account(data_dir)
    identity = account.uid if account.is_switched else None
    with subprocess.Popen(["sleep", "60"], user=identity, cwd="/") as stranger:
        pid_file = data_dir / "data" / "postmaster.pid"
        pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        shutil.chown(pid_file, account.uid, account.gid)

        assert embedded.current_url(data_dir) is None
        assert embedded.stop(data_dir) is False
        with embedded.running(data_dir) as url:
            assert ask(url, "SELECT 1") == 1

        assert stranger.poll() is None
        stranger.kill()


@pytest.mark.parametrize("text", ["", "garbage\n"])
def test_a_record_cut_off_by_a_power_cut_does_not_block_the_next_start(data_dir: Path, text: str) -> None:
    """Nobody runs there, whatever the file was going to say."""
    (data_dir / "data" / "postmaster.pid").write_text(text)

    with embedded.running(data_dir) as url:
        assert ask(url, "SELECT 1") == 1


def test_the_port_is_opened_again_after_a_crash(data_dir: Path) -> None:
    """`db start --port` holds until `db stop`: the next command restores what was asked for."""
    url = embedded.start(data_dir, free_port())
    os.kill(postmaster_of(data_dir), signal.SIGKILL)

    with embedded.running(data_dir):
        pass

    assert ask(url, "SELECT 1") == 1


def test_data_of_another_version_is_refused_untouched(data_dir: Path) -> None:
    """The sentence says which version is needed, and no file changes."""
    with embedded.running(data_dir):
        pass
    (data_dir / "version").write_text("17\n")
    before = {path: path.lstat().st_mtime_ns for path in data_dir.rglob("*")}

    with (
        pytest.raises(DatabaseUnavailable, match=r"made by PostgreSQL 17.*pg_dump"),
        embedded.running(data_dir),
    ):
        pytest.fail("entered")

    assert {path: path.lstat().st_mtime_ns for path in data_dir.rglob("*")} == before


def test_lost_data_is_not_replaced_by_an_empty_database(data_dir: Path) -> None:
    """An empty warehouse where history was would look like holding nothing."""
    with embedded.running(data_dir):
        pass
    shutil.rmtree(data_dir / "data")

    with pytest.raises(DatabaseUnavailable, match="is gone"):
        embedded.start(data_dir)


def test_a_server_that_cannot_start_says_why(data_dir: Path) -> None:
    """The server's own last words are in the error, and not what went wrong before it was started."""
    with embedded.running(data_dir) as url, pytest.raises(psycopg.OperationalError):
        psycopg.connect(url, dbname="nobodys")
    assert any("nobodys" in log.read_text() for log in (data_dir / "logs").glob("*.log"))
    (data_dir / "data" / "global" / "pg_control").unlink()

    with pytest.raises(DatabaseUnavailable, match="pg_control"):
        embedded.start(data_dir)

    assert processes_of(data_dir) == []


@on_linux
def test_a_full_disk_keeps_nobody_out_and_leaves_nothing_behind(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon comes in again at every tick that fails: each time it would hold one more file, for ever."""

    def refuse(_fd: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with embedded.running(data_dir):
        held = len(list(Path("/proc/self/fd").iterdir()))
        with monkeypatch.context() as full:
            full.setattr("indexer.embedded.users.os.write", refuse)
            with embedded.running(data_dir, reason="revival") as url:
                assert ask(url, "SELECT 1") == 1
        assert len(list(Path("/proc/self/fd").iterdir())) == held

    assert embedded.current_url(data_dir) is None
    assert list((data_dir / "users").iterdir()) == []
