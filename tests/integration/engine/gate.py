"""A gate in front of a simulated API: one request waits there while the test does something else."""

import asyncio
import threading
import time
from collections.abc import Callable

from indexer.simulator.server import APIS, Simulator
from indexer.simulator.wire import Inquiry

#: A test that waits longer than this is broken.
DEADLINE_SECONDS = 30.0


class Gate:
    """Holds the ``nth`` page request of a source (from 1) until it is opened. Look-ups pass."""

    def __init__(self, sim: Simulator, source: str, nth: int) -> None:
        self._sim = sim
        self._source = source
        self._left = nth
        self._lock = threading.Lock()
        self._reached = threading.Event()
        self._opened = threading.Event()
        self._arrived = len(sim.log)
        sim.before_answer = self._pass

    def _pass(self, source: str, inquiry: Inquiry) -> None:
        with self._lock:
            self._arrived += 1
        if source != self._source or not APIS[source].ask(self._sim.world, inquiry).is_page:
            return
        with self._lock:
            self._left -= 1
            held = self._left == 0
        if held:
            self._reached.set()
            assert self._opened.wait(DEADLINE_SECONDS), "nobody opened the gate"

    async def reached(self) -> None:
        """Return when the request stands at the gate."""
        assert await asyncio.to_thread(self._reached.wait, DEADLINE_SECONDS), "nobody came to the gate"

    def open(self) -> None:
        """Let it through; nobody is held any more."""
        self._opened.set()

    def settle(self) -> int:
        """Open, wait until every request that came is in the log, take the gate away; how long the log is."""
        self.open()
        give_up_at = time.monotonic() + DEADLINE_SECONDS
        while len(self._sim.log) < self._arrived:
            assert time.monotonic() < give_up_at, "a request was never answered"
            time.sleep(0.01)
        self._sim.before_answer = None
        return len(self._sim.log)


def before_page(sim: Simulator, source: str, nth: int, act: Callable[[], object]) -> None:
    """Do something once, just before the ``nth`` page request of a source is answered."""
    left = nth

    def count(asked: str, inquiry: Inquiry) -> None:
        nonlocal left
        if asked == source and APIS[asked].ask(sim.world, inquiry).is_page:
            left -= 1
            if left == 0:
                act()

    sim.before_answer = count
