"""How many crawls to claim ahead. Pure arithmetic.

A claim is a transaction of five statements. Where walks end as fast as they are claimed, a process would
spend its time claiming a few at a time; so as many as were published lately are taken beside those that fill
its lanes. Slow walks leave nothing ahead: what one process only holds, another could walk.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import Final

#: Walks that ended this long ago still count: a crawl that is claimed ahead waits about as long for its turn.
_LATELY_SECONDS: Final = 0.5

#: No more than this: a claim is as cheap a crawl then as it becomes.
MOST_AHEAD: Final = 48


class Ahead:
    """How many walks of one source were published lately, in this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ended: deque[float] = deque(maxlen=MOST_AHEAD)

    def count_published(self, walks: int) -> None:
        """So many ended now."""
        self._ended.extend([self._clock()] * min(walks, MOST_AHEAD))

    def forget(self) -> None:
        """Something went wrong: nothing is taken ahead until walks are published again."""
        self._ended.clear()

    def count(self) -> int:
        """Crawls to hold beside those that fill the lanes."""
        oldest = self._clock() - _LATELY_SECONDS
        while self._ended and self._ended[0] < oldest:
            self._ended.popleft()
        return len(self._ended)
