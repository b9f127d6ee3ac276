"""The first thing a newcomer types."""

from pathlib import Path

import pytest

from tests.acceptance.cli_program import run_program

pytestmark = pytest.mark.timeout(120)


#: What a shell may have for another server. Some of it wins over a URL.
_ELSEWHERE = {
    "PGHOSTADDR": "127.0.0.2",
    "PGSERVICE": "elsewhere",
    "PGUSER": "somebody",
    "PGSSLMODE": "require",
}


def test_the_demo_shows_history_and_a_disbelieved_outage_and_can_be_asked_later(tmp_path: Path) -> None:
    """All five sources, now and earlier, and a command that opens its database after it ended."""
    place = tmp_path / "demo"

    demo = run_program(tmp_path, "demo", "--folder", str(place), environment=_ELSEWHERE)

    assert demo.returncode == 0, demo.stderr
    for source in ("okx_runes", "solana_das", "algorand", "loopring", "hedera"):
        assert source in demo.stdout
    assert "lists nothing where" in demo.stdout
    assert f"indexer db psql --config {place / 'indexer.toml'}" in demo.stdout
    asked = run_program(
        tmp_path,
        *("db", "psql", "--config", str(place / "indexer.toml"), "--", "-Atc"),
        "SELECT count(*) FROM report.quarantine",
        environment=_ELSEWHERE,
    )
    assert (asked.returncode, asked.stdout) == (0, "1\n"), asked.stderr


def test_a_second_demo_starts_again(tmp_path: Path) -> None:
    """Nothing of the first is left to confuse: one first sight of each holding."""
    place = tmp_path / "demo"
    config = str(place / "indexer.toml")
    count = "SELECT count(DISTINCT judged_at) FROM report.snapshots WHERE state = 'quarantined'"

    runs = [run_program(tmp_path, "demo", "--folder", str(place)) for _ in range(2)]

    assert [done.returncode for done in runs] == [0, 0], runs[1].stderr
    asked = run_program(tmp_path, "db", "psql", "--config", config, "--", "-Atc", count)
    assert asked.stdout == "1\n"
