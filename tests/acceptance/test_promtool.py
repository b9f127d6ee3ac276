"""Prometheus' own tool reads our rules and our metrics.

Skipped where it is not installed; Debian has it in the package `prometheus`.
"""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer.metrics import DatabaseFigures, Metrics
from indexer.simulator import World
from indexer.store.upkeep import SourceFigures
from tests.acceptance.daemons import Site, opened

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed"),
]

RULES = Path(__file__).resolve().parents[2] / "config" / "prometheus"


def promtool(*arguments: str, given: str = "") -> str:
    """What it says; it must be content."""
    done = subprocess.run(
        ["promtool", *arguments], cwd=RULES, input=given, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[Site]:
    """A few watches, due every two seconds."""
    with opened(tmp_path, database_url, World.build(3, {"hedera": (3, 120), "algorand": (2,)})) as made:
        yield made


def test_the_rules_are_rules() -> None:
    """Every expression parses, and every template."""
    assert "11 rules found" in promtool("check", "rules", "alerts.yml")


def test_each_alert_fires_when_it_should_and_only_then() -> None:
    """A daemon in good order fires none."""
    assert "SUCCESS" in promtool("test", "rules", "alerts_test.yml")


def test_every_metric_is_well_formed() -> None:
    """Names, types and help texts follow the conventions, whatever was counted."""
    metrics = Metrics()
    figures = SourceFigures("hedera", False, 3, 1, 0, 60.0, 0, 2, 1, 4.0)
    metrics.see_figures(DatabaseFigures([figures], 0, {"space": 1}))

    assert promtool("check", "metrics", given=metrics.render().decode()) == ""


def test_the_status_door_of_a_working_daemon_is_well_formed(site: Site) -> None:
    """As Prometheus gets it, with every source at work."""
    daemon = site.run_daemon()
    site.wait_for("verdict = 'published'", 3)

    assert promtool("check", "metrics", given=daemon.ask("/metrics")[1]) == ""
    assert daemon.stop()[0] == 0
