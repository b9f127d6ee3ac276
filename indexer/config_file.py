"""Reads `indexer.toml` and lays the environment over it. All mistakes at once, each with its place.

Gives validated tables; what they mean together is `config.py`'s business. Repeats no value: a file
may hold a key in the wrong place.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pydantic import SecretStr, ValidationError

from indexer.config_environment import (
    KEYS,
    SECRETS,
    Environment,
    KeyPath,
    printable,
    read_environment,
    suggest,
    variable_name,
)
from indexer.errors import UsageError
from indexer.settings import SOURCES, Document, EnvironmentText

_LARGEST_FILE: Final = 1_000_000
_KNOWN: Final = sorted({".".join(path[:length]) for path in KEYS for length in range(1, len(path) + 1)})


@dataclass(frozen=True, slots=True)
class Settings:
    """What file and environment say together, validated; built-in values are not filled in yet."""

    document: Document
    #: By source and option: only what was given.
    options: Mapping[str, Mapping[str, str]]
    #: By source and key name: only what was given.
    secrets: Mapping[str, Mapping[str, SecretStr]]


class _Mistakes:
    """Collects mistakes, and knows where each key was given."""

    def __init__(self, path: Path | None, text: str, environment: Environment) -> None:
        self._path, self._text, self._names = path, text, environment.names
        self._lines: dict[KeyPath, int] | None = None
        self._found: list[tuple[int, str]] = []
        self._other = environment.mistakes

    def add(self, path: KeyPath, what: str) -> None:
        given = [
            self._names[path[:length]] for length in range(1, len(path) + 1) if path[:length] in self._names
        ]
        if given:
            self._other.append(f"{given[-1]}: {what}")
        else:
            self.add_to_file(path, what)

    def add_to_file(self, path: KeyPath, what: str) -> None:
        line = self._find_line(path)
        self._found.append((line, f"{self._path}:{line}: {printable('.'.join(path))}: {what}"))

    def _find_line(self, path: KeyPath) -> int:
        if self._lines is None:
            self._lines = find_lines(self._text)
        lengths = range(len(path), 0, -1)
        return next((self._lines[path[:length]] for length in lengths if path[:length] in self._lines), 1)

    def raise_if_any(self) -> None:
        # The sort is stable and by line only: mistakes on one line keep the order they were found in.
        lines = [what for _, what in sorted(self._found, key=lambda found: found[0])] + self._other
        if lines:
            raise UsageError("\n".join(lines))


def read_settings(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """File and environment as one. Raises UsageError with one line per mistake."""
    environment = read_environment(environ)
    text = "" if path is None else _read_text(path)
    tree = _parse_text(path, text)
    mistakes = _Mistakes(path, text, environment)
    _refuse_secrets(tree, mistakes)
    for key, value in environment.values.items():
        _lay_over(tree, key, value)
    _refuse_two_schedules(tree, mistakes)
    options = _take_options(tree, mistakes)
    document = _validate(tree, mistakes)
    mistakes.raise_if_any()
    return Settings(document, options, _group_secrets(environment))


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            body = file.read(_LARGEST_FILE + 1)
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file; `indexer init` writes one") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a valid name"
        raise UsageError(f"{path}: cannot be read ({reason})") from None
    if len(body) > _LARGEST_FILE:
        raise UsageError(f"{path}: is larger than {_LARGEST_FILE} bytes")
    try:
        return body.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{path}:{line}: is not UTF-8 text") from None


def _parse_text(path: Path | None, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise UsageError(f"{path}:1: is nested too deeply") from None
    except ValueError as error:
        match = re.fullmatch(
            r"(.*?)(?: \(at (?:line ([0-9]+), column [0-9]+|end of document)\))?", str(error), re.DOTALL
        )
        line = int(match[2]) if match and match[2] else text.count("\n") + 1
        raise UsageError(f"{path}:{line}: is not TOML: {_first_words(match)}") from None


def _first_words(match: re.Match[str] | None) -> str:
    # tomllib names the rule that was broken, and sometimes the key; never a value.
    what = printable(match[1]) if match else "it cannot be read"
    return what[:1].lower() + what[1:]


def find_lines(text: str) -> dict[KeyPath, int]:
    """The line of every table and key, found by parsing one statement at a time: tomllib gives none."""
    lines: dict[KeyPath, int] = {}
    table: KeyPath = ()
    start, statement = 1, ""
    for number, line in enumerate(text.split("\n"), 1):
        start, statement = (start, statement) if statement else (number, "")
        statement += line + "\n"
        # Only these can end a statement that did not end on its first line.
        parsed = (
            _parse_statement(statement) if start == number or re.search(r"[\]}]|\"\"\"|'''", line) else None
        )
        if parsed is None:
            continue
        is_header = statement.lstrip().startswith("[")
        table = _first_path(parsed) if is_header else table
        for path in _list_paths(parsed, () if is_header else table):
            lines.setdefault(path, start)
        statement = ""
    return lines


def _parse_statement(statement: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(statement)
    except (ValueError, RecursionError):
        return None


def _first_path(parsed: object) -> KeyPath:
    path: KeyPath = ()
    while isinstance(parsed, dict) and parsed:
        key, parsed = next(iter(parsed.items()))
        path = (*path, key)
    return path


def _list_paths(parsed: Mapping[str, Any], above: KeyPath) -> Iterator[KeyPath]:
    for key, value in parsed.items():
        yield (*above, key)
        if isinstance(value, dict):
            yield from _list_paths(value, (*above, key))


def _lay_over(tree: dict[str, Any], path: KeyPath, value: str) -> None:
    table: Any = tree
    for key in path[:-1]:
        table = table.setdefault(key, {}) if isinstance(table, dict) else None
    if not isinstance(table, dict):
        return  # The file has a value where a table belongs: that mistake is reported.
    rival = {"every": "cron", "cron": "every"}.get(path[-1], "")
    if not isinstance(table.get(rival), EnvironmentText):
        table.pop(rival, None)
    table[path[-1]] = value


def _get_table(tree: Mapping[str, Any], *path: str) -> dict[str, Any]:
    table: Any = tree
    for key in path:
        table = table.get(key) if isinstance(table, dict) else None
    return table if isinstance(table, dict) else {}


def _refuse_secrets(tree: dict[str, Any], mistakes: _Mistakes) -> None:
    for path in SECRETS:
        for key in (path[-1], f"{path[-1]}_file"):
            if _get_table(tree, *path[:-1]).pop(key, None) is not None:
                what = f"secrets are read from the environment only: set {variable_name(path)} or …_FILE"
                mistakes.add_to_file((*path[:-1], key), what)


def _refuse_two_schedules(tree: Mapping[str, Any], mistakes: _Mistakes) -> None:
    for path in (("defaults",), *(("sources", name) for name in SOURCES)):
        if {"every", "cron"} <= _get_table(tree, *path).keys():
            mistakes.add((*path, "cron"), "give either every or cron, not both")


def _take_options(tree: dict[str, Any], mistakes: _Mistakes) -> Mapping[str, Mapping[str, str]]:
    taken: dict[str, dict[str, str]] = {}
    for source, facts in SOURCES.items():
        table = _get_table(tree, "sources", source)
        for option in facts.options.keys() & table.keys():
            value = table.pop(option)
            if isinstance(value, str) and re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)*", value, re.ASCII):
                taken.setdefault(source, {})[option] = str(value)
            else:
                mistakes.add(("sources", source, option), "must be letters, digits, dots, dashes and slashes")
    return MappingProxyType(taken)


def _validate(tree: dict[str, Any], mistakes: _Mistakes) -> Document:
    sources = _get_table(tree, "sources")
    for name in [name for name in sources if name not in SOURCES]:
        mistakes.add(("sources", name), f"unknown source{suggest(name, list(SOURCES))}")
        del sources[name]
    try:
        return Document.model_validate(tree)
    except ValidationError as error:
        for found in error.errors(include_url=False, include_input=False, include_context=False):
            path = tuple(str(key) for key in found["loc"])
            mistakes.add(path, _explain(found["type"], found["msg"], path))
        return Document()


def _explain(kind: str, message: str, path: KeyPath) -> str:
    if kind == "extra_forbidden":
        return f"unknown key{suggest('.'.join(path), _KNOWN)}"
    if kind in {"model_type", "dict_type", "model_attributes_type"}:
        return f"must be a table: [{printable('.'.join(path))}]"
    if kind == "too_short":
        return "must name at least 1 file"
    return message.removeprefix("Value error, ").replace("Input should ", "must ")


def _group_secrets(environment: Environment) -> Mapping[str, Mapping[str, SecretStr]]:
    grouped: dict[str, dict[str, SecretStr]] = {}
    for (_, source, key), secret in environment.secrets.items():
        grouped.setdefault(source, {})[key] = secret
    return MappingProxyType({source: MappingProxyType(keys) for source, keys in grouped.items()})
