"""Workers die, sleep, lose their connections and meet broken APIs while the world moves: history stays true.

`INDEXER_TEST_CHAOS_SEED` runs one seed again; a failure prints the one to give it.
"""

import os
import secrets
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

import pytest

from indexer.simulator import World
from indexer.simulator.positions import SOURCES
from tests.faults.chaos import Chaos
from tests.faults.chaos_judgement import find_wrong_snapshots
from tests.faults.stand import PUBLISHED, Stand, built

SETTINGS: Final = {
    "INDEXER_LOG__LEVEL": "ERROR",
    "INDEXER_DAEMON__LEASE": "2s",
    "INDEXER_DEFAULTS__TIMEOUT": "1s",
}
SIZES: Final = dict.fromkeys(SOURCES, (12, 7))


@pytest.fixture
def stand(database_url: str, tmp_path: Path) -> Iterator[Stand]:
    """Two accounts at each source, known as they are."""
    with built(database_url, tmp_path, World.build(3, SIZES), SETTINGS) as made:
        yield made


def choose_seed() -> int:
    """The one that is asked for, else a new one."""
    return int(os.environ.get("INDEXER_TEST_CHAOS_SEED") or secrets.randbelow(10**6))


def run_chaos(stand: Stand, seconds: float, least_faults: int, at_once: int = 1) -> None:
    """Break things for a while, let everything recover, judge."""
    chaos = Chaos(stand, choose_seed(), faults=at_once)
    chaos.note_moment()
    stand.crawl()
    until = time.monotonic() + seconds
    with chaos.working():
        while time.monotonic() < until or len(stand.simulator.faults.struck) < least_faults:
            chaos.act()
    (last,) = stand.rows("SELECT max(snapshot_at) FROM ledger.snapshot")[0]
    assert isinstance(last, datetime)
    for moment in chaos.moments:
        chaos.remember(min(moment.began, last))
    check_recovery(chaos)


def check_recovery(chaos: Chaos) -> None:
    """Without faults everything is published and true; no answer about the past has changed."""
    stand = chaos.stand
    told = (
        f"INDEXER_TEST_CHAOS_SEED={chaos.seed}, {chaos.counts}, {len(stand.simulator.faults.struck)} faults"
    )
    stand.simulator.faults.clear()
    stand.crawl()  # joins what the killed workers left: outcomes that were given stay given
    outcomes = [outcome for _ in range(2) for outcome in stand.crawl().values()]
    compared, wrong = find_wrong_snapshots(stand, chaos.moments)
    chaos.ask_again()

    assert chaos.problems == [], f"{told}\n" + "\n".join(chaos.problems)
    assert [outcome for outcome in outcomes if outcome.outcome not in PUBLISHED] == [], told
    assert not wrong, f"{told}\n" + "\n".join(wrong)
    assert compared > 20, told
    assert {watch: known.certain for watch, known in stand.known().items()} == stand.truth(), told
    assert stand.violations() == [], told


def test_history_stays_true_in_a_short_storm(stand: Stand) -> None:
    """Every published snapshot was true when it says; nothing lost, doubled or changed afterwards."""
    run_chaos(stand, seconds=25, least_faults=20)


@pytest.mark.chaos_long
@pytest.mark.timeout(3600)
def test_history_stays_true_through_a_thousand_faults(stand: Stand) -> None:
    """The same for as long as it takes."""
    seconds = float(os.environ.get("INDEXER_TEST_CHAOS_SECONDS") or 300)
    run_chaos(stand, seconds, least_faults=1000, at_once=4)
