"""What counts as one whole HTTP answer, shown without a socket."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.answer import MOST_HEAD_BYTES, AnswerReader, WireError
from indexer.errors import BadPage


@dataclass
class Taken:
    """Keeps what comes."""

    wanted_bytes: int | None = None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def begin(self, status: int, headers: Mapping[str, str]) -> bool:
        assert self.status is None, "an answer begins once"
        self.status, self.headers = status, headers
        return self.wanted_bytes != 0

    def feed(self, data: bytes) -> bool:
        self.body += data
        return self.wanted_bytes is None or len(self.body) < self.wanted_bytes


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """The same bytes in pieces."""
    edges = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(edges)]


def head(*headers: str, status: int = 200, version: str = "1.1") -> bytes:
    return "\r\n".join([f"HTTP/{version} {status} Whatever", *headers, "", ""]).encode()


def chunked(pieces: list[bytes], trailer: bytes = b"") -> bytes:
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece)
    return chunks + b"0\r\n" + trailer + b"\r\n"


def read(data: bytes, incoming: Taken | None = None, *, reader: AnswerReader | None = None) -> bool:
    """Give these bytes at once. Whether they are a whole answer."""
    reader = reader or AnswerReader()
    reader.expect(incoming or Taken())
    return reader.take(data)


BODIES = st.binary(max_size=3000)
PLACES = st.lists(st.integers(0, 10_000), max_size=8)
FRAMINGS = ("length", "chunks", "end")


def frame(framing: str, body: bytes, places: list[int]) -> bytes:
    """The same answer with its length said in another way."""
    if framing == "chunks":
        return head("Transfer-Encoding: chunked") + chunked(cut(body, places), b"X-Checksum: 1\r\n")
    return head(*([f"Content-Length: {len(body)}"] if framing == "length" else [])) + body


@given(st.sampled_from(FRAMINGS), BODIES, PLACES, PLACES)
def test_reads_an_answer_however_it_is_framed_and_cut(
    framing: str, body: bytes, places: list[int], edges: list[int]
) -> None:
    """Where the network cuts says nothing: the body is the same, whole at its last byte and no earlier."""
    taken, reader = Taken(), AnswerReader()
    reader.expect(taken)

    whole = [reader.take(piece) for piece in cut(frame(framing, body, places), edges)]

    assert (taken.status, taken.body) == (200, body)
    assert not any(whole[:-1])
    assert whole[-1] == (framing != "end")
    if framing == "end":
        reader.end()


@given(st.sampled_from(("length", "chunks")), st.binary(min_size=1, max_size=300), PLACES, st.integers(1))
def test_never_takes_a_part_for_the_whole(framing: str, body: bytes, places: list[int], lost: int) -> None:
    """An answer that stops before its last byte is an error, wherever it stops."""
    data = frame(framing, body, places)
    reader = AnswerReader()
    reader.expect(Taken())

    kept = data[: lost % len(data)]

    assert not (kept and reader.take(kept))
    with pytest.raises(WireError, match="cut off" if kept else "without an answer"):
        reader.end()


@given(st.binary(max_size=400))
def test_garbage_is_an_error_or_an_answer_and_nothing_else(data: bytes) -> None:
    """Whatever a stranger sends, only our own error comes out."""
    reader = AnswerReader()
    reader.expect(Taken())

    try:
        is_whole = reader.take(b"HTTP/1.1 200 OK\r\n" + data)
    except WireError:
        is_whole = False

    assert is_whole in {True, False}


@given(st.lists(st.tuples(st.sampled_from(("length", "chunks")), BODIES, PLACES), min_size=1, max_size=5))
def test_reads_answer_after_answer(answers: list[tuple[str, bytes, list[int]]]) -> None:
    """One connection serves many requests, and no answer leaves a trace in the next."""
    reader = AnswerReader()

    for framing, body, places in answers:
        taken = Taken()
        assert read(frame(framing, body, places), taken, reader=reader)
        assert taken.body == body
        assert reader.can_go_on


@pytest.mark.parametrize(
    "answer",
    [
        head("Content-Length: 2", "Connection: close") + b"{}",
        head("Content-Length: 2", version="1.0") + b"{}",
        head("Content-Length: 2") + b"{}" + head("Content-Length: 2") + b"[]",
        head("Content-Length: 2") + b"{}garbage",
        head("Content-Length: 9", "Transfer-Encoding: chunked") + chunked([b"{}"]),
    ],
    ids=["close", "old version", "two answers", "garbage behind", "both lengths"],
)
def test_reads_the_answer_but_does_not_go_on(answer: bytes) -> None:
    """The answer is whole; what the connection would bring next is not to be trusted."""
    taken, reader = Taken(), AnswerReader()

    assert read(answer, taken, reader=reader)

    assert taken.body == b"{}"
    assert not reader.can_go_on


@pytest.mark.parametrize("status", [204, 304])
def test_some_answers_have_no_body_whatever_they_say(status: int) -> None:
    """A length on an answer without a body is not waited for."""
    taken, reader = Taken(), AnswerReader()

    assert read(head("Content-Length: 10", status=status), taken, reader=reader)

    assert (taken.status, taken.body) == (status, b"")
    assert not reader.can_go_on


def test_skips_informational_answers() -> None:
    """Early hints are no answer, and their headers are not the answer's."""
    taken = Taken()
    hints = head("Retry-After: 9", status=103) + head(status=102)

    assert read(hints + head("Content-Length: 2") + b"{}", taken)

    assert (taken.status, taken.body) == (200, b"{}")
    assert "retry-after" not in taken.headers


