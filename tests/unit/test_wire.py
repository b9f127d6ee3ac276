"""Every way in which the network can go wrong ends in an error of ours, in time, and without a secret."""

import asyncio
import logging
import socket
import ssl
import traceback
import zlib

import pytest

from indexer.answer import Incoming
from indexer.client import Client, ClientLimits, Exchange
from indexer.errors import ApiError, BadPage, RateLimited, Refused, RequestRejected, ServerTrouble, UsageError
from indexer.wire import RequestWriter, origin_of
from tests.unit.raw_http import (
    KEY,
    QUESTION,
    REQUEST,
    PlainSource,
    RawServer,
    Reply,
    World,
    reply,
    serving,
    source_config,
)

ONCE = ClientLimits(max_attempts=1, max_body_bytes=256 * 1024)
CHUNK = 16 * 1024


def failure_of(*replies: Reply, timeout: float = 20.0) -> ApiError:
    """The error of one fetch with one attempt, key in path and header."""
    world = World(source=PlainSource(key_in_path=True), limits=ONCE)

    async def run() -> ApiError:
        async with (
            serving(*replies) as server,
            world.client(source_config(server.url, timeout=timeout)) as client,
        ):
            with pytest.raises(ApiError) as caught:
                await client.fetch(QUESTION, REQUEST)
            return caught.value

    return asyncio.run(run())


async def drip(writer: asyncio.StreamWriter) -> None:
    """A byte now and then: every read is in time, the answer never is."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


async def flood(writer: asyncio.StreamWriter) -> None:
    """A body without an end."""
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    while True:
        writer.write(b" " * CHUNK)
        await writer.drain()


async def reset(writer: asyncio.StreamWriter) -> None:
    """The connection breaks in the middle of the body."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}")
    await writer.drain()
    writer.transport.abort()


def gzipped(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=31)
    return packer.compress(body) + packer.flush()


FAULTS: dict[str, tuple[Reply, type[ApiError]]] = {
    "closed without an answer": (b"", ServerTrouble),
    "not HTTP": (b"SSH-2.0-OpenSSH_9.6\r\n", ServerTrouble),
    "cut body": (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}", ServerTrouble),
    "cut chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{}", ServerTrouble),
    "bad chunk size": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}", ServerTrouble),
    "two lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}", ServerTrouble),
    "reset": (reset, ServerTrouble),
    "headers without end": (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000, ServerTrouble),
    "flood": (flood, BadPage),
    "large body": (reply(200, b" " * 300_000), BadPage),
    "gzip bomb": (reply(200, gzipped(bytes(50_000_000)), "Content-Encoding: gzip"), BadPage),
    "cut gzip": (reply(200, gzipped(b"{}" * 99)[:-9], "Content-Encoding: gzip"), ServerTrouble),
    "not gzip": (reply(200, b"{}", "Content-Encoding: gzip"), ServerTrouble),
    "unknown encoding": (reply(200, b"{}", "Content-Encoding: br"), BadPage),
    "stacked encodings": (reply(200, b"{}", "Content-Encoding: gzip, gzip"), BadPage),
    "redirect with the key": (reply(302, b"", f"Location: http://127.0.0.1:9/{KEY}"), RequestRejected),
    "unreadable 401": (reply(401, b"<html>", "Content-Encoding: gzip"), Refused),
    "unreadable 429": (reply(429, b"<html>", "Content-Encoding: gzip"), RateLimited),
    "unreadable 502": (reply(502, b"<html>", "Content-Encoding: br"), ServerTrouble),
    "empty 429 labelled gzip": (reply(429, b"", "Content-Encoding: gzip"), RateLimited),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_translates_every_fault_without_a_secret(fault: str) -> None:
    """The class tells the reaction; neither the error nor anything it hangs on shows key or URL."""
    answer, kind = FAULTS[fault]

    error = failure_of(answer)

    assert type(error) is kind
    assert_no_secret(error)
    assert REQUEST.template in str(error)


def assert_no_secret(error: BaseException) -> None:
    """Look where a log, a table or a debugger would."""
    chain: list[BaseException] = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(cause)
    shown = "".join(traceback.format_exception(error)) + repr([(link.args, vars(link)) for link in chain])
    assert KEY not in shown
    assert "127.0.0.1" not in shown


def test_cuts_a_slow_drip() -> None:
    """The time-out is for the whole answer, not for each read."""
    error = failure_of(drip, timeout=0.2)

    assert isinstance(error, ServerTrouble)
    assert "no complete answer within 0.2 s" in str(error)


def test_says_that_nobody_listens() -> None:
    """A closed port is trouble that may pass."""

    async def run() -> ServerTrouble:
        async with serving(reply()) as server:
            closed = source_config(server.url)
        async with World(limits=ONCE).client(closed) as client:
            with pytest.raises(ServerTrouble, match="connection failed") as caught:
                await client.fetch(QUESTION, REQUEST)
        return caught.value

    assert_no_secret(asyncio.run(run()))


def test_says_that_tls_failed() -> None:
    """HTTPS to a port that speaks plain HTTP is named as what it is."""

    async def run() -> ServerTrouble:
        async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(reply())
            await writer.drain()
            writer.close()  # Python 3.12 would wait for it

        async with await asyncio.start_server(greet, "127.0.0.1", 0) as listener:
            config = source_config(f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}")
            async with World(limits=ONCE).client(config) as client:
                with pytest.raises(ServerTrouble, match="TLS connection failed") as caught:
                    await client.fetch(QUESTION, REQUEST)
        return caught.value

    assert_no_secret(asyncio.run(run()))


