"""When a request may leave: one even beat per key, shared by everybody who uses that key.

The protocol, and the beat of one process. Workers on several machines share one through the store.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

#: Requests leave 5 % slower than allowed: the network may bring two closer together than they left.
SAFETY: Final = 1.05

#: A worker woken late may catch up this much. Well inside the 5 %, so no window gets one too many.
_CATCH_UP_SECONDS: Final = 0.01

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


class LocalPacer:
    """The beat of one process: first come, first served, and a cancelled wait costs no turn."""

    def __init__(
        self,
        requests_per_second: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._spacing = SAFETY / requests_per_second
        self._clock = clock
        self._sleep = sleep
        self._turn = asyncio.Lock()
        self._free_at = clock()

    async def wait(self) -> None:
        """Return when the caller may send one request."""
        async with self._turn:
            # Asked again after every sleep: somebody may have been told to hold meanwhile.
            while (left := self._free_at - self._clock()) > _EARLY_SECONDS:
                await self._sleep(left)
            self._free_at = max(self._free_at, self._clock() - _CATCH_UP_SECONDS) + self._spacing

    async def hold(self, seconds: float) -> None:
        """Let nobody send anything for this long, the caller included."""
        self._free_at = max(self._free_at, self._clock() + seconds)
