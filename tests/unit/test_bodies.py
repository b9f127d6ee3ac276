"""Bodies: whatever an API answers, the bytes that come back are the bytes that came."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from indexer.store.bodies import MOST_DEPTH, Body, StoredBody, pack, pack_changed

#: A list of rows, of which each round changes, adds or drops some.
rows = st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=40)
rounds = st.lists(rows, min_size=1, max_size=2 * MOST_DEPTH + 3)


def digest_of(body: bytes) -> bytes:
    """As the log names it."""
    return hashlib.sha256(body).digest()


def as_stored(body: Body, base: StoredBody | None, whole_sha256: bytes) -> StoredBody:
    """The body as the database would give it back."""
    assert body.stored is not None
    if body.codec != "delta":
        return StoredBody(body.codec, body.length, body.stored)
    assert base is not None
    behind = base if body.depth > 1 or base.base is None else base.whole
    return StoredBody(body.codec, body.length, body.stored, behind, whole_sha256)


@given(rounds=rounds)
def test_gives_back_the_exact_bytes_of_every_round(rounds: list[list[bytes]]) -> None:
    """Round after round on the body before, however different: exact, never too far from a whole one."""
    steady = bytes(range(256)) * 8
    stored: StoredBody | None = None
    name = whole = b""
    for changed in rounds:
        body = steady + b"".join(changed)
        packed = pack_changed(body, digest_of(body), stored, name)
        if packed.codec != "delta":
            whole = packed.sha256
        stored, name = as_stored(packed, stored, whole), packed.sha256

        assert stored.unpack() == body
        assert stored.depth == packed.depth <= MOST_DEPTH


@given(body=st.binary(max_size=2_000))
def test_a_whole_body_comes_back(body: bytes) -> None:
    """Compressed or not, whichever is shorter."""
    packed = pack(body)

    assert as_stored(packed, None, packed.sha256).unpack() == body
    assert packed.stored is not None
    assert len(packed.stored) <= len(body)


@given(changed=rows)
def test_without_an_earlier_body_the_whole_one_is_kept(changed: list[bytes]) -> None:
    """A chain never begins on nothing."""
    body = b"".join(changed)

    assert pack_changed(body, digest_of(body), None, b"") == pack(body)


def test_a_small_change_is_a_small_delta() -> None:
    """One row of a thousand: what is kept is that row, not the page."""
    before = b"".join(hashlib.sha256(bytes([n % 256, n // 256])).hexdigest().encode() for n in range(1_000))
    after = before[:32_000] + b"something else" + before[32_014:]
    base = StoredBody("none", len(before), before)

    packed = pack_changed(after, digest_of(after), base, digest_of(before))

    assert packed.codec == "delta"
    assert packed.stored is not None
    assert len(packed.stored) < 100
