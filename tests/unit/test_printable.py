"""Names on a chain are written by strangers; showing one must not do anything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.printable import printable

DANGEROUS = st.sampled_from("\x00\n\r\t\x1b\x7f\x85\x9b\u2028\u202a\u202e\u2066\u2069\ud800\udfff")
ANY_TEXT = st.text(st.one_of(st.characters(), DANGEROUS), max_size=50)


@given(text=ANY_TEXT)
def test_nothing_unsafe_is_left(text: str) -> None:
    """The result encodes, stays on one line and holds no control or direction character."""
    shown = printable(text)

    shown.encode("utf-8")
    assert len(shown.splitlines()) <= 1
    assert not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in shown)
    assert not any(0x202A <= ord(c) <= 0x202E or 0x2066 <= ord(c) <= 0x2069 for c in shown)


@pytest.mark.parametrize(
    "code", [*range(0x20), *range(0x7F, 0xA0), *range(0x2028, 0x202F), *range(0x2066, 0x206A)]
)
def test_every_control_and_direction_character_is_escaped(code: int) -> None:
    """Each one by itself, not only those that chance picks."""
    assert printable(chr(code)).isascii()
    assert printable(chr(code)).startswith("\\")


@pytest.mark.parametrize("text", ["Treasury", "金庫 🐸", "a\\b", "e\u0301", ""])
def test_ordinary_text_is_unchanged(text: str) -> None:
    """Other alphabets, emoji and backslashes are shown as they are."""
    assert printable(text) == text


def test_shows_what_was_there() -> None:
    """The reader can tell which character it was."""
    assert printable("a\x1b[2J\u202eb\ud800") == "a\\x1b[2J\\u202eb\\ud800"
