"""Live configuration: notices that files changed, reads them, and says what is different. Applies nothing.

An invalid or empty set is refused whole and the old one stays. Values never appear in what is told, only
names: a file may hold a key in the wrong place.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Final

from indexer.config import Config
from indexer.errors import UsageError
from indexer.sources.base import Source
from indexer.watchlist import WatchEntry

#: What a running process cannot change: it holds a connection, a socket, a lease by them.
FIXED: Final = ("database.url", "database.data_dir", "daemon.listen", "daemon.lease")

#: More names than this are counted.
_MOST_NAMED: Final = 20


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
    entries: tuple[WatchEntry, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """The files cannot be used. One line per mistake."""

    message: str


@dataclass(frozen=True, slots=True)
class Changed:
    """The files say something else now."""

    setup: Setup
    #: Watches by name: `hedera 0.0.1001`.
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
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
        self._read = read
        self._look = look

    async def check(self, *, forced: bool = False) -> Changed | Refused | None:
        """Read the files again if they changed since the last check. None: nothing new."""
        seen = await asyncio.to_thread(self._look, self.setup.config)
        if seen == self._seen and not forced:
            return None
        # Noted before reading: what changes meanwhile is read at the next check.
        self._seen = seen
        try:
            found = await asyncio.to_thread(self._read)
        except UsageError as error:
            return Refused(str(error))
        return self._take(found)

    def _take(self, found: Setup) -> Changed:
        before = self.setup
        config, kept = keep_fixed(before.config, found.config)
        self.setup = Setup(config, found.sources, found.entries)
        added, removed, changed = compare_entries(before.entries, found.entries)
        keys = tuple(sorted(set(list_differences(before.config, config))))
        return Changed(self.setup, added, removed, changed, keys, kept)


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


def compare_entries(
    before: Sequence[WatchEntry], after: Sequence[WatchEntry]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Watches that came, that left, and whose label, tags or interval changed."""
    # One index of the two: lists may be long, and what a reload takes is not given back.
    rest = {_key(entry): entry for entry in before}
    added: list[_Key] = []
    changed: list[_Key] = []
    for entry in after:
        old = rest.pop(_key(entry), None)
        if old is None:
            added.append(_key(entry))
        elif _told(old) != _told(entry):
            changed.append(_key(entry))
    return _name(added), _name(list(rest)), _name(changed)


_Key = tuple[str, str, str]


def _key(entry: WatchEntry) -> _Key:
    return entry.source, entry.address, entry.scope


def _told(entry: WatchEntry) -> tuple[object, ...]:
    return entry.label, entry.tags, entry.every


def _name(keys: Sequence[_Key]) -> tuple[str, ...]:
    return tuple(" ".join(part for part in key if part) for key in keys)


def abbreviate(names: Sequence[str]) -> str:
    """The names for a log line, or how many more there are."""
    shown = ", ".join(names[:_MOST_NAMED])
    rest = len(names) - _MOST_NAMED
    return f"{shown} … and {rest} more" if rest > 0 else shown
