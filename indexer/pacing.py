"""When a request may leave: one even beat per key, shared by everybody who uses that key.

A request may reach the API any time between its turn and its answer, so what is kept below the limit is not
how many leave in a second but how many may arrive in one: the slower the answers, the wider the beat. Here is
the arithmetic, the waiting, and the beat of one process; workers on several machines share one in the store.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final, Protocol

import msgspec

#: A second of the API takes us this long: a late departure, a decaying lag, a lag too small to tell fit in.
SECOND: Final = 1.08

#: Later than this a turn is not used but moved: the next may be closer to it than the beat allows.
LATE_SECONDS: Final = 0.03

#: A longer lag is believed of the API, not of the way to it: it counts as this much.
MOST_LAG_SECONDS: Final = 0.5

#: What the lag loses with every second's worth of requests.
LAG_DECAY_SECONDS: Final = 0.03

#: A lag longer by less than this is not worth telling.
_LAG_STEP_SECONDS: Final = 0.02

#: Turns are taken at most this early: what is decided meanwhile (a pause, a wider beat) counts for the rest.
AHEAD_SECONDS: Final = 0.02

#: Fast beats take the turns of this long at once, so that they do not cost a round trip each.
_BLOCK_SECONDS: Final = 0.1

#: A machine too busy to meet any turn sends all the same: the API's own limit is the last resort.
_MOST_TRIES: Final = 100

#: Not worth a sleep: an event loop wakes up a millisecond late, which would halve very high rates.
_EARLY_SECONDS: Final = 0.001


class Pacer(Protocol):
    """Shared by all workers on one key."""

    async def wait(self) -> None:
        """Return when the caller may send one request."""
        ...

    async def hold(self, seconds: float) -> None:
        """Let nobody send anything for this long, the caller included."""
        ...


#: Where a beat stood after a turn was taken. Only the beat itself can read it.
Mark = datetime | float | None


class Turn(msgspec.Struct, frozen=True):
    """What a beat says to somebody who wants to send."""

    #: False: it is too early, ask again after the wait.
    taken: bool
    wait_seconds: float
    lag_seconds: float
    #: Where the beat stands now; who misses the turn shows it again.
    mark: Mark = None


class Beat(Protocol):
    """One row of turns per key."""

    async def take(self, requests: int, missed: Mark = None) -> Turn:
        """The next ``requests`` turns, if the first of them is at most ``AHEAD_SECONDS`` away.

        ``missed``: of a turn that was not used in time. It is moved to now, if nobody took one after it.
        """
        ...

    async def widen(self, lag_seconds: float) -> None:
        """Requests take this long to arrive: whoever sends later makes room for those on their way."""
        ...

    async def hold(self, seconds: float) -> None:
        """No turn for this long."""
        ...


class BeatPacer:
    """Waits for turns of a beat. Safe for many tasks of one event loop: first come, first served."""

    def __init__(
        self,
        beat: Beat,
        requests_per_second: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._beat = beat
        self._rate = requests_per_second
        self._clock = clock
        self._sleep = sleep
        self._turn = asyncio.Lock()
        #: Turns of our block that are left, and when the next is.
        self._left = 0
        self._next_at = clock()
        #: As the beat last said, or as we last told it.
        self._lag = 0.0
        #: The block's, while one of its turns may be missed.
        self._mark: Mark = None
        #: What the beat takes to answer when nothing is slow. An answer that took longer is an older one.
        self._usual = 0.0
        self._holds = 0
        self._told: set[asyncio.Task[None]] = set()

    async def wait(self) -> None:
        """Return when one request may leave."""
        async with self._turn:
            for _ in range(_MOST_TRIES):
                if await self._meet_turn():
                    return

    async def hold(self, seconds: float) -> None:
        """Let nobody send anything for this long, the caller included."""
        self._holds += 1
        self._forget_block()
        await self._beat.hold(seconds)

    def see_answer(self, seconds: float) -> None:
        """A request took this long to be answered, or to be given up."""
        lag = min(seconds, MOST_LAG_SECONDS)
        if lag <= self._lag + _LAG_STEP_SECONDS:
            return
        self._lag = lag
        self._forget_block()
        task = asyncio.create_task(self._beat.widen(lag))
        self._told.add(task)
        task.add_done_callback(self._told.discard)

    def _forget_block(self) -> None:
        self._left, self._mark = 0, None

    async def _meet_turn(self) -> bool:
        """Wait for the next turn. False: it was missed, and by now it may be somebody else's moment."""
        self._skip_missed()
        if self._left <= 0 or self._clock() - self._next_at > LATE_SECONDS:
            # Turns are moments, not permits: what was not used in time is moved, or gone.
            await self._take_block(self._mark if self._left > 0 else None)
        holds, turn_at = self._holds, self._next_at
        if (early := turn_at - self._clock()) > _EARLY_SECONDS:
            await self._sleep(early)
        if holds != self._holds or self._clock() - turn_at > LATE_SECONDS:
            return False
        self._left -= 1
        self._next_at += self._interval
        return True

    @property
    def _interval(self) -> float:
        """Seconds from one turn to the next."""
        return (SECOND + self._lag) / self._rate

    def _skip_missed(self) -> None:
        """Go on to the next turn of our block, where that is near and it has one: nobody need be asked."""
        late = self._clock() - self._next_at
        if late <= LATE_SECONDS or self._interval > LATE_SECONDS:
            return
        missed = math.ceil(late / self._interval)
        if missed < self._left:
            self._left -= missed
            self._next_at += missed * self._interval

    async def _take_block(self, missed: Mark) -> None:
        """Ask until the beat gives us turns."""
        requests = max(1, int(_BLOCK_SECONDS * self._rate))
        while True:
            asked_at = self._clock()
            turn = await self._beat.take(requests, missed)
            self._lag = turn.lag_seconds
            if turn.taken:
                break
            missed = None
            await self._sleep(max(turn.wait_seconds - AHEAD_SECONDS / 2, _EARLY_SECONDS))
        # Not from now on: whoever was kept from reading the answer is late, and must know it.
        self._next_at = asked_at + self._usual + max(turn.wait_seconds, 0.0)
        self._usual = min(self._clock() - asked_at, self._usual * 1.2 + 0.001)
        self._left, self._mark = requests, turn.mark


