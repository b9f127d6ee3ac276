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
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

import pytest

from indexer import config, embedded
from indexer.simulator import World
from indexer.simulator.positions import SOURCES
from indexer.store import migrations
from tests.faults import processes
from tests.faults.chaos import Chaos
from tests.faults.chaos_judgement import find_wrong_snapshots
from tests.faults.stand import PUBLISHED, Stand, Watch, built

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
    replaced = find_replaced(stand)
    outcomes = [outcome for _ in range(2) for outcome in stand.crawl().items()]
    if replaced:
        confirm(stand)
    compared, wrong = find_wrong_snapshots(stand, chaos.moments)
    chaos.ask_again()

    assert chaos.problems == [], f"{told}\n" + "\n".join(chaos.problems)
    doubted = [(watch, outcome) for watch, outcome in outcomes if outcome.outcome not in PUBLISHED]
    assert {watch for watch, _ in doubted} <= replaced, f"{told}\n{doubted}"
    assert {outcome.outcome for _, outcome in doubted} <= {"quarantined"}, f"{told}\n{doubted}"
    assert not wrong, f"{told}\n" + "\n".join(wrong)
    assert compared > 20, told
    assert {watch: known.certain for watch, known in stand.known().items()} == stand.truth(), told
    assert stand.violations() == [], told


def find_replaced(stand: Stand) -> set[Watch]:
    """Algorand accounts in which, while nobody could look, more than half of what is known went.

    Others came instead. The guard has to doubt that, until a second list some time later says the same.
    """
    known, truth = stand.known(), stand.truth()
    kept = {
        watch: ({one.asset_ref for one in held.all}, {one.asset_ref for one in truth[watch]})
        for watch, held in known.items()
        if watch[0] == "algorand"
    }
    return {watch for watch, (before, now) in kept.items() if len(before & now) * 2 < len(before)}


def confirm(stand: Stand) -> None:
    """Let the second list come without waiting for it, and the one after it be the usual."""
    eager = stand.environment | {"INDEXER_GUARD__CONFIRM_AFTER": "0s"}
    soon = replace(stand, config=config.load(stand.folder / "indexer.toml", eager))
    for _ in range(3):
        outcomes = soon.crawl().values()
    assert {outcome.outcome for outcome in outcomes} <= PUBLISHED


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


def test_an_account_that_was_replaced_meanwhile_is_doubted_and_then_confirmed(stand: Stand) -> None:
    """Nothing else is doubted after a long time without a look, and all is true again after a second one."""
    stand.crawl()
    for _ in range(14):
        stand.move()

    doubted = {watch for watch, found in stand.crawl().items() if found.outcome not in PUBLISHED}

    assert doubted == find_replaced(stand) != set()
    confirm(stand)
    assert find_replaced(stand) == set()
    assert {watch: known.certain for watch, known in stand.known().items()} == stand.truth()


def test_history_stays_true_in_a_short_storm(stand: Stand, database: Path) -> None:
    """Every published snapshot was true when it says; nothing lost, doubled, changed; replay is identical."""
    run_chaos(stand, database, faults=120, at_once=2)


@pytest.mark.chaos_long
@pytest.mark.timeout(4 * 3600)
def test_history_stays_true_through_thousands_of_faults(stand: Stand, database: Path) -> None:
    """The same for as long as it takes."""
    run_chaos(stand, database, int(os.environ.get("INDEXER_TEST_CHAOS_FAULTS") or 10_000), at_once=12)
