"""The data on disk: made once and atomically, and never touched when another PostgreSQL made it."""

import os
import platform
import pwd
import secrets
import shutil
from pathlib import Path

from indexer.embedded.account import Account, can_enter, give_to, run_as
from indexer.embedded.place import Place, read_record, write_record
from indexer.embedded.programs import MAJOR
from indexer.errors import DatabaseUnavailable

OWNER = "indexer"
DATABASE = "indexer"

#: Written into postgresql.conf once, so that ALTER SYSTEM can change them.
SETTINGS = {
    "shared_buffers": "128MB",
    "max_connections": "100",
    "synchronous_commit": "on",
    "fsync": "on",
    "full_page_writes": "on",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # The log is for the server's troubles: statements may hold data, and checkpoints would fill the disk.
    "log_min_error_statement": "panic",
    "log_checkpoints": "off",
}

# Local connections are trusted, because the socket's folder is 0700 and the server user's: who gets there
# is that user or root, and both can read the data files anyway, so a password would protect nothing. Peer
# authentication would refuse root. Over TCP anybody on the machine can knock: there a password is asked.
HOST_BASED_AUTHENTICATION = """\
# TYPE  DATABASE  USER  ADDRESS       METHOD
local   all       all                 trust
host    all       all   127.0.0.1/32  scram-sha-256
"""


def path_for_server(place: Place, data: Path) -> str:
    """What the server calls its data folder, in which it is started.

    Root's folders may lie below one the server's user cannot enter (/root). Standing in the data folder
    already, it never needs the path: /proc/self/cwd leads there without asking the parents.
    """
    if can_enter(place.account, data):
        return str(data)
    if not Path("/proc/self/cwd").exists():
        raise DatabaseUnavailable(
            f"user {place.account.name}, who runs PostgreSQL for root, cannot reach {place.root}:"
            " choose another database.data_dir, such as one below /var/lib"
        )
    return "/proc/self/cwd"


def check_version(data_dir: Path) -> None:
    """Refuse data of another major version before anything is touched."""
    for path in (data_dir / "data" / "PG_VERSION", data_dir / "version"):
        try:
            found = read_record(path)
        except OSError:  # unreadable for us: make_place says so, with what to do
            return
        if found is not None and found != str(MAJOR):
            raise DatabaseUnavailable(
                f"{data_dir} was made by PostgreSQL {found}, and this indexer brings PostgreSQL {MAJOR}:"
                f" dump it with pg_dump of {found} and load it into a new database.data_dir,"
                " or use the indexer it was made with; nothing was changed"
            )


def ensure_cluster(place: Place, programs: Path) -> None:
    """Data that is whole: what is there, or a new empty database."""
    for unfinished in place.root.glob("data.new-*"):
        # An initdb whose command was killed may still be writing: it has its own name, so let it fail.
        shutil.rmtree(unfinished, ignore_errors=True)
    if not (place.data / "PG_VERSION").exists():
        _refuse_lost_data(place)
        _make_cluster(place, programs)
    if read_record(place.version) is None:
        write_record(place.version, place.account, f"{MAJOR}\n")


def _refuse_lost_data(place: Place) -> None:
    # A new empty database in the place of a lost one would look like holding nothing.
    if place.version.exists():
        raise DatabaseUnavailable(
            f"the data of {place.root} is gone: restore {place.data},"
            f" or delete {place.root} to start with an empty database"
        )
    if place.data.exists() and any(place.data.iterdir()):
        raise DatabaseUnavailable(f"{place.data} holds something that is not a database: move it away")


def _make_cluster(place: Place, programs: Path) -> None:
    """Build it beside, put it on disk, then rename: whoever kills us leaves nothing half-made."""
    _require_name(place.account)
    new = place.root / f"data.new-{secrets.token_hex(4)}"
    new.mkdir(mode=0o700)
    give_to(place.account, new)
    try:
        _fill_cluster(place, programs, new)
        if place.data.exists():
            place.data.rmdir()
        new.rename(place.data)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    _sync_folder(place.root)


def _require_name(account: Account) -> None:
    # initdb asks for it, and would only say that it found none. A database that is there runs without.
    try:
        pwd.getpwuid(account.uid)
    except KeyError:
        raise DatabaseUnavailable(
            f"user {account.uid} has no name on this machine, and PostgreSQL makes no database without:"
            " add the user to /etc/passwd, or name a server in database.url"
        ) from None


def _fill_cluster(place: Place, programs: Path, new: Path) -> None:
    target = path_for_server(place, new)
    settings = [part for name, value in SETTINGS.items() for part in ("--set", f"{name}={value}")]
    command: list[Path | str] = [
        *(programs / "initdb", "-D", target, "--username", OWNER, "--encoding", "UTF8", "--locale", "C"),
        *("--data-checksums", "--auth-local", "trust", "--auth-host", "scram-sha-256", "--no-sync"),
        *("--no-instructions", *settings),
    ]
    _run_step(place, new, command)
    write_record(new / "pg_hba.conf", place.account, HOST_BASED_AUTHENTICATION)
    single: list[Path | str] = [programs / "postgres", "--single", "-F", "-D", target, "postgres"]
    _run_step(place, new, single, f"CREATE DATABASE {DATABASE} OWNER {OWNER}\n")
    if not (new / "PG_VERSION").exists():
        raise DatabaseUnavailable(f"initdb made nothing in {new}: try again")
    # One sync at the end instead of one in each step. On Linux one call for the whole file system: a
    # thousand single ones took 0.1 to 4.4 s beside other writers, this one 0.1 s.
    method = "syncfs" if platform.system() == "Linux" else "fsync"
    _run_step(place, new, [programs / "initdb", "-D", target, "--sync-only", f"--sync-method={method}"])


def _run_step(place: Place, new: Path, command: list[Path | str], text: str = "") -> None:
    done = run_as(place.account, command, folder=new, text=text)
    said = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    troubles = [line for line in said if "FATAL:" in line or "PANIC:" in line or "error:" in line]
    # In single-user mode PostgreSQL reports a failed statement and still ends with 0.
    troubles += [line for line in said if "ERROR:" in line]
    if done.returncode or troubles:
        reason = next(iter(troubles or said[-1:]), f"status {done.returncode}")
        raise DatabaseUnavailable(f"cannot create the database in {place.root}: {reason}")


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
