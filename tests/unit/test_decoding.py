"""A body is decoded exactly, in bounded memory, or refused."""

import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.decoding import ACCEPTED_ENCODINGS, STEP_BYTES, BodyDecoder
from indexer.errors import BadPage, ServerTrouble

CAP = 1024 * 1024
WINDOW_BITS = {"gzip": 31, "deflate": 15, "bare deflate": -15}


def pack(kind: str, body: bytes) -> bytes:
    packer = zlib.compressobj(9, wbits=WINDOW_BITS[kind])
    return packer.compress(body) + packer.flush()


def decode(encoding: str, *chunks: bytes, cap: int = CAP) -> bytes:
    decoder = BodyDecoder(encoding, "plain /x", cap)
    for chunk in chunks:
        decoder.feed(chunk)
    return decoder.finish()


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """``data`` in pieces, as a network would bring it."""
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


BODIES = st.one_of(
    st.binary(max_size=300), st.builds(bytes, st.sampled_from([STEP_BYTES, 3 * STEP_BYTES + 1]))
)
PLACES = st.lists(st.integers(0, 10_000), max_size=8)


@given(kind=st.sampled_from(list(WINDOW_BITS)), body=BODIES, places=PLACES)
def test_decodes_exactly_however_it_is_cut(kind: str, body: bytes, places: list[int]) -> None:
    """Chunk borders mean nothing, not even between the first two bytes; bare deflate is understood."""
    encoding = kind.removeprefix("bare ")

    assert decode(encoding, *cut(pack(kind, body), places)) == body


@given(body=st.binary(max_size=300), places=PLACES)
def test_leaves_plain_bodies_alone(body: bytes, places: list[int]) -> None:
    """Without an encoding the bytes are the bytes."""
    assert decode("", *cut(body, places)) == body == decode("Identity ", body)


@given(
    kind=st.sampled_from(list(WINDOW_BITS)),
    body=st.binary(min_size=1, max_size=300),
    lost=st.integers(1, 400),
)
def test_refuses_a_body_that_was_cut_off(kind: str, body: bytes, lost: int) -> None:
    """Half a list must never pass for a short list."""
    packed = pack(kind, body)
    rest = packed[: max(1, len(packed) - lost)]

    with pytest.raises(ServerTrouble, match="cut off"):
        decode(kind.removeprefix("bare "), rest)


@given(body=st.binary(min_size=1, max_size=300), place=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_never_returns_other_bytes_from_damaged_gzip(body: bytes, place: int, flip: int) -> None:
    """One damaged byte is noticed by the checksum or touches nothing but the file name's header."""
    packed = bytearray(pack("gzip", body))
    packed[place % len(packed)] ^= flip

    try:
        decoded = decode("gzip", bytes(packed))
    except ServerTrouble:
        return
    assert decoded == body


@pytest.mark.parametrize("kind", list(WINDOW_BITS))
def test_refuses_garbage_after_the_end(kind: str) -> None:
    """What follows the end of the body is not the body's, and nobody knows whose it is."""
    encoding = kind.removeprefix("bare ")

    with pytest.raises(ServerTrouble, match=r"corrupt|after its end"):
        decode(encoding, pack(kind, b"{}"), b"garbage")


def test_reads_all_members_of_a_gzip_body() -> None:
    """Some servers send several gzip members one after another; that is one body."""
    assert decode("x-gzip", pack("gzip", b"[1,") + pack("gzip", b"2]")) == b"[1,2]"


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_an_empty_answer_is_an_empty_body(encoding: str) -> None:
    """Servers label empty error pages with an encoding; that is no damage."""
    assert decode(encoding) == b""


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "deflate,gzip", "gzip;q=1", "\u212aelvin"])
def test_refuses_what_it_did_not_ask_for(encoding: str) -> None:
    """Unknown and stacked encodings are refused before a byte is read."""
    with pytest.raises(BadPage, match="not asked for"):
        BodyDecoder(encoding, "plain /x", CAP)


@pytest.mark.parametrize("kind", list(WINDOW_BITS))
def test_a_bomb_costs_no_more_than_cap_and_step(kind: str) -> None:
    """A hundred megabytes of zeros are refused at the cap, whatever the chunk promised."""
    bomb = pack(kind, bytes(100 * 1024 * 1024))
    decoder = BodyDecoder(kind.removeprefix("bare "), "plain /x", CAP)

    with pytest.raises(BadPage, match="plain /x: the body is more than 1 MiB"):
        decoder.feed(bomb)

    assert CAP < decoder.decoded_bytes <= CAP + STEP_BYTES


def test_the_cap_itself_is_allowed() -> None:
    """A body of exactly the cap is read, one byte more is not."""
    assert len(decode("", bytes(CAP))) == CAP
    assert len(decode("gzip", pack("gzip", bytes(CAP)))) == CAP
    with pytest.raises(BadPage):
        decode("", bytes(CAP), b"x")
    with pytest.raises(BadPage):
        decode("gzip", pack("gzip", bytes(CAP + 1)))


def test_caps_the_raw_bytes_too() -> None:
    """Endless empty gzip members decode to nothing and must still end."""
    empty = pack("gzip", b"")
    decoder = BodyDecoder("gzip", "plain /x", 1000 * len(empty))
    decoder.feed(empty * 1000)

    with pytest.raises(BadPage, match="more than 20000 bytes"):
        decoder.feed(empty)


def test_asks_for_what_it_can_read() -> None:
    """Every encoding in the request's header is one that the decoder accepts."""
    for encoding in ACCEPTED_ENCODINGS.split(","):
        assert decode(encoding, pack(encoding.strip(), b"{}")) == b"{}"
