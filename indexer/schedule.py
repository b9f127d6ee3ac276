"""What is due when. Pure: what the database says of a watch goes in, the decision comes out.

Due times are aligned to the clock in UTC (multiples of ``every`` since 1970, or the fields of a cron line):
they are the same for every process and after every restart. Knows no database and no clock.
"""

import hashlib
from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from indexer.durations import cron_trigger

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

#: A failed watch is asked again after this, then after twice as long, and so on.
FIRST_RETRY: Final = timedelta(minutes=1)

#: Unless the watch's own interval is longer, it is never left alone for longer than this.
LONGEST_RETRY: Final = timedelta(hours=1)

#: How soon an open crawl is looked at again: it may have failed, and want a retry before the next due time.
RECHECK: Final = timedelta(minutes=1)

#: A crawl that ended further ahead than this ended by a clock that was set back since.
CLOCK_ERROR: Final = timedelta(minutes=1)

#: Retries of slow watches need not wait for a due time; whole seconds still let them share crawls.
_SECOND: Final = timedelta(seconds=1)

#: How far back a cron line is searched for its last due time; 29 February comes every eight years at worst.
_LONGEST_CRON_GAP_MINUTES: Final = 8 * 366 * 24 * 60


@dataclass(frozen=True, slots=True)
class Pace:
    """How often: exactly one of the two is set."""

    every: timedelta | None = None
    #: A line of ``durations.read_cron``.
    cron: str | None = None

    def latest(self, now: datetime) -> datetime | None:
        """The last due time up to ``now``; None when a cron line has none in living memory."""
        if self.every is not None:
            return EPOCH + (now - EPOCH) // self.every * self.every
        return _latest_cron(self.cron or "", now.replace(second=0, microsecond=0))

    def following(self, after: datetime) -> datetime:
        """The first due time after ``after``."""
        if self.every is not None:
            return EPOCH + ((after - EPOCH) // self.every + 1) * self.every
        return _following_cron(self.cron or "", after.replace(second=0, microsecond=0))


@lru_cache(maxsize=256)
def _following_cron(line: str, minute: datetime) -> datetime:
    found = cron_trigger(line).get_next_fire_time(None, minute + timedelta(microseconds=1))
    # `read_cron` refuses lines that never come due; one whose last year has passed waits for an edit.
    return datetime.max.replace(tzinfo=UTC) if found is None else found.astimezone(UTC)


@lru_cache(maxsize=256)
def _latest_cron(line: str, minute: datetime) -> datetime | None:
    """Cron lines only say what comes next: search the latest minute whose next due time is not after now."""

    def comes_due_within(minutes: int) -> bool:
        return _following_cron(line, minute - timedelta(minutes=minutes)) <= minute

    minutes = bisect_left(range(_LONGEST_CRON_GAP_MINUTES), True, lo=1, key=comes_due_within)
    if minutes == _LONGEST_CRON_GAP_MINUTES:
        return None
    return _following_cron(line, minute - timedelta(minutes=minutes))


@dataclass(frozen=True, slots=True)
class WatchState:
    """What the database says of one watch."""

    watch_id: int
    pace: Pace
    watched_from: datetime
    #: When its open crawl was made; None: no crawl is open.
    open_since: datetime | None = None
    #: When its last crawl of this watch period ended; None: none has.
    ended_at: datetime | None = None
    #: Failures since the last success. A refusal is the source's and makes nothing grow.
    failures: int = 0
    #: The newest due time ever given to a crawl of it.
    last_due: datetime | None = None
    #: When a list was disbelieved that still waits for its second witness, and how long it must wait.
    witness_at: datetime | None = None
    confirm_after: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do about one watch now."""

    #: The due time to crawl it for; None: it is not due.
    due_at: datetime | None
    #: When to look at it again.
    look_at: datetime
    #: It may confirm a disbelieved list: that crawl covers no other watch.
    alone: bool = False


def decide(state: WatchState, now: datetime) -> Decision:
    """Whether a watch is due at ``now``, for which due time, and when to look again."""
    following = state.pace.following(now)
    if state.open_since is not None:
        # Never two at once. The longer it has been open, the less often it is looked at.
        return Decision(None, min(following, now + max(RECHECK, now - state.open_since)))
    wanted = _find_wanted(state, now)
    if wanted > now:
        return Decision(None, wanted)
    due_at = _name_due_time(state, wanted, now)
    return Decision(due_at, min(following, now + RECHECK), alone=_confirms(state, now))


def _find_wanted(state: WatchState, now: datetime) -> datetime:
    """From when on the watch wants to be crawled; in the past when it is due."""
    # By a clock that was ahead for a year nobody waits a year: the crawl says what is wrong, if anything is.
    if state.ended_at is None or state.ended_at - now > CLOCK_ERROR:
        return now
    if state.failures:
        return _find_retry(state, state.ended_at)
    wanted = state.pace.following(state.ended_at)
    confirm_at = _find_confirmation(state)
    if confirm_at is not None and confirm_at > state.ended_at:
        return min(wanted, confirm_at)
    return wanted


def _name_due_time(state: WatchState, wanted: datetime, now: datetime) -> datetime:
    """The one due time a crawl answers, however many were missed: the latest."""
    latest = state.pace.latest(now)
    if state.ended_at is None:
        named = latest or state.watched_from
    else:
        named = max(wanted, latest) if latest is not None else wanted
    # A watch that left and came back within one interval: its due time was answered before it left.
    return named if state.last_due is None or named > state.last_due else now


def _find_retry(state: WatchState, ended_at: datetime) -> datetime:
    every = state.pace.every or LONGEST_RETRY
    first, longest = min(every, FIRST_RETRY), max(every, LONGEST_RETRY)
    # Beyond 2^30 any first retry exceeds any longest one.
    delay = min(first * 2 ** min(state.failures - 1, 30), longest)
    return _round_up(ended_at + delay * _jitter(state), state.pace)


def _jitter(state: WatchState) -> float:
    """Between 3/4 and 1, the same in every process: watches that failed together come back apart."""
    seed = f"{state.watch_id}/{state.failures}".encode()
    return 0.75 + 0.25 * int.from_bytes(hashlib.sha256(seed).digest()[:4], "big") / 2**32


def _find_confirmation(state: WatchState) -> datetime | None:
    if state.witness_at is None:
        return None
    return _round_up(state.witness_at + state.confirm_after, state.pace)


def _confirms(state: WatchState, now: datetime) -> bool:
    return state.witness_at is not None and state.witness_at + state.confirm_after <= now


def _round_up(instant: datetime, pace: Pace) -> datetime:
    """Up to the next due time of a fast watch, or to the next second: so that watches still share crawls."""
    grid = pace.every if pace.every is not None and pace.every < FIRST_RETRY else _SECOND
    return EPOCH - (EPOCH - instant) // grid * grid
