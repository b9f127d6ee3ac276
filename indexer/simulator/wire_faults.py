"""Faults of the connection itself. Each writes to the socket in place of the honest answer.

All of them end as soon as the client goes away; the server ends the rest when it stops.
"""

import asyncio
import gzip
import socket
import struct
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from indexer.simulator.wire import Answer, render_head

_BLOCK: Final = bytes(2**20)


@dataclass(frozen=True, slots=True)
class Line:
    """The connection, the honest answer, and what ``Fault.value`` says."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    answer: Answer
    value: Any = None


Break = Callable[[Line], Awaitable[None]]


async def hang(line: Line) -> None:
    """Nothing, until the client gives up."""
    await line.reader.read()


async def slow_drip(line: Line) -> None:
    """One byte at a time, ``value`` seconds apart (0.05): every read succeeds, the whole never does."""
    line.writer.write(render_head(line.answer))
    for place in range(len(line.answer.body)):
        line.writer.write(line.answer.body[place : place + 1])
        await line.writer.drain()
        await asyncio.sleep(float(line.value or 0.05))


async def reset_mid_body(line: Line) -> None:
    """Half the body, then a TCP reset."""
    line.writer.write(render_head(line.answer) + line.answer.body[: len(line.answer.body) // 2])
    await line.writer.drain()
    connection: socket.socket = line.writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.writer.transport.abort()


async def short_body(line: Line) -> None:
    """Fewer bytes than promised, then an orderly end."""
    line.writer.write(render_head(line.answer, len(line.answer.body) + 100) + line.answer.body)
    await line.writer.drain()


async def no_answer(line: Line) -> None:
    """The connection closes without a word."""
    line.writer.close()


async def gzip_bomb(line: Line) -> None:
    """``value`` MiB of zeros (default 256) in a thousandth of the bytes."""
    headers = (*line.answer.headers, ("Content-Encoding", "gzip"), ("Transfer-Encoding", "chunked"))
    line.writer.write(_open_ended(Answer(200, b"", headers)))
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    line.writer.write(chunk(packer.compress(_BLOCK) + packer.flush(zlib.Z_FULL_FLUSH)))
    # After a full flush the next block compresses to the same bytes: one is made, many are sent.
    block = packer.compress(_BLOCK) + packer.flush(zlib.Z_FULL_FLUSH)
    for _ in range(int(line.value or 256)):
        line.writer.write(chunk(block))
        await line.writer.drain()
    line.writer.write(b"0\r\n\r\n")
    await line.writer.drain()


async def endless_body(line: Line) -> None:
    """A body without an end."""
    line.writer.write(_open_ended(Answer(200, b"", (*line.answer.headers, ("Transfer-Encoding", "chunked")))))
    while not line.writer.is_closing():
        line.writer.write(chunk(b" " * 65_536))
        await line.writer.drain()


async def huge_headers(line: Line) -> None:
    """A megabyte of headers before the honest body."""
    padding = tuple((f"X-Padding-{number}", "x" * 1_000) for number in range(1_000))
    answer = Answer(line.answer.status, line.answer.body, (*line.answer.headers, *padding))
    line.writer.write(render_head(answer) + answer.body)
    await line.writer.drain()


async def wrong_content_type(line: Line) -> None:
    """The honest body under the name of a picture."""
    answer = Answer(line.answer.status, line.answer.body, (("Content-Type", "image/png"),))
    line.writer.write(render_head(answer) + answer.body)
    await line.writer.drain()


async def stacked_encodings(line: Line) -> None:
    """The honest body packed twice, which nobody asked for."""
    packed = gzip.compress(gzip.compress(line.answer.body))
    headers = (*line.answer.headers, ("Content-Encoding", "gzip, gzip"))
    answer = Answer(line.answer.status, packed, headers)
    line.writer.write(render_head(answer) + answer.body)
    await line.writer.drain()


async def corrupt_gzip(line: Line) -> None:
    """A packed body with its middle turned around: the checksum at its end cannot hold."""
    packed = bytearray(gzip.compress(line.answer.body, mtime=0))
    middle = len(packed) // 2
    packed[middle : middle + 8] = packed[middle : middle + 8][::-1]
    packed[-8:] = bytes(8)
    answer = Answer(line.answer.status, bytes(packed), (*line.answer.headers, ("Content-Encoding", "gzip")))
    line.writer.write(render_head(answer) + answer.body)
    await line.writer.drain()


def _open_ended(answer: Answer) -> bytes:
    """The head of an answer whose length is not known."""
    return render_head(answer).replace(b"Content-Length: 0\r\n", b"")


def chunk(data: bytes) -> bytes:
    """One chunk of a body whose length is not known."""
    return b"%x\r\n%b\r\n" % (len(data), data)
