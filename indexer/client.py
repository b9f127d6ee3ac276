"""The door to the five APIs: one question out, one complete answer in, every failure translated.

It paces, signs, sends, reads under a byte cap and a deadline, and asks again where that can help.
It never follows a redirect or a URL from an answer, keeps no cookie, knows no page and no database,
and lets no key, URL or body into an error.
"""

import asyncio
import random as chance
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final, Self

import msgspec

from indexer.config import SourceConfig
from indexer.connection import Connections, Transport
from indexer.errors import (
    ApiError,
    BadPage,
    CursorRejected,
    RateLimited,
    Refused,
    RequestRejected,
    ServerTrouble,
)
from indexer.pacing import LocalPacer, Pacer
from indexer.records import Question, Request
from indexer.retry import Breaker, backoff_seconds, longest_wait, read_retry_after
from indexer.sources.base import Source
from indexer.wire import (
    CONNECT_SECONDS,
    TRANSPORT_ERRORS,
    Reply,
    RequestWriter,
    describe_failure,
    fits_header,
    fits_target,
    origin_of,
)

__all__ = [
    "Answer",
    "Client",
    "ClientLimits",
    "Exchange",
    "LocalPacer",
    "Pacer",
    "RequestSeen",
]

#: What an attempt came to, by the error it raised. The words are metric labels.
OUTCOMES: Final[dict[type[ApiError], str]] = {
    RateLimited: "rate_limited",
    ServerTrouble: "server_trouble",
    Refused: "refused",
    CursorRejected: "cursor_rejected",
    RequestRejected: "request_rejected",
    BadPage: "bad_page",
}


class Answer(msgspec.Struct, frozen=True, gc=False):
    """A complete answer that the source is willing to read."""

    status: int
    #: Decoded, otherwise exactly as sent.
    body: bytes
    #: HTTP requests it took, this one included.
    attempts: int


class Exchange(msgspec.Struct):
    """What fetches have used so far. A caller that passes one in can read it when the fetch raised.

    It may go into several fetches one after another; ``requests`` then counts them all.
    """

    requests: int = 0
    #: Of the last attempt. None: no answer came.
    status: int | None = None
    #: Of the last attempt, None unless it came completely: what a BadPage was.
    body: bytes | None = None


class RequestSeen(msgspec.Struct, frozen=True):
    """One HTTP request, for counting."""

    source: str
    status: int | None
    seconds: float
    #: "answered", "cancelled" or one of ``OUTCOMES``.
    outcome: str
    #: 1 is the first request of its fetch.
    attempt: int


class ClientLimits(msgspec.Struct, frozen=True):
    """How much one fetch may cost."""

    max_body_bytes: int = 64 * 1024 * 1024
    max_attempts: int = 6
    #: The longest an API may make us wait, whatever its Retry-After says.
    max_wait_seconds: float = 300.0
    #: From the first request to the last answer. None: ten times the timeout of one request.
    total_seconds: float | None = None


class _Fetch(msgspec.Struct):
    """One fetch on its way."""

    question: Question
    request: Request
    exchange: Exchange
    attempts: int = 0
    #: Set when the first request leaves: waiting for the pacer is nobody's fault.
    deadline: float | None = None
    last_error: RateLimited | ServerTrouble | None = None


def ignore(seen: RequestSeen) -> None:
    """The observer of those who do not count."""


def utc_now() -> datetime:
    """The wall clock, for signatures and Retry-After dates only."""
    return datetime.now(UTC)


