"""Lists too long to be kept as they are: packed on their way, or read again, the history is the same.

Replay folds the raw pages once more, from the beginning: it is the witness of what must be there.
"""

import pytest

from indexer import lists
from indexer.lists import FinishedCrawl
from indexer.simulator.positions import SOURCES
from indexer.store.database import Connection
from tests.integration.engine.conftest import OpenStage
from tests.integration.engine.stage import Fault, Stage, outcomes
from tests.integration.keeping import replay_stage

#: Pages that name no price: only those are packed.
PACKED = ("algorand", "hedera")


@pytest.fixture(autouse=True)
def _short_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexer.page_reader.ROWS_IN_MEMORY", 12)


def forbid(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Nobody calls this."""

    async def refuse(*_: object, **__: object) -> None:
        raise AssertionError(f"{name} was called")

    monkeypatch.setattr(name, refuse)


def assert_replayed(stage: Stage) -> None:
    """What the raw pages say is what history says."""
    report = replay_stage(stage)
    assert not report.differences
    assert stage.differences() == {}


@pytest.mark.parametrize("source", PACKED)
def test_a_first_list_goes_straight_into_history(
    open_stage: OpenStage, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pages are neither read again nor compared with nothing."""
    stage = open_stage({source: (45, 7, 0)}, pages=10)
    forbid(monkeypatch, "indexer.lists.read_again")
    forbid(monkeypatch, "indexer.store.history.merge")

    assert outcomes(stage.crawl()) == {"published": 3}

    monkeypatch.undo()
    assert {row["open_reason"] for row in stage.rows("SELECT open_reason FROM ledger.holding_version")} == {
        "baseline"
    }
    assert_replayed(stage)


@pytest.mark.parametrize("source", PACKED)
def test_a_later_list_is_merged_without_reading_it_again(
    open_stage: OpenStage, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is too long to be compared page by page."""
    stage = open_stage({source: (45,)}, pages=10)
    monkeypatch.setattr("indexer.page_reader._COMPARED_BYTES", 0)
    forbid(monkeypatch, "indexer.lists.read_again")
    stage.crawl()
    (watch,) = stage.truth()
    for place in (0, 20, 44):
        keys = sorted((item.asset_ref, item.sub_key) for item in stage.world.items(*watch))
        stage.world.remove(*watch[:2], keys[min(place, len(keys) - 1)])
        stage.world.mint(*watch[:2], index=place * 1000 + 1)

        assert outcomes(stage.crawl()) == {"published": 1}

    assert_replayed(stage)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    "kind", ["item_error", "item_key_unreadable", "repeated_edge", "duplicate_page", "skipped_rows"]
)
def test_whatever_is_odd_about_a_first_list_is_judged_as_ever(
    open_stage: OpenStage, source: str, kind: str
) -> None:
    """Unreadable items, rows that come twice, a list that moves: then the world is itself again."""
    stage = open_stage({source: (45, 30)}, pages=10)
    value = "negative" if kind == "item_error" else None
    page = None if kind.startswith("item_") else 3
    fault = stage.sim.faults.add(Fault(source, kind, value=value, page=page, times=None))
    stage.crawl()
    assert not replay_stage(stage).differences
    stage.sim.faults.remove(fault)

    stage.crawl()
    stage.crawl()

    assert_replayed(stage)


def test_a_row_that_came_twice_is_found_by_the_database(
    open_stage: OpenStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The history that had begun is rolled back, and the list goes through the fold, where it is judged."""
    stage = open_stage({"hedera": (45,)}, pages=10)
    forbid(monkeypatch, "indexer.lists.read_again")
    fault = stage.sim.faults.add(Fault("hedera", "repeated_edge", page=3, times=None))

    assert outcomes(stage.crawl()) == {"published": 1}

    monkeypatch.undo()
    assert stage.versions() == 45
    assert_replayed(stage)
    stage.sim.faults.remove(fault)
    assert outcomes(stage.crawl()) in ({"unchanged": 1}, {"published": 1})
    assert_replayed(stage)


@pytest.mark.parametrize("source", PACKED)
def test_rows_that_take_too_much_are_read_again(
    open_stage: OpenStage, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound on memory holds for packed rows, too."""
    stage = open_stage({source: (45,)}, pages=10)
    monkeypatch.setattr("indexer.page_reader.MOST_BYTES", 1)
    read: list[str] = []
    lists_read_again = lists.read_again

    async def count(connection: Connection, crawl: FinishedCrawl) -> int:
        read.append(crawl.source.name)
        return await lists_read_again(connection, crawl)

    monkeypatch.setattr("indexer.lists.read_again", count)

    assert outcomes(stage.crawl()) == {"published": 1}

    assert read == [source]
    assert_replayed(stage)
