"""The daemon as it lives for years, in minutes: killed again and again while others come and go."""

import os
import random
import sys
from pathlib import Path

import pytest

from indexer.simulator.server import DEFAULT_LIMITS
from tests.acceptance import fleet
from tests.acceptance.fleet import Fleet


def find_busiest_second(times: list[float]) -> int:
    """The most requests in any one second."""
    busiest = first = 0
    for last, at in enumerate(times):
        while times[first] <= at - 1.0:
            first += 1
        busiest = max(busiest, last - first + 1)
    return busiest


def describe_around(seen: list[tuple[float, int]], at: float) -> str:
    """When the others came, in seconds before and after."""
    return ", ".join(f"{other - at:+.3f}" for other, _ in seen if abs(other - at) < 2.5)


def describe_before(times: list[float], at: float) -> str:
    """How long before."""
    return f"{at - max((time for time in times if time < at), default=0.0):.3f} s before"


def tell(line: str) -> None:
    """Shown when the test fails, and with `pytest -s`."""
    sys.stdout.write(f"{line}\n")


def check_everything(run: Fleet) -> None:
    """Every promise, once the world stands still."""
    run.fill()
    differences = run.come_to_rest()
    run.stop_all()
    compared, wrong = run.judge()
    requests = run.read_requests()
    refused = [
        f"{source} {describe_around(seen, at)}, last kill {describe_before(run.killed_at, at)}"
        for source, seen in requests.items()
        for at, status in seen
        if status == 429
    ]
    busiest = {source: find_busiest_second([at for at, _ in seen]) for source, seen in requests.items()}
    tell(f"{len(run.killed_at)} killed, {compared} snapshots compared")
    tell(f"{len(run.stops)} stopped, the slowest in {max(run.stops):.1f} s")
    tell(f"busiest seconds {busiest}, requests { {name: len(seen) for name, seen in requests.items()} }")

    assert run.problems == []
    assert differences == {}
    assert compared > 0
    assert wrong == []
    assert refused == []
    assert all(busiest[source] <= (DEFAULT_LIMITS[source] or 0) for source in requests)
    assert fleet.count_rows(run.stand.url, fleet.DOUBLED) == 0
    assert fleet.count_rows(run.stand.url, fleet.UNALIGNED) == 0
    assert run.stand.violations() == []


def test_a_fleet_that_is_killed_keeps_every_promise(database_url: str, tmp_path: Path) -> None:
    """Two kills and two that come or go: the same checks as in the long run."""
    with fleet.opened(tmp_path, database_url, seed=11) as run:
        for _ in range(2):
            run.shake()

        check_everything(run)


@pytest.mark.daemon_long
@pytest.mark.timeout(900)
def test_twenty_kills_while_workers_come_and_go(database_url: str, tmp_path: Path) -> None:
    """History is the simulator's truth, no due time was crawled twice, no rate limit exceeded."""
    seed = int(os.environ.get("INDEXER_TEST_SEED") or random.randrange(2**31))
    tell(f"INDEXER_TEST_SEED={seed}")
    with fleet.opened(tmp_path, database_url, seed) as run:
        for _ in range(20):
            run.shake()

        check_everything(run)
