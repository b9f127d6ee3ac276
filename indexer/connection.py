"""Connections to one host: opened when needed, asked one thing at a time, used again while they are good.

No general HTTP client: the fastest takes as much CPU as all else about an unchanged page, encodes signed
targets again, and puts URLs, which carry keys, into objects that are shown.
Nothing here knows a target, a key or a source, and nothing is retried.
"""

import asyncio
import select
import ssl
from typing import Final, Protocol

import certifi
import msgspec

from indexer.answer import AnswerReader, Incoming, WireError

#: A connection that was idle for longer may be closed by the server at the moment it is used.
_IDLE_SECONDS: Final = 5.0

#: The second address family of a host is tried after so long.
_NEXT_ADDRESS_SECONDS: Final = 0.25

#: Large pages come in one or two reads. Fresh memory for each read would cost more than reading it.
_READ_BYTES: Final = 1024 * 1024

#: Closing is no reason to wait for a server.
_CLOSE_SECONDS: Final = 1.0


class ConnectTimeout(WireError):
    """Nobody was there in time."""


class Origin(msgspec.Struct, frozen=True):
    """Where a source is."""

    scheme: str
    host: str
    port: int


class Transport(Protocol):
    """Whatever takes requests to one origin."""

    async def exchange(self, message: bytes, incoming: Incoming, connect_seconds: float) -> None:
        """Send one request and take its answer in. Raises WireError, OSError or what ``incoming`` raises."""
        ...

    async def aclose(self) -> None:
        """Close what is open."""
        ...


class Connection(asyncio.BufferedProtocol):
    """Asks one thing after another."""

    def __init__(self, buffer: memoryview) -> None:
        """``buffer`` is shared: what arrives is read out of it at once."""
        self._buffer = buffer
        self._reader = AnswerReader()
        self._transport: asyncio.Transport | None = None
        #: Its result is what went wrong. A result, because an exception that nobody collects is logged.
        self._outcome: asyncio.Future[BaseException | None] | None = None
        self._waiting_bytes = select.poll()
        self.idle_since = 0.0
        #: Set when nothing of it is left.
        self.closed = asyncio.Event()

    def can_be_asked(self) -> bool:
        """Whether it is open, and nothing waits on it that nobody asked for."""
        if self._transport is None or self._transport.is_closing():
            return False
        # Its end, or a second answer, may have arrived while the event loop was busy.
        return not self._waiting_bytes.poll(0)

    async def ask(self, message: bytes, incoming: Incoming) -> None:
        """Send one request and take its answer in. Raises WireError, OSError or what ``incoming`` raises."""
        if self._transport is None or self._transport.is_closing():
            # Between opening and asking; nothing would ever end the wait below.
            raise WireError("it was closed without an answer")
        loop = asyncio.get_running_loop()
        self._reader.expect(incoming)
        self._outcome = outcome = loop.create_future()
        self._transport.write(message)
        try:
            problem = await outcome
        except asyncio.CancelledError:
            # An answer may come that nobody waits for.
            self.abort()
            raise
        finally:
            self._reader.forget()
            self._outcome = None
        self.idle_since = loop.time()
        if problem is not None:
            try:
                raise problem
            finally:
                # An error knows the frames it passed. Known to one of them it would live, with all the
                # bytes of its answer, until Python looks for garbage.
                del problem, outcome

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open, TLS included."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._waiting_bytes.register(transport.get_extra_info("socket"), select.POLLIN)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - it is as large as it is
        """Where the next bytes go. A view, because TLS writes into slices of it."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes arrived."""
        if self._outcome is None or self._outcome.done():
            self.abort()
            return
        try:
            is_whole = self._reader.take(self._buffer[:nbytes])
        except BaseException as error:  # noqa: BLE001 - handed to whoever asked
            self._settle(error)
        else:
            if is_whole:
                self._settle(None)

    def eof_received(self) -> None:
        """The server will say no more."""
        self._end(None)

    def connection_lost(self, error: Exception | None) -> None:
        """It is gone, by whoever's doing."""
        self._end(error)
        self.closed.set()

    def _end(self, error: BaseException | None) -> None:
        if error is None:
            try:
                self._reader.end()
            except WireError as cut:
                error = cut
        self._settle(error)
        self.abort()

    def _settle(self, problem: BaseException | None) -> None:
        if self._outcome is None or self._outcome.done():
            return
        self._outcome.set_result(problem)
        if problem is not None or not self._reader.can_go_on:
            self.abort()


class Connections:
    """The connections of one client. How many are asked at once is the caller's choice."""

    def __init__(self, origin: Origin, tls: ssl.SSLContext | None = None) -> None:
        """``tls`` says whom to trust; None: the usual authorities."""
        self._origin = origin
        self._tls = (tls or _trust()) if origin.scheme == "https" else None
        self._buffer = memoryview(bytearray(_READ_BYTES))
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()

    async def exchange(self, message: bytes, incoming: Incoming, connect_seconds: float) -> None:
        """Send one request and take its answer in. Raises WireError, OSError or what ``incoming`` raises."""
        connection = self._take_idle() or await self._connect(connect_seconds)
        try:
            await connection.ask(message, incoming)
        finally:
            self._idle.append(connection)

    async def aclose(self) -> None:
        """Close what is open."""
        closing = [asyncio.ensure_future(connection.closed.wait()) for connection in self._open]
        for connection in self._open:
            connection.abort()
        self._idle.clear()
        self._open.clear()
        if closing:
            await asyncio.wait(closing, timeout=_CLOSE_SECONDS)

    def _take_idle(self) -> Connection | None:
        """The connection that was used last, if it is still good: the others may end by themselves."""
        oldest = asyncio.get_running_loop().time() - _IDLE_SECONDS
        while self._idle:
            connection = self._idle.pop()
            if connection.idle_since >= oldest and connection.can_be_asked():
                return connection
            connection.abort()
            self._open.discard(connection)
        return None

    async def _connect(self, seconds: float) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds):
                _, connection = await loop.create_connection(
                    lambda: Connection(self._buffer),
                    self._origin.host,
                    self._origin.port,
                    ssl=self._tls,
                    happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS,
                )
        except TimeoutError:
            raise ConnectTimeout("no connection in time") from None
        self._open.add(connection)
        return connection


def _trust() -> ssl.SSLContext:
    """The usual authorities, by a list that comes with us: the environment must not add to it."""
    context = ssl.create_default_context(cafile=certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context
