"""`indexer crawl` as scripts see it: exit codes, JSON, and requests that are (not) sent."""

import json
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psycopg
import pytest

from indexer.simulator import Fault, Simulator, World
from tests.acceptance.cli_program import PROGRAM, build_environment, run_program

pytestmark = pytest.mark.timeout(120)

SIZES = {"hedera": (3,), "algorand": (2, 0)}


class Installation:
    """A configured folder, a database and simulated APIs."""

    def __init__(self, folder: Path, simulator: Simulator, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.simulator = simulator
        self._environment = environment

    def run(
        self, *arguments: str, environment: Mapping[str, str] = MappingProxyType({})
    ) -> subprocess.CompletedProcess[str]:
        """`indexer …` in a process of its own."""
        return run_program(self.folder, *arguments, environment={**self._environment, **environment})

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """`indexer …` in a process that is still running."""
        return subprocess.Popen(
            [*PROGRAM, *arguments],
            cwd=self.folder,
            env=build_environment(self._environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def crawl(self, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
        """The exit code and the outcomes of `indexer crawl --json`."""
        done = self.run("crawl", "--json", *arguments)
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)["watches"]


@pytest.fixture
def installation(database_url: str, tmp_path: Path) -> Iterator[Installation]:
    """Three watches on two sources, nothing crawled yet."""
    world = World.build(3, SIZES)
    (tmp_path / "config" / "watchlist").mkdir(parents=True)
    (tmp_path / "config" / "watchlist" / "all.yaml").write_text(world.watchlist_yaml(), encoding="utf-8")
    with Simulator(world, limits=dict.fromkeys(SIZES)) as simulator:
        fast = {f"INDEXER_SOURCES__{name.upper()}__REQUESTS_PER_SECOND": "200" for name in SIZES}
        environment = {"INDEXER_DATABASE__URL": database_url} | simulator.environment() | fast
        yield Installation(tmp_path, simulator, environment)


def test_a_pass_publishes_every_watch_and_a_second_finds_it_unchanged(installation: Installation) -> None:
    """Exit code 0 and one outcome per watch, each with its instant."""
    first_code, first = installation.crawl()
    second_code, second = installation.crawl()

    assert (first_code, second_code) == (0, 0)
    assert [row["outcome"] for row in first] == ["published"] * 3
    assert sorted(row["holdings"] for row in first) == [0, 2, 3]
    assert {row["outcome"] for row in second} == {"unchanged"}
    assert all(row["snapshot_at"].endswith("Z") for row in [*first, *second])


def test_a_pass_makes_room_as_a_daemon_would(installation: Installation, database_url: str) -> None:
    """Where cron runs `indexer crawl` nobody else folds, or drops what is older than its retention."""
    tasks = "SELECT task, begun_at, found FROM ledger.upkeep ORDER BY task"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SELECT ledger.ensure_raw_partitions('2025-01-01', 1)")
        first = installation.run("crawl", environment={"INDEXER_RETENTION__RAW": "90d"})
        done = connection.execute(tasks).fetchall()
        installation.run("crawl", environment={"INDEXER_RETENTION__RAW": "90d"})

        assert first.returncode == 0, first.stderr
        assert connection.execute("SELECT to_regclass('ledger.raw_page_202501')").fetchone() == (None,)
        assert [task for task, _, _ in done] == ["folding", "retention"]
        assert connection.execute(tasks).fetchall() == done, "before an hour has passed nothing is due"


def test_passes_in_a_row_leave_little_behind(installation: Installation, database_url: str) -> None:
    """What repeats is folded by the passes after it, and every crawl is still told of."""
    asked = [len(installation.simulator.log) for _ in range(6) if installation.crawl()[0] == 0]

    with psycopg.connect(database_url, autocommit=True) as connection:
        whole = connection.execute("SELECT count(*) FROM ledger.snapshot").fetchone()
        told = connection.execute("SELECT count(*), sum(requests) FROM report.crawls").fetchone()

    # The first, the newest, and where a pass followed at once the one before it.
    assert whole in ((2 * 3,), (3 * 3,))
    assert told == (6 * 3, asked[-1])


def test_a_pass_in_which_all_changed_leaves_folding_to_the_next(
    installation: Installation, database_url: str
) -> None:
    """Nobody waits for what is of little use: the next pass adds a crawl, and the last repeat goes."""
    whole = []
    long_ago = (
        "UPDATE ledger.crawl_pass SET started_at = started_at - interval '1 hour',"
        " touched_at = touched_at - interval '1 hour', finished_at = finished_at - interval '1 hour'"
    )
    with psycopg.connect(database_url, autocommit=True) as connection:
        for step in range(5):
            if step == 3:
                assert installation.simulator.world.churn(1.0, step) > 0
            code, outcomes = installation.crawl("--source", "hedera")
            assert (code, outcomes[0]["outcome"]) == (0, "published" if step in (0, 3) else "unchanged")
            connection.execute(long_ago)
            whole.append(connection.execute("SELECT count(*) FROM ledger.snapshot").fetchone())

    assert whole == [(1,), (2,), (2,), (3,), (3,)]


def test_a_pass_asks_for_nothing_it_has_no_room_for(installation: Installation) -> None:
    """As a daemon pauses, a command ends, with a sentence; the next one goes on with the same pass."""
    floor = {"INDEXER_RETENTION__MIN_FREE_SPACE": "900000TB"}

    full = installation.run("crawl", environment=floor)
    asked = len(installation.simulator.log)
    code, outcomes = installation.crawl()

    assert (full.returncode, asked) == (4, 0), full.stderr
    assert "free on the disk of the database" in full.stderr
    assert (code, len(outcomes)) == (0, 3)


def test_a_pass_is_as_good_where_room_cannot_be_made(installation: Installation, database_url: str) -> None:
    """Its outcomes are told, and why."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DROP FUNCTION ledger.fold_unchanged(bigint, integer, timestamptz)")

    done = installation.run("crawl", "--json")

    assert done.returncode == 0
    assert {row["outcome"] for row in json.loads(done.stdout)["watches"]} == {"published"}
    assert "upkeep failed" in done.stderr


def test_a_list_that_is_suddenly_empty_exits_3(installation: Installation) -> None:
    """A script notices; the holdings stand; a person is told what to type."""
    installation.crawl()
    installation.simulator.faults.add(Fault("hedera", "empty_200", times=None))

    code, outcomes = installation.crawl("--source", "hedera")
    held = installation.run("holdings", "--format", "json")
    status = installation.run("status")

    assert code == 3
    assert [row["outcome"] for row in outcomes] == ["quarantined"]
    assert len(json.loads(held.stdout)["holdings"]) == 5
    assert "indexer release" in status.stdout


@pytest.mark.parametrize(("word", "left"), [("release", 2), ("reject", 5)])
def test_a_person_decides_about_a_disbelieved_list(word: str, left: int, installation: Installation) -> None:
    """Released, the empty list is history; rejected, the holdings stand; a second word is refused."""
    installation.crawl()
    installation.simulator.faults.add(Fault("hedera", "empty_200", times=None))
    installation.crawl("--source", "hedera")
    (waiting,) = json.loads(installation.run("status", "--json").stdout)["quarantine"]
    command = [word, str(waiting["snapshot_id"])]

    first = installation.run(*command)
    again = installation.run(*command)

    assert (first.returncode, again.returncode) == (0, 2), first.stderr
    assert waiting[f"{word}_command"] == f"indexer {' '.join(command)}"
    assert len(json.loads(installation.run("holdings", "--format", "json").stdout)["holdings"]) == left


def test_an_address_selects_its_watch_in_any_spelling(installation: Installation) -> None:
    """Only that watch is crawled."""
    address = next(row.address for row in installation.simulator.world.watchlist() if row.source == "hedera")

    code, outcomes = installation.crawl("--address", f" {address}".strip())

    assert code == 0
    assert [(row["source"], row["address"]) for row in outcomes] == [("hedera", address)]


@pytest.mark.parametrize("arguments", [["--source", "okx_runes"], ["--address", "0.0.999999"]])
def test_a_selection_that_matches_nothing_exits_2_and_names_what_there_is(
    arguments: list[str], installation: Installation
) -> None:
    """A typo in a cron line does not look like success."""
    done = installation.run("crawl", *arguments)

    assert done.returncode == 2
    assert done.stdout == ""
    assert "algorand, hedera" in done.stderr


def test_a_dry_run_sends_nothing(installation: Installation) -> None:
    """It only estimates."""
    done = installation.run("crawl", "--dry-run", "--json")

    assert done.returncode == 0, done.stderr
    plans = json.loads(done.stdout)["plan"]
    assert {plan["source"]: plan["watches"] for plan in plans} == {"algorand": 2, "hedera": 1}
    assert installation.simulator.log == []


@pytest.mark.parametrize(("told", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_pass_ends_soon_and_is_joined_by_the_next(
    told: signal.Signals, code: int, installation: Installation
) -> None:
    """Ctrl-C in the middle of a request: no traceback, and the next pass finishes what is left."""
    asked = threading.Event()
    go_on = threading.Event()

    def hold(_source: str, _inquiry: object) -> None:
        asked.set()
        go_on.wait(60)

    installation.simulator.before_answer = hold
    process = installation.start("crawl", "--json")
    assert asked.wait(60)
    process.send_signal(told)
    out, err = process.communicate(timeout=10)
    installation.simulator.before_answer = None
    go_on.set()

    assert (process.returncode, out) == (code, "")
    assert "Traceback" not in err
    assert installation.crawl()[0] == 0
