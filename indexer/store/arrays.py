"""Arrays as PostgreSQL reads them, a column at a time: the driver asks every single element for its type.

What is seldom in an array is left to the driver.
https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from types import NoneType
from typing import Any, Final

import psycopg
from psycopg import adapters
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import AdaptersMap, Dumper, PyFormat
from psycopg.types.array import ListDumper


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _texts(values: Sequence[str]) -> list[str]:
    whole = "".join(values)
    if "\0" in whole:
        raise psycopg.DataError("PostgreSQL text cannot contain NUL (0x00) bytes")
    if '"' in whole or "\\" in whole:
        values = [_escape(value) for value in values]
    return [f'"{value}"' for value in values]


def _byte_strings(values: Sequence[bytes]) -> list[str]:
    return [rf'"\\x{value.hex()}"' for value in values]


#: How the elements of an array of one type are written.
_WRITERS: Final[Mapping[type, Callable[[Sequence[Any]], Sequence[str]]]] = {
    int: lambda values: list(map(str, values)),
    str: _texts,
    bytes: _byte_strings,
    bool: lambda values: ["t" if value else "f" for value in values],
    date: lambda values: list(map(str, values)),
    datetime: lambda values: [f'"{value}"' for value in values],
}


class ArrayDumper(Dumper):
    """A list of one plain type, and None, as the text of an array whose type the statement says."""

    #: Unknown to the server until it has read the statement: what it is cast to or compared with.
    oid = 0

    def __init__(self, cls: type, context: AdaptContext | None = None) -> None:
        super().__init__(cls, context)
        self._driver = ListDumper(cls, context)

    def dump(self, obj: Any) -> Buffer | None:
        """Raises psycopg.DataError for what no column can hold."""
        types = set(map(type, obj))
        has_none = NoneType in types
        types.discard(NoneType)
        if not types:
            return f"{{{','.join(['NULL'] * len(obj))}}}".encode()
        first, *others = types
        write = _WRITERS.get(first)
        if write is None or others:
            return self._driver.upgrade(obj, PyFormat.TEXT).dump(obj)
        if not has_none:
            return f"{{{','.join(write(obj))}}}".encode()
        written = iter(write([value for value in obj if value is not None]))
        return f"{{{','.join(['NULL' if value is None else next(written) for value in obj])}}}".encode()


def adapting() -> AdaptersMap:
    """The driver's adapters, but for lists."""
    ours = AdaptersMap(adapters)
    ours.register_dumper(list, ArrayDumper)
    return ours
