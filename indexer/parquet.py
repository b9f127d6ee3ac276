"""Rows as Parquet: columns with their types, and files that are written a group of rows at a time.

Amounts are decimals of 38 digits or text, never floating point. https://parquet.apache.org/docs/file-format/
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Self

import pyarrow as pa
from pyarrow import csv, parquet

#: Amounts in smallest units: numbers without a fraction.
_WHOLE: Final = frozenset({"amount", "old_amount", "new_amount", "locked"})

#: The longest whole number that Parquet's readers agree on has so many digits.
MOST_DIGITS: Final = 38

_TYPES: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "text": pa.string(),
        "jsonb": pa.string(),
        "boolean": pa.bool_(),
        "smallint": pa.int16(),
        "integer": pa.int32(),
        "bigint": pa.int64(),
        "timestamp with time zone": pa.timestamp("us", tz="UTC"),
        # Fractions have as many digits as they need, which no decimal of a fixed scale could hold.
        "numeric": pa.string(),
        "text[]": pa.list_(pa.string()),
        "interval": pa.float64(),
    }
)

#: Seconds say so in their name, because the type does not.
_RENAMED: Final = MappingProxyType({"interval": "{}_seconds"})


class Layout:
    """The columns of a file. ``types`` are PostgreSQL's names of them; raises KeyError for an unknown one."""

    def __init__(
        self, columns: Sequence[str], types: Sequence[str], *, amounts_as_text: bool, about: Mapping[str, str]
    ) -> None:
        kinds = dict(zip(columns, types, strict=True))
        fields = {_RENAMED.get(kind, "{}").format(name): _TYPES[kind] for name, kind in kinds.items()}
        if not amounts_as_text:
            fields |= {name: pa.decimal128(MOST_DIGITS, 0) for name in _WHOLE & fields.keys()}
        #: With ``about`` in every file: a file that is moved still says what it is.
        self.schema = pa.schema(list(fields.items()), metadata=dict(about))
        self._lists = [name for name, kind in fields.items() if pa.types.is_list(kind)]
        self._convert = csv.ConvertOptions(
            column_types=fields | dict.fromkeys(self._lists, pa.string()),
            # Only what is not quoted: PostgreSQL quotes the empty text, and nothing for NULL.
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["t"],
            false_values=["f"],
            timestamp_parsers=[csv.ISO8601],
        )

    def read(self, lines: bytes) -> Any:
        """Whole lines of PostgreSQL's CSV as a table of Arrow."""
        table = csv.read_csv(
            pa.BufferReader(lines),
            csv.ReadOptions(column_names=self.schema.names, use_threads=False, block_size=len(lines) + 1),
            csv.ParseOptions(newlines_in_values=True),
            self._convert,
        )
        for name in self._lists:
            place = self.schema.get_field_index(name)
            table = table.set_column(place, self.schema.field(name), _read_lists(table.column(name)))
        return table.cast(self.schema)


def _read_lists(column: Any) -> Any:
    """JSON arrays of texts as lists. Each spelling is read once: tags repeat with every row of an address."""
    seen = column.combine_chunks().dictionary_encode()
    spelled = [json.loads(text) for text in seen.dictionary.to_pylist()]
    return pa.array(spelled, pa.list_(pa.string())).take(seen.indices)


class Writer:
    """One file. When its block ends it is whole and on the disk, or gone if there was an error."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self.rows = 0
        self._layout = layout
        self._path = path
        self._file = path.open("xb")
        self._writer = parquet.ParquetWriter(self._file, layout.schema, compression="zstd")

    def add(self, lines: bytes) -> None:
        """A group of rows."""
        table = self._layout.read(lines)
        self._writer.write_table(table)
        self.rows += table.num_rows

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._file:
            if kind is not None:
                # First: the end that closing writes would make it look whole.
                self._path.unlink()
            self._writer.close()
            self._file.flush()
            os.fsync(self._file.fileno())
