"""Commands, processes and folders for the tests of the embedded PostgreSQL; no test is in here."""

import atexit
import contextlib
import functools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it brings no types, and stubs are no dependency
import psycopg
import pytest

from indexer import embedded
from indexer.embedded.account import choose_account
from indexer.embedded.place import Place
from indexer.embedded.server import find_process

PROJECT = Path(__file__).parents[2]
DEADLINE_SECONDS = 30.0

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
on_linux = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads /proc")

HOLD = """
import sys
from pathlib import Path
from indexer import embedded
with embedded.running(Path(sys.argv[1]), reason="a test") as url:
    print(url, flush=True)
    sys.stdin.read()
"""
START = """
import sys
from pathlib import Path
from indexer import embedded
print(embedded.start(Path(sys.argv[1])))
"""


def ask(url: str, query: str) -> object:
    """The first column of the first row, if there is one."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        row = cursor.fetchone() if cursor.description else None
    return row[0] if row else None


def processes_of(data_dir: Path) -> list[psutil.Process]:
    """Every process that stands in this database's folder or names it on its command line."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            is_named = (
                any(str(data_dir) in part for part in process.cmdline()) and "postgres" in process.name()
            )
            if is_named or process.cwd().startswith(f"{data_dir}/"):
                found.append(process)
    return found


def postmaster_of(data_dir: Path) -> int:
    """The process id of the running server."""
    process = find_process(Place(data_dir, choose_account(data_dir)))
    assert process is not None
    return int(process.pid)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT)}


@contextlib.contextmanager
def another_command(data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """A second process that uses the database until its stdin is closed."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, data_dir],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_until_in(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def fresh_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that does not exist yet; afterwards no process of it may be left."""
    folder = tmp_path / "database"
    yield folder
    embedded.stop(folder)
    assert processes_of(folder) == []


@functools.cache
def _database_made_once() -> Path:
    """A stopped, empty database to copy: initdb costs a second of processor time."""
    parent = Path(tempfile.mkdtemp(prefix="indexer-made-")).resolve()
    atexit.register(shutil.rmtree, parent, ignore_errors=True)
    with embedded.running(parent / "database"):
        pass
    return parent / "database"


def made_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with a stopped, empty database; afterwards no process of it may be left."""
    subprocess.run(["cp", "-a", str(_database_made_once()), str(tmp_path / "database")], check=True)
    yield from fresh_folder(tmp_path)


def folder_open_to_all() -> Iterator[Path]:
    """A folder every user of the machine can enter."""
    folder = Path(tempfile.mkdtemp(prefix="indexer-test-", dir="/tmp")).resolve()
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
