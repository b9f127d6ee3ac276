"""The status door: `/metrics`, `/healthz` and `/readyz` over HTTP, for machines. It changes nothing.

There is no password: bind it where only friends can reach it. A slow or hostile caller costs a connection,
never the crawling.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from indexer.errors import UsageError

#: Callers at once; one more is answered 503.
_MOST_CALLERS: Final = 32

_STOP_SECONDS: Final = 1


@dataclass(frozen=True, slots=True)
class Answers:
    """What the door says; both are asked anew for every caller and must not take long."""

    #: Every metric as text, with its content type.
    metrics: Callable[[], Awaitable[tuple[bytes, str]]]
    #: Why this process is not ready, empty when it is.
    troubles: Callable[[], Awaitable[Sequence[str]]]


def bind(host: str, port: int) -> socket.socket:
    """The address of the door, ours from now on. Raises UsageError when it cannot be."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UsageError(_refusal(host, port, error)) from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_MOST_CALLERS)
    except OSError as error:
        listener.close()
        raise UsageError(_refusal(host, port, error)) from None
    listener.setblocking(False)
    return listener


def _refusal(host: str, port: int, error: OSError) -> str:
    reason = error.strerror or "no reason given"
    return (
        f"The status door cannot open on {name_address(host, port)} ({reason}): end what listens there, "
        "or choose another with daemon.listen or --listen."
    )


def name_address(host: str, port: int) -> str:
    """`host:port` as people write it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def build_app(answers: Answers) -> Starlette:
    """The three pages."""

    async def metrics(_request: Request) -> Response:
        body, content_type = await answers.metrics()
        return Response(body, media_type=content_type)

    async def health(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def ready(_request: Request) -> Response:
        troubles = await answers.troubles()
        if not troubles:
            return PlainTextResponse("ready\n")
        return PlainTextResponse("".join(f"{trouble}\n" for trouble in troubles), status_code=503)

    pages = {"/metrics": metrics, "/healthz": health, "/readyz": ready}
    return Starlette(routes=[Route(path, page, methods=["GET"]) for path, page in pages.items()])


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the daemon has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def opened(listener: socket.socket, answers: Answers) -> AsyncIterator[None]:
    """Answer callers on this socket until the block ends."""
    settings = uvicorn.Config(
        build_app(answers),
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        http="h11",
        server_header=False,
        limit_concurrency=_MOST_CALLERS,
        # Without file descriptors left, asyncio logs a traceback for each of these, every second.
        backlog=_MOST_CALLERS,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )
    server = _Server(settings)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.should_exit = True
        _, late = await asyncio.wait([task], timeout=2 * _STOP_SECONDS)
        for stuck in late:
            stuck.cancel()
        await asyncio.gather(task, return_exceptions=True)
        listener.close()
