"""Live configuration: notices that files changed, reads them, and says what is different. Applies nothing.

An invalid or empty set is refused whole and the old one stays. Which watches are different, the database
finds when they are applied; then they are kept nowhere else. Values never appear in what is told, only
names: a file may hold a key in the wrong place.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Final

from indexer.config import Config
from indexer.errors import UsageError
from indexer.sources.base import Source
from indexer.watchlist import WatchEntry

#: What a running process cannot change: it holds a connection, a socket, a lease by them.
FIXED: Final = ("database.url", "database.data_dir", "daemon.listen", "daemon.lease")


#: Files that changed, or went, less than a second ago may change again.
_SETTLED_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class FileSeen:
    """One file as it stands on disk. Unreadable or missing files are told apart from readable ones."""

    name: str
    size: int | None
    changed_at: int | None
    number: int | None


#: Every file the configuration is read from.
Fingerprint = frozenset[FileSeen]


@dataclass(frozen=True, slots=True)
class Setup:
    """Configuration and watchlist as the files state them."""

    config: Config
    sources: Mapping[str, Source]
    #: None: no watchlist is read here, or it is in the database already.
    entries: tuple[WatchEntry, ...] | None


@dataclass(frozen=True, slots=True)
class Refused:
    """The files cannot be used. One line per mistake."""

    message: str


@dataclass(frozen=True, slots=True)
class Changed:
    """The files say something else now."""

    #: Configuration keys that are different and in force from now on.
    keys: tuple[str, ...]
    #: Keys that are different and need a restart: their old values stay.
    kept: tuple[str, ...]


class Reloader:
    """Watches the files of one process."""

    def __init__(
        self,
        setup: Setup,
        seen: Fingerprint,
        read: Callable[[], Setup],
        look: Callable[[Config], Fingerprint],
    ) -> None:
        self.setup = setup
        #: Taken before the files of ``setup`` were read.
        self._seen = seen
        #: What was seen last while somebody seemed to be writing, and since when.
        self._settling: Fingerprint | None = None
        self._settling_since = 0
        self._read = read
        self._look = look

    async def check(self, *, forced: bool = False) -> Changed | Refused | None:
        """Read the files again if they changed since the last check. None: nothing new."""
        seen = await asyncio.to_thread(self._look, self.setup.config)
        if not forced and (seen == self._seen or not self._has_settled(seen)):
            return None
        # Noted before reading: what changes meanwhile is read at the next check.
        self._seen = seen
        try:
            found = await asyncio.to_thread(self._read)
        except UsageError as error:
            return Refused(str(error))
        return self._take(found)

    def _has_settled(self, seen: Fingerprint) -> bool:
        """Whether nobody seems to be writing still: half of a list is a list too, and would end the rest.

        A file that changed a moment ago, or is gone (to be replaced?), is left to a later check.
        """
        now, monotonic = time.time_ns(), time.monotonic_ns()
        gone = {file.name for file in self._seen} - {file.name for file in seen}
        if not gone and all(_is_old(file, now) for file in seen - self._seen):
            return True
        if seen != self._settling:
            self._settling, self._settling_since = seen, monotonic
        return monotonic - self._settling_since >= _SETTLED_NS

    def _take(self, found: Setup) -> Changed:
        before = self.setup.config
        config, kept = keep_fixed(before, found.config)
        self.setup = Setup(config, found.sources, found.entries)
        return Changed(tuple(sorted(set(list_differences(before, config)))), kept)

    def forget_entries(self) -> None:
        """They are in the database; a hundred thousand would be most of what a daemon holds in memory."""
        self.setup = replace(self.setup, entries=None)


def _is_old(file: FileSeen, now: int) -> bool:
    """Whether its last change was not just now. Another machine's clock may be ahead of ours."""
    return file.changed_at is not None and not 0 <= now - file.changed_at < _SETTLED_NS


def keep_fixed(before: Config, found: Config) -> tuple[Config, tuple[str, ...]]:
    """The new configuration with the old values of what cannot change, and the names of those that would."""
    differences = set(list_differences(before, found))
    aliases = {"daemon.listen_host": "daemon.listen", "daemon.listen_port": "daemon.listen"}
    wanted = {aliases.get(name, name) for name in differences}
    daemon = replace(
        found.daemon,
        listen_host=before.daemon.listen_host,
        listen_port=before.daemon.listen_port,
        lease=before.daemon.lease,
    )
    kept = tuple(name for name in FIXED if name in wanted)
    return replace(found, database=before.database, daemon=daemon), kept


def list_differences(before: object, after: object, name: str = "") -> Iterator[str]:
    """Names of the values that differ, by their place in the file; never a value."""
    if before == after:
        return
    if is_dataclass(before) and is_dataclass(after):
        for part in fields(before):
            inner = f"{name}.{part.name}" if name else part.name
            yield from list_differences(getattr(before, part.name), getattr(after, part.name), inner)
    elif isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}):
            yield from list_differences(before.get(key), after.get(key), f"{name}.{key}")
    else:
        yield name
