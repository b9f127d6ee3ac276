"""Workers die, sleep, lose their connections and meet broken APIs while the world moves: history stays true.

The database server is the run's own, and dies now and then like everything else. Every run tells its seed,
and `INDEXER_TEST_CHAOS_SEED` runs it again; the long run takes `INDEXER_TEST_CHAOS_FAULTS` faults.
"""

# ruff: noqa: T201 - `pytest -s` shows the seed and the figures of a long run.

import json
import os
import secrets
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

import pytest

from indexer import embedded
from indexer.simulator import World
from indexer.simulator.positions import SOURCES
from indexer.store import migrations
from tests.faults import processes
from tests.faults.chaos import Chaos
from tests.faults.chaos_judgement import find_wrong_snapshots
from tests.faults.stand import PUBLISHED, Stand, built

SIZES: Final = dict.fromkeys(SOURCES, (12, 7))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Path]:
    """The folder of a running server that is nobody else's."""
    folder = tmp_path / "database"
    with embedded.running(folder) as url:
        migrations.upgrade(url)
        yield folder
    embedded.stop(folder)


@pytest.fixture
def stand(database: Path, tmp_path: Path) -> Iterator[Stand]:
    """Two accounts at each source; nothing is known of them yet."""
    settings = {
        "INDEXER_LOG__LEVEL": "ERROR",
        "INDEXER_DAEMON__LEASE": "2s",
        "INDEXER_DEFAULTS__TIMEOUT": "1s",
        "INDEXER_DATABASE__URL": "",
        "INDEXER_DATABASE__DATA_DIR": str(database),
    }
    url = embedded.current_url(database)
    assert url is not None
    with built(url, tmp_path, World.build(3, SIZES), settings) as made:
        yield made


def choose_seed() -> int:
    """The one that is asked for, else a new one."""
    return int(os.environ.get("INDEXER_TEST_CHAOS_SEED") or secrets.randbelow(10**6))


def run_chaos(stand: Stand, database: Path, faults: int, at_once: int) -> None:
    """Break things until enough was broken, let everything recover, judge."""
    chaos = Chaos(stand, database, choose_seed(), faults=at_once)
    print(f"INDEXER_TEST_CHAOS_SEED={chaos.seed}", flush=True)
    chaos.note_moment()
    stand.crawl()
    began = time.monotonic()
    with chaos.working():
        while chaos.blows < faults:
            chaos.act()
    print(f"{chaos.blows} faults in {time.monotonic() - began:.0f} s: {chaos.counts}", flush=True)
    (last,) = stand.rows("SELECT max(snapshot_at) FROM ledger.snapshot")[0]
    assert isinstance(last, datetime)
    for moment in chaos.moments:
        chaos.remember(min(moment.began, last))
    check_recovery(chaos)
    check_books(stand)


def check_recovery(chaos: Chaos) -> None:
    """Without faults everything is published and true; no answer about the past has changed."""
    stand = chaos.stand
    told = f"INDEXER_TEST_CHAOS_SEED={chaos.seed}, {chaos.counts}, {chaos.blows} faults"
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


def check_books(stand: Stand) -> None:
    """`indexer verify` finds nothing, and `indexer replay` builds the same history from the raw pages."""
    verified = processes.run(stand, "verify", "--json")
    assert verified.code == 0, verified.stdout[-3000:] + verified.stderr[-3000:]
    replayed = processes.run(stand, "replay", "--json")
    assert replayed.code == 0, replayed.stdout[-3000:] + replayed.stderr[-3000:]

    assert json.loads(verified.stdout)["found"] == {}
    report = json.loads(replayed.stdout)
    assert report["identical"]
    assert report["replayed"]["snapshots"] > 20
    assert report["replayed"]["snapshots_without_pages"] == 0


def test_history_stays_true_in_a_short_storm(stand: Stand, database: Path) -> None:
    """Every published snapshot was true when it says; nothing lost, doubled, changed; replay is identical."""
    run_chaos(stand, database, faults=120, at_once=2)


@pytest.mark.chaos_long
@pytest.mark.timeout(4 * 3600)
def test_history_stays_true_through_thousands_of_faults(stand: Stand, database: Path) -> None:
    """The same for as long as it takes."""
    run_chaos(stand, database, int(os.environ.get("INDEXER_TEST_CHAOS_FAULTS") or 10_000), at_once=12)
