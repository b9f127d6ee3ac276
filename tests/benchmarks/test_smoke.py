"""The benchmark itself works: tiny numbers, ours alone, every scenario and every limit."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.benchmarks.__main__ import measure
from tests.benchmarks.answering import answering
from tests.benchmarks.books import CHANGED_IN, Answers, Book, generation
from tests.benchmarks.machine import RunFailed, run_measured
from tests.benchmarks.rounds import CHANGED, FIRST, MANY, UNCHANGED


@pytest.fixture(autouse=True)
def use_the_tests_server(server_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server of the other tests, not another one."""
    monkeypatch.setenv("INDEXER_TEST_DATABASE__URL", server_url)


def test_every_scenario_and_limit_is_measured(tmp_path: Path) -> None:
    """A run of ours alone ends with every number there is, in the table and in the file."""
    file = tmp_path / "numbers.json"
    words = ["--shape", "hedera", "--peers", "none", "--accounts", "2", "--holdings", "200"]

    (run,) = measure([*words, "--repetitions", "1", "--rounds", "1", "--json", str(file)])

    assert run.skipped == {}
    assert [measure.scenario for measure in run.measures] == [FIRST, UNCHANGED, CHANGED, MANY]
    assert all(measure.seconds > 0 and measure.peak_bytes > 0 for measure in run.measures)
    assert all(len(seconds) == 1 for seconds in run.limits.values())
    assert json.loads(file.read_text())[0]["measures"][0]["contender"] == "indexer"


@pytest.mark.parametrize("shape", ["algorand", "hedera"])
def test_a_round_changes_one_holding_in_a_hundred(shape: str) -> None:
    """What is measured as 1 % is 1 %, of every account and in every round."""
    book = Book(shape, 2, 300)

    changed = [
        sum(
            generation(number, account, position) != generation(number - 1, account, position)
            for position in range(book.holdings)
        )
        for account in range(book.accounts)
        for number in (1, 2, 3)
    ]

    assert changed == [book.holdings // CHANGED_IN] * 6


def test_the_server_gives_the_pages_of_the_round() -> None:
    """Another round has other answers, and turning back gives the first ones again."""
    import http.client

    book = Book("hedera", 1, 150)
    target = book.first_targets()[0]
    with answering(book) as server:
        bodies = []
        for number in (0, 1, 0):
            server.turn_to(number)
            connection = http.client.HTTPConnection("127.0.0.1", server.port)
            connection.request("GET", target)
            bodies.append(connection.getresponse().read())
            connection.close()

    assert bodies[0] == bodies[2] != bodies[1]
    assert bodies[0] == Answers(book, 0).everything()[target]


def test_a_contender_that_fails_says_its_last_words(tmp_path: Path) -> None:
    """A failure is reported with what the program said, not as a time."""
    with pytest.raises(RunFailed, match="no such luck"):
        run_measured(
            ["bash", "-c", "echo no such luck >&2; exit 4"], tmp_path, {"PATH": "/usr/bin:/bin"}, "x"
        )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_benchmark_that_is_told_to_end_leaves_no_server(number: signal.Signals) -> None:
    """A time limit around it is usual; its server would work on for nobody."""
    program = (
        "from tests.benchmarks.databases import server\nwith server() as url: print(url, flush=True); input()"
    )
    environ = {name: text for name, text in os.environ.items() if name != "INDEXER_TEST_DATABASE__URL"}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ, text=True
    ) as running:
        assert running.stdout is not None
        url = running.stdout.readline().strip()
        psycopg.connect(url).close()

        running.send_signal(number)

        assert running.wait(timeout=60) == 128 + number
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url, connect_timeout=5)