def test_tells_the_headers_that_are_read() -> None:
    """Names are lower case, repeated headers are one list, and a trailer changes nothing."""
    taken = Taken()
    lines = ("RETRY-after:  7 ", "Content-Encoding: gzip", "content-encoding: gzip", "X-Other: 1")
    trailer = b"Retry-After: 99\r\n"

    assert read(head("Transfer-Encoding: Chunked", *lines) + chunked([b"{}"], trailer), taken)

    assert taken.headers["retry-after"] == "7"
    assert taken.headers["content-encoding"] == "gzip, gzip"
    assert "x-other" not in taken.headers


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", "not HTTP"),
        (b"\x16\x03\x01\x00\xa5\x01", "not HTTP"),
        (head("Content-Length: 1", "Content-Length: 2") + b"{}", "not HTTP"),
        (head("Content-Length: -1"), "not HTTP"),
        (head("Transfer-Encoding: chunked") + b"zz\r\n", "not HTTP"),
        (head("Transfer-Encoding: gzip"), "unknown transfer encoding"),
        (head("Transfer-Encoding: gzip, chunked"), "unknown transfer encoding"),
        (head("Upgrade: h2c", "Connection: upgrade", status=101), "another protocol"),
    ],
)
def test_refuses_what_is_no_answer(data: bytes, words: str) -> None:
    """Broken grammar is told in fixed words, without the bytes."""
    with pytest.raises(WireError, match=words):
        read(data)


ENDLESS = {
    "one header": (head()[:-2] + b"X: ", b"x" * 1000),
    "many headers": (head()[:-2], b"X-Padding: xxxxxxxxxxxxxxxxxxxxx\r\n"),
    "informational answers": (b"", head(status=103)),
    "a trailer": (head("Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n", b"X-Padding: xxxxxxxxxxx\r\n"),
    "a chunk's name": (head("Transfer-Encoding: chunked") + b"2;", b"x" * 1000),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_bounds_what_is_no_body(kind: str) -> None:
    """Nobody can fill our memory with heads, trailers or the lines between chunks."""
    start, more = ENDLESS[kind]
    reader = AnswerReader()
    reader.expect(Taken())

    def send() -> None:
        reader.take(start)
        for _ in range(2 * MOST_HEAD_BYTES // len(more)):
            reader.take(more)

    with pytest.raises(WireError, match="too large"):
        send()


def test_a_large_head_is_refused_even_in_one_piece() -> None:
    """What is too large does not depend on how fast it came."""
    padding = [f"X-Padding-{number}: {'x' * 1000}" for number in range(200)]

    with pytest.raises(WireError, match="too large"):
        read(head("Content-Length: 2", *padding) + b"{}")


def test_chunks_of_one_byte_are_read() -> None:
    """However wasteful a server cuts, its body is what counts."""
    taken, body = Taken(), b"x" * 50_000

    assert read(head("Transfer-Encoding: chunked") + chunked([b"x"] * len(body)), taken)

    assert taken.body == body


@pytest.mark.parametrize("wanted", [0, 10])
def test_stops_where_no_more_is_wanted(wanted: int) -> None:
    """The rest of the body is not waited for, and the connection is of no use any more."""
    taken, reader = Taken(wanted), AnswerReader()

    assert read(head("Content-Length: 1000") + b"x" * 20, taken, reader=reader)

    assert not reader.can_go_on


def test_lets_through_what_the_taker_raises() -> None:
    """An error of whoever takes the answer in arrives as it was raised."""

    class Strict(Taken):
        def feed(self, data: bytes) -> bool:
            raise BadPage(f"too much: {len(data)} bytes")

    with pytest.raises(BadPage, match="too much"):
        read(head("Content-Length: 2") + b"{}", Strict())
