"""The program as a process: quick to help, quiet when its reader leaves, whole from any folder."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.cli_program import PROGRAM, build_environment, run_program

#: None of these is needed to explain the program; together they cost half a second.
HEAVY = ("psycopg", "httpx", "sqlalchemy", "alembic", "uvicorn", "yaml", "structlog")


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    """Asking what there is answers at once."""
    program = (
        "import sys; from indexer.__main__ import main; main(['crawl', '--help']);"
        f" print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=build_environment(),
        capture_output=True,
        text=True,
        check=True,
    )

    assert "Usage: indexer crawl" in done.stdout
    assert done.stderr == "[]\n"


@pytest.mark.parametrize(
    "arguments", [["--help"], ["db", "roles"], ["init", "--help"], ["config", "show"]], ids=" ".join
)
def test_a_reader_that_leaves_is_no_failure_to_shout_about(arguments: list[str], tmp_path: Path) -> None:
    """`| head -1` gets no traceback; the exit code is that of a broken pipe."""
    process = subprocess.Popen(
        [*PROGRAM, *arguments],
        cwd=tmp_path,
        env=build_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None

    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()

    assert process.wait() == 141
    assert said == b""


@pytest.mark.parametrize("arguments", [["--version"], ["config", "show"]], ids=" ".join)
def test_a_disk_that_takes_no_output_is_said_once(arguments: list[str], tmp_path: Path) -> None:
    """With a code of ours: Python tries again at exit, and would end with 120 and words of its own."""
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [*PROGRAM, *arguments],
            cwd=tmp_path,
            env=build_environment({"PYTHONUNBUFFERED": ""}),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert done.returncode == 1
    assert done.stderr == "Error: The operating system refused: No space left on device.\n"


def test_roles_are_printed_without_a_database_or_configuration(tmp_path: Path) -> None:
    """An administrator gets the statements on any machine."""
    done = run_program(tmp_path, "db", "roles")

    assert done.returncode == 0
    assert "indexer_analyst" in done.stdout


def test_a_first_step_can_be_followed_by_the_next(tmp_path: Path) -> None:
    """`indexer init` then `indexer watchlist check`, as the note says; a second init changes nothing."""
    first = run_program(tmp_path, "init")
    check = run_program(tmp_path, "watchlist", "check")
    second = run_program(tmp_path, "init")

    assert (first.returncode, check.returncode, second.returncode) == (0, 0, 2), check.stderr
    assert "hedera" in check.stdout
    assert "exists already" in second.stderr


@pytest.mark.parametrize(
    ("closed", "is_heard"), [("2>&-", True), ("<&-", True), (">&-", False), (">&- 2>&-", False)]
)
def test_a_stream_that_is_closed_stops_nothing(tmp_path: Path, closed: str, is_heard: bool) -> None:
    """As some supervisors start programs; what is written there goes nowhere."""
    done = subprocess.run(
        ["bash", "-c", f'exec "$@" {closed}', "-", *PROGRAM, "config", "show"],
        check=False,
        cwd=tmp_path,
        env=build_environment({}),
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 0
    assert ("watchlists" in done.stdout) == is_heard


def test_an_instant_that_is_empty_is_not_now(tmp_path: Path) -> None:
    """What a script passes on when its variable is not set: today's answer would look like that day's."""
    done = run_program(tmp_path, "holdings", "--as-of", "")

    assert (done.returncode, done.stdout) == (2, "")
    assert "is not an instant" in done.stderr


def test_a_check_says_what_is_no_mistake_and_yet_not_wanted(tmp_path: Path) -> None:
    """A missing key, answers stale before the next crawl, an account nobody has, a file no pattern names."""
    run_program(tmp_path, "init")
    plain = run_program(tmp_path, "watchlist", "check")
    watchlist = tmp_path / "config" / "watchlist" / "mine.csv"
    solana = "1nc1nerator11111111111111111111111111111111"
    watchlist.write_text(f"source,address,every\nhedera,0.0.3,1d\nsolana_das,{solana},\nhedera,1.0.3,\n")
    watchlist.with_name("team.yml").write_text("addresses: []\n")

    doubtful = run_program(tmp_path, "watchlist", "check")

    assert (plain.returncode, doubtful.returncode) == (0, 0)
    assert "fresh_for" not in plain.stderr
    assert "shard" not in plain.stderr
    assert "is not read" not in plain.stderr
    assert "watchlist/mine.csv:4: the public networks of Hedera have shard 0" in doubtful.stderr
    assert "watchlist/mine.csv:2 with every = 1d and fresh_for = 3h" in doubtful.stderr
    assert "solana_das needs INDEXER_SOURCES__SOLANA_DAS__API_KEY" in doubtful.stderr
    assert "watchlist/team.yml is not read" in doubtful.stderr.replace("\n", " ")


def test_a_check_says_what_will_never_be_crawled(tmp_path: Path) -> None:
    """Loopring has its key and still no server to ask; Hedera is switched off, and needs nothing."""
    run_program(tmp_path, "init")
    watchlist = tmp_path / "config" / "watchlist" / "example.yaml"
    entry = '{source: loopring, address: "0x000000000000000000000000000000000000dead"}'
    watchlist.write_text(f"addresses:\n  - {entry}\n  - {{source: hedera, address: 0.0.2}}\n")
    given = {"INDEXER_SOURCES__LOOPRING__API_KEY": "x", "INDEXER_SOURCES__HEDERA__ENABLED": "false"}

    done = run_program(tmp_path, "watchlist", "check", environment=given)

    assert done.returncode == 0
    assert "nothing is crawled until sources.loopring.base_url names a server" in done.stderr
    assert "nothing is crawled while sources.hedera.enabled is false" in done.stderr
