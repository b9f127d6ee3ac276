"""A scripted HTTP server on loopback that records exact bytes, and a source simple enough to reason about.

For tests of the client only: it can answer wrongly in ways no framework would.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from pydantic import SecretStr

from indexer.client import Client, ClientLimits, RequestSeen
from indexer.config import GuardConfig, SourceConfig
from indexer.errors import (
    ApiError,
    BadPage,
    CursorRejected,
    RateLimited,
    Refused,
    RequestRejected,
    ServerTrouble,
)
from indexer.records import Page, Question, Request, Secrets, SplitPage

#: Bytes sent as they are, or a fault that writes for itself.
Reply = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]

KEY = "canary-K3y/with+odd=chars"
QUESTION = Question(addresses=("0.0.1001",))
REQUEST = Request("GET", "/api/v1/accounts/0.0.1001/nfts?limit=100", "/api/v1/accounts/…/nfts")
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def reply(status: int = 200, body: bytes = b"{}", *headers: str) -> bytes:
    """One complete HTTP answer."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@dataclass
class RawServer:
    """Answers one request per connection with the next reply; the last one repeats."""

    replies: tuple[Reply, ...]
    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def headers(self, number: int) -> dict[str, str]:
        """The headers of a request, names in lower case."""
        lines = self.requests[number].split(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.requests.append(head)
            self.arrived.set()
            now = self.replies[min(len(self.requests), len(self.replies)) - 1]
            if isinstance(now, bytes):
                writer.write(now)
                await writer.drain()
            else:
                await now(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            # The client hung up, as it should on most of these.
            return
        finally:
            writer.close()


@asynccontextmanager
async def serving(*replies: Reply) -> AsyncIterator[RawServer]:
    """A server on a free loopback port for the length of the block."""
    server = RawServer(replies)
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.ensure_future(server.answer(reader, writer)))

    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass
class FakeTime:
    """Time that passes only when somebody sleeps."""

    seconds: float = 0.0
    slept: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


@dataclass
class OpenPacer:
    """Lets everything through and remembers who was told to hold."""

    held: list[float] = field(default_factory=list)

    async def wait(self) -> None:
        return

    async def hold(self, seconds: float) -> None:
        self.held.append(seconds)


# ruff: noqa: ARG002 - a source must take what the protocol passes
@dataclass
class PlainSource:
    """Reads nothing, but tells errors apart by status as the real ones do."""

    name: str = "plain"
    network: str = "test"
    kind: str = "nft"
    batch: int = 1
    scoped: bool = False
    required_secrets: tuple[str, ...] = ("api_key",)
    optional_secrets: tuple[str, ...] = ()
    absences_needed: int = 1
    repeats_facts: bool = False
    names_owner: bool = True
    volatile: re.Pattern[bytes] | None = None
    prefix: str = ""
    key_in_path: bool = False
    retry_after_seconds: float | None = None

    def canonical_address(self, text: str) -> str:
        return text

    def canonical_scope(self, text: str) -> str:
        return text

    def fact_names(self, question: Question) -> tuple[str, ...]:
        return ()

    def request(self, question: Question) -> Request:
        return REQUEST

    def headers(self, request: Request, secrets: Secrets, now: datetime) -> dict[str, str]:
        return {"X-Key": secrets["api_key"], "X-Time": now.isoformat()}

    def secret_path(self, secrets: Secrets) -> str:
        return f"/{secrets['api_key']}" if self.key_in_path else ""

    def read_error(self, question: Question, status: int, body: bytes) -> ApiError | None:
        message = f"{status} for {REQUEST.template}"
        if status == 429:
            return RateLimited(message, self.retry_after_seconds)
        if status >= 500:
            return ServerTrouble(message)
        kinds: dict[int, type[ApiError]] = {401: Refused, 402: Refused, 403: Refused, 400: CursorRejected}
        if status != 200:
            return kinds.get(status, RequestRejected)(message)
        return BadPage(f"{REQUEST.template}: not an answer") if body == b"not an answer" else None

    def parse(self, question: Question, body: bytes) -> Page:
        return Page()

    def split(self, body: bytes) -> SplitPage | None:
        return None


def source_config(base_url: str | None, *, key: str = KEY, timeout: float = 20.0) -> SourceConfig:
    """A source's configuration with defaults that do not matter here."""
    hour = timedelta(hours=1)
    return SourceConfig(
        name="plain",
        enabled=True,
        base_url=base_url,
        requests_per_second=1000,
        concurrency=2,
        every=hour,
        cron=None,
        fresh_for=hour,
        max_window=hour,
        timeout=timedelta(seconds=timeout),
        guard=GuardConfig(5, 0.5, hour, 0.2),
        options=MappingProxyType({}),
        secrets={"api_key": SecretStr(key)},
    )


@dataclass
class World:
    """What a client under test is surrounded by."""

    time: FakeTime = field(default_factory=FakeTime)
    pacer: OpenPacer = field(default_factory=OpenPacer)
    seen: list[RequestSeen] = field(default_factory=list)
    source: PlainSource = field(default_factory=PlainSource)
    limits: ClientLimits = field(default_factory=ClientLimits)

    def client(self, config: SourceConfig) -> Client:
        """A client over real sockets, with this world's time; jitter is always half."""
        return Client(
            self.source,
            config,
            self.pacer,
            now=self.time.now,
            clock=self.time.clock,
            sleep=self.time.sleep,
            random=lambda: 0.5,
            observe=self.seen.append,
            limits=self.limits,
        )
