"""However many workers there are, an API never sees more than its rate in one second."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.pacing import LocalPacer


class LateTime:
    """Time that passes when somebody sleeps, and wakes sleepers late by given amounts."""

    def __init__(self, late: list[float]) -> None:
        self.seconds = 1000.0
        self.late = late

    def clock(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds + (self.late.pop() if self.late else 0.0)


def departures(rate: float, count: int, time: LateTime) -> list[float]:
    """When ``count`` workers that all want to send at once may do so."""
    left: list[float] = []

    async def worker(pacer: LocalPacer) -> None:
        await pacer.wait()
        left.append(time.clock())

    async def run() -> None:
        pacer = LocalPacer(rate, clock=time.clock, sleep=time.sleep)
        await asyncio.gather(*(worker(pacer) for _ in range(count)))

    asyncio.run(run())
    return left


@given(
    rate=st.sampled_from([1, 2, 5, 10, 20, 50]),
    late=st.lists(st.floats(0, 0.5), max_size=40),
)
def test_no_second_holds_more_than_the_rate(rate: int, late: list[float]) -> None:
    """Not even when the event loop was busy and everybody woke up late."""
    left = departures(rate, 3 * rate + 2, LateTime(late))

    for first, beyond in zip(left, left[rate:], strict=False):
        assert beyond - first > 1.0


def test_uses_what_it_may() -> None:
    """The pause between two requests is 5 % longer than the rate says, not more."""
    left = departures(20, 41, LateTime([]))

    assert left[-1] - left[0] == pytest.approx(40 * 1.05 / 20)


def test_the_first_request_leaves_at_once() -> None:
    """Nobody waits for a beat that has not begun."""
    assert departures(0.1, 1, LateTime([])) == [1000.0]


def test_idle_time_is_not_saved_up() -> None:
    """After a quiet hour the next requests are spaced like all others."""
    time = LateTime([])

    async def run() -> list[float]:
        pacer = LocalPacer(10, clock=time.clock, sleep=time.sleep)
        await pacer.wait()
        time.seconds += 3600
        left = []
        for _ in range(3):
            await pacer.wait()
            left.append(time.clock())
        return left

    first, second, third = asyncio.run(run())
    assert second - first >= 0.09
    assert third - second >= 0.09


def test_hold_makes_everybody_wait() -> None:
    """A hold counts for workers that were already waiting, and a shorter one does not end it."""
    time = LateTime([])
    pacer = LocalPacer(10, clock=time.clock, sleep=time.sleep)

    async def run() -> list[float]:
        left: list[float] = []

        async def worker() -> None:
            await pacer.wait()
            left.append(time.clock())

        await pacer.wait()
        await pacer.hold(60)
        await pacer.hold(5)
        await asyncio.gather(worker(), worker())
        return left

    assert asyncio.run(run()) == [pytest.approx(1060), pytest.approx(1060.105)]


def test_hold_reaches_a_sleeper() -> None:
    """Whoever wakes up during a hold goes back to sleep."""
    time = LateTime([])

    async def run() -> float:
        pacer = LocalPacer(10, clock=time.clock, sleep=sleep_and_hold)
        holds.append(pacer)
        await pacer.wait()
        await pacer.wait()
        return time.clock()

    holds: list[LocalPacer] = []

    async def sleep_and_hold(seconds: float) -> None:
        await time.sleep(seconds)
        if len(holds) == 1:
            holds.append(holds[0])
            await holds[0].hold(30)

    assert asyncio.run(run()) == pytest.approx(1030.105)


def test_a_cancelled_wait_costs_no_turn() -> None:
    """A worker that stops waiting leaves its turn to the next."""
    time = LateTime([])

    async def run() -> float:
        never = asyncio.Event()
        blocked = asyncio.Event()

        async def sleep(seconds: float) -> None:
            if not blocked.is_set():
                blocked.set()
                await never.wait()
            await time.sleep(seconds)

        pacer = LocalPacer(1, clock=time.clock, sleep=sleep)
        await pacer.wait()
        stopped = asyncio.create_task(pacer.wait())
        await blocked.wait()
        stopped.cancel()
        await pacer.wait()
        return time.clock()

    assert asyncio.run(run()) == pytest.approx(1001.05)
