"""Nodes behind a load balancer lag: a list that is older than a known one never becomes a newer answer."""

import pytest

from indexer import replay, review
from indexer.jobs import Engine
from tests.integration.engine.conftest import OpenStage
from tests.integration.engine.stage import Fault, Stage, outcomes

AT_ONCE = {"GUARD__CONFIRM_AFTER": "0s"}

#: Whether each walk that replaced another waited for at least one block.
_PAUSES = """
    SELECT array_agg(next.next_attempt_at >= last.finished_at + interval '2.9 seconds')
    FROM ledger.crawl AS last JOIN ledger.crawl AS next ON next.crawl_id = last.restarted_as
"""

_SNAPSHOTS = "SELECT state, resolution FROM ledger.snapshot ORDER BY snapshot_id"


@pytest.fixture
def stage(open_stage: OpenStage) -> Stage:
    """An account of two pages, crawled twice: before and after something arrived, a hundred blocks apart."""
    made = open_stage({"algorand": (12,)}, pages=10)
    made.crawl()
    _advance(made, 100, mint=True)
    assert outcomes(made.crawl()) == {"published": 1}
    return made


def _advance(stage: Stage, blocks: int, *, mint: bool = False) -> None:
    """The chain as the node sees it grows by so many blocks, or is so many behind."""
    stage.world.advance(blocks)
    if mint:
        stage.world.mint("algorand", stage.only_address("algorand"))


def _lag(stage: Stage, blocks: int) -> None:
    """From now on a node answers that has not seen the last arrival yet."""
    address = stage.only_address("algorand")
    _advance(stage, -blocks)
    stage.world.remove("algorand", address, stage.world.items("algorand", address)[-1].key)


def _states(stage: Stage) -> list[tuple[str, str | None]]:
    return [(row["state"], row["resolution"]) for row in stage.rows(_SNAPSHOTS)]


def _replays_identically(stage: Stage) -> bool:
    async def again(engine: Engine) -> replay.Report:
        return await replay.replay(engine.database, engine.config, engine.sources, (None, None))

    report: replay.Report = stage.run(again)
    assert report.snapshots == len(_states(stage))
    return not report.found


def test_an_older_list_is_not_believed(stage: Stage) -> None:
    """What the lagging node has not seen yet is not gone: history stays; the reason says how far it lags."""
    before = stage.held()
    _lag(stage, 50)

    (found,) = stage.crawl(**AT_ONCE)

    assert found.outcome == "quarantined"
    assert "50 blocks older" in (found.error or "")
    assert stage.held() == before
    assert _replays_identically(stage)


def test_repeating_an_older_list_confirms_nothing(stage: Stage) -> None:
    """However often and however late: a node that lags is never its own second witness."""
    before = stage.held()
    _lag(stage, 50)
    for _ in range(3):
        assert outcomes(stage.crawl(**AT_ONCE)) == {"quarantined": 1}
        _advance(stage, 10)

    assert stage.held() == before
    assert _states(stage)[2:] == [
        ("quarantined", None),
        ("quarantined", "repeated"),
        ("quarantined", "repeated"),
    ]
    assert _replays_identically(stage)


def test_the_first_list_that_does_not_lag_is_believed(stage: Stage) -> None:
    """The node has caught up: its list supersedes the disbelieved one, and nobody need do anything."""
    _lag(stage, 50)
    stage.crawl(**AT_ONCE)
    _advance(stage, 50, mint=True)

    assert outcomes(stage.crawl(**AT_ONCE)) == {"unchanged": 1}
    assert stage.differences() == {}
    assert _states(stage)[2:] == [("quarantined", "superseded"), ("published", None)]
    assert _replays_identically(stage)


def test_the_same_list_from_an_older_block_proves_nothing_new(stage: Stage) -> None:
    """It says what is known, but not that it is still so: the last answer must not look fresher by it.

    Two nodes are often a block apart: this one is given the time of that block before it is asked again.
    """
    _advance(stage, -1)

    (found,) = stage.crawl(**AT_ONCE)

    assert found.outcome == "quarantined"
    assert stage.value(_PAUSES) == [True, True]
    assert stage.value("SELECT count(*) FROM ledger.snapshot WHERE state = 'published'") == 2
    _advance(stage, 1)
    assert outcomes(stage.crawl(**AT_ONCE)) == {"unchanged": 1}
    assert _replays_identically(stage)


@pytest.mark.parametrize("page", [1, 2])
def test_a_single_lagging_answer_is_asked_for_again(stage: Stage, page: int) -> None:
    """Behind a load balancer the next node may be up to date."""
    _advance(stage, 10, mint=True)
    stage.sim.faults.add(Fault("algorand", "older_round", page=page))

    assert outcomes(stage.crawl()) == {"published": 1}
    assert stage.differences() == {}
    assert stage.value("SELECT max(drift_restarts) FROM ledger.crawl") == 1


def test_a_lagging_list_is_no_witness(stage: Stage) -> None:
    """An old empty list and a new one are two surprises, not a confirmation."""
    before = stage.held()
    _advance(stage, -50)
    stage.sim.faults.add(Fault("algorand", "empty_200", times=None))
    assert outcomes(stage.crawl(**AT_ONCE)) == {"quarantined": 1}
    _advance(stage, 100)

    assert outcomes(stage.crawl(**AT_ONCE)) == {"quarantined": 1}

    assert stage.held() == before
    assert _states(stage)[2:] == [("quarantined", "replaced"), ("quarantined", None)]
    assert _replays_identically(stage)


def test_a_list_older_than_a_disbelieved_one_does_not_contradict_it(stage: Stage) -> None:
    """What the witness misses may be gone since: only a later list can say that it is not."""
    fault = stage.sim.faults.add(Fault("algorand", "empty_200", times=None))
    _advance(stage, 50)
    assert outcomes(stage.crawl(**AT_ONCE)) == {"quarantined": 1}
    stage.sim.faults.remove(fault)
    _advance(stage, -20)

    (found,) = stage.crawl(**AT_ONCE)

    assert "20 blocks older" in (found.error or "")
    assert _states(stage)[2:] == [("quarantined", None), ("quarantined", "repeated")]
    assert _replays_identically(stage)


def test_after_a_reset_of_the_network_a_release_goes_on_from_there(stage: Stage) -> None:
    """Heights began again, which only a person knows: one release, and later lists are believed as ever."""
    _lag(stage, 40_000_000)
    stage.crawl(**AT_ONCE)

    async def release(engine: Engine) -> str:
        return await review.release(engine.database, engine.config, engine.sources, 3)

    assert "is history now" in stage.run(release)
    assert stage.differences() == {}
    _advance(stage, 1, mint=True)

    assert outcomes(stage.crawl(**AT_ONCE)) == {"published": 1}
    assert stage.differences() == {}
    assert _replays_identically(stage)
