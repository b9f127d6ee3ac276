"""Raw bytes are evidence."""

import hashlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from indexer.cli.raw import unpack
from indexer.store.reading import BodyRow


def stored(exact: bytes, codec: str) -> BodyRow:
    """A body as the ledger keeps it."""
    body = zstandard.ZstdCompressor().compress(exact) if codec == "zstd" else exact
    return BodyRow(hashlib.sha256(exact).digest(), None, None, [codec], [len(exact)], [body])


@given(st.binary(max_size=2_000), st.sampled_from(["none", "zstd"]))
def test_bytes_come_back_exactly(exact: bytes, codec: str) -> None:
    """However they are stored, the empty answer included."""
    assert unpack(stored(exact, codec)) == exact


def test_bytes_that_are_not_what_their_digest_says_are_refused() -> None:
    """Damaged evidence is worse than none."""
    body = BodyRow(hashlib.sha256(b"abc").digest(), None, None, ["none"], [3], [b"abd"])

    with pytest.raises(ValueError, match="digest"):
        unpack(body)
