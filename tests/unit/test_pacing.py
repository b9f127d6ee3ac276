"""However many workers there are and however slow the way, an API never sees more than its rate a second."""

import asyncio
import random
import selectors
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.pacing import MOST_LAG_SECONDS, SECOND, BeatPacer, LocalBeat, LocalPacer, Mark, Turn


class _Idle(selectors.DefaultSelector):
    """Sleeps no real time: it passes at once."""

    passed = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready now; else the time that would have been waited has passed."""
        ready = super().select(0)
        if not ready and timeout:
            self.passed += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in which an hour of sleep takes no time, and everything else happens as it would."""

    def __init__(self) -> None:
        self._idle = _Idle()
        super().__init__(self._idle)

    def time(self) -> float:
        """Virtual seconds."""
        return self._idle.passed


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """What ``work`` returns, in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)


def now() -> float:
    """The running loop's clock."""
    return asyncio.get_running_loop().time()


class FarBeat(LocalBeat):
    """A beat behind a database: asking takes time, there and back."""

    def __init__(self, rate: float, dice: random.Random) -> None:
        super().__init__(rate, now)
        # As in the database: nothing is known of the way yet.
        self.lag = MOST_LAG_SECONDS
        self._dice = dice
        #: A busy machine reads some answers this much later.
        self._stall = dice.choice((0.008, 0.4))

    async def _travel(self) -> None:
        await asyncio.sleep(self._dice.choice((0.001, 0.001, 0.004, self._stall)))

    async def take(self, requests: int, missed: Mark = None) -> Turn:
        """The same, later."""
        await self._travel()
        turn = await super().take(requests, missed)
        await self._travel()
        return turn

    async def widen(self, lag_seconds: float) -> None:
        """The same, later."""
        await self._travel()
        await super().widen(lag_seconds)


class World:
    """Several processes that send as fast as they may, over a way that is sometimes slow."""

    def __init__(self, rate: float, seed: int, way: float, processing: float) -> None:
        self.dice = random.Random(seed)
        self.beat = FarBeat(rate, self.dice)
        self.rate = rate
        self.way = way
        self.processing = processing
        self.arrived: list[float] = []

    async def sleep_late(self, seconds: float) -> None:
        """A busy machine: now and then somebody wakes up late."""
        late = self.dice.choice((0.0, 0.0, 0.0, 0.002, 0.02, 0.2))
        await asyncio.sleep(seconds + late)

    async def send(self, pacer: BeatPacer) -> None:
        """Requests one after another: first on their way, then being answered."""
        while len(self.arrived) < 4 * self.rate + 4:
            await pacer.wait()
            left_at = now()
            slow = self.dice.random() < 0.3
            await asyncio.sleep(self.dice.uniform(0, self.way) if slow else 0.001)
            self.arrived.append(now())
            await asyncio.sleep(self.dice.uniform(0, self.processing))
            pacer.see_answer(now() - left_at)

    async def work(self, processes: int, tasks: int) -> None:
        """Until enough has arrived."""
        pacers = [BeatPacer(self.beat, self.rate, clock=now, sleep=self.sleep_late) for _ in range(processes)]
        await asyncio.gather(*(self.send(pacer) for pacer in pacers for _ in range(tasks)))


@given(
    rate=st.sampled_from([1, 2, 5, 10, 20, 50, 200]),
    seed=st.integers(0, 2**32),
    processes=st.integers(1, 5),
    tasks=st.integers(1, 4),
    way=st.floats(0.001, MOST_LAG_SECONDS - 0.02),
    processing=st.sampled_from([0.0, 0.05, 1.0]),
)
def test_no_second_holds_more_than_the_rate(
    rate: int, seed: int, processes: int, tasks: int, way: float, processing: float
) -> None:
    """Counted where it matters, at the API: with late wake-ups, slow ways and any number of processes."""

    async def measure() -> list[float]:
        world = World(rate, seed, way, processing)
        await world.work(processes, tasks)
        return sorted(world.arrived)

    arrived = run(measure())

    for first, beyond in zip(arrived, arrived[rate:], strict=False):
        assert beyond - first >= 1.0


