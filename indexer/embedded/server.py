"""One server process: whether it lives, whether it answers, starting it and shutting it down.

It lives while somebody holds ``server.lock``: the postmaster and its children inherit the open lock from
the command that started them, and the kernel drops it with the last of them. It answers when SELECT 1 does
over our socket. Called inside a transition, except for :func:`answers`.
"""

import contextlib
import os
import re
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil  # type: ignore[import-untyped]  # it brings no types, and stubs are no dependency
import psycopg
from psycopg import pq

from indexer.embedded.account import run_as
from indexer.embedded.cluster import DATABASE, OWNER, path_for_server
from indexer.embedded.place import (
    Place,
    make_socket_folder,
    open_private,
    read_record,
    remove_socket_folder,
    socket_folder,
    try_lock,
)
from indexer.errors import DatabaseUnavailable

DEFAULT_PORT = 5432
#: A recovery after a crash under load may take minutes; PostgreSQL goes on when we give up waiting.
PATIENCE_SECONDS = 300.0
MAX_LOG_BYTES = 10_000_000


@dataclass(frozen=True, slots=True)
class Postmaster:
    """What postmaster.pid says. The process id may be stale, the rest is what the server was told."""

    pid: int
    port: int
    #: Listens on 127.0.0.1 too.
    is_on_tcp: bool


def socket_url(place: Place) -> str | None:
    """The libpq URL over the socket, or None when there is no socket folder."""
    folder = socket_folder(place)
    if folder is None:
        return None
    told = read_postmaster(place)
    port = told.port if told else DEFAULT_PORT
    return f"postgresql://{OWNER}@/{DATABASE}?host={quote(os.fsencode(folder), safe='/')}&port={port}"


def read_postmaster(place: Place) -> Postmaster | None:
    """The running (or crashed) server's own record; None when there is none or it is being written."""
    lines = (read_record(place.data / "postmaster.pid") or "").split("\n")
    if len(lines) < 6 or not lines[0].lstrip("-").isdigit() or not lines[3].isdigit():
        return None
    return Postmaster(abs(int(lines[0])), int(lines[3]), is_on_tcp=bool(lines[5].strip()))


def find_process(place: Place) -> psutil.Process | None:
    """The living postmaster. A process that merely has its number does not stand in our data folder."""
    first = (read_record(place.data / "postmaster.pid") or "").partition("\n")[0].strip()
    if not first.isdigit():
        return None
    try:
        process = psutil.Process(int(first))
        is_ours = process.status() != psutil.STATUS_ZOMBIE and process.cwd() == str(place.data)
        return process if is_ours and "postgres" in process.name() else None
    except psutil.Error:  # gone, or another user's: the server's user is ours or we are root
        return None


def is_alive(place: Place) -> bool:
    """Whether any process of a server on this data runs, starting and stopping ones included."""
    fd = open_private(place.server_lock, place.account)
    try:
        # The second question is for a server somebody started by hand, without our lock.
        return not try_lock(fd) or find_process(place) is not None
    finally:
        os.close(fd)


def answers(place: Place) -> bool:
    """SELECT 1 over our socket, by the server of this very folder."""
    url = socket_url(place)
    if url is None:
        return False
    try:
        with psycopg.connect(url, connect_timeout=10, autocommit=True) as connection:
            row = connection.execute("SELECT 1, current_setting('indexer.data_dir', true)").fetchone()
    except psycopg.Error:
        return False
    # A server started by hand does not say whose it is; a copied or moved folder's says another's.
    return row is not None and row[1] in {None, "", _identity(place)}


def bring_up(place: Place, programs: Path, port: int | None) -> None:
    """A server that answers: the one that runs, else a new one."""
    if is_alive(place) and _wait_until_up(place):
        return
    logged = launch(place, programs, port)
    if not _wait_until_up(place):
        reason = last_words(place, logged)
        raise DatabaseUnavailable(
            f"PostgreSQL does not start in {place.root}: {reason}; its log is in {place.logs}"
        )


def launch(place: Place, programs: Path, port: int | None) -> dict[Path, int]:
    """Start the postmaster and return at once. The caller knows that none is alive.

    Returns how large its logs are, in bytes: what comes after that is this server's.
    """
    _remove_traces(place)
    _prune_logs(place)
    # The shell begins startup.log anew.
    logged = {log: log.lstat().st_size for log in place.logs.glob("server-*.log")}
    make_socket_folder(place)
    command: list[str | Path] = [programs / "postgres", "-D", path_for_server(place, place.data)]
    for name, value in _settings(place, port).items():
        command += ["-c", f"{name}={value}"]
    lock = open_private(place.server_lock, place.account)
    # The shell puts it in the background and ends, so the server is nobody's child and no zombie of ours.
    # run_as gives it its own session: a Ctrl-C in the terminal is not for it.
    script = '"$@" </dev/null >../logs/startup.log 2>&1 &'
    try:
        try_lock(lock)
        run_as(place.account, ["/bin/sh", "-c", script, "sh", *command], folder=place.data, pass_fds=(lock,))
    finally:
        os.close(lock)  # the server's processes still hold it
    return logged