class FailingTransport:
    """Fails as the real one does where a test cannot make the network fail."""

    def __init__(self, cause: Exception) -> None:
        self.cause = cause

    async def exchange(self, message: bytes, incoming: Incoming, connect_seconds: float) -> None:
        assert message
        assert incoming
        assert connect_seconds > 0
        raise self.cause

    async def aclose(self) -> None:
        return


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (socket.gaierror(-2, f"unknown {KEY}"), "DNS"),
        (ssl.SSLCertVerificationError(1, "certificate verify failed"), "certificate was not accepted"),
        (ConnectionRefusedError(111, KEY), "ConnectionRefusedError"),
    ],
)
def test_names_the_cause_in_words_of_ours(cause: Exception, words: str) -> None:
    """DNS and certificates are told apart: an operator reacts to them differently."""
    world = World()
    client = Client(
        world.source,
        source_config("http://127.0.0.1:9"),
        world.pacer,
        transport=FailingTransport(cause),
        limits=ONCE,
    )

    with pytest.raises(ServerTrouble, match=words) as caught:
        asyncio.run(client.fetch(QUESTION, REQUEST))

    assert_no_secret(caught.value)


@pytest.mark.parametrize("key", ["line\nbreak", "nön-ascii", "nul\x00", "tab\there"])
def test_refuses_a_key_that_cannot_be_a_header(key: str) -> None:
    """A key pasted with a line break pauses the source with a clear message; nothing is sent."""
    world = World(limits=ONCE)

    async def run() -> RawServer:
        async with serving(reply()) as server, world.client(source_config(server.url, key=key)) as client:
            with pytest.raises(Refused, match="X-Key has characters") as caught:
                await client.fetch(QUESTION, REQUEST)
        assert key not in "".join(traceback.format_exception(caught.value))
        return server

    assert asyncio.run(run()).requests == []


@pytest.mark.parametrize("target", ["/a b", "/a\r\nX-Injected: 1", "/ü", "a", "http://other/"])
def test_refuses_a_target_that_would_split_the_request(target: str) -> None:
    """A target with spaces, line breaks or another host in it never leaves."""
    request = type(REQUEST)("GET", target, REQUEST.template)

    async def run() -> RawServer:
        async with serving(reply()) as server, World().client(source_config(server.url)) as client:
            with pytest.raises(RequestRejected, match="illegal characters"):
                await client.fetch(QUESTION, request)
        return server

    assert asyncio.run(run()).requests == []


def test_an_endless_body_costs_no_more_than_its_cap() -> None:
    """The connection is closed at the cap: the server cannot push more than buffers hold."""
    sent = 0

    async def count(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while True:
            writer.write(b" " * CHUNK)
            sent += CHUNK
            await writer.drain()

    error = failure_of(count)

    assert str(error).endswith("the body is more than 262144 bytes")
    # Socket buffers take a few MB whatever the reader does.
    assert sent < 32 * 1024 * 1024


def test_the_transport_itself_logs_no_url(caplog: pytest.LogCaptureFixture) -> None:
    """Even before any redactor: what the event loop says when it is debugged has no target in it."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="asyncio")  # whatever another test made of it

    async def run() -> None:
        world = World(source=PlainSource(key_in_path=True))
        async with serving(reply()) as server, world.client(source_config(server.url)) as client:
            await client.fetch(QUESTION, REQUEST, Exchange())

    asyncio.run(run(), debug=True)

    assert "connected to 127.0.0.1" in caplog.text
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    "base_url",
    [
        *(None, "", "mainnet.example", "ftp://h/", "http://", "http://[::1", "http://[x]/", "http://h:99999"),
        *("http://a b/", "http://h\r\nX-Injected: 1/", "http://a%0d/", "http://:80/", "http://h:port/"),
    ],
)
def test_refuses_a_base_url_it_cannot_use(base_url: str | None) -> None:
    """A retired source or a broken URL is a configuration error that names the knob."""
    with pytest.raises(UsageError, match=r"sources\.plain\.base_url"):
        World().client(source_config(base_url))


@pytest.mark.parametrize(
    ("base_url", "host"),
    [
        ("http://api.example", "api.example"),
        ("http://api.example:80/v3", "api.example"),
        ("https://api.example:443", "api.example"),
        ("https://api.example:80", "api.example:80"),
        ("http://API.example:8080/", "api.example:8080"),
        ("http://user:password@api.example/", "api.example"),
        ("http://[::1]:8080/", "[::1]:8080"),
        ("https://bücher.example", "xn--bcher-kva.example"),
    ],
)
def test_names_the_host_as_it_is_called(base_url: str, host: str) -> None:
    """The host of base_url goes into every request, its port only where it is not the usual one."""
    message = RequestWriter(origin_of(source_config(base_url))).write("GET", b"/a?b", {}, b"")

    assert message.startswith(f"GET /a?b HTTP/1.1\r\nHost: {host}\r\n".encode())
    assert message.endswith(b"\r\n\r\n")


def test_a_header_of_the_source_goes_once() -> None:
    """A source that states the content type replaces ours."""
    writer = RequestWriter(origin_of(source_config("http://h")))

    message = writer.write("POST", b"/", {"Content-Type": "application/x"}, b"{}")

    assert message.count(b"Content-Type") == 1
    assert b"Content-Type: application/x\r\nContent-Length: 2\r\n\r\n{}" in message
