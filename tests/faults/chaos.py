"""A chaos run: several workers, a world that moves, and a seeded hand that breaks things.

Afterwards every published snapshot is compared with what the world says was true in the seconds that the
snapshot says it speaks for.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psycopg

from indexer import embedded
from indexer.simulator import Fault
from indexer.simulator.faults import kinds_of
from indexer.simulator.positions import SOURCES, Position
from tests.acceptance.cli_program import build_environment
from tests.faults import processes
from tests.faults.stand import Stand, Watch
from tests.integration.embedded_servers import postmaster_of

#: Faults a crawl survives, ends by, or is not believed for. None of them can make a list plausibly wrong.
_FAULTS: Final = (
    *("status_500", "status_429", "status_401", "hang", "reset_mid_body", "short_body", "no_answer"),
    *("truncated_json", "html_200", "empty_200", "expired_cursor", "repeated_cursor", "duplicate_page"),
    *("item_error", "item_key_unreadable", "slow_drip", "invalid_utf8", "missing_field"),
    *("answered_twice", "other_owner", "two_lengths", "chunked_cut", "gzip_cut", "other_vendor"),
    "lagging_node",
)
#: As often as the world and the workers together; rarely the whole server.
_ACTIONS: Final = (
    *("move", "fault", "fault", "kill", "stop", "cut", "ask") * 2,
    *("fault", "fault", "move", "crash"),
)
#: What counts as a fault besides the answers that were spoiled.
_BLOWS: Final = ("kill", "stop", "cut", "crash")
#: A stopped worker sleeps for this many more requests of the others, or for this long.
_NAP_REQUESTS: Final = 60
_NAP_SECONDS: Final = 4.0


@dataclass(frozen=True)
class Moment:
    """What was true of every watch between two changes of the world."""

    began: datetime
    truth: dict[Watch, frozenset[Position]]


@dataclass(frozen=True)
class Asked:
    """An answer about the past, to be asked for again."""

    instant: datetime
    answer: list[tuple[object, ...]]


@dataclass
class Chaos:
    """One run. ``problems`` is empty when every promise was kept."""

    stand: Stand
    #: Where its own PostgreSQL lives, which is killed now and then.
    database: Path
    seed: int
    workers: int = 3
    #: Faults put in force together.
    faults: int = 1
    dice: random.Random = field(init=False)
    moments: list[Moment] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    _running: list["subprocess.Popen[str]"] = field(default_factory=list)
    _sleeping: list[tuple["subprocess.Popen[str]", int, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Workers run inside; they are killed at the end."""
        self.note_moment()
        self._running = [self._start() for _ in range(self.workers)]
        try:
            yield
        finally:
            for process in [*self._running, *(sleeper for sleeper, _, _ in self._sleeping)]:
                process.kill()
                self._bury(process)
            self._running, self._sleeping = [], []

    @property
    def blows(self) -> int:
        """How many things were broken so far."""
        return len(self.stand.simulator.faults.struck) + sum(self.counts.get(name, 0) for name in _BLOWS)

    def act(self) -> None:
        """One random thing happens, once some requests have gone by."""
        self._wake()
        self._replace_the_dead()
        action = self.dice.choice(_ACTIONS)
        self.counts[action] = self.counts.get(action, 0) + 1
        acts: dict[str, Callable[[], None]] = {
            "move": self.move,
            "fault": self.fault,
            "kill": self.kill,
            "stop": self.stop,
            "cut": self.cut,
            "crash": self.crash,
            "ask": self.ask,
        }
        acts[action]()
        self._let_requests_pass(self.dice.randrange(1, 25))

    def move(self) -> None:
        """The world changes, between two answers."""
        with self.stand.world.lock:
            self.stand.move()
            self.note_moment()

    def note_moment(self) -> None:
        """Write down what is true from now on."""
        self.moments.append(Moment(datetime.now(UTC), self.stand.truth()))

    def fault(self) -> None:
        """APIs misbehave a few times."""
        for _ in range(self.faults):
            self._add_fault()

    def _add_fault(self) -> None:
        source, kind = self.dice.choice(SOURCES), self.dice.choice(_FAULTS)
        name, _, status = kind.partition("_")
        times = self.dice.randrange(1, 6)
        if name == "status":
            fault = Fault(source, "status", status=int(status), times=times)
        elif kind == "empty_200":
            fault = Fault(source, kind, times=times, page=1)
        else:
            page, value = self.dice.choice((None, 1, 2, 3)), "1e400" if kind == "item_error" else None
            if kind not in kinds_of(source):
                source = next(one for one in SOURCES if kind in kinds_of(one))
            fault = Fault(source, kind, times=times, page=page, value=value)
        self.stand.simulator.faults.add(fault)

    def kill(self) -> None:
        """A worker dies on the spot."""
        victim = self._running.pop(self.dice.randrange(len(self._running)))
        victim.send_signal(signal.SIGKILL)
        self._bury(victim)
        self._running.append(self._start())

    def stop(self) -> None:
        """A worker falls asleep, past its lease if nobody is quick."""
        if len(self._running) < 2:
            return
        sleeper = self._running.pop(self.dice.randrange(len(self._running)))
        sleeper.send_signal(signal.SIGSTOP)
        self._sleeping.append((sleeper, len(self.stand.simulator.log) + _NAP_REQUESTS, time.monotonic()))

    def cut(self) -> None:
        """A connection to the database is ended from the other side."""
        statement = """
            SELECT pid FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
            ORDER BY pid
        """
        with psycopg.connect(self.stand.url, autocommit=True) as connection:
            pids = [row[0] for row in connection.execute(statement)]
            if pids:
                connection.execute("SELECT pg_terminate_backend(%s)", [self.dice.choice(pids)])

    def crash(self) -> None:
        """The whole database server dies; whoever needs it first brings it up again."""
        # A sleeper may hold the lock of the server's folder, which its reviver would wait for.
        self._wake(everybody=True)
        os.kill(postmaster_of(self.database), signal.SIGKILL)
        with embedded.running(self.database):
            pass

    def ask(self) -> None:
        """Ask about a moment that is settled, and remember the answer."""
        (settled,) = self.stand.rows("SELECT settled_until FROM report.settled_until")[0]
        assert isinstance(settled, datetime)
        self.remember(settled)

    def remember(self, instant: datetime) -> None:
        """Ask what was held then; it must never be answered otherwise again."""
        self.asked.append(Asked(instant, self._held_at(instant)))

    def ask_again(self) -> None:
        """Every remembered question gets the answer it got."""
        for asked in self.asked:
            if self._held_at(asked.instant) != asked.answer:
                self.problems.append(f"the answer as of {asked.instant} changed")

    def _held_at(self, instant: datetime) -> list[tuple[object, ...]]:
        statement = """
            SELECT source, address, scope, asset_ref, sub_key, amount, decimals, snapshot_at
            FROM report.holdings_as_of(%s) ORDER BY 1, 2, 3, 4, 5
        """
        return self.stand.rows(statement, instant)

    def _let_requests_pass(self, count: int) -> None:
        """Wait for that many more requests, or for a while when nobody asks any more."""
        log, until = self.stand.simulator.log, time.monotonic() + 2.0
        goal = len(log) + count
        while len(log) < goal and time.monotonic() < until:
            time.sleep(0.01)

    def _wake(self, *, everybody: bool = False) -> None:
        for sleeper in list(self._sleeping):
            process, goal, since = sleeper
            is_late = time.monotonic() - since > _NAP_SECONDS
            if everybody or is_late or len(self.stand.simulator.log) >= goal:
                processes.resume(process)
                self._sleeping.remove(sleeper)
                self._running.append(process)

    def _start(self) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "tests.faults.chaos_worker", str(self.stand.folder / "indexer.toml")],
            cwd=self.stand.folder,
            env=build_environment(self.stand.environment),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _replace_the_dead(self) -> None:
        """A worker that died by itself is a problem."""
        for process in list(self._running):
            if process.poll() is not None:
                self._running.remove(process)
                self._bury(process)
                self._running.append(self._start())

    def _bury(self, process: "subprocess.Popen[str]") -> None:
        _, stderr = process.communicate()
        if process.returncode != -signal.SIGKILL:
            self.problems.append(f"a worker ended by itself ({process.returncode}): {stderr[-3000:]}")
