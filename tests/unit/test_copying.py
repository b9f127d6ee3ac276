"""COPY's text form: lines and fields end where they should."""

from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer import copying

texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))
values = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**256)
    | texts
    | st.binary()
    | st.datetimes(timezones=st.just(UTC))
)


@given(st.lists(values, min_size=1))
def test_a_line_has_as_many_fields_as_values(row: list[copying.Value]) -> None:
    """No value ends its field or its line."""
    line = copying.line(row)

    assert line.endswith("\n")
    assert line.count("\n") == 1
    assert len(line[:-1].split("\t")) == len(row)


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 2500])
def test_blocks_are_the_lines(count: int) -> None:
    """Nothing is lost where a block ends."""
    lines = [f"{number}\n" for number in range(count)]

    assert b"".join(copying.blocks(lines)) == "".join(lines).encode()
