"""Which environment variables exist, and what they say: keys of `indexer.toml`, and all secrets.

Reads the mapping it is given (and files named by `…_FILE`), never `os.environ`. Repeats no value.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from indexer.settings import SOURCES, Document, EnvironmentText, SourceTable, Table

#: Where a value stands: `("sources", "hedera", "every")`.
KeyPath = tuple[str, ...]

_PREFIX: Final = "INDEXER_"
_LONGEST_SECRET: Final = 65_536


def variable_name(path: KeyPath) -> str:
    """`INDEXER_SOURCES__HEDERA__EVERY` for `("sources", "hedera", "every")`."""
    return _PREFIX + "__".join(path).upper()


def _list_keys(table: type[Table], path: KeyPath = ()) -> Iterator[KeyPath]:
    for name, about in table.model_fields.items():
        if isinstance(about.annotation, type) and issubclass(about.annotation, Table):
            yield from _list_keys(about.annotation, (*path, name))
        elif name != "sources":
            yield (*path, name)


def _list_source_keys() -> Iterator[KeyPath]:
    for name, facts in SOURCES.items():
        yield from _list_keys(SourceTable, ("sources", name))
        yield from (("sources", name, option) for option in facts.options)


def _list_secrets() -> Iterator[KeyPath]:
    for name, facts in SOURCES.items():
        yield from (("sources", name, key) for key in facts.required_secrets + facts.optional_secrets)


#: Every key a file may hold.
KEYS: Final = (*_list_keys(Document), *_list_source_keys())
#: Every secret: no file but the one named by its `_FILE` variable may hold it.
SECRETS: Final = tuple(_list_secrets())
#: What keeps out of `ps` and unit files when it is given as a file.
_FILEABLE: Final = (("database", "url"), *SECRETS)

_VARIABLES: Final = {variable_name(path): path for path in (*KEYS, *SECRETS)}
_FILES: Final = {variable_name(path) + "_FILE": path for path in _FILEABLE}


@dataclass(slots=True)
class Environment:
    """What the environment says. ``names`` tells which variable gave a value."""

    values: dict[KeyPath, EnvironmentText] = field(default_factory=dict)
    secrets: dict[KeyPath, SecretStr] = field(default_factory=dict)
    names: dict[KeyPath, str] = field(default_factory=dict)
    mistakes: list[str] = field(default_factory=list)


def read_environment(environ: Mapping[str, str]) -> Environment:
    """Every `INDEXER_*` variable. A variable set to nothing counts as not set."""
    found = Environment()
    for name in sorted(environ):
        if name.startswith(_PREFIX) and not name.startswith("INDEXER_TEST_"):
            _read_variable(found, name, environ[name].strip())
    return found


def list_secret_files(environ: Mapping[str, str]) -> list[Path]:
    """The files that hold secrets, by the `…_FILE` variables that name them."""
    return [
        Path(value.strip()) for name, value in sorted(environ.items()) if name in _FILES and value.strip()
    ]


def _read_variable(found: Environment, name: str, value: str) -> None:
    path = _VARIABLES.get(name) or _FILES.get(name)
    if path is None:
        found.mistakes.append(f"{printable(name)}: unknown variable{suggest(name, [*_VARIABLES, *_FILES])}")
        return
    if not value:
        return
    if path in found.names:
        found.mistakes.append(f"{name}: set this or {found.names[path]}, not both")
        return
    found.names[path] = name
    try:
        _keep_value(found, path, _read_secret_file(value) if name in _FILES else value)
    except ValueError as error:
        found.mistakes.append(f"{name}: {error}")


def _keep_value(found: Environment, path: KeyPath, value: str) -> None:
    if path not in SECRETS:
        found.values[path] = EnvironmentText(value)
        return
    # Header libraries put a value they refuse into their error message: nothing they refuse may reach them.
    if not re.fullmatch(r"[ -~]+", value):
        raise ValueError("must be one line of printable ASCII characters")
    found.secrets[path] = SecretStr(value)


def _read_secret_file(name: str) -> str:
    try:
        with Path(name).open("rb") as file:
            text = file.read(_LONGEST_SECRET + 1).decode("utf-8").strip()
    except OSError as error:
        raise ValueError(
            f"the file it names cannot be read ({error.strerror or 'no reason given'})"
        ) from None
    except ValueError:
        raise ValueError("the file it names is not UTF-8 text, or its name is not valid") from None
    if not text or len(text) > _LONGEST_SECRET:
        raise ValueError("the file it names is " + ("too large" if text else "empty"))
    return text


def suggest(name: str, known: list[str]) -> str:
    """`; did you mean …?` when something known is close, else nothing."""
    close = difflib.get_close_matches(name[:200], known, n=1, cutoff=0.75)
    return f"; did you mean {close[0]}?" if close else ""


def printable(name: str) -> str:
    """A name as it can stand in one line of a message."""
    return "".join(letter if letter.isprintable() else "?" for letter in name[:120])
