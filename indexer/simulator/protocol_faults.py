"""Faults of HTTP itself: lengths, encodings and endings that a server, a proxy or an attacker gets wrong.

`wire_faults.py` has the plain ones; these know the protocol and break one rule of it each.
"""

import asyncio
import gzip
from typing import Final

from indexer.simulator.wire import Answer, render_head
from indexer.simulator.wire_faults import Break, Line, chunk

_NO_LENGTH: Final = b"Content-Length: 0\r\n"


def _head(line: Line, *headers: tuple[str, str], version: bytes = b"HTTP/1.1") -> bytes:
    """The head of the honest answer with other headers and no length."""
    answer = Answer(line.answer.status, b"", (*line.answer.headers, *headers))
    return render_head(answer).replace(_NO_LENGTH, b"").replace(b"HTTP/1.1", version, 1)


async def _send(line: Line, *parts: bytes) -> None:
    for part in parts:
        line.writer.write(part)
        await line.writer.drain()


async def http10_whole(line: Line) -> None:
    """HTTP/1.0 without a length: the end of the connection is the end of the body."""
    await _send(line, _head(line, version=b"HTTP/1.0"), line.answer.body)


async def http10_cut(line: Line) -> None:
    """The same, ended in the middle: nothing on the wire says that anything is missing."""
    body = line.answer.body
    await _send(line, _head(line, version=b"HTTP/1.0"), body[: len(body) // 2])


async def chunked_cut(line: Line) -> None:
    """Chunks that end without the last, empty one."""
    await _send(line, _head(line, ("Transfer-Encoding", "chunked")), chunk(line.answer.body))


async def chunked_trailer_cut(line: Line) -> None:
    """All chunks, and an end inside the trailer."""
    head = _head(line, ("Transfer-Encoding", "chunked"))
    await _send(line, head, chunk(line.answer.body), b"0\r\nX-Checksum: 12")


async def two_lengths(line: Line) -> None:
    """Two lengths that disagree: what a proxy and a server may read differently."""
    body = line.answer.body
    head = _head(line, ("Content-Length", str(len(body) // 2)), ("Content-Length", str(len(body))))
    await _send(line, head, body)


async def gzip_cut(line: Line) -> None:
    """Packed, and cut with a length that agrees."""
    packed = gzip.compress(line.answer.body, mtime=0)
    answer = Answer(200, packed[: len(packed) // 2], (*line.answer.headers, ("Content-Encoding", "gzip")))
    await _send(line, render_head(answer), answer.body)


async def slow_headers(line: Line) -> None:
    """One byte of the head at a time."""
    for byte in render_head(line.answer):
        await _send(line, bytes([byte]))
        await asyncio.sleep(float(line.value or 0.05))


async def not_http(line: Line) -> None:
    """Another protocol altogether."""
    await _send(line, b"SSH-2.0-OpenSSH_9.6\r\n")


async def early_hints(line: Line) -> None:
    """An informational answer before the real one."""
    await _send(line, b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n")
    await _send(line, render_head(line.answer) + line.answer.body)


async def answered_twice(line: Line) -> None:
    """The answer, and at once the same again: whoever asks next on this connection finds it waiting."""
    whole = render_head(line.answer) + line.answer.body
    await _send(line, whole + whole)


KINDS: Final[dict[str, Break]] = {
    "http10_whole": http10_whole,
    "http10_cut": http10_cut,
    "chunked_cut": chunked_cut,
    "chunked_trailer_cut": chunked_trailer_cut,
    "two_lengths": two_lengths,
    "gzip_cut": gzip_cut,
    "slow_headers": slow_headers,
    "not_http": not_http,
    "early_hints": early_hints,
    "answered_twice": answered_twice,
}
#: After these the connection can be used again, by the rules of HTTP.
KEEP_OPEN: Final = frozenset({"early_hints", "answered_twice"})
