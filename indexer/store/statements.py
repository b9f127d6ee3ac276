"""Named SQL: each file in indexer/sql holds the statements of one store module.

A statement starts with `-- name: verb_object`; binds are by name, `%(name)s`.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

#: Beside this package in every installation: wheels are unpacked. `importlib.resources` is slow to load.
_FOLDER: Final = Path(__file__).resolve().parent.parent / "sql"


class Statements:
    """The statements of one file as attributes; bytes, because that is what psycopg takes without doubt."""

    def __init__(self, texts: Mapping[str, bytes]) -> None:
        self._texts = texts

    def __getattr__(self, name: str) -> bytes:
        try:
            return self._texts[name]
        except KeyError:
            raise AttributeError(f"no statement is named {name}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)


def load(module: str) -> Statements:
    """The statements in indexer/sql/<module>.sql."""
    text = (_FOLDER / f"{module}.sql").read_text(encoding="utf-8")
    parts = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)
    return Statements(
        {name: body.strip().encode() for name, body in zip(parts[1::2], parts[2::2], strict=True)}
    )
