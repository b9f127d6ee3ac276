"""The private folder of one embedded database: what lies where, and the locks in it.

    data/        PGDATA                       version      PostgreSQL's major version
    run/         the socket                   lock         held while the server is started or stopped
    logs/        seven days of server log     server.lock  held by the server's processes themselves
    users/       one locked file per command  stay         `db start` asked the server to stay (and its port)
    password     for TCP, 0600                socket_dir   where the socket is when run/ is too long a path

Locks are flock(2) locks: the kernel drops them when a process ends, however it ends, and a process id that
was used again cannot be taken for ours. Root works in folders that belong to the server's user, so no
link is ever followed when a file is opened.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from indexer.embedded.account import Account, can_enter, choose_account, give_to
from indexer.errors import DatabaseUnavailable

#: A socket's path fits in 108 bytes (104 on macOS), ``/.s.PGSQL.65535`` included.
MAX_SOCKET_PATH = 100
#: Longer than the five minutes a recovery may take while somebody else holds the lock.
LOCK_PATIENCE_SECONDS = 360.0
#: A folder with nothing else in it is ours alone. (A fresh volume has lost+found.)
_OUR_NAMES = frozenset(
    {"data", "run", "logs", "users", "lock", "server.lock", "stay", "password", "version", "socket_dir"}
    | {"lost+found", ".DS_Store"}
)
#: Beginnings of what a killed command may have left half-made.
_OUR_UNFINISHED = ("data.new-", ".stay.", ".password.", ".version.", ".socket_dir.")


@dataclass(frozen=True, slots=True)
class Place:
    """One database's folder and whose it is."""

    root: Path
    account: Account

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def users(self) -> Path:
        return self.root / "users"

    @property
    def version(self) -> Path:
        return self.root / "version"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def server_lock(self) -> Path:
        return self.root / "server.lock"

    @property
    def stay(self) -> Path:
        return self.root / "stay"

    @property
    def password(self) -> Path:
        return self.root / "password"

    @property
    def socket_record(self) -> Path:
        return self.root / "socket_dir"


def find_place(data_dir: Path) -> Place | None:
    """The folder as it is, untouched; None when there never was a database in it."""
    root = Path(os.path.realpath(data_dir))
    try:
        if not (root / "lock").exists():
            return None
        return Place(root, choose_account(root))
    except OSError as exc:
        raise _not_usable(root, exc) from exc


def make_place(data_dir: Path) -> Place:
    """The folder, made private and complete."""
    root = Path(os.path.realpath(data_dir))
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        place = Place(root, choose_account(root))
        _make_private(place)
        for folder in (place.run, place.logs, place.users):
            make_folder(folder, place.account)
    except OSError as exc:
        raise _not_usable(root, exc) from exc
    return place


def make_folder(folder: Path, account: Account) -> None:
    """A folder of the account's that nobody else enters. A link in its place is an error."""
    folder.mkdir(mode=0o700, exist_ok=True)
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchmod(fd, 0o700)
        give_to(account, fd)
    finally:
        os.close(fd)


def _make_private(place: Place) -> None:
    """Our own folder becomes 0700. One that holds other things keeps its mode, or is refused."""
    names = {path.name for path in place.root.iterdir()} - _OUR_NAMES
    if all(name.startswith(_OUR_UNFINISHED) for name in names):
        make_folder(place.root, place.account)
    elif place.root.stat().st_mode & 0o022 or not can_enter(place.account, place.root):
        raise DatabaseUnavailable(
            f"{place.root} holds other files: give the database a folder of its own (database.data_dir)"
        )


def _not_usable(root: Path, exc: OSError) -> DatabaseUnavailable:
    is_denied = exc.errno in {errno.EACCES, errno.EPERM, errno.EROFS}
    remedy = "run as the user it belongs to" if is_denied else "repair that"
    return DatabaseUnavailable(
        f"cannot use the database folder {root}: {exc.strerror or exc};"
        f" {remedy}, or choose another database.data_dir"
    )


def open_private(path: Path, account: Account, flags: int = 0) -> int:
    """Open a file of ours, 0600, for a lock or for writing."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | flags, 0o600)
    give_to(account, fd)
    return fd


def write_record(path: Path, account: Account, text: str) -> None:
    """Replace a small file as a whole, durably."""
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    fd = open_private(unfinished, account, os.O_EXCL)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)


def read_record(path: Path) -> str | None:
    """What a small file says, or None when it is not there."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with os.fdopen(fd, encoding="utf-8", errors="surrogateescape") as file:
        return file.read().strip()


def try_lock(fd: int) -> bool:
    """Take the lock if it is free."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def transition(place: Place) -> Iterator[None]:
    """Nobody else starts, stops, joins or leaves meanwhile."""
    try:
        fd = open_private(place.lock, place.account)
    except OSError as exc:
        raise _not_usable(place.root, exc) from exc
    try:
        give_up = time.monotonic() + LOCK_PATIENCE_SECONDS
        while not try_lock(fd):
            if time.monotonic() > give_up:
                raise DatabaseUnavailable(
                    f"another indexer command has been starting or stopping {place.root} for minutes:"
                    " end it and try again"
                )
            time.sleep(0.02)
        yield
    except OSError as exc:
        raise _not_usable(place.root, exc) from exc
    finally:
        os.close(fd)


def socket_folder(place: Place) -> Path | None:
    """Where the socket is, as clients name it; None when a short folder is needed and not there."""
    if not _is_awkward(place.run):
        return place.run
    recorded = read_record(place.socket_record)
    folder = Path(recorded) if recorded else None
    return folder if folder is not None and _is_trusted(place, folder) else None


def make_socket_folder(place: Place) -> Path:
    """The socket's folder, a short one in the temporary folder if the path of run/ cannot be used."""
    known = socket_folder(place)
    if known is not None:
        return known
    for parent in (Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108 - mkdtemp is safe there
        folder = Path(tempfile.mkdtemp(prefix=_short_prefix(place), dir=parent))
        give_to(place.account, folder)
        if can_enter(place.account, folder) and not _is_awkward(folder):
            write_record(place.socket_record, place.account, str(folder))
            return folder
        folder.rmdir()
    raise DatabaseUnavailable("found no short private folder for the database socket: set TMPDIR to one")


def remove_socket_folder(place: Place) -> None:
    """Leave nothing in the temporary folder once the server is down."""
    folder = socket_folder(place)
    if folder is not None and folder != place.run:
        shutil.rmtree(folder, ignore_errors=True)  # a killed server leaves its socket
    place.socket_record.unlink(missing_ok=True)


def _is_awkward(folder: Path) -> bool:
    """Too long for a socket, or not to be said in a URL: libpq reads a comma as the next host."""
    name = os.fsencode(folder)
    is_text = name.decode(errors="ignore") == str(folder)
    return len(name) + len("/.s.PGSQL.65535") > MAX_SOCKET_PATH or b"," in name or not is_text


def _short_prefix(place: Place) -> str:
    # The path is in the name so that a copied database folder does not talk to the original's server.
    return f"indexer-{hashlib.sha256(os.fsencode(place.root)).hexdigest()[:8]}-"


def _is_trusted(place: Place, folder: Path) -> bool:
    try:
        found = folder.lstat()
    except OSError:
        return False
    is_private = stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o700
    is_named = folder.name.startswith(_short_prefix(place))
    return is_private and is_named and found.st_uid == place.account.uid