async def leave(pacer: LocalPacer, count: int) -> list[float]:
    """When ``count`` requests that all want to be sent at once may leave."""
    left: list[float] = []

    async def send() -> None:
        await pacer.wait()
        left.append(now())

    await asyncio.gather(*(send() for _ in range(count)))
    return left


async def open_pacer(rate: float) -> LocalPacer:
    """The beat of one process in virtual time."""
    return LocalPacer(rate, clock=now)


@pytest.mark.parametrize("rate", [2, 20, 400])
def test_uses_what_it_may(rate: int) -> None:
    """Where answers come at once a second takes 8 % longer than the rate says, not more."""

    async def measure() -> float:
        left = await leave(await open_pacer(rate), 2 * rate + 1)
        return left[-1] - left[0]

    assert run(measure()) == pytest.approx(2 * SECOND, rel=0.02)


def test_a_turn_that_passed_unused_costs_no_question() -> None:
    """Whoever is slower than a fast beat goes on with the next turn of its block, and asks after it."""

    class CountedBeat(LocalBeat):
        asked = 0

        async def take(self, requests: int, missed: Mark = None) -> Turn:
            self.asked += 1
            return await super().take(requests, missed)

    async def measure() -> list[int]:
        beat = CountedBeat(1000, now)
        pacer = BeatPacer(beat, 1000, clock=now)
        asked = []
        for _ in range(4):
            await pacer.wait()
            asked.append(beat.asked)
            await asyncio.sleep(0.04)
        return asked

    assert run(measure()) == [1, 1, 1, 2]


def test_the_first_request_leaves_at_once() -> None:
    """Nobody waits for a beat that has not begun."""

    async def measure() -> list[float]:
        return await leave(await open_pacer(0.1), 1)

    assert run(measure()) == [1000.0]


def test_idle_time_is_not_saved_up() -> None:
    """After a quiet hour the next requests are spaced like all others."""

    async def measure() -> list[float]:
        pacer = await open_pacer(10)
        await pacer.wait()
        await asyncio.sleep(3600)
        return await leave(pacer, 3)

    first, second, third = run(measure())
    assert second - first >= 0.1
    assert third - second >= 0.1


def test_hold_makes_everybody_wait() -> None:
    """A hold counts for workers that were already waiting, and a shorter one does not end it."""

    async def measure() -> list[float]:
        pacer = await open_pacer(10)
        await pacer.wait()
        waiting = asyncio.create_task(leave(pacer, 2))
        await asyncio.sleep(0)
        await pacer.hold(60)
        await pacer.hold(5)
        return await waiting

    assert run(measure()) == [pytest.approx(1060, abs=0.02), pytest.approx(1060.108, abs=0.02)]


def test_slow_answers_widen_the_beat_and_quick_ones_narrow_it_again() -> None:
    """What may still be on its way counts; when answers are quick again the rate is used again."""

    async def measure() -> tuple[float, float]:
        pacer = await open_pacer(10)
        await pacer.wait()
        pacer.see_answer(0.2)
        slow = await leave(pacer, 11)
        await leave(pacer, 100)
        quick = await leave(pacer, 11)
        return slow[-1] - slow[0], quick[-1] - quick[0]

    slow, quick = run(measure())
    assert slow >= 1.2
    assert quick == pytest.approx(SECOND, rel=0.02)


def test_a_very_slow_api_is_still_asked() -> None:
    """Beyond half a second it is the API that is slow, not the way to it."""

    async def measure() -> float:
        pacer = await open_pacer(1)
        pacer.see_answer(30.0)
        left = await leave(pacer, 3)
        return left[2] - left[1]

    assert run(measure()) <= SECOND + MOST_LAG_SECONDS


def test_a_cancelled_wait_costs_no_turn() -> None:
    """A worker that stops waiting leaves its turn to the next."""

    async def measure() -> float:
        pacer = await open_pacer(1)
        await pacer.wait()
        stopped = asyncio.create_task(pacer.wait())
        await asyncio.sleep(0.5)
        stopped.cancel()
        await pacer.wait()
        return now()

    assert run(measure()) == pytest.approx(1000 + SECOND, abs=0.02)
