"""The scenarios, contender after contender, repetition after repetition: A B C A B C, never A A A.

Every run starts from an empty database and goes through all scenarios in the same order.
"""

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.benchmarks import databases
from tests.benchmarks.answering import Answering, answering, measure_ceiling
from tests.benchmarks.books import Book
from tests.benchmarks.contenders import Command, Contender, Ours, Task, our_environment
from tests.benchmarks.machine import RunFailed, Taken, run_measured

FIRST: Final = "first load"
UNCHANGED: Final = "unchanged"
CHANGED: Final = "1 % changed"
MANY: Final = "rounds of 1 %"


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    book: Book
    repetitions: int
    #: Crawls with 1 % changed after the first of them.
    rounds: int


@dataclass(frozen=True, slots=True)
class Measure:
    """One scenario of one contender in one repetition."""

    contender: str
    scenario: str
    repetition: int
    seconds: float
    cpu_seconds: float
    #: Of the database's sessions.
    database_cpu_seconds: float
    peak_bytes: int
    database_bytes: int
    #: Of the tables with the result, after the scenario.
    history_bytes: int
    #: How much the scenario added to them.
    grown_bytes: int


@dataclass(frozen=True, slots=True)
class Run:
    """Everything one run of the benchmark found out."""

    plan: Plan
    server: str
    #: Holdings per second that a client which drops everything gets.
    ceiling: float
    measures: Sequence[Measure]
    #: Seconds per limit and repetition.
    limits: dict[str, list[float]]
    #: Seconds of an `indexer` process that has nothing to crawl.
    start_up: Sequence[float]
    skipped: dict[str, str]


def run_all(plan: Plan, contenders: Sequence[Contender], tell: Callable[[str], None]) -> Run:
    """Measure every contender that can run here."""
    skipped = {one.name: reason for one in contenders if (reason := one.missing())}
    measures: list[Measure] = []
    limits: dict[str, list[float]] = {"fetch": [], "parse": [], "copy": []}
    start_up: list[float] = []
    with databases.server() as server_url, answering(plan.book) as server:
        ceiling = measure_ceiling(server, plan.book)
        for repetition in range(plan.repetitions):
            for contender in [one for one in contenders if one.name not in skipped]:
                tell(f"{plan.book.shape} repetition {repetition + 1}: {contender.name}")
                try:
                    with _Stage(plan, contender, server, server_url) as stage:
                        measures += stage.perform(repetition)
                        if isinstance(contender, Ours):
                            start_up.append(stage.start_up())
                except RunFailed as error:
                    skipped[contender.name] = str(error)
            tell(f"{plan.book.shape} repetition {repetition + 1}: limits")
            for limit, seconds in _measure_limits(plan, server, server_url):
                limits[limit].append(seconds)
        described = databases.describe(server_url)
    return Run(plan, described, ceiling, measures, limits, start_up, skipped)


class _Stage:
    """One contender with a database, a folder and the API, for one repetition."""

    def __init__(self, plan: Plan, contender: Contender, server: Answering, server_url: str) -> None:
        self._plan = plan
        self._contender = contender
        self._server = server
        self._server_url = server_url
        self._held = ExitStack()

    def __enter__(self) -> "_Stage":
        with ExitStack() as held:
            folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="indexer-benchmark-")))
            name = self._contender.name.replace("-", "_")
            url = held.enter_context(databases.database(self._server_url, name))
            self._backends = held.enter_context(databases.sessions(self._server_url, url))
            self._held = held.pop_all()
        self._task = Task(self._plan.book, self._server.base_url, url, folder)
        self._task.addresses.write_text("\n".join(self._plan.book.addresses()), encoding="utf-8")
        self._contender.prepare(self._task)
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def perform(self, repetition: int) -> Iterator[Measure]:
        """All scenarios in order."""
        script = [(FIRST, [0]), (UNCHANGED, [0]), (CHANGED, [1])]
        if self._plan.rounds:
            script.append((MANY, list(range(2, 2 + self._plan.rounds))))
        before = 0
        for scenario, round_numbers in script:
            taken = [self._crawl(number) for number in round_numbers]
            size = databases.measure_size(self._task.database_url, self._contender.history)
            yield Measure(
                contender=self._contender.name,
                scenario=scenario,
                repetition=repetition,
                seconds=sum(one.seconds for one in taken),
                cpu_seconds=sum(one.cpu_seconds for one in taken),
                database_cpu_seconds=sum(one.database_cpu_seconds for one in taken),
                peak_bytes=max(one.peak_bytes for one in taken),
                database_bytes=size.database,
                history_bytes=size.history,
                grown_bytes=size.history - before,
            )
            before = size.history

    def _crawl(self, round_number: int) -> Taken:
        self._server.turn_to(round_number)
        taken = self._run(self._contender.command(self._task), f"round-{round_number}")
        if isinstance(self._contender, Ours):
            _check_outcomes(taken.output)
        held = databases.count(self._task.database_url, self._contender.held)
        if held < self._plan.book.total:
            raise RunFailed(f"{self._contender.name} holds {held} of {self._plan.book.total}")
        return taken

    def start_up(self) -> float:
        """Seconds in which `indexer` does everything but crawl."""
        words = [sys.executable, "-m", "indexer", "crawl", "--dry-run", "--json", "--config", "indexer.toml"]
        environment = our_environment(self._task.database_url)
        return self._run(Command(words, environment), "start-up").seconds

    def _run(self, command: Command, name: str) -> Taken:
        return run_measured(command.words, self._task.folder, command.environment, name, self._backends)


def _check_outcomes(output: str) -> None:
    outcomes = Counter(watch["outcome"] for watch in json.loads(output)["watches"])
    if set(outcomes) - {"published", "unchanged"}:
        raise RunFailed(f"indexer: {dict(outcomes)}")


def _measure_limits(plan: Plan, server: Answering, server_url: str) -> Iterator[tuple[str, float]]:
    book = plan.book
    server.turn_to(0)
    with (
        databases.database(server_url, "limits") as url,
        tempfile.TemporaryDirectory(prefix="indexer-benchmark-") as folder,
    ):
        words = [sys.executable, "-m", "tests.benchmarks.limits"]
        places = ["--base-url", server.base_url, "--database-url", url]
        for limit in ("fetch", "parse", "copy"):
            size = [limit, book.shape, str(book.accounts), str(book.holdings)]
            taken = run_measured([*words, *size, *places], Path(folder), our_environment(url), limit)
            yield limit, float(json.loads(taken.output)["seconds"])
