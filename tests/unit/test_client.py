"""What the client promises about one fetch, shown over real sockets on loopback."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from msgspec.structs import replace

from indexer.client import Answer, Client, ClientLimits, Exchange
from indexer.errors import (
    ApiError,
    BadPage,
    CursorRejected,
    RateLimited,
    Refused,
    RequestRejected,
    ServerTrouble,
)
from indexer.records import Request
from tests.unit.raw_http import (
    KEY,
    QUESTION,
    REQUEST,
    OpenPacer,
    PlainSource,
    RawServer,
    Reply,
    World,
    reply,
    serving,
    source_config,
)

T = TypeVar("T")

ONCE = ClientLimits(max_attempts=1)


def fetch(
    world: World,
    *replies: Reply,
    request: Request = REQUEST,
    timeout: float = 20.0,
    exchange: Exchange | None = None,
) -> tuple[Answer, RawServer]:
    """Fetch once from a server that gives these replies."""

    async def run() -> tuple[Answer, RawServer]:
        async with serving(*replies) as server:
            config = source_config(server.url, timeout=timeout)
            async with world.client(config) as client:
                return await client.fetch(QUESTION, request, exchange), server

    return asyncio.run(run())


def with_client(world: World, *replies: Reply, use: Callable[[Client, RawServer], Awaitable[T]]) -> T:
    """Run ``use`` with a client of a server that gives these replies."""

    async def run() -> T:
        async with serving(*replies) as server, world.client(source_config(server.url)) as client:
            return await use(client, server)

    return asyncio.run(run())


@pytest.mark.parametrize(
    "target",
    [
        "/a?runesId=840000%3A3&walletAddresses=A%2CB&cursor=Mg%3D%3D&limit=100",
        "/a?runesId=840000:3&walletAddresses=A,B&cursor=Mg==&limit=100",
        "/a?account.id=0.0.1&account.id=0.0.2&serialnumber=gt:5&serialnumber=lt:9",
        "/a%2fb/%7Euser//c;d?q=%e2%82%ac&q='(x)'&empty=&bare&plus=1+1%20[2]|{3}",
        "/",
        "/?",
    ],
)
def test_sends_the_target_byte_for_byte(target: str) -> None:
    """The signature covers these bytes: nothing may be encoded, decoded, sorted or joined."""
    _, server = fetch(World(), reply(), request=replace(REQUEST, target=target))

    assert server.requests[0].startswith(b"GET " + target.encode() + b" HTTP/1.1\r\n")


@pytest.mark.parametrize("target", ["/v3", ""])
def test_appends_the_secret_path_on_the_wire_only(target: str) -> None:
    """A key that belongs into the path goes there unchanged, behind a prefix or none; no observer sees it."""
    world = World(source=PlainSource(key_in_path=True))

    _, server = fetch(world, reply(), request=replace(REQUEST, target=target))

    assert server.requests[0].startswith(f"GET {target}/{KEY} HTTP/1.1\r\n".encode())
    assert KEY not in repr(world.seen)


def test_posts_the_body_as_json() -> None:
    """A body goes with its exact length and a content type."""
    request = replace(REQUEST, method="POST", body=b'{"id":1}')

    _, server = fetch(World(), reply(), request=request)

    assert server.requests[0].startswith(b"POST ")
    assert server.headers(0)["content-length"] == "8"
    assert server.headers(0)["content-type"] == "application/json"


def test_signs_every_attempt_freshly() -> None:
    """A retry seconds later carries a new time, or signed APIs would call it expired."""
    answer, server = fetch(World(), reply(503), reply(200))

    assert answer.attempts == 2
    assert server.headers(0)["x-time"] != server.headers(1)["x-time"]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_follows_no_redirect(status: int) -> None:
    """Another host never sees a request, let alone a key."""

    async def run() -> int:
        async with (
            serving(reply()) as other,
            serving(reply(status, b"", f"Location: {other.url}/")) as server,
        ):
            async with World().client(source_config(server.url)) as client:
                with pytest.raises(RequestRejected, match="redirects are not followed"):
                    await client.fetch(QUESTION, REQUEST)
            assert len(server.requests) == 1
            return len(other.requests)

    assert asyncio.run(run()) == 0


def test_keeps_no_cookies() -> None:
    """A cookie that one answer sets is not sent with the next request."""
    _, server = fetch(World(), reply(503, b"", "Set-Cookie: a=b; Path=/"), reply())

    assert len(server.requests) == 2
    assert "cookie" not in server.headers(1)


def test_ignores_proxies_and_netrc_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whoever controls an environment variable must not see our keys or add credentials."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password x\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")

    _, server = fetch(World(), reply())

    assert "authorization" not in server.headers(0)


def test_returns_the_exact_decoded_bytes() -> None:
    """Bytes are not touched, even where they are not valid text."""
    body = b'{"name":"\xff\\u0000"}' * 50
    packer = zlib.compressobj(wbits=31)
    packed = packer.compress(body) + packer.flush()

    answer, _ = fetch(World(), reply(200, packed, "Content-Encoding: gzip"))

    assert answer.body == body


@pytest.mark.parametrize(
    ("status", "kind", "requests"),
    [
        (400, CursorRejected, 1),
        (401, Refused, 1),
        (402, Refused, 1),
        (403, Refused, 1),
        (404, RequestRejected, 1),
        (429, RateLimited, 6),
        (500, ServerTrouble, 6),
        (502, ServerTrouble, 6),
        (503, ServerTrouble, 6),
    ],
)
def test_asks_again_only_where_that_can_help(status: int, kind: type[ApiError], requests: int) -> None:
    """Limits and trouble are retried up to six times, everything else is told at once."""
    world, exchange = World(), Exchange()

    with pytest.raises(kind, match=str(status)) as caught:
        fetch(world, reply(status), exchange=exchange)

    assert type(caught.value) is kind
    assert exchange.requests == requests == len(world.seen)
    assert exchange.status == status
    assert ("after 6 requests" in str(caught.value)) == (requests == 6)


def test_tells_what_a_bad_page_was() -> None:
    """The body of an answer that could not be believed can still be stored."""
    exchange = Exchange()

    with pytest.raises(BadPage):
        fetch(World(), reply(200, b"not an answer"), exchange=exchange)

    assert (exchange.requests, exchange.status, exchange.body) == (1, 200, b"not an answer")


def test_counts_several_fetches_in_one_exchange() -> None:
    """A crawl can pass one exchange along: requests add up, attempts are of one fetch."""
    exchange = Exchange()

    async def use(client: Client, _: RawServer) -> list[int]:
        return [(await client.fetch(QUESTION, REQUEST, exchange)).attempts for _ in range(2)]

    assert with_client(World(), reply(503), reply(), use=use) == [2, 1]
    assert exchange.requests == 3


def test_observer_sees_every_attempt() -> None:
    """Each request is one event with its status, outcome and number."""
    world = World()

    fetch(world, reply(429), reply(500), reply())

    assert [(seen.status, seen.outcome, seen.attempt) for seen in world.seen] == [
        (429, "rate_limited", 1),
        (500, "server_trouble", 2),
        (200, "answered", 3),
    ]


@pytest.mark.parametrize(
    ("header", "waited"),
    [
        ("7", 7.0),
        ("Sun, 01 Mar 2026 12:01:30 GMT", 90.0),
        ("100000", 300.0),
        ("soon", 0.25),
        ("0", 0.25),
    ],
)
def test_waits_as_long_as_it_is_told(header: str, waited: float) -> None:
    """Retry-After as seconds or as a date counts, up to a cap, and never below the backoff."""
    world = World(limits=ClientLimits(total_seconds=1000))

    fetch(world, reply(429, b"", f"Retry-After: {header}"), reply())

    assert world.time.slept == [waited]
    assert world.pacer.held == [waited]


def test_waits_as_long_as_the_body_says_if_that_is_longer() -> None:
    """Some APIs state the wait in the body, where the source reads it."""
    world = World(source=PlainSource(retry_after_seconds=11))

    fetch(world, reply(429, b"", "Retry-After: 3"), reply())

    assert world.time.slept == [11.0]


def test_a_503_with_retry_after_makes_everybody_wait() -> None:
    """A stated wait is the key's limit whatever its status; plain trouble is nobody else's business."""
    world = World()

    fetch(world, reply(503, b"", "Retry-After: 9"), reply(503), reply())

    assert world.pacer.held == [9.0]


def test_gives_up_when_the_wait_would_pass_the_deadline() -> None:
    """A wait that cannot end in time is not begun, but the other workers are told of it."""
    world = World(limits=ClientLimits(total_seconds=60))

    with pytest.raises(RateLimited) as caught:
        fetch(world, reply(429, b"", "Retry-After: 120"))

    assert world.time.slept == []
    assert world.pacer.held == [120.0]
    assert caught.value.retry_after_seconds == 120.0


def test_gives_up_when_the_pacer_used_the_time() -> None:
    """No request leaves after the deadline because everybody else was told to wait, too."""
    world = World(limits=ClientLimits(total_seconds=60))

    class SlowPacer(OpenPacer):
        async def wait(self) -> None:
            world.time.seconds += 100

    world.pacer = SlowPacer()
    with pytest.raises(ServerTrouble, match="500"):
        fetch(world, reply(500))

    assert len(world.seen) == 1


def test_stops_at_the_total_deadline() -> None:
    """Retries end with the deadline even when attempts are left."""
    world = World(limits=ClientLimits(max_attempts=1000, total_seconds=120))

    with pytest.raises(ServerTrouble):
        fetch(world, reply(500))

    assert 5 < len(world.seen) < 20
    assert world.time.seconds < 120


def test_cancelling_ends_a_fetch_at_once() -> None:
    """A stopping daemon does not wait for an API; the connection is free again afterwards."""
    world = World()

    async def hang(_: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async def use(client: Client, server: RawServer) -> Answer:
        exchange = Exchange()
        for _ in range(3):
            server.arrived.clear()
            task = asyncio.create_task(client.fetch(QUESTION, REQUEST, exchange))
            await server.arrived.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert exchange.requests == 3
        return await client.fetch(QUESTION, REQUEST)

    answer = with_client(world, hang, hang, hang, reply(), use=use)

    assert answer.status == 200
    assert [seen.outcome for seen in world.seen] == ["cancelled"] * 3 + ["answered"]


def test_stops_asking_a_source_that_is_down() -> None:
    """After five failed fetches the next fails without a request, until one trial succeeds."""
    world = World(limits=ONCE)

    async def use(client: Client, server: RawServer) -> tuple[int, int, int]:
        for _ in range(7):
            with pytest.raises(ServerTrouble):
                await client.fetch(QUESTION, REQUEST)
        while_down = len(server.requests)
        world.time.seconds += 31
        await client.fetch(QUESTION, REQUEST)
        await client.fetch(QUESTION, REQUEST)
        return while_down, len(server.requests), client.requests_sent

    assert with_client(world, *[reply(500)] * 5, reply(), use=use) == (5, 7, 7)
