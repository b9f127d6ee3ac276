"""`python -m tests.benchmarks.scale`: our cost as watches, history, accounts, processes and latency grow.

Ours alone: no peer is asked. Every number is of a whole `indexer` process, its start-up included.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from types import MappingProxyType
from typing import Final

import psutil  # type: ignore[import-untyped,unused-ignore]
import psycopg

from tests.benchmarks import databases
from tests.benchmarks.answering import Answering, answering
from tests.benchmarks.books import Book
from tests.benchmarks.contenders import Ours, Task, our_environment
from tests.benchmarks.machine import Taken, run_measured

_MIB: Final = 1024 * 1024


#: More holdings than these are too much to hold in memory as pages.
_READY_VERSIONS: Final = 1_000_000


def say(line: str) -> None:
    """One line of the result, as soon as it is known."""
    print(line, flush=True)  # noqa: T201  a program of the terminal


@dataclass(frozen=True, slots=True)
class _Scene:
    """`indexer` with a database, a folder and the API."""

    task: Task
    server: Answering

    def crawl(self, *words: str) -> Taken:
        """One `indexer crawl`, measured."""
        command = [sys.executable, "-m", "indexer", "crawl", "--json", "--config", "indexer.toml", *words]
        return run_measured(command, self.task.folder, our_environment(self.task.database_url), "crawl")

    def start(self, *words: str) -> "subprocess.Popen[bytes]":
        """A process that goes on by itself."""
        return subprocess.Popen(
            [sys.executable, "-m", "indexer", *words, "--config", "indexer.toml"],
            cwd=self.task.folder,
            env=our_environment(self.task.database_url),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def start_up_seconds(self) -> float:
        """What a process costs before it does anything."""
        return self.crawl("--dry-run").seconds


@contextmanager
def _scene(
    book: Book, server_url: str, *, ready: bool = True, latency_seconds: float = 0.0, concurrency: int = 4
) -> Iterator[_Scene]:
    with (
        answering(book, ready=ready, latency_seconds=latency_seconds) as server,
        databases.database(server_url, "scale") as url,
        tempfile.TemporaryDirectory(prefix="indexer-benchmark-") as folder,
    ):
        task = Task(book, server.base_url, url, Path(folder))
        Ours(concurrency).prepare(task)
        yield _Scene(task, server)


def grow_watches(server_url: str, limit: int) -> None:
    """Cost per crawl from 100 watches to ``limit``, three holdings each; then the daemon at rest."""
    for accounts in _tenfold(100, limit):
        with _scene(Book("algorand", accounts, 3), server_url) as scene:
            start_up = scene.start_up_seconds()
            first, again = scene.crawl(), scene.crawl()
            say(
                f"{accounts:>8,} watches: first {_each(first, start_up, accounts)}, unchanged"
                f" {_each(again, start_up, accounts)}, start-up {start_up:.2f} s,"
                f" peak {again.peak_bytes / _MIB:.0f} MiB"
            )
            _rest(scene, accounts)


def _rest(scene: _Scene, accounts: int) -> None:
    """The daemon when nothing is due."""
    with scene.start("run", "--listen", "127.0.0.1:0") as process:
        try:
            time.sleep(10)  # starting up is not resting
            watched = psutil.Process(process.pid)
            before = watched.cpu_times()
            time.sleep(20)
            after = watched.cpu_times()
            used = after.user + after.system - before.user - before.system
            memory = f"{watched.memory_info().rss / _MIB:.0f} MiB"
            say(f"{'':>8} daemon at rest with {accounts:,}: {100 * used / 20:.1f} % of a core, {memory}")
        finally:
            process.terminate()


def grow_history(server_url: str, limit: int) -> None:
    """Cost of one account's crawl, and of as-of, as history grows from 10 000 to ``limit`` versions."""
    for versions in _tenfold(10_000, limit):
        book = Book("algorand", versions // 1000, 1000)
        # Ten million holdings are seven gigabytes of pages: these are rendered when they are asked for.
        with _scene(book, server_url, ready=versions <= _READY_VERSIONS) as scene:
            load = scene.crawl()
            start_up = scene.start_up_seconds()
            one = book.addresses()[book.accounts // 2]
            same = [scene.crawl("--address", one) for _ in range(3)]
            scene.server.turn_to(1)
            changed = scene.crawl("--address", one)
            say(
                f"{versions:>10,} versions: load {load.seconds:.1f} s; one account of 1000:"
                f" unchanged {1000 * (median(t.seconds for t in same) - start_up):.0f} ms,"
                f" changed {1000 * (changed.seconds - start_up):.0f} ms; {_as_of(scene.task)}"
            )


def _as_of(task: Task) -> str:
    """Milliseconds of as-of for one address, many times."""
    seconds: list[float] = []
    with psycopg.connect(task.database_url, autocommit=True) as connection:
        connection.execute("ANALYZE")
        for address in (task.book.addresses() * 200)[:200]:
            started = time.perf_counter()
            connection.execute(
                "SELECT count(*) FROM report.holdings_as_of(now()) WHERE address = %s", [address]
            ).fetchone()
            seconds.append(time.perf_counter() - started)
        started = time.perf_counter()
        connection.execute("SELECT count(*), sum(quantity) FROM report.holdings_as_of(now())").fetchone()
        book = time.perf_counter() - started
    p99 = quantiles(seconds, n=100)[98]
    return f"as-of p50 {1000 * median(seconds):.1f} ms, p99 {1000 * p99:.1f} ms, whole book {book:.2f} s"


def grow_account(server_url: str, limit: int) -> None:
    """One account of ``limit`` (a million) holdings: seconds and memory, in pages of 1000 and of 100."""
    for shape in ("algorand", "hedera"):
        with _scene(Book(shape, 1, limit), server_url, ready=False) as scene:
            for name, round_number in (("first", 0), ("unchanged", 0), ("1 % changed", 1)):
                scene.server.turn_to(round_number)
                taken = scene.crawl()
                say(
                    f"{shape} {limit:,} holdings, {name}: {taken.seconds:.1f} s,"
                    f" {limit / taken.seconds:,.0f} holdings/s, peak {taken.peak_bytes / _MIB:.0f} MiB"
                    f" (outcome {json.loads(taken.output)['watches'][0]['outcome']})"
                )


def add_processes(server_url: str, limit: int) -> None:
    """The same pass by one process and by two at once: the second joins the first."""
    seconds = {}
    for processes in (1, 2):
        with _scene(Book("algorand", limit, 1000), server_url) as scene:
            started = time.perf_counter()
            helpers = [scene.start("crawl", "--json") for _ in range(processes - 1)]
            scene.crawl()
            for helper in helpers:
                helper.wait()
            seconds[processes] = time.perf_counter() - started
            say(f"{processes} process(es), {limit} accounts of 1000: {seconds[processes]:.1f} s")
    faster = seconds[1] / seconds[2]
    say(f"two processes are {faster:.2f} x as fast (the API and the database share the cores)")


def add_latency(server_url: str, limit: int) -> None:
    """An API 200 ms away, four requests at a time: the ideal is a quarter of the sum of the waits."""
    book = Book("hedera", limit, 1000)
    with _scene(book, server_url, latency_seconds=0.2) as scene:
        start_up = scene.start_up_seconds()
        taken = scene.crawl()
        ideal = 0.2 * book.accounts * book.pages_per_account / 4
        work = taken.seconds - start_up
        say(
            f"{book.accounts * book.pages_per_account} requests at 200 ms, four at a time:"
            f" {work:.1f} s of crawling, ideal {ideal:.1f} s, {100 * ideal / work:.0f} % of it"
        )


def _tenfold(start: int, limit: int) -> Iterator[int]:
    number = start
    while number <= limit:
        yield number
        number *= 10


def _each(taken: Taken, start_up: float, count: int) -> str:
    return f"{1e6 * max(taken.seconds - start_up, 0) / count:,.0f} us each"


Experiment = Callable[[str, int], None]

#: By name: what is run, and how far it goes unless told.
EXPERIMENTS: Final[Mapping[str, tuple[Experiment, int]]] = MappingProxyType(
    {
        "watches": (grow_watches, 100_000),
        "versions": (grow_history, 1_000_000),
        "account": (grow_account, 1_000_000),
        "processes": (add_processes, 100),
        "latency": (add_latency, 20),
    }
)


def main(words: Sequence[str] | None = None) -> None:
    """Run the experiments that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.scale", description=__doc__)
    parser.add_argument("experiments", nargs="*", help=f"of {', '.join(EXPERIMENTS)}; none: all")
    parser.add_argument("--limit", type=int, help="how far it goes: watches, versions, holdings or accounts")
    given = parser.parse_args(words)
    unknown = set(given.experiments) - set(EXPERIMENTS)
    if unknown:
        parser.error(f"no experiment is named {', '.join(sorted(unknown))}")
    with databases.server() as server_url:
        say(databases.describe(server_url))
        for name in given.experiments or EXPERIMENTS:
            experiment, limit = EXPERIMENTS[name]
            say(f"\n{name}: {(experiment.__doc__ or '').strip()}")
            experiment(server_url, given.limit or limit)


if __name__ == "__main__":
    main()
