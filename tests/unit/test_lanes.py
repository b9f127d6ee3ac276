"""Who may walk: a whale takes a lane, never all of them."""

import asyncio
from collections.abc import Coroutine
from datetime import date
from typing import Any

import pytest

from indexer.crawl import Outcome
from indexer.lanes import LONG_WALK, Lanes, Task
from indexer.store.crawls import Claim


def claim(pages: int = 0) -> Claim:
    """A crawl that has come this far."""
    return Claim(
        1, date(2026, 11, 21), 1, "", None, pages, 0, None, None, None, 0, 0, 0, [1], ["0.0.1"], [True], None
    )


async def walking() -> Outcome:
    """A walk that does not end by itself."""
    await asyncio.Event().wait()
    return "published"


def begin(lanes: Lanes, pages: int = 0) -> Task:
    """One more walk in hand."""
    task = asyncio.create_task(walking())
    lanes.begin(task, claim(pages))
    return task


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run to the end; what still walks is cancelled."""
    asyncio.run(test)


def test_ordinary_walks_fill_the_ordinary_lanes() -> None:
    """As many as the width, no more."""

    async def test() -> None:
        lanes = Lanes("hedera", width=3)
        for _ in range(3):
            begin(lanes)
        assert lanes.count_free() == 0

    run(test())


def test_a_long_walk_leaves_its_ordinary_lane() -> None:
    """Small accounts have all their lanes again while the whale goes on."""

    async def test() -> None:
        lanes = Lanes("hedera", width=3)
        whale = begin(lanes)
        begin(lanes)
        lanes.see_page(whale, LONG_WALK)
        assert lanes.count_free() == 2
        assert lanes.find_intruder() is None

    run(test())


def test_too_many_long_walks_step_back_newest_first() -> None:
    """Only when every ordinary lane is taken, and one at a time."""

    async def test() -> None:
        lanes = Lanes("hedera", width=3)
        walks = [begin(lanes, pages=LONG_WALK) for _ in range(4)]
        assert lanes.count_free() == 0
        assert not lanes.has_room_for_long()
        intruder = lanes.find_intruder()
        assert intruder is walks[-1]
        lanes.walks[intruder].steps_back = True
        assert lanes.find_intruder() is walks[-2]

    run(test())


@pytest.mark.parametrize("outcome", ["failed", "handed back"])
def test_an_api_in_doubt_is_asked_by_one_walk_at_a_time(outcome: Outcome) -> None:
    """The queue waits instead of failing through; one page proves that the API is back."""

    async def test() -> None:
        lanes = Lanes("hedera", width=3)
        for _ in range(8):
            lanes.count(outcome)
        assert lanes.count_free() == 1
        task = begin(lanes)
        assert lanes.count_free() == 0
        lanes.see_page(task, 1)
        assert lanes.count_free() == 2

    run(test())


def test_a_refused_source_claims_nothing() -> None:
    """Until the pause is over and one crawl has tried."""
    lanes = Lanes("hedera", width=3)

    lanes.count("refused")

    assert lanes.count_free() == 0


def test_quick_walks_let_others_be_claimed_ahead() -> None:
    """As many as were published lately; one that fails ends that at once."""
    lanes = Lanes("hedera", width=3)
    for _ in range(6):
        lanes.count("published")
    assert lanes.count_free() == 9
    lanes.count("handed back")
    assert lanes.count_free() == 3


def test_a_claim_is_worth_it_once_a_third_is_free() -> None:
    """Claiming one at a time would cost a transaction each."""

    async def test() -> None:
        lanes = Lanes("hedera", width=3)
        assert lanes.is_worth_claiming()
        begin(lanes)
        assert lanes.is_worth_claiming()
        begin(lanes)
        assert not lanes.is_worth_claiming()

    run(test())
