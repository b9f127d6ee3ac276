"""Who uses the server just now: one locked file for each running command.

Called inside a transition only. A file nobody holds a lock on belongs to a command that was killed.
"""

import contextlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from indexer.embedded.place import Place, open_private, try_lock


@dataclass(frozen=True, slots=True)
class User:
    """One use of the server by one command."""

    path: Path
    fd: int


def join(place: Place, reason: str) -> User:
    """Register this process; ``reason`` is shown to whoever wants the server for himself."""
    path = place.users / f"{secrets.token_hex(8)}.lock"
    fd = open_private(path, place.account, os.O_EXCL)
    try_lock(fd)
    # The lock says it all. These words are for people: a full disk must keep nobody from reading.
    with contextlib.suppress(OSError):
        os.write(fd, f"{reason or 'a command'} (process {os.getpid()})".encode())
    return User(path, fd)


def leave(user: User) -> None:
    """Take the registration back."""
    user.path.unlink(missing_ok=True)
    os.close(user.fd)


def present(place: Place) -> list[str]:
    """What the living users are; traces of killed ones are removed on the way."""
    reasons = []
    for path in sorted(place.users.glob("*.lock")):
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if try_lock(fd):
                path.unlink(missing_ok=True)
            else:
                reasons.append(os.read(fd, 200).decode(errors="replace") or "a command")
        finally:
            os.close(fd)
    return reasons
