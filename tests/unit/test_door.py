"""The status door over real HTTP on loopback."""

import asyncio
import socket
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import httpx
import pytest

from indexer import door
from indexer.door import Answers
from indexer.errors import UsageError

Result = TypeVar("Result")


async def no_troubles() -> Sequence[str]:
    """A process that is ready."""
    return ()


async def some_metrics() -> tuple[bytes, str]:
    """One metric."""
    return b"indexer_pages_total 1\n", "text/plain; version=0.0.4; charset=utf-8"


async def ask(path: str, answers: Answers, method: str = "GET") -> httpx.Response:
    """One question to a door that is open for it."""
    listener = door.bind("127.0.0.1", 0)
    port = listener.getsockname()[1]
    async with door.opened(listener, answers), httpx.AsyncClient(trust_env=False) as client:
        return await client.request(method, f"http://127.0.0.1:{port}{path}")


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run it in a loop of its own."""
    return asyncio.run(work)


def test_metrics_are_served_as_they_are() -> None:
    """With the content type Prometheus wants."""
    answer = run(ask("/metrics", Answers(some_metrics, no_troubles)))

    assert (answer.status_code, answer.content) == (200, b"indexer_pages_total 1\n")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_a_process_with_troubles_is_not_ready_and_says_why() -> None:
    """One line each; it is alive all the same."""

    async def troubles() -> Sequence[str]:
        return ["the database does not answer", "no tick has ended for 60 s"]

    answers = Answers(some_metrics, troubles)
    ready, health = run(ask("/readyz", answers)), run(ask("/healthz", answers))

    assert ready.status_code == 503
    assert ready.text.splitlines() == ["the database does not answer", "no tick has ended for 60 s"]
    assert health.status_code == 200


def test_a_process_without_troubles_is_ready() -> None:
    """200 is all a load balancer reads."""
    assert run(ask("/readyz", Answers(some_metrics, no_troubles))).status_code == 200


@pytest.mark.parametrize(("method", "path", "status"), [("POST", "/metrics", 405), ("GET", "/nothing", 404)])
def test_it_changes_nothing_and_has_no_other_page(method: str, path: str, status: int) -> None:
    """Reading three pages is all that can be done through it."""
    assert run(ask(path, Answers(some_metrics, no_troubles), method)).status_code == status


def test_a_taken_port_is_a_usage_error_that_names_it() -> None:
    """And what to do about it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=rf"127\.0\.0\.1:{port}.*--listen"):
            door.bind("127.0.0.1", port)


def test_a_host_that_is_not_ours_is_a_usage_error() -> None:
    """A typo in daemon.listen does not open the door elsewhere."""
    with pytest.raises(UsageError, match="cannot open"):
        door.bind("192.0.2.1", 9464)


def test_it_closes_although_a_caller_hangs() -> None:
    """A connection that says nothing does not keep the daemon from stopping."""

    async def hang() -> None:
        listener = door.bind("127.0.0.1", 0)
        async with asyncio.timeout(30):
            async with door.opened(listener, Answers(some_metrics, no_troubles)):
                _reader, writer = await asyncio.open_connection(*listener.getsockname()[:2])
                writer.write(b"GET /metrics HTTP/1.1\r\n")
                await writer.drain()
            writer.close()

    run(hang())
