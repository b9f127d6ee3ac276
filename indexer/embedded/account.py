"""The operating system user the embedded server runs as, and running programs as that user.

PostgreSQL refuses to run as root, so root becomes somebody else for the server's programs only; everybody
else runs them as themselves. Nothing here changes the identity of our own process.
"""

import os
import pwd
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from indexer.errors import DatabaseUnavailable

#: The server's whole environment. Ours may hold API keys, and /proc shows a process's environment to its
#: owner; PGPORT, PGDATA or LD_LIBRARY_PATH of the caller would also change what the programs do.
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"}


@dataclass(frozen=True, slots=True)
class Account:
    """Who owns the data and runs the server."""

    uid: int
    gid: int
    name: str
    #: We are root and have to become this user for the server's programs.
    is_switched: bool


def choose_account(data_dir: Path) -> Account:
    """The owner of what is there already, else the least privileged user at hand."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), f"uid {os.geteuid()}", is_switched=False)
    for folder in (data_dir / "data", data_dir):
        if folder.exists() and folder.stat().st_uid != 0:
            return _find_account(folder.stat())
    # `postgres` exists for exactly this; `nobody` is shared with other programs, but always there.
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(entry.pw_uid, entry.pw_gid, name, is_switched=True)
    raise DatabaseUnavailable(
        "PostgreSQL does not run as root and there is no user postgres or nobody:"
        " create one, or run indexer as an ordinary user"
    )


def _find_account(owner: os.stat_result) -> Account:
    try:
        entry = pwd.getpwuid(owner.st_uid)
    except KeyError:  # a container's user without a name: an existing cluster still runs
        return Account(owner.st_uid, owner.st_gid, f"uid {owner.st_uid}", is_switched=True)
    return Account(entry.pw_uid, entry.pw_gid, entry.pw_name, is_switched=True)


def run_as(
    account: Account,
    command: Sequence[str | Path],
    folder: Path | None = None,
    text: str = "",
    pass_fds: tuple[int, ...] = (),
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end in ``folder`` and keep what it said.

    The folder is entered before root's rights are dropped, so it may lie where the account cannot reach.
    """
    identity = account.uid if account.is_switched else None
    group = account.gid if account.is_switched else None
    try:
        return subprocess.run(  # noqa: S603 - our own programs, no shell
            [str(part) for part in command],
            cwd=folder if folder is not None else "/",
            env=ENVIRONMENT,
            input=text,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            start_new_session=True,
            user=identity,
            group=group,
            extra_groups=[] if account.is_switched else None,
            pass_fds=pass_fds,
        )
    except OSError as exc:
        program = Path(command[0]).name
        raise DatabaseUnavailable(
            f"cannot run {program} as user {account.name}: {exc.strerror or exc}"
        ) from exc


def can_enter(account: Account, folder: Path) -> bool:
    """Whether the account reaches the folder by its path. Asked of the kernel: modes alone miss ACLs."""
    if not account.is_switched:
        return True
    return run_as(account, ["/bin/sh", "-c", 'cd "$1"', "sh", folder]).returncode == 0


def can_run(account: Account, program: Path) -> bool:
    """Whether the account can start this program, shared libraries included."""
    try:
        return run_as(account, [program, "--version"]).returncode == 0
    except DatabaseUnavailable:
        return False


def give_to(account: Account, path: Path | int) -> None:
    """Make the account the owner. Only ever called on what we made ourselves."""
    if account.is_switched:
        os.chown(path, account.uid, account.gid)