def _settings(place: Place, port: int | None) -> dict[str, str]:
    """What depends on this start. Paths are relative to the data folder, in which the server stands."""
    folder = socket_folder(place)
    return {
        "listen_addresses": "" if port is None else "127.0.0.1",
        "port": str(port or DEFAULT_PORT),
        "unix_socket_directories": "../run" if folder in {None, place.run} else f'"{folder}"',
        "unix_socket_permissions": "0700",
        "cluster_name": "indexer",
        "indexer.data_dir": _identity(place),
        # One file for each weekday, overwritten a week later: the log never fills the disk.
        "logging_collector": "on",
        "log_directory": "../logs",
        "log_filename": "server-%u.log",
        "log_rotation_age": "1d",
        "log_rotation_size": "0",
        "log_truncate_on_rotation": "on",
        "log_file_mode": "0600",
    }


def _identity(place: Place) -> str:
    """The folder's path in a form every setting and every encoding can carry."""
    return quote(os.fsencode(place.root), safe="/ ")


def shut_down(place: Place) -> None:
    """Fast shutdown, and wait until no process is left."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    asked = None
    while is_alive(place):
        # Looked for each time: one that is just starting has not written its number yet.
        process = find_process(place)
        if process is not None and process != asked:
            with contextlib.suppress(psutil.Error):
                process.send_signal(signal.SIGINT)  # fast: sessions end now, everything is written
            asked = process
        if time.monotonic() > give_up:
            raise DatabaseUnavailable(f"PostgreSQL in {place.root} is still shutting down: see {place.logs}")
        time.sleep(0.02)
    remove_socket_folder(place)


def _wait_until_up(place: Place) -> bool:
    """True when it answers, False when it ended. Recovery is waited for as long as it lives."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    pause = 0.02
    while time.monotonic() < give_up:
        if answers(place):
            return True
        if not is_alive(place):
            return False
        _refuse_strangers(place)
        time.sleep(pause)
        pause = min(pause * 1.2, 0.5)
    raise DatabaseUnavailable(
        f"PostgreSQL in {place.root} has been recovering for minutes: wait and try again; see {place.logs}"
    )


def _refuse_strangers(place: Place) -> None:
    """It takes connections, but SELECT 1 fails: waiting would not help."""
    url = socket_url(place)
    if url is None or pq.PGconn.ping(url.encode()) != pq.Ping.OK or answers(place):
        return
    raise DatabaseUnavailable(
        f"the server in {place.root} does not let us in (the folder was moved while it ran,"
        f" the role or database {OWNER} is gone, or all connections are taken):"
        " run `indexer db stop` and try again"
    )


def _remove_traces(place: Place) -> None:
    # PostgreSQL would take any living process, even a zombie, that has the number in these files for a
    # server. No process holds our lock and none stands in our data folder, so the number is nobody's.
    # One that names none was being written when the power went; PostgreSQL would never start beside it.
    first = (read_record(place.data / "postmaster.pid") or "").partition("\n")[0].strip().lstrip("-")
    if not first.isdigit() or psutil.pid_exists(int(first)):
        (place.data / "postmaster.pid").unlink(missing_ok=True)
    folder = socket_folder(place)
    for trace in folder.glob(".s.PGSQL.*") if folder is not None else ():
        trace.unlink(missing_ok=True)


def _prune_logs(place: Place) -> None:
    """A server that only ever runs for a minute never reaches the daily rotation."""
    for log in place.logs.glob("*.log"):
        if log.lstat().st_size > MAX_LOG_BYTES:
            log.unlink()


def last_words(place: Place, logged: Mapping[Path, int]) -> str:
    """Why the server ended, from the end of its newest log; ``logged`` are the logs as it found them."""
    logs = sorted(place.logs.glob("*.log"), key=lambda path: path.lstat().st_mtime_ns)
    # Without the words of the servers before it, which were ended or knocked at by anybody.
    lines = [line for log in logs for line in _read_end(log, logged.get(log, 0))]
    # Our own knocking while it started is logged as FATAL, too.
    lines = [line for line in lines if "the database system is" not in line]
    troubles = [line for line in lines if re.search(r"\b(PANIC|FATAL|ERROR):", line)]
    words = (troubles or lines or ["it left no log"])[-1]
    return re.sub(r"^.*?\b(PANIC|FATAL|ERROR|LOG):\s*", "", words).strip()


def _read_end(log: Path, start: int) -> list[str]:
    fd = os.open(log, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as file:
        size = os.fstat(fd).st_size
        # Smaller than it was: a week went by, and the day's file was begun again.
        file.seek(max(start if start <= size else 0, size - 4096))
        return file.read().decode(errors="replace").splitlines()
