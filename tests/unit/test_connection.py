"""What the connections of one client promise, shown over real sockets on loopback."""

import asyncio
import gc
import ssl
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import trustme

from indexer.answer import WireError
from indexer.connection import Connection, Connections, ConnectTimeout, Origin
from indexer.errors import BadPage

MESSAGE = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Taken:
    """Keeps what comes."""

    body: bytes = b""

    def begin(self, status: int, headers: Mapping[str, str]) -> bool:
        return status == 200 and "content-length" in headers

    def feed(self, data: bytes) -> bool:
        self.body += data
        return True


def answer(body: bytes, *headers: str) -> bytes:
    return "\r\n".join(["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers, "", ""]).encode() + body


@dataclass
class Server:
    """Keeps connections open, as real servers do; each request is answered with what ``reply`` gives."""

    reply: Callable[[int], bytes]
    port: int = 0
    #: Open and closed ones.
    streams: list[Streams] = field(default_factory=list)
    requests: int = 0
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def wait_for_requests(self, count: int) -> None:
        async with self.arrived:
            await self.arrived.wait_for(lambda: self.requests >= count)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.streams.append((reader, writer))
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                async with self.arrived:
                    self.requests += 1
                    self.arrived.notify_all()
                writer.write(self.reply(self.requests))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def serving(
    reply: Callable[[int], bytes], tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Server]:
    """A server on a free loopback port for the length of the block."""
    server = Server(reply)
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.ensure_future(server.serve(reader, writer)))

    listener = await asyncio.start_server(accept, host, 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def ask(connections: Connections) -> bytes:
    taken = Taken()
    await connections.exchange(MESSAGE, taken, 5.0)
    return taken.body


def against(reply: Callable[[int], bytes], use: Callable[[Connections, Server], Awaitable[None]]) -> None:
    """Run ``use`` with connections to a server that replies so."""

    async def run() -> None:
        async with serving(reply) as server:
            connections = Connections(Origin("http", "127.0.0.1", server.port))
            async with asyncio.timeout(20):
                await use(connections, server)
            await connections.aclose()

    asyncio.run(run())


def number(count: int) -> bytes:
    return answer(b"%d" % count)


def test_asks_again_on_the_same_connection() -> None:
    """A connection is opened once: a handshake per page would double its price."""

    async def use(connections: Connections, server: Server) -> None:
        assert [await ask(connections) for _ in range(5)] == [b"1", b"2", b"3", b"4", b"5"]
        assert len(server.streams) == 1

    against(number, use)


def test_asks_at_the_same_time_on_several() -> None:
    """Answers never cross: a connection has one question at a time."""
    large = b"x" * 3_000_000

    async def use(connections: Connections, server: Server) -> None:
        for _ in range(3):
            bodies = await asyncio.gather(*(ask(connections) for _ in range(4)))
            assert all(body.lstrip(b"0123456789") == large for body in bodies)
            assert len({body[:9] for body in bodies}) == 4
        assert len(server.streams) == 4

    against(lambda count: answer(b"%09d" % count + large), use)


def test_notices_that_the_server_hung_up() -> None:
    """A server that closed an idle connection costs no failure: the next request opens another."""

    async def use(connections: Connections, server: Server) -> None:
        for _ in range(3):
            await ask(connections)
            _, writer = server.streams[-1]
            writer.close()
            await writer.wait_closed()
        assert len(server.streams) == 3

    against(number, use)


def test_never_takes_an_answer_nobody_asked_for() -> None:
    """A server that answers twice cannot have its second answer taken for that of the next request."""

    async def use(connections: Connections, _: Server) -> None:
        assert await ask(connections) == b"1"
        assert await ask(connections) == b"2"

    against(lambda count: number(count) * 2, use)


def test_notices_a_late_answer_nobody_asked_for() -> None:
    """The same when it arrives while nobody asks, even if the event loop had no time to see it."""

    async def use(connections: Connections, server: Server) -> None:
        assert await ask(connections) == b"1"
        _, writer = server.streams[-1]
        # Loopback: what was written is there, but the loop does not run before we ask.
        writer.transport.get_extra_info("socket")._sock.send(answer(b"late"))
        assert await ask(connections) == b"2"
        assert len(server.streams) == 2

    against(number, use)


@pytest.mark.parametrize("header", ["Connection: close", "Connection: Close"])
def test_does_not_use_what_the_server_closes(header: str) -> None:
    """Whoever says that it closes is believed, before it does."""

    async def use(connections: Connections, server: Server) -> None:
        await ask(connections)
        await ask(connections)
        assert len(server.streams) == 2

    against(lambda _: answer(b"", header), use)


def test_goes_on_after_a_failure() -> None:
    """A broken answer ends its connection only."""

    async def use(connections: Connections, server: Server) -> None:
        with pytest.raises(WireError, match="not HTTP"):
            await ask(connections)
        assert await ask(connections) == b"2"
        assert len(server.streams) == 2

    against(lambda count: b"nonsense\r\n\r\n" if count == 1 else number(count), use)


class Refusing(Taken):
    """Will have nothing of it."""

    def feed(self, data: bytes) -> bool:
        super().feed(data)
        raise BadPage("it is too large")


def test_what_was_refused_is_let_go_at_once() -> None:
    """Not when Python looks for garbage: it counts objects, and an answer of 64 MiB is a handful of them."""

    async def refuse(connections: Connections) -> weakref.ref[Refusing]:
        incoming = Refusing()
        try:
            await connections.exchange(MESSAGE, incoming, 5.0)
        except BadPage:
            return weakref.ref(incoming)
        raise AssertionError("it was taken")

    async def use(connections: Connections, _server: Server) -> None:
        gc.disable()
        try:
            refused = await refuse(connections)
            await asyncio.sleep(0)  # the turn that brought the answer knows it until it is over
            assert refused() is None
        finally:
            gc.enable()

    against(number, use)


def test_a_cancelled_request_ends_its_connection() -> None:
    """The answer that still comes is nobody's."""

    async def use(connections: Connections, server: Server) -> None:
        task = asyncio.ensure_future(ask(connections))
        await server.wait_for_requests(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await ask(connections) == b"2"
        assert len(server.streams) == 2

    against(lambda count: b"" if count == 1 else number(count), use)


def test_a_connection_that_is_gone_says_so_at_once() -> None:
    """Whoever asks a server that hung up in the meantime does not wait for its time-out."""

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async def run() -> None:
        async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as listener, asyncio.timeout(20):
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: Connection(memoryview(bytearray(100))), *listener.sockets[0].getsockname()
            )
            await connection.closed.wait()
            with pytest.raises(WireError, match="without an answer"):
                await connection.ask(MESSAGE, Taken())

    asyncio.run(run())


def test_closing_leaves_nothing_open() -> None:
    """After closing the server sees the end of every connection, also of one that is under way."""

    async def use(connections: Connections, server: Server) -> None:
        await ask(connections)
        waiting = [asyncio.ensure_future(ask(connections)) for _ in range(2)]
        await server.wait_for_requests(3)

        await connections.aclose()

        for problem in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(problem, WireError)
        for reader, _ in server.streams:
            assert await reader.read() == b""

    against(lambda count: number(count) if count == 1 else b"", use)


def test_gives_up_on_a_host_that_is_not_there() -> None:
    """Opening a connection has a time-out of its own."""

    async def run() -> None:
        # The port takes connections, but nobody there says a word of TLS. Forgotten, they would be closed.
        kept: list[asyncio.StreamWriter] = []
        async with await asyncio.start_server(lambda _, out: kept.append(out), "127.0.0.1", 0) as listener:
            connections = Connections(Origin("https", "127.0.0.1", listener.sockets[0].getsockname()[1]))
            with pytest.raises(ConnectTimeout, match="no connection in time"):
                await connections.exchange(MESSAGE, Taken(), 0.1)
            await connections.aclose()
            for out in kept:
                out.close()

    asyncio.run(run())


def test_speaks_to_an_address_of_the_other_family() -> None:
    """IPv6 addresses are hosts, too."""

    async def run() -> None:
        try:
            async with serving(number, host="::1") as server:
                connections = Connections(Origin("http", "::1", server.port))
                assert await ask(connections) == b"1"
                await connections.aclose()
        except OSError:
            pytest.skip("no IPv6 on this machine")

    asyncio.run(run())


AUTHORITY = trustme.CA()


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context


def over_tls(name: str, trust: ssl.SSLContext | None) -> list[int]:
    """Ask twice over TLS; the length of each answer."""
    identity = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(name).configure_cert(identity)

    async def run() -> list[int]:
        async with serving(lambda count: answer(b"x" * 2_500_000 * count), identity) as server:
            connections = Connections(Origin("https", "127.0.0.1", server.port), trust)
            try:
                return [len(await ask(connections)) for _ in range(2)]
            finally:
                await connections.aclose()
                assert len(server.streams) <= 1

    return asyncio.run(run())


def test_reads_large_answers_over_tls() -> None:
    """TLS changes nothing: several reads per answer, one connection for all."""
    assert over_tls("127.0.0.1", trusting()) == [2_500_000, 5_000_000]


@pytest.mark.parametrize(
    ("name", "trust"), [("other.example", trusting()), ("127.0.0.1", None)], ids=["other name", "unknown"]
)
def test_trusts_no_certificate_but_the_hosts(name: str, trust: ssl.SSLContext | None) -> None:
    """A certificate of another host, or of an unknown authority, ends the connection before a request."""
    with pytest.raises(ssl.SSLCertVerificationError):
        over_tls(name, trust)
