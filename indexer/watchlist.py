"""What to watch: finds the watchlist files, checks every entry by its source's rules, all mistakes at once.

An invalid set is refused as a whole, and so is an empty one: a typo must neither watch nothing nor end a
portfolio. Knows no database; the daemon re-reads through the same door.
"""

import glob
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final, Protocol

import msgspec

from indexer.config_environment import suggest
from indexer.durations import read_positive_duration
from indexer.errors import UsageError
from indexer.watchlist_csv import read_csv
from indexer.watchlist_rows import Row, RowError

_LARGEST_FILE: Final = 50_000_000
_LONGEST_LABEL: Final = 200
#: More would not be read; the first thousand say what kind of mistake it is.
_MOST_MISTAKES: Final = 1_000
_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
#: Line breaks and what PostgreSQL or a terminal cannot take.
_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

_YAML: Final = (".yaml", ".yml")
_ENDINGS: Final = (*_YAML, ".csv")

#: What makes a watch: source, canonical address, canonical scope.
WatchKey = tuple[str, str, str]


class AddressRules(Protocol):
    """The part of a source that knows its addresses. Every ``Source`` is one."""

    @property
    def scoped(self) -> bool:
        """Whether a watch needs a scope (the rune id)."""
        ...

    def canonical_address(self, text: str) -> str:
        """The one form of an address. Raises ValueError saying what is wrong."""
        ...

    def canonical_scope(self, text: str) -> str:
        """The one form of a scope. Raises ValueError saying what is wrong."""
        ...


class WatchEntry(msgspec.Struct, frozen=True):
    """One (source, address, scope) to follow, and where it was asked for."""

    source: str
    #: Canonical.
    address: str
    #: ``''`` except for ``okx_runes``, where it is the rune id.
    scope: str
    label: str | None
    tags: tuple[str, ...]
    #: None: as often as the source.
    every: timedelta | None
    file: str
    line: int


class _Reading(msgspec.Struct):
    """What has been read so far."""

    sources: Mapping[str, AddressRules]
    entries: dict[WatchKey, WatchEntry] = msgspec.field(default_factory=dict)
    mistakes: list[str] = msgspec.field(default_factory=list)


def load(
    patterns: Sequence[str], folder: Path, sources: Mapping[str, AddressRules]
) -> tuple[WatchEntry, ...]:
    """Every entry of every file, in the order of files and lines. Raises UsageError naming every mistake."""
    reading = _Reading(sources)
    files = _find_files(patterns, folder, reading)
    if not files and not reading.mistakes:
        looked = ", ".join(str(folder / pattern) for pattern in patterns)
        raise UsageError(f"the watchlist is empty: nothing would be watched (no file matches {looked})")
    for name in files:
        _read_file(name, folder / name, reading)
    if reading.mistakes:
        raise UsageError(_join_mistakes(reading.mistakes))
    if not reading.entries:
        raise UsageError(f"the watchlist is empty: nothing would be watched (no entry in {', '.join(files)})")
    return tuple(reading.entries.values())


def list_files(patterns: Sequence[str], folder: Path) -> list[Path]:
    """The files ``load`` would read, there or not."""
    return [folder / name for name in _find_files(patterns, folder, _Reading({}))]


def list_overlooked(patterns: Sequence[str], folder: Path) -> list[Path]:
    """Files beside those that ``load`` would read, which it could read if a pattern named them."""
    files = list_files(patterns, folder)
    read = {os.path.realpath(path) for path in files}
    folders = {path.parent for path in files} - {folder}
    return [
        path
        for start in sorted(folders)
        for path in sorted(start.iterdir())
        if path.name.lower().endswith(_ENDINGS) and not path.name.startswith(".")
        if path.is_file() and os.path.realpath(path) not in read
    ]


def _join_mistakes(mistakes: list[str]) -> str:
    shown = mistakes[:_MOST_MISTAKES]
    if len(mistakes) > len(shown):
        shown.append(f"… and {len(mistakes) - len(shown)} more mistakes")
    return "\n".join(shown)


def _find_files(patterns: Sequence[str], folder: Path, reading: _Reading) -> list[str]:
    """Names relative to the folder, sorted, each real file once however many patterns match it."""
    names: set[str] = set()
    for pattern in patterns:
        if _is_file(folder / pattern) or not glob.has_magic(pattern):
            names.add(pattern)
            continue
        # Not Path.glob: that one matches hidden files and refuses absolute patterns.
        found = glob.glob(pattern, root_dir=folder, recursive=True)  # noqa: PTH207
        names.update(name for name in found if not _is_folder(folder / name))
        mistake = _check_start(pattern, folder)
        if mistake:
            reading.mistakes.append(mistake)
    once: dict[str, str] = {}
    for name in sorted(names):
        once.setdefault(os.path.realpath(folder / name), name)
    return list(once.values())


