"""Killed at any point of any page: the next run goes on, asks only the page in flight again, and is right."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import yaml

from indexer.simulator import Fault, World
from indexer.simulator.positions import SOURCES, Position
from tests.faults import processes
from tests.faults.stand import Stand, built

#: Points every page passes, so that they can be had at the first, a middle and the last one.
PAGE_POINTS: Final = (
    "asking",
    "answered",
    "parsed",
    "assets_learned",
    "commit_begun",
    "page_written",
    "page_durable",
)
#: Points of the last page and of the pass.
END_POINTS: Final = (
    "watchlist_written",
    "partitions_made",
    "pass_prepared",
    "claimed",
    "history_changed",
    "snapshot_written",
    "crawl_completed",
)
#: 12 rows in pages of 5; two sources then ask until a page is empty.
LAST_PAGE: Final = {"okx_runes": 4, "solana_das": 4, "algorand": 3, "loopring": 3, "hedera": 3}
#: Answers before page 1: what two sources must look up once.
LOOKUPS: Final = {"okx_runes": 1, "loopring": 1}

SETTINGS = {"INDEXER_LOG__LEVEL": "WARNING", "INDEXER_DEFAULTS__TIMEOUT": "5s"}

ALL: Final = [
    *(
        (source, point, page)
        for source in SOURCES
        for point in PAGE_POINTS
        for page in ("first", "middle", "last")
    ),
    *((source, point, "last") for source in SOURCES for point in END_POINTS),
]
#: Every point once and every source twice or more, first, middle and last pages in turn.
SAMPLE: Final = [
    (SOURCES[place % len(SOURCES)], point, ("first", "middle", "last")[place % 3])
    for place, point in enumerate((*PAGE_POINTS, *END_POINTS))
]


@pytest.fixture
def stand(database_url: str, tmp_path: Path) -> Iterator[Stand]:
    """One account at each source; each case is about one of them."""
    with built(database_url, tmp_path, World.build(3, dict.fromkeys(SOURCES, (12,))), SETTINGS) as made:
        yield made


def find_passing(source: str, point: str, page: str) -> int:
    """Which passing of a point belongs to this page; look-ups pass most of them too."""
    if point in END_POINTS:
        return 1
    number = {"first": 1, "middle": 2, "last": LAST_PAGE[source]}[page]
    return number if point in ("assets_learned", "page_durable") else number + LOOKUPS.get(source, 0)


def check_crash(stand: Stand, source: str, point: str, page: str) -> None:
    """Kill the first crawl of a source there, look, run it again, compare."""
    crash_at = f"{point}:{find_passing(source, point, page)}"
    first = processes.crawl(stand, "--source", source, crash_at=crash_at)
    assert first.killed, f"never came to {crash_at}: {first.stderr[-2000:]}"
    truth = {watch: held for watch, held in stand.truth().items() if watch[0] == source}
    seen = {watch: known.all for watch, known in stand.known().items()}
    assert seen in ({}, truth), "half a list is visible"

    second = processes.crawl(stand, "--source", source)

    assert second.code == 0, second.stderr[-2000:]
    assert [row["outcome"] for row in second.outcomes()] == ["published"]
    assert {watch: known.certain for watch, known in stand.known().items()} == truth
    check_requests(stand, source)
    assert stand.violations() == []


def check_requests(stand: Stand, source: str) -> None:
    """Nothing asked twice but the page or look-up in flight."""
    log = stand.simulator.requests(source)
    pages = [entry.cursor for entry in log if entry.page]
    lookups = len(log) - len(pages)
    asked_again = len(pages) - len(set(pages)) + lookups - LOOKUPS.get(source, 0)
    assert asked_again <= 1
    (stored,) = stand.rows("SELECT count(*) FROM ledger.raw_page WHERE kind = 'page'")
    assert stored == (LAST_PAGE[source],)


@pytest.mark.parametrize(("source", "point", "page"), SAMPLE)
def test_a_killed_crawl_goes_on_where_it_was(stand: Stand, source: str, point: str, page: str) -> None:
    """Committed pages are never asked again, no half list is ever visible, and the end is the truth."""
    check_crash(stand, source, point, page)


def test_a_pass_killed_after_its_end_is_over(stand: Stand) -> None:
    """All outcomes were durable: the next run is a pass of its own and finds nothing changed."""
    first = processes.crawl(stand, "--source", "hedera", crash_at="pass_finished:1")
    second = processes.crawl(stand, "--source", "hedera")

    assert first.killed
    assert (second.code, [row["outcome"] for row in second.outcomes()]) == (0, ["unchanged"])
    assert stand.violations() == []


def test_a_kill_while_a_crawl_is_begun_again_loses_nothing(stand: Stand) -> None:
    """The abandoned crawl and the one in its place are one transaction: both, or neither."""
    stand.simulator.faults.add(Fault("algorand", "expired_cursor", page=2))
    first = processes.crawl(stand, "--source", "algorand", crash_at="restart_written:1")
    assert first.killed, first.stderr[-2000:]
    assert stand.rows("SELECT count(*), max(state) FROM ledger.crawl") == [(1, "running")]

    second = processes.crawl(stand, "--source", "algorand")

    assert second.code == 0, second.stderr[-2000:]
    (watch,) = (watch for watch in stand.truth() if watch[0] == "algorand")
    assert stand.known()[watch].certain == stand.truth()[watch]
    check_requests(stand, "algorand")


def test_a_kill_while_a_crawl_is_handed_back_loses_nothing(stand: Stand) -> None:
    """Trouble on page 2, death while saying so: page 1 is kept and not asked for again."""
    stand.simulator.faults.add(Fault("hedera", "status", page=2, status=500, times=6))
    first = processes.crawl(stand, "--source", "hedera", crash_at="handed_back:1")
    assert first.killed, first.stderr[-2000:]

    second = processes.crawl(stand, "--source", "hedera")

    assert second.code == 0, second.stderr[-2000:]
    assert [entry.page for entry in stand.simulator.requests("hedera")] == [1, *[2] * 7, 3]
    assert stand.violations() == []


def check_heartbeat(stand: Stand, source: str, beat: int) -> None:
    """Kill a slow crawl when it has renewed its lease so many times."""
    stand.environment["INDEXER_DAEMON__LEASE"] = "1s"
    stand.simulator.switches.latency_seconds = 0.5
    first = processes.crawl(stand, "--source", source, crash_at=f"heartbeat:{beat}")
    assert first.killed, first.stderr[-2000:]
    stand.simulator.switches.latency_seconds = 0

    second = processes.crawl(stand, "--source", source)

    assert second.code == 0, second.stderr[-2000:]
    check_truth(stand, source)
    check_requests(stand, source)


def test_a_kill_at_a_heartbeat_loses_nothing(stand: Stand) -> None:
    """The lease was just renewed, and its holder is gone: the next run does not wait for it to run out."""
    check_heartbeat(stand, "loopring", 2)


@pytest.mark.faults_full
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("beat", [1, 3, 4])
def test_a_kill_at_any_heartbeat_loses_nothing(stand: Stand, source: str, beat: int) -> None:
    """Early, in the middle and late."""
    check_heartbeat(stand, source, beat)


@pytest.mark.parametrize("source", [pytest.param(SOURCES[0], id="sample")])
@pytest.mark.parametrize("point", ["watchlist_written", "watches_removed"])
def test_a_kill_while_an_address_is_unwatched_changes_nothing(stand: Stand, source: str, point: str) -> None:
    """History ends whole or not at all: after the kill all is as before, after the next run it is closed."""
    check_unwatch(stand, source, point)


@pytest.mark.faults_full
@pytest.mark.parametrize("source", SOURCES[1:])
def test_a_kill_while_any_address_is_unwatched_changes_nothing(stand: Stand, source: str) -> None:
    """The same at every source."""
    check_unwatch(stand, source, "watches_removed")


def check_unwatch(stand: Stand, source: str, point: str) -> None:
    """Kill the run that applies a watchlist without this source, then let one finish."""
    stand.crawl()
    before = stand.known()
    drop_from_watchlist(stand, source)
    first = processes.crawl(stand, crash_at=f"{point}:1")
    assert first.killed, first.stderr[-2000:]
    assert stand.known() == before

    second = processes.crawl(stand)

    assert second.code == 0, second.stderr[-2000:]
    assert stand.known() == {watch: known for watch, known in before.items() if watch[0] != source}
    assert stand.violations() == []


def drop_from_watchlist(stand: Stand, source: str) -> None:
    """Write the watchlist without the addresses of a source."""
    path = stand.folder / "watched.yaml"
    rows = yaml.safe_load(path.read_text(encoding="utf-8"))["addresses"]
    kept = [row for row in rows if row["source"] != source]
    path.write_text(yaml.safe_dump({"addresses": kept}), encoding="utf-8")


def test_a_daemon_killed_while_it_reloads_begins_again(stand: Stand) -> None:
    """It had read the new watchlist and applied nothing of it; the next daemon does."""
    settings = {"LISTEN": "127.0.0.1:0", "TICK": "250ms", "LEASE": "2s"}
    stand.environment |= {f"INDEXER_DAEMON__{name}": value for name, value in settings.items()}
    truth = {watch: held for watch, held in stand.truth().items() if watch[0] != "hedera"}
    # The first passing is the start itself.
    first = processes.start(stand, "run", crash_at="files_reloaded:2")
    processes.wait_until(lambda: shown(stand) == stand.truth(), "everything is known")
    drop_from_watchlist(stand, "hedera")
    assert processes.end(first).killed
    assert shown(stand) == stand.truth()

    second = processes.start(stand, "run")
    try:
        processes.wait_until(lambda: shown(stand) == truth, "the address is no longer watched")
    finally:
        second.terminate()
    assert processes.end(second).code == 0
    assert stand.violations() == []


def shown(stand: Stand) -> dict[tuple[str, str, str], frozenset[Position]]:
    """What an analyst sees without a doubt."""
    return {watch: known.certain for watch, known in stand.known().items()}


def check_truth(stand: Stand, source: str) -> None:
    """The source is known as it is."""
    truth = {watch: held for watch, held in stand.truth().items() if watch[0] == source}
    assert shown(stand) == truth
    assert stand.violations() == []


#: Statements of a page's transaction, and of the one that publishes; more than there are does no harm.
STATEMENTS: Final = [
    *(("first", number) for number in (1, 2, 3, 4)),
    *(("last", number) for number in (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 18)),
]


def check_statement(stand: Stand, source: str, page: str, number: int) -> bool:
    """Kill before the n-th statement of a page's transaction. False: it has not so many."""
    stand.mutant = f"die_at:{find_passing(source, 'commit_begun', page)}:{number}"
    first = processes.crawl(stand, "--source", source)
    stand.mutant = ""
    (ended,) = stand.rows("SELECT count(*) FROM ledger.crawl WHERE state = 'complete'")
    second = processes.crawl(stand, "--source", source)

    assert first.killed or first.code == 0, first.stderr[-2000:]
    assert second.code == 0, second.stderr[-2000:]
    check_truth(stand, source)
    # After its last statement the crawl is over, and the second run is a pass of its own.
    if ended == (0,):
        check_requests(stand, source)
    return first.killed


@pytest.mark.parametrize(("source", "page"), [("algorand", "first"), ("loopring", "last")])
def test_a_kill_between_two_statements_of_a_page_loses_nothing(stand: Stand, source: str, page: str) -> None:
    """The transaction was open, with some of its rows written: all of them are gone, and come again."""
    assert check_statement(stand, source, page, 2)


@pytest.mark.faults_full
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(("page", "number"), STATEMENTS)
def test_a_kill_at_any_statement_loses_nothing(stand: Stand, source: str, page: str, number: int) -> None:
    """Every statement of the first page's transaction, and those of the last one's, with its publish."""
    check_statement(stand, source, page, number)


@pytest.mark.faults_full
@pytest.mark.parametrize(("source", "point", "page"), ALL)
def test_every_point_of_every_page(stand: Stand, source: str, point: str, page: str) -> None:
    """The whole table: every point, first, middle and last page, every source."""
    check_crash(stand, source, point, page)
