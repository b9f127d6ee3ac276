"""Arrays we write ourselves are read by PostgreSQL as what they were, or refused."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from indexer.store.arrays import adapting

_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
_TIMES = st.datetimes(datetime(1900, 1, 1), datetime(2999, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  the bounds must be naive

_COLUMNS: list[tuple[str, SearchStrategy[object]]] = [
    ("bigint[]", st.integers(-(2**63), 2**63 - 1)),
    ("text[]", _TEXT | st.sampled_from(["NULL", "", "{", '"', "\\", "a,b", " a ", "\\x00"])),
    ("bytea[]", st.binary(max_size=40)),
    ("boolean[]", st.booleans()),
    ("date[]", st.dates(date(1000, 1, 1))),
    ("timestamptz[]", _TIMES),
    (
        "numeric[]",
        st.decimals(allow_nan=False, allow_infinity=False, places=3, max_value=10**9, min_value=-(10**9)),
    ),
    ("interval[]", st.timedeltas(timedelta(0), timedelta(days=9))),
    ("float8[]", st.floats(allow_nan=False)),
]


@pytest.fixture(scope="module")
def connection(template_url: str) -> Iterator[psycopg.Connection]:
    """A connection that writes lists as the program does."""
    with psycopg.connect(template_url, autocommit=True, context=adapting()) as opened:
        yield opened


@pytest.mark.parametrize(("kind", "elements"), _COLUMNS, ids=[kind for kind, _ in _COLUMNS])
def test_an_array_is_read_as_it_was(
    connection: psycopg.Connection, kind: str, elements: SearchStrategy[object]
) -> None:
    """Whatever the values, and whatever is not there."""

    @given(values=st.lists(st.none() | elements, max_size=5))
    def check(values: list[object]) -> None:
        row = connection.execute(f"SELECT %(values)s::{kind}".encode(), {"values": values}).fetchone()

        assert row == (values,)

    check()


def test_a_list_is_compared_with_a_column_without_being_cast(connection: psycopg.Connection) -> None:
    """The server takes the type from what it is compared with."""
    found = connection.execute("SELECT n FROM generate_series(1, 9::bigint) AS n WHERE n = ANY(%s)", [[2, 7]])

    assert found.fetchall() == [(2,), (7,)]


@pytest.mark.parametrize("values", [["a\0b"], ["a", 1], [Decimal(1), "a"]])
def test_what_no_column_can_hold_is_refused(connection: psycopg.Connection, values: list[object]) -> None:
    """A text with NUL would end there without a word; values of two kinds are a mistake."""
    with pytest.raises(psycopg.DataError):
        connection.execute("SELECT %s::text[]", [values])
