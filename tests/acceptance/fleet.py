"""A daemon and three workers, killed, stopped and started again over a world that moves by itself."""

import json
import pickle
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psycopg

from tests.acceptance.cli_program import build_environment
from tests.acceptance.daemons import Process, wait_until
from tests.acceptance.moving_world import open_stand
from tests.faults.chaos import Moment
from tests.faults.chaos_judgement import find_wrong_snapshots
from tests.faults.stand import Stand, Watch

#: What every process is promised to be able to do.
STOP_SECONDS: Final = 5.0

WORKERS: Final = 3

#: A key of one request a second needs a while for several lists, each of which may want a second witness.
REST_SECONDS: Final = 180.0

CONFIGURATION: Final = """\
watchlists = ["watched.yaml"]
[defaults]
every = "2s"
[guard]
confirm_after = "1s"
[retention]
min_free_space = "1MiB"
[daemon]
tick = "250ms"
lease = "10s"
"""

DOUBLED: Final = """
    SELECT watch_id, due_at, count(*) FROM ledger.crawl_watch WHERE due_at IS NOT NULL
    GROUP BY watch_id, due_at HAVING count(*) > 1
"""
UNALIGNED: Final = "SELECT due_at FROM ledger.crawl_watch WHERE extract(epoch FROM due_at)::numeric % 2 <> 0"


@dataclass
class Fleet:
    """One run. ``problems`` is empty when every promise was kept."""

    stand: Stand
    seed: int
    simulator: "subprocess.Popen[bytes]"
    environment: dict[str, str]
    dice: random.Random = field(init=False)
    problems: list[str] = field(default_factory=list)
    daemon: Process = field(init=False)
    #: None: that place is empty at the moment.
    workers: list[Process | None] = field(default_factory=lambda: [None] * WORKERS)
    #: When, by the clock of the simulator's log.
    killed_at: list[float] = field(default_factory=list)
    stops: list[float] = field(default_factory=list)
    _started: int = 0

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.daemon = self._start("run", "--listen", "127.0.0.1:0")

    def shake(self) -> None:
        """Some crawls later the daemon dies on the spot, and a worker comes or goes."""
        self._let_crawls_end(self.dice.randrange(1, 12))
        self._kill(self.daemon)
        self.daemon = self._start("run", "--listen", "127.0.0.1:0")
        place = self.dice.randrange(WORKERS)
        worker = self.workers[place]
        if worker is None:
            self.workers[place] = self._start("work")
            return
        if self.dice.random() < 0.5:
            self._kill(worker)
        else:
            self._stop(worker)
        self.workers[place] = None

    def fill(self) -> None:
        """Every place has its worker: four processes on each key."""
        self.workers = [worker or self._start("work") for worker in self.workers]

    def _let_crawls_end(self, count: int) -> None:
        goal = self.count_outcomes() + count
        wait_until(lambda: self.count_outcomes() >= goal, f"{count} more crawls have ended")

    def count_outcomes(self) -> int:
        """Watches of crawls that came to something."""
        ((count,),) = self.stand.rows(
            "SELECT count(*) FROM ledger.crawl_watch WHERE verdict IN ('published', 'unchanged')"
        )
        assert isinstance(count, int)
        return count

    def _start(self, *arguments: str) -> Process:
        self._started += 1
        log = self.stand.folder / f"process{self._started}.log"
        return Process(list(arguments), self.stand.folder, self.environment, log)

    def _kill(self, process: Process) -> None:
        if process.process.poll() is not None:
            self.problems.append(f"ended by itself: {process.read_log()[-2000:]}")
        process.kill()
        self.killed_at.append(time.monotonic())
        self._read_log(process)

    def _stop(self, process: Process) -> None:
        code, seconds = process.stop()
        self.stops.append(seconds)
        # One that is still being loaded has nothing to put in order: the system ends it.
        is_begun = process.read_log() != ""
        if (code != 0 and (is_begun or code != -signal.SIGTERM)) or seconds >= STOP_SECONDS:
            self.problems.append(
                f"SIGTERM: exit code {code} after {seconds:.1f} s: {process.read_log()[-2000:]}"
            )
        self._read_log(process)

    def _read_log(self, process: Process) -> None:
        if "Traceback" in process.read_log():
            self.problems.append(process.read_log()[-4000:])

    def come_to_rest(self) -> dict[Watch, object]:
        """The world stands still until history says what is true. Returns what it says otherwise."""
        self.simulator.send_signal(signal.SIGUSR1)
        wait_until((self.stand.folder / "still").exists, "the world stands still")
        truth = self.read_moments()[-1].truth

        def find_differences() -> dict[Watch, object]:
            known = self.stand.known()
            return {
                watch: (known.get(watch), held)
                for watch, held in truth.items()
                if (held or watch in known) and (watch not in known or known[watch].all != held)
            }

        try:
            wait_until(lambda: not find_differences(), "history is true", REST_SECONDS)
        except AssertionError:
            return find_differences()
        return {}

    def stop_all(self) -> None:
        """The last SIGTERM of every process, and then the simulator's."""
        for process in [self.daemon, *(worker for worker in self.workers if worker)]:
            self._stop(process)
        self.simulator.send_signal(signal.SIGTERM)
        self.simulator.wait(60)

    def read_moments(self) -> list[Moment]:
        """What was true when, by the world's own word."""
        found: list[Moment] = []
        with (self.stand.folder / "moments").open("rb") as stream:
            while True:
                try:
                    found.append(pickle.load(stream))
                except EOFError:
                    return found

    def judge(self) -> tuple[int, list[str]]:
        """How many snapshots were compared with the world, and what is wrong with them."""
        return find_wrong_snapshots(self.stand, self.read_moments())

    def read_requests(self) -> dict[str, list[tuple[float, int]]]:
        """When the simulator was asked, and what it answered, by source."""
        found: dict[str, list[tuple[float, int]]] = {}
        for source, at, status in json.loads((self.stand.folder / "requests.json").read_text()):
            found.setdefault(source, []).append((at, status))
        return found

    def close(self) -> None:
        """End what still runs."""
        for process in [self.daemon, *(worker for worker in self.workers if worker)]:
            if process.process.poll() is None:
                process.kill()
        self.simulator.kill()
        self.simulator.wait(60)


@contextmanager
def opened(folder: Path, database_url: str, seed: int) -> Iterator[Fleet]:
    """A running simulator, and a daemon over it."""
    simulator = subprocess.Popen(
        [sys.executable, "-m", "tests.acceptance.moving_world", str(folder), str(seed)],
        env=build_environment(),
    )
    try:
        wait_until((folder / "site.json").exists, "the simulator answers")
    except AssertionError:
        simulator.kill()
        raise
    site = json.loads((folder / "site.json").read_text(encoding="utf-8"))
    (folder / "config").mkdir()
    (folder / "config" / "watched.yaml").write_text(site["watchlist"], encoding="utf-8")
    (folder / "config" / "indexer.toml").write_text(CONFIGURATION, encoding="utf-8")
    environment = build_environment({"INDEXER_DATABASE__URL": database_url, **site["environment"]})
    fleet = Fleet(open_stand(folder, seed, database_url), seed, simulator, environment)
    try:
        yield fleet
    finally:
        fleet.close()


def count_rows(database_url: str, statement: str) -> int:
    """How many rows a statement has."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        return len(connection.execute(statement.encode()).fetchall())