def _is_file(path: Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113  Path.is_file raises where access is denied


def _is_folder(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112  Path.is_dir raises where access is denied


def _check_start(pattern: str, folder: Path) -> str | None:
    """What keeps the folder a pattern starts in from being read: to glob, that is just no match.

    A volume that is not mounted would otherwise end every watch in it.
    """
    start = folder
    for part in Path(pattern).parts[:-1]:
        if glob.has_magic(part):
            break
        start /= part
    try:
        os.scandir(start).close()
    except OSError as error:
        hint = ": `indexer init` writes a first one" if isinstance(error, FileNotFoundError) else ""
        return f"{pattern}: folder {start} cannot be read ({error.strerror}){hint}"
    return None


def _read_file(name: str, path: Path, reading: _Reading) -> None:
    try:
        text = _read_text(path)
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        reading.mistakes.append(f"{name}:{line}: is not UTF-8 text: save it as UTF-8")
        return
    except OSError as error:
        reading.mistakes.append(f"{name}: cannot be read ({error.strerror or error})")
        return
    for row in read_rows(name.lower(), text):
        if isinstance(row, RowError):
            reading.mistakes.append(f"{name}:{row.line}: {row}")
        else:
            _read_row(name, row, reading)


def _read_text(path: Path) -> str:
    if path.exists() and not path.is_file():
        raise OSError("it is not a regular file")
    with path.open("rb") as file:
        body = file.read(_LARGEST_FILE + 1)
    if len(body) > _LARGEST_FILE:
        raise OSError(f"it is larger than {_LARGEST_FILE // 1_000_000} MB")
    return body.decode("utf-8-sig")


def _read_row(name: str, row: Row, reading: _Reading) -> None:
    mistakes: list[str] = []
    for entry in _check_row(name, row, reading.sources, mistakes):
        first = reading.entries.setdefault((entry.source, entry.address, entry.scope), entry)
        if first is not entry:
            scope = f" with rune {entry.scope}" if entry.scope else ""
            place = f"{first.file}:{first.line}"
            mistakes.append(f"{entry.source}: address {entry.address!r}{scope} is already in {place}")
    reading.mistakes.extend(f"{name}:{row.line}: {mistake}" for mistake in mistakes)


def _check_row(
    name: str, row: Row, sources: Mapping[str, AddressRules], mistakes: list[str]
) -> list[WatchEntry]:
    """The entries of a row, one per rune. What is wrong with it goes to ``mistakes``, all of it."""
    label = row.words.get("label")
    tags = tuple(dict.fromkeys(row.lists.get("tags", ())))
    mistakes.extend(_check_display(label, tags))
    every = _read_every(row, mistakes)
    source = row.words.get("source")
    rules = sources.get(source or "")
    if source is None or rules is None:
        mistakes.append(_explain_source(source, sources))
        return []
    address = _read_address(source, row, rules, mistakes)
    scopes = _read_scopes(source, row, rules, mistakes)
    return [
        WatchEntry(source, address, scope, label, tags, every, name, row.line)
        for scope in scopes
        if address is not None
    ]


def _check_display(label: str | None, tags: tuple[str, ...]) -> Iterator[str]:
    if "" in tags:
        yield "a tag is empty"
    for tag in tags:
        if "," in tag or ";" in tag:
            yield f"the tag {_quote(tag)} holds a separator: in YAML write [one, other], in CSV one;other"
    for what, text in (("label", label or ""), *(("tag", tag) for tag in tags)):
        if len(text) > _LONGEST_LABEL:
            yield f"the {what} has {len(text)} characters; {_LONGEST_LABEL} is the most"
        if _UNPRINTABLE.search(text):
            yield f"the {what} must be one line, without control characters"


def _read_every(row: Row, mistakes: list[str]) -> timedelta | None:
    text = row.words.get("every")
    if text is None:
        return None
    try:
        return read_positive_duration(text)
    except ValueError as error:
        mistakes.append(f"every {_quote(text)}: {error}")
        return None


def _explain_source(source: str | None, sources: Mapping[str, AddressRules]) -> str:
    if source is None:
        return "source is missing"
    hint = suggest(source.lower(), list(sources)) or f"; the sources are {', '.join(sources)}"
    return f"unknown source {_quote(source)}{hint}"


def _read_address(source: str, row: Row, rules: AddressRules, mistakes: list[str]) -> str | None:
    text = row.words.get("address")
    if text is None:
        mistakes.append(f"{source}: address is missing")
        return None
    try:
        return rules.canonical_address(text)
    except ValueError as error:
        mistakes.append(f"{source}: address {_quote(text)}: {error}")
        return None


def _read_scopes(source: str, row: Row, rules: AddressRules, mistakes: list[str]) -> list[str]:
    runes = row.lists.get("runes", ())
    if not rules.scoped:
        if runes:
            mistakes.append(f"{source}: runes belong to okx_runes only")
        return [""]
    if not runes:
        mistakes.append(f'{source}: runes are missing: name each rune id, such as "840000:3"')
    scopes: list[str] = []
    for rune in runes:
        try:
            scopes.append(rules.canonical_scope(rune))
        except ValueError as error:
            mistakes.append(f"{source}: rune {_quote(rune)}: {error}")
    return scopes


def _quote(text: str) -> str:
    return repr(text if len(text) <= 130 else text[:129] + "…")


def read_rows(name: str, text: str) -> Iterator[Row | RowError]:
    """The rows of a file, and its mistakes in between; the name's ending says how it is written."""
    control = _CONTROL.search(text)
    if control:
        yield RowError(text.count("\n", 0, control.start()) + 1, "contains a control character")
    elif not text.strip():
        yield RowError(1, "the file is empty")
    elif name.endswith(".csv"):
        yield from read_csv(text)
    elif name.endswith(_YAML):
        # Loading the library takes longer than reading a short list.
        from indexer.watchlist_yaml import read_yaml

        yield from read_yaml(text)
    else:
        yield RowError(1, "is neither .yaml, .yml nor .csv")