class LocalBeat:
    """The beat of one process. The store's does the same arithmetic for all of them."""

    def __init__(self, requests_per_second: float, clock: Callable[[], float]) -> None:
        self._rate = requests_per_second
        self._clock = clock
        self.next_at = clock()
        self.lag = 0.0

    async def take(self, requests: int, missed: Mark = None) -> Turn:
        """The next ``requests`` turns, if the first of them is at most ``AHEAD_SECONDS`` away."""
        now = self._clock()
        turn_at = now if missed == self.next_at else self.next_at
        if turn_at > now + AHEAD_SECONDS:
            return Turn(False, turn_at - now, self.lag)
        share = requests / self._rate
        self.lag = max(self.lag - LAG_DECAY_SECONDS * share, 0.0)
        self.next_at = max(turn_at, now) + (SECOND + self.lag) * share
        return Turn(True, max(turn_at - now, 0.0), self.lag, self.next_at)

    async def widen(self, lag_seconds: float) -> None:
        """Requests take this long to arrive: whoever sends later makes room for those on their way."""
        self.next_at += max(lag_seconds - self.lag, 0.0)
        self.lag = max(self.lag, lag_seconds)

    async def hold(self, seconds: float) -> None:
        """No turn for this long."""
        self.next_at = max(self.next_at, self._clock() + seconds)


class LocalPacer(BeatPacer):
    """The beat of one process, for those who share a key with nobody."""

    def __init__(
        self,
        requests_per_second: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(LocalBeat(requests_per_second, clock), requests_per_second, clock=clock, sleep=sleep)
