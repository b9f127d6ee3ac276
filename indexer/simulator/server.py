"""The five APIs on one loopback port, in a thread with its own event loop.

Chooses the API by the first part of the path, limits rates, applies faults and keeps a log of
every request. It leaves no thread, task or socket behind.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final, Protocol, Self

from indexer.simulator import algorand, hedera, loopring, okx_runes, solana_das
from indexer.simulator.answer_faults import Exchange
from indexer.simulator.desk import Arrival, Desk, LogEntry, log_entry
from indexer.simulator.faults import ANSWER_KINDS, VIEW_KINDS, WIRE_KINDS, Fault, FaultBook
from indexer.simulator.protocol_faults import KEEP_OPEN
from indexer.simulator.refusals import refuse
from indexer.simulator.wire import (
    Answer,
    Inquiry,
    Question,
    Received,
    Switches,
    compressed,
    read_query,
    read_request,
    render_head,
)
from indexer.simulator.wire_faults import Line
from indexer.simulator.world import World


class Api(Protocol):
    """What each API file offers."""

    def ask(self, world: World, inquiry: Inquiry, /) -> Question:
        """What a request asks for."""

    def answer(self, world: World, inquiry: Inquiry, /) -> Answer:
        """What the API answers."""


APIS: Final[Mapping[str, Api]] = {
    "okx_runes": okx_runes,
    "solana_das": solana_das,
    "algorand": algorand,
    "loopring": loopring,
    "hedera": hedera,
}
#: Requests per second each API allows before it answers 429.
DEFAULT_LIMITS: Final[Mapping[str, float | None]] = {
    "okx_runes": 1,
    "solana_das": 20,
    "algorand": 10,
    "loopring": 5,
    "hedera": 20,
}
#: Made up; they open nothing but this simulator.
DEFAULT_SECRETS: Final[Mapping[str, Mapping[str, str]]] = {
    "okx_runes": {
        "api_key": "simulated-okx-key",
        "secret_key": "simulated-okx-secret",
        "passphrase": "simulated-okx-passphrase",
    },
    "solana_das": {"api_key": "simulated-das-key"},
    "algorand": {},
    "loopring": {"api_key": "simulated-loopring-key"},
    "hedera": {},
}
_PREFIXES: Final = {"solana_das": "/solana_das/v3"}


class Simulator:
    """The running server: ``with Simulator(world) as sim: ...``."""

    def __init__(
        self,
        world: World,
        *,
        secrets: Mapping[str, Mapping[str, str]] | None = None,
        limits: Mapping[str, float | None] | None = None,
        max_page: Mapping[str, int] | None = None,
        port: int = 0,
    ) -> None:
        self.world = world
        self.secrets = {name: {**DEFAULT_SECRETS[name], **(secrets or {}).get(name, {})} for name in APIS}
        #: Per source; may be changed while running. ``None`` allows everything.
        self.rate_limits: dict[str, float | None] = {**DEFAULT_LIMITS, **(limits or {})}
        self.switches = Switches(max_page=dict(max_page or {}))
        self.faults = FaultBook()
        self.log: list[LogEntry] = []
        #: Called before each answer is made, in a thread of its own: it may change the world or block.
        self.before_answer: Callable[[str, Inquiry], None] | None = None
        self.port = port
        self._desks = {name: Desk() for name in APIS}
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._failure: OSError | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, name="simulator", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._thread is None or self._loop is None or self._stop is None:
            return
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._thread = None

    def base_url(self, source: str) -> str:
        """What ``base_url`` of this source must be to reach this server."""
        return f"http://127.0.0.1:{self.port}{_PREFIXES.get(source, f'/{source}')}"

    def environment(self) -> dict[str, str]:
        """The environment that points the program here, secrets included."""
        found = {f"INDEXER_SOURCES__{name.upper()}__BASE_URL": self.base_url(name) for name in APIS}
        for name, keys in self.secrets.items():
            found |= {f"INDEXER_SOURCES__{name.upper()}__{key.upper()}": value for key, value in keys.items()}
        return found

    def requests(self, source: str, address: str = "") -> list[LogEntry]:
        """The log of one source, or of one address of it."""
        asked = address.lower()
        return [
            e for e in self.log if e.source == source and (not asked or asked in e.address.lower().split(","))
        ]

    def refused(self, source: str) -> int:
        """How many requests exceeded the rate limit."""
        return sum(entry.status == 429 and not entry.fault for entry in self.requests(source))

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        connections: set[asyncio.Task[None]] = set()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            connections.add(task)
            task.add_done_callback(connections.discard)
            await self._converse(reader, writer)

        try:
            server = await asyncio.start_server(accept, "127.0.0.1", self.port, limit=2**18, backlog=512)
        except OSError as error:
            self._failure = error
            self._ready.set()
            return
        self.port = server.sockets[0].getsockname()[1]
        # Room for many blocked requests at once: each holds a thread only while its callback runs.
        with ThreadPoolExecutor(max_workers=32, thread_name_prefix="simulator") as pool:
            self._loop.set_default_executor(pool)
            self._ready.set()
            await self._stop.wait()
            server.close()
            for task in list(connections):
                task.cancel()
            await asyncio.gather(*connections, return_exceptions=True)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            while (received := await read_request(reader)) is not None:
                if not await self._exchange(received, reader, writer):
                    break
        writer.close()

    async def _exchange(
        self, received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer one request. False when the connection is of no further use."""
        inquiry = self._inquire(received)
        if inquiry is None:
            writer.write(render_head(Answer(404, b"", ())))
            return True
        desk = self._desks[inquiry.source]
        desk.in_flight += 1
        try:
            answer, wire = await self._decide(inquiry, desk)
            if self.switches.latency_seconds:
                await asyncio.sleep(self.switches.latency_seconds)
            if wire is not None:
                await WIRE_KINDS[wire.kind](Line(reader, writer, answer, wire.value))
                return wire.kind in KEEP_OPEN
            if self.switches.compress:
                answer = compressed(answer, inquiry.headers)
            writer.write(render_head(answer) + answer.body)
            await writer.drain()
            return inquiry.headers.get("connection", "").lower() != "close"
        finally:
            desk.in_flight -= 1

    def _inquire(self, received: Received) -> Inquiry | None:
        path, query = read_query(received.target)
        _, source, *rest = path.split("/", 2)
        if source not in APIS:
            return None
        return Inquiry(
            source=source,
            method=received.method,
            target=received.target,
            path="/" + "/".join(rest),
            query=query,
            headers=received.headers,
            body=received.body,
            switches=self.switches,
            secrets=self.secrets[source],
        )

    async def _decide(self, inquiry: Inquiry, desk: Desk) -> tuple[Answer, Fault | None]:
        """The answer, and the fault of the connection under which it goes out."""
        question = APIS[inquiry.source].ask(self.world, inquiry)
        arrival = Arrival(time.monotonic(), desk.page(question), desk.in_flight)
        faults: tuple[Fault, ...] = ()
        if not desk.admits(arrival.at, self.rate_limits[inquiry.source]):
            answer = refuse(inquiry.source, 429)
        else:
            if self.before_answer is not None:
                await asyncio.to_thread(self.before_answer, inquiry.source, inquiry)
            faults = self.faults.take(inquiry.source, question, arrival.page)
            answer = self._answer(inquiry, question, desk, faults)
        kinds = " ".join(fault.kind for fault in faults)
        self.log.append(log_entry(inquiry, question, arrival, answer.status, kinds))
        return answer, next((fault for fault in faults if fault.kind in WIRE_KINDS), None)

    def _answer(self, inquiry: Inquiry, question: Question, desk: Desk, faults: tuple[Fault, ...]) -> Answer:
        for fault in faults:
            if fault.kind in VIEW_KINDS:
                inquiry = replace(inquiry, hide=VIEW_KINDS[fault.kind](fault.value))
        with self.world.lock:
            honest = APIS[inquiry.source].answer(self.world, inquiry)
        walk = (question.addresses, question.scope)
        answer, previous = honest, desk.page_before(walk, question.cursor)
        walked = tuple(desk.walks.get(walk, ()))
        for fault in faults:
            answer = _bend(fault, Exchange(inquiry, question, answer, previous, fault.value, walked))
        if question.is_page and honest.status == 200:
            desk.keep_page(walk, question.cursor, honest)
        return answer


def _bend(fault: Fault, exchange: Exchange) -> Answer:
    if fault.kind in ANSWER_KINDS:
        return ANSWER_KINDS[fault.kind](exchange)
    if fault.kind != "status":
        return exchange.answer
    documented = refuse(fault.source, fault.status)
    if fault.body is None:
        return replace(documented, headers=(*documented.headers, *fault.headers))
    return Answer(fault.status, fault.body, fault.headers)
