"""A server in a process of its own that has every answer ready: it must never be what is measured.

Control requests (`GET /-/round/N`) change what it answers; everything else is one look-up and one write.
"""

import argparse
import asyncio
import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from typing import Final
from urllib.parse import unquote

from tests.benchmarks.books import Answers, Book

_CONTROL: Final = "/-/round/"

#: Requests on their way at once, when the server itself is measured: it must not wait for its client.
_ASKED_TOGETHER: Final = 8


class _Store:
    """The complete responses of the current round, by target."""

    def __init__(self, book: Book, *, ready: bool) -> None:
        self._book = book
        self._ready = ready
        self._responses: dict[bytes, bytes] = {}
        self._height = 50_000_000
        self.turn_to(0)

    def turn_to(self, round_number: int) -> None:
        """Answer with another round from now on."""
        self._height += 1
        self._answers = Answers(self._book, round_number, self._height)
        self._responses = {}
        if self._ready:
            everything = self._answers.everything().items()
            self._responses = {target.encode(): _respond(200, body) for target, body in everything}

    def find(self, target: bytes) -> bytes:
        """The whole response to a target, however it was percent-encoded."""
        found = self._responses.get(target)
        if found is not None:
            return found
        text = unquote(target.decode())
        if text.startswith(_CONTROL):
            self.turn_to(int(text.removeprefix(_CONTROL)))
            return _respond(200, b"{}")
        key = self._answers.index.get(text)
        return _respond(404, b"{}") if key is None else _respond(200, self._answers.body(key))


def _respond(status: int, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class _Connection(asyncio.Protocol):
    """One client; requests have no body."""

    def __init__(self, store: _Store, latency_seconds: float) -> None:
        self._store = store
        self._latency_seconds = latency_seconds
        self._waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        while (end := self._waiting.find(b"\r\n\r\n")) >= 0:
            target = self._waiting[: self._waiting.find(b"\r\n")].split(b" ", 2)[1]
            self._waiting = self._waiting[end + 4 :]
            if self._latency_seconds:
                loop = asyncio.get_running_loop()
                loop.call_later(self._latency_seconds, self._answer, target)
            else:
                self._answer(target)

    def _answer(self, target: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(self._store.find(target))


@dataclass(frozen=True, slots=True)
class Answering:
    """The running server, seen from the benchmark."""

    port: int
    #: Of its process.
    pid: int

    @property
    def base_url(self) -> str:
        """What contenders are configured with."""
        return f"http://127.0.0.1:{self.port}"

    def turn_to(self, round_number: int) -> None:
        """Let it answer another round; returns when every answer is ready."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        connection.request("GET", f"{_CONTROL}{round_number}")
        connection.getresponse().read()
        connection.close()


@contextmanager
def answering(book: Book, *, ready: bool = True, latency_seconds: float = 0.0) -> Iterator[Answering]:
    """Serve a book until the block ends. ``ready=False``: too large for memory, rendered when asked."""
    command = [sys.executable, "-m", "tests.benchmarks.answering", book.shape]
    command += [str(book.accounts), str(book.holdings), str(int(ready)), str(latency_seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Answering(int(process.stdout.readline()), process.pid)
        finally:
            process.terminate()


def measure_ceiling(server: Answering, book: Book) -> float:
    """Holdings per second that a client gets which knows what to ask, and reads and drops everything."""
    requests = [f"GET {target} HTTP/1.1\r\nHost: here\r\n\r\n".encode() for target in Answers(book, 0).index]
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection,
        connection.makefile("rb") as answers,
    ):
        started = time.perf_counter()
        for first in range(0, len(requests), _ASKED_TOGETHER):
            together = requests[first : first + _ASKED_TOGETHER]
            connection.sendall(b"".join(together))
            for _ in together:
                _drop_answer(answers)
        seconds = time.perf_counter() - started
    return book.total / seconds


def _drop_answer(answers: BufferedReader) -> None:
    length = 0
    while (line := answers.readline()) != b"\r\n":
        name, _, value = line.partition(b":")
        if name == b"Content-Length":
            length = int(value)
    answers.read(length)


async def _serve(book: Book, *, ready: bool, latency_seconds: float) -> None:
    store = _Store(book, ready=ready)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(store, latency_seconds), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201  the parent reads it
    await server.serve_forever()


def main() -> None:
    """The server process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("shape")
    parser.add_argument("accounts", type=int)
    parser.add_argument("holdings", type=int)
    parser.add_argument("ready", type=int)
    parser.add_argument("latency", type=float)
    given = parser.parse_args()
    book = Book(given.shape, given.accounts, given.holdings)
    asyncio.run(_serve(book, ready=bool(given.ready), latency_seconds=given.latency))


if __name__ == "__main__":
    main()
