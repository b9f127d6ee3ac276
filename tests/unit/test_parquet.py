"""Parquet files: every value comes back as it was, and what is not known stays so."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from indexer.parquet import Layout, Writer

_COLUMNS: Final = {
    "label": "text",
    "tags": "text[]",
    "details": "jsonb",
    "amount": "numeric",
    "quantity": "numeric",
    "decimals": "smallint",
    "pages": "integer",
    "crawl": "bigint",
    "frozen": "boolean",
    "valid_from": "timestamp with time zone",
    "age": "interval",
}

_ABOUT: Final = {"indexer.as_of": "2026-01-01T00:00:00+00:00"}

#: What PostgreSQL can store: no NUL, no half of a pair.
_TEXTS: Final = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
_INSTANTS: Final = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001

_ROWS: Final = st.tuples(
    st.none() | _TEXTS,
    st.none() | st.lists(_TEXTS, max_size=3),
    st.none() | st.dictionaries(_TEXTS, _TEXTS, max_size=2).map(json.dumps),
    st.none() | st.integers(0, 10**38 - 1).map(Decimal),
    st.none() | st.integers(0, 2**256).map(lambda whole: f"{whole}.{whole}"),
    st.none() | st.integers(-(2**15), 2**15 - 1),
    st.none() | st.integers(-(2**31), 2**31 - 1),
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.booleans(),
    st.none() | _INSTANTS,
    st.none() | st.floats(0, 1e9),
)


def _layout(columns: dict[str, str] = _COLUMNS, *, amounts_as_text: bool = False) -> Layout:
    return Layout(list(columns), list(columns.values()), amounts_as_text=amounts_as_text, about=_ABOUT)


def _lines(rows: Sequence[Sequence[Any]]) -> bytes:
    """Rows as PostgreSQL writes CSV: what is known may be quoted, and what is not never is."""
    return b"".join(",".join(map(_field, row)).encode() + b"\n" for row in rows)


def _field(value: Any) -> str:
    if value is None:
        return ""
    quoted = _spell(value).replace('"', '""')
    return f'"{quoted}"'


def _spell(value: Any) -> str:
    match value:
        case bool():
            return "t" if value else "f"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S.%f}+00"
        case list():
            return json.dumps(value)
        case _:
            return str(value)


@given(st.lists(_ROWS, min_size=1, max_size=5))
def test_every_value_comes_back_as_it_was(rows: list[tuple[Any, ...]]) -> None:
    """Texts with line ends and quotes, empty ones, amounts of 38 digits; NULL stays NULL, never '' or 0."""
    table = _layout().read(_lines(rows))

    assert [tuple(row.values()) for row in table.to_pylist()] == rows


def test_amounts_of_any_size_as_text() -> None:
    """All of them, so that a column has one type."""
    layout = _layout({"amount": "numeric", "locked": "numeric"}, amounts_as_text=True)

    table = layout.read(_lines([(2**256 - 1, 1), (None, 0)]))

    assert table.to_pylist() == [{"amount": str(2**256 - 1), "locked": "1"}, {"amount": None, "locked": "0"}]


def test_an_amount_that_does_not_fit_is_no_other_number() -> None:
    """Whoever asks for decimals gets an error, not a rounded one."""
    with pytest.raises(pa.ArrowInvalid):
        _layout({"amount": "numeric"}).read(_lines([(10**38,)]))


def test_types_and_what_the_file_is_about() -> None:
    """Seconds are called so; instants are UTC; the file says itself what it holds."""
    schema = _layout().schema

    assert schema.field("amount").type == pa.decimal128(38, 0)
    assert schema.field("quantity").type == pa.string()
    assert schema.field("valid_from").type == pa.timestamp("us", tz="UTC")
    assert schema.field("tags").type == pa.list_(pa.string())
    assert schema.field("age_seconds").type == pa.float64()
    assert schema.metadata == {b"indexer.as_of": b"2026-01-01T00:00:00+00:00"}


def test_a_file_of_several_groups(tmp_path: Path) -> None:
    """Each `add` is a group of rows; all of them are read as one table, also when there are none."""
    path, empty = tmp_path / "full.parquet", tmp_path / "empty.parquet"
    layout = _layout({"amount": "numeric"})
    with Writer(path, layout) as writer, Writer(empty, layout):
        writer.add(_lines([(1,), (2,)]))
        writer.add(_lines([(3,)]))

    assert writer.rows == 3
    assert parquet.ParquetFile(path).num_row_groups == 2
    assert parquet.read_table(path).column("amount").to_pylist() == [1, 2, 3]
    assert parquet.read_table(empty).schema == parquet.read_table(path).schema


def test_no_file_is_left_of_one_that_failed(tmp_path: Path) -> None:
    """Half a table must not look like a whole one."""
    path = tmp_path / "half.parquet"
    layout = _layout({"amount": "numeric"})

    def write() -> None:
        with Writer(path, layout) as writer:
            writer.add(_lines([(1,)]))
            writer.add(_lines([("many",)]))

    with pytest.raises(pa.ArrowInvalid):
        write()

    assert not path.exists()
