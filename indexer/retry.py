"""When to ask an API again: how long to wait, when to give up, when not to try at all.

Numbers only. Nothing here sleeps, sends or reads a clock by itself.
"""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from indexer.errors import ServerTrouble

#: Full-jitter backoff: a random share of base × 2^(attempt-1), never more than the cap.
BACKOFF_BASE_SECONDS: Final = 0.5
BACKOFF_CAP_SECONDS: Final = 30.0

#: Longer digit strings are no waiting time; int() of them is slow.
_LONGEST_SECONDS: Final = 12


def backoff_seconds(attempt: int, random: Callable[[], float]) -> float:
    """How long to wait after the failed ``attempt`` (1 is the first), when nobody told us."""
    ceiling = BACKOFF_BASE_SECONDS * 2.0 ** min(attempt - 1, 32)
    return random() * min(ceiling, BACKOFF_CAP_SECONDS)


def read_retry_after(value: str, now: datetime) -> float | None:
    """Seconds from a Retry-After header, which is a number or an HTTP date. None if it is neither."""
    value = value.strip()
    if value.isascii() and value.isdigit() and len(value) <= _LONGEST_SECONDS:
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        # HTTP dates are GMT; "-0000" parses as a time without a zone.
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def longest_wait(*waits: float | None) -> float | None:
    """The longest of the waits that were stated at all."""
    stated = [wait for wait in waits if wait is not None and math.isfinite(wait) and wait >= 0]
    return max(stated, default=None)


class Breaker:
    """Stops asking a source that is down: its other crawls fail at once instead of queueing.

    After ``failures`` fetches in a row that failed in spite of retries it refuses for ``pause_seconds``, then
    lets one fetch through. That trial's outcome closes it again or starts the next pause.
    """

    def __init__(self, clock: Callable[[], float], failures: int = 5, pause_seconds: float = 30.0) -> None:
        self._clock = clock
        self._failures_allowed = failures
        self._pause_seconds = pause_seconds
        self._failures = 0
        self._refuses_until = -math.inf
        self._trial_runs = False

    def enter(self, what: str) -> None:
        """Raise ServerTrouble if this fetch may not start. Else end it with one of the three below."""
        if self._failures < self._failures_allowed:
            return
        left = self._refuses_until - self._clock()
        if left > 0 or self._trial_runs:
            seconds = max(left, 1.0)
            raise ServerTrouble(
                f"{what}: not asked, {self._failures} fetches in a row failed; next try in {seconds:.0f} s",
                seconds,
            )
        self._trial_runs = True

    def succeed(self) -> None:
        """The server answered, whatever it said."""
        self._failures = 0
        self._trial_runs = False

    def fail(self) -> None:
        """The server was in trouble until the last attempt."""
        self._failures += 1
        self._trial_runs = False
        if self._failures >= self._failures_allowed:
            self._refuses_until = self._clock() + self._pause_seconds

    def abort(self) -> None:
        """The fetch was cancelled and proves nothing: the next one may be the trial."""
        self._trial_runs = False
