"""Solana keys are judged and ordered without decoding them: the decoder is the judge of that."""

import base58
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from indexer.sources.solana_das_asset import is_key, rank

ALPHABET = base58.BITCOIN_ALPHABET.decode()
EDGES = (0, 1, 57, 58, 2**247, 2**248 - 1, 2**248, 2**248 + 1, 2**255, 2**256 - 1)

keys = st.one_of(
    st.binary(min_size=32, max_size=32),
    st.integers(0, 2**256 - 1).map(lambda number: number.to_bytes(32, "big")),
    st.sampled_from(EDGES).map(lambda number: number.to_bytes(32, "big")),
)


def written(raw: bytes) -> str:
    return base58.b58encode(raw).decode()


@given(keys, keys)
def test_ranks_stand_in_the_order_of_the_bytes(first: bytes, second: bytes) -> None:
    """Comparing ranks is comparing the 32 bytes."""
    one, other = rank(written(first)), rank(written(second))

    assert (one < other) == (first < second)
    assert (one == other) == (first == second)


@given(keys)
@example(bytes(32))
def test_every_key_is_one(raw: bytes) -> None:
    """32 bytes are a key however many zeros they begin with."""
    assert is_key(written(raw))


@given(st.binary(min_size=22, max_size=36))
@example(b"\x01" + bytes(30))
@example(b"\xff" * 31)
@example(bytes(31))
@example(bytes(33))
@example(b"\x01" + bytes(32))
def test_other_lengths_are_no_keys(raw: bytes) -> None:
    """Exactly 32 bytes, not one more or less."""
    assert is_key(written(raw)) == (len(raw) == 32)


@given(st.text(ALPHABET, min_size=30, max_size=46))
@example("z" * 44)
@example("z" * 43)
@example("1" * 32)
@example("1" * 44)
def test_any_text_of_base58_is_judged_as_the_decoder_does(text: str) -> None:
    """No text is decoded to 32 bytes and refused, or the other way round."""
    assert is_key(text) == (len(base58.b58decode(text)) == 32)


@pytest.mark.parametrize("text", ["", "0" * 43, "O" * 43, "I" * 43, "l" * 43, "é" * 43, " " + "2" * 43])
def test_other_characters_are_no_keys(text: str) -> None:
    """Base58 has no 0, O, I and l."""
    assert not is_key(text)