class Client:
    """Fetches for one source. Shared by all workers of a process; one per event loop."""

    def __init__(  # noqa: PLR0913 - each is a door to the outside world that tests replace
        self,
        source: Source,
        config: SourceConfig,
        pacer: Pacer,
        *,
        transport: Transport | None = None,
        now: Callable[[], datetime] = utc_now,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        random: Callable[[], float] = chance.random,
        observe: Callable[[RequestSeen], None] = ignore,
        limits: ClientLimits | None = None,
    ) -> None:
        self._source = source
        self._pacer = pacer
        origin = origin_of(config)
        self._writer = RequestWriter(origin)
        self._secrets = {name: secret.get_secret_value() for name, secret in config.secrets.items()}
        self._transport = transport or Connections(origin)
        self._now, self._clock, self._sleep, self._random = now, clock, sleep, random
        self._observe = observe
        self._limits = limits or ClientLimits()
        self._timeout_seconds = config.timeout.total_seconds()
        self._total_seconds = self._limits.total_seconds or 10 * self._timeout_seconds
        # Waiting for a free connection must not eat the time of a request that was already paced.
        self._slots = asyncio.Semaphore(config.concurrency)
        self._breaker = Breaker(clock)
        #: HTTP requests sent since the start, retries included.
        self.requests_sent = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections. The client cannot be used afterwards."""
        await self._transport.aclose()

    async def fetch(self, question: Question, request: Request, exchange: Exchange | None = None) -> Answer:
        """The complete answer to ``request``. Raises an ApiError telling how to react."""
        fetch = _Fetch(question, request, exchange or Exchange())
        self._breaker.enter(self._describe(request))
        try:
            answer = await self._ask_until_answered(fetch)
        except ServerTrouble:
            self._breaker.fail()
            raise
        except ApiError:
            self._breaker.succeed()
            raise
        except BaseException:
            self._breaker.abort()
            raise
        self._breaker.succeed()
        return answer

    async def _ask_until_answered(self, fetch: _Fetch) -> Answer:
        tries = 0
        while True:
            tries += 1
            try:
                return await self._attempt(fetch)
            except (RateLimited, ServerTrouble) as error:
                last = error
            wait_seconds = self._wait_seconds(last, tries)
            if self._is_spent(fetch, wait_seconds):
                break
            await self._hold(last, wait_seconds)
            await self._sleep(wait_seconds)
        await self._hold(last, self._stated_wait(last))
        try:
            if fetch.attempts == 1:
                raise last
            raise type(last)(f"{last} (after {fetch.attempts} requests)", last.retry_after_seconds)
        finally:
            del last  # see `Connection.ask`: an error that its own frames know lives as long as they can

    def _wait_seconds(self, error: RateLimited | ServerTrouble, tries: int) -> float:
        return max(self._stated_wait(error), backoff_seconds(tries, self._random))

    def _stated_wait(self, error: RateLimited | ServerTrouble) -> float:
        stated = longest_wait(error.retry_after_seconds)
        return min(stated or 0.0, self._limits.max_wait_seconds)

    def _is_spent(self, fetch: _Fetch, wait_seconds: float) -> bool:
        if fetch.attempts >= self._limits.max_attempts or fetch.deadline is None:
            return True
        return self._clock() + wait_seconds >= fetch.deadline

    async def _hold(self, error: RateLimited | ServerTrouble, seconds: float) -> None:
        """A limit is the key's, not one request's: every worker on it waits."""
        told_to_wait = isinstance(error, RateLimited) or self._stated_wait(error) > 0
        if told_to_wait and seconds > 0:
            await self._pacer.hold(seconds)

    async def _attempt(self, fetch: _Fetch) -> Answer:
        async with self._slots:
            await self._pacer.wait()
            try:
                return await self._send_observed(fetch, self._seconds_left(fetch))
            except (RateLimited, ServerTrouble) as error:
                fetch.last_error = error
                raise

    def _seconds_left(self, fetch: _Fetch) -> float:
        """How long this attempt may take. Raises the last error when the pacer used up the rest."""
        if fetch.deadline is None:
            fetch.deadline = self._clock() + self._total_seconds
        left = fetch.deadline - self._clock()
        if left <= 0 and fetch.last_error is not None:
            raise fetch.last_error
        return min(self._timeout_seconds, left)

    async def _send_observed(self, fetch: _Fetch, seconds: float) -> Answer:
        message = self._write(fetch.request)
        exchange = fetch.exchange
        fetch.attempts += 1
        exchange.requests += 1
        exchange.status = exchange.body = None
        self.requests_sent += 1
        started, outcome = self._clock(), "cancelled"
        try:
            answer = await self._send(fetch, message, seconds)
            outcome = "answered"
        except ApiError as error:
            outcome = OUTCOMES.get(type(error), "error")
            raise
        finally:
            spent, name = self._clock() - started, self._source.name
            self._observe(RequestSeen(name, exchange.status, spent, outcome, fetch.attempts))
        return answer

    def _write(self, request: Request) -> bytes:
        """The request as it goes on the wire, freshly signed."""
        headers = self._signed_headers(request)
        return self._writer.write(request.method, self._target(request), headers, request.body)

    def _signed_headers(self, request: Request) -> dict[str, str]:
        headers = self._source.headers(request, self._secrets, self._now())
        for name, value in headers.items():
            # Checked here because the library's own error would quote the value.
            if not fits_header(value):
                raise Refused(f"{self._describe(request)}: {name} has characters no header may have")
        return headers

    def _target(self, request: Request) -> bytes:
        secret_part = self._source.secret_path(self._secrets)
        # A base_url without a path leaves nothing before the key of a source that has its key in the path.
        if not f"{request.target}{secret_part}".startswith("/") or not fits_target(request.target):
            raise RequestRejected(f"{self._describe(request)}: the target has illegal characters")
        if not fits_target(secret_part):
            raise Refused(f"{self._describe(request)}: the key has characters no URL may have")
        return (request.target + secret_part).encode("ascii")

    async def _send(self, fetch: _Fetch, message: bytes, seconds: float) -> Answer:
        reply = Reply(self._describe(fetch.request), self._limits.max_body_bytes)
        try:
            # Over everything: a byte a second is never late for a read time-out.
            async with asyncio.timeout(seconds):
                await self._transport.exchange(message, reply, min(CONNECT_SECONDS, seconds))
            return self._read(fetch, reply)
        except TimeoutError:
            problem = f"no complete answer within {seconds:.3g} s"
        except TRANSPORT_ERRORS as error:
            problem = describe_failure(error)
        finally:
            fetch.exchange.status = reply.status
        # Raised out here, so that the library's error is not even its context.
        raise ServerTrouble(f"{self._describe(fetch.request)}: {problem}")

    def _read(self, fetch: _Fetch, reply: Reply) -> Answer:
        status, body = reply.status, reply.finish()
        assert status is not None
        fetch.exchange.body = body
        error = self._source.read_error(fetch.question, status, body)
        if error is None:
            return Answer(status, body, fetch.attempts)
        if isinstance(error, RateLimited | ServerTrouble | Refused):
            header = read_retry_after(reply.headers.get("retry-after", ""), self._now())
            error.retry_after_seconds = longest_wait(error.retry_after_seconds, header)
        try:
            raise error
        finally:
            del error  # with the body, see above

    def _describe(self, request: Request) -> str:
        return f"{self._source.name} {request.template}"
