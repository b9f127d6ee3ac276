"""`indexer run` and `indexer work` as processes on one database and one simulator."""

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import psycopg

from indexer.simulator import Simulator, World
from tests.acceptance.cli_program import PROGRAM, build_environment

Result = TypeVar("Result")

#: Generous: the machine may be busy. A test that hangs fails by it, none is slowed down.
DEADLINE_SECONDS: Final = 60.0

CONFIGURATION: Final = """\
watchlists = ["watchlist/*.yaml"]
[defaults]
every = "{every}"
[guard]
confirm_after = "1s"
[retention]
min_free_space = "{floor}"
[daemon]
tick = "250ms"
lease = "10s"
"""


def wait_until(ask: Callable[[], Result], what: str, patience: float = DEADLINE_SECONDS) -> Result:
    """The first answer that is true, asked again and again."""
    give_up = time.monotonic() + patience
    while time.monotonic() < give_up:
        answer = ask()
        if answer:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"waited in vain until {what}")


class Process:
    """One `indexer` process; its log is in a file."""

    def __init__(self, arguments: list[str], folder: Path, environment: Mapping[str, str], log: Path) -> None:
        self.log = log
        with log.open("w") as stream:
            self.process = subprocess.Popen(
                [*PROGRAM, *arguments], cwd=folder, env=environment, stdout=stream, stderr=stream
            )

    def read_log(self) -> str:
        """Everything it said."""
        return self.log.read_text(encoding="utf-8")

    def wait_for_log(self, words: str) -> None:
        """Return when it has said this."""
        wait_until(lambda: words in self.read_log() or self.process.poll() is not None, f"log says {words}")
        assert words in self.read_log(), self.read_log()[-3000:]

    def kill(self) -> None:
        """As the kernel does when memory runs out."""
        self.process.kill()
        self.process.wait(DEADLINE_SECONDS)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Tell it to stop; its exit code, and how long that took."""
        began = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(DEADLINE_SECONDS), time.monotonic() - began

    @property
    def door(self) -> str:
        """Where its status door is."""
        self.wait_for_log("status door open")
        found = re.search(r'"address": "([^"]+)"[^\n]*status door open', self.read_log())
        assert found is not None
        return f"http://{found[1]}"

    def ask(self, path: str) -> tuple[int, str]:
        """Status and body of a page of the status door."""
        try:
            with urllib.request.urlopen(f"{self.door}{path}", timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def read_metric(self, name: str) -> float:
        """The sum of a metric over its labels; 0 where it is not there."""
        lines = re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", self.ask("/metrics")[1], re.MULTILINE)
        return sum(float(value) for value in lines)


class Site:
    """A folder with a configuration, a database, simulated APIs, and the processes that use them."""

    def __init__(self, folder: Path, simulator: Simulator, database_url: str) -> None:
        self.folder = folder
        self.simulator = simulator
        self.database_url = database_url
        self.processes: list[Process] = []
        self.extra_environment: dict[str, str] = {}
        (folder / "config" / "watchlist").mkdir(parents=True)
        self.write_watchlist(simulator.world.watchlist_yaml())
        self.configure()

    def configure(self, every: str = "2s", floor: str = "1MiB", more: str = "") -> None:
        """Write the configuration file."""
        text = CONFIGURATION.format(every=every, floor=floor) + more
        (self.folder / "config" / "indexer.toml").write_text(text, encoding="utf-8")

    def write_watchlist(self, text: str) -> None:
        """Write the watchlist file, all at once as an editor does."""
        place = self.folder / "config" / "watchlist" / "all.yaml"
        draft = place.with_suffix(".draft")
        draft.write_text(text, encoding="utf-8")
        draft.rename(place)

    def environment(self) -> dict[str, str]:
        """What the processes are given."""
        rates = {
            f"INDEXER_SOURCES__{name.upper()}__REQUESTS_PER_SECOND": "500" for name in self.simulator.secrets
        }
        given = {"INDEXER_DATABASE__URL": self.database_url, **self.simulator.environment(), **rates}
        return build_environment({**given, **self.extra_environment})

    def start(self, *arguments: str) -> Process:
        """`indexer …` in a process of its own."""
        log = self.folder / f"process{len(self.processes)}.log"
        process = Process(list(arguments), self.folder, self.environment(), log)
        self.processes.append(process)
        return process

    def run_daemon(self) -> Process:
        """`indexer run` with a status door on a free port."""
        return self.start("run", "--listen", "127.0.0.1:0")

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows from the database."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            return connection.execute(statement.encode()).fetchall()

    def count(self, condition: str) -> int:
        """Watches of crawls that fulfil a condition."""
        statement = (
            f"SELECT count(*) FROM ledger.crawl_watch JOIN ledger.crawl USING (crawl_id) WHERE {condition}"
        )
        return int(self.query(statement)[0][0])

    def wait_for(self, condition: str, at_least: int = 1) -> None:
        """Return when so many watches of crawls fulfil a condition."""

        def is_there() -> bool:
            for process in self.processes:
                assert process.process.poll() in (None, 0, -9), process.read_log()[-2000:]
            return self.count(condition) >= at_least

        wait_until(is_there, f"{at_least} × {condition}")

    def close(self) -> None:
        """End what still runs."""
        for process in self.processes:
            if process.process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.process.pid, signal.SIGCONT)
                process.kill()


@contextlib.contextmanager
def opened(folder: Path, database_url: str, world: World) -> Iterator[Site]:
    """A site whose simulator allows any rate."""
    with Simulator(world) as simulator:
        simulator.rate_limits = dict.fromkeys(simulator.rate_limits)
        site = Site(folder, simulator, database_url)
        try:
            yield site
        finally:
            site.close()


def hold_requests(simulator: Simulator) -> tuple[threading.Event, threading.Event]:
    """Let every request wait. Set when the first has arrived; to be set to let them go."""
    asked, go_on = threading.Event(), threading.Event()

    def hold(_source: str, _inquiry: object) -> None:
        asked.set()
        go_on.wait(60)

    simulator.before_answer = hold
    return asked, go_on
