"""What is due when: aligned, coalesced, never twice, and backing off."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.schedule import EPOCH, FIRST_RETRY, LONGEST_RETRY, Decision, Pace, WatchState, decide

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
HOURLY = Pace(every=timedelta(hours=1))
SECOND = timedelta(seconds=1)

moments = st.integers(0, 20 * 366 * 86_400 * 1_000_000).map(
    lambda microseconds: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
)
intervals = st.timedeltas(timedelta(milliseconds=1), timedelta(days=40))
crons = st.sampled_from(
    ["0 * * * *", "*/5 * * * *", "30 2 * * *", "0 0 * * mon", "15 6 1 * *", "0 12 29 2 *", "* * 1 1 *"]
)
paces = intervals.map(lambda every: Pace(every=every)) | crons.map(lambda line: Pace(cron=line))


def watch(pace: Pace = HOURLY, **known: object) -> WatchState:
    """A watch that is watched since noon the day before."""
    return WatchState(watch_id=7, pace=pace, watched_from=NOON - timedelta(days=1), **known)  # type: ignore[arg-type]


@given(paces, moments)
def test_due_times_are_a_fixed_grid(pace: Pace, now: datetime) -> None:
    """The latest is not after now, the next is after it, and nothing lies between."""
    latest, following = pace.latest(now), pace.following(now)

    assert following > now
    if latest is not None:
        assert latest <= now
        assert pace.following(latest) == following
        assert pace.latest(latest) == latest


@given(intervals, moments)
def test_intervals_are_multiples_since_1970(every: timedelta, now: datetime) -> None:
    """So that every source with the same interval shares its instants."""
    latest = Pace(every=every).latest(now)

    assert latest is not None
    assert (latest - EPOCH) % every == timedelta(0)


def test_cron_reads_its_fields_in_utc() -> None:
    """Half past two in the morning is that in UTC, whatever the machine's zone."""
    pace = Pace(cron="30 2 * * *")

    assert pace.latest(NOON) == NOON.replace(hour=2, minute=30)
    assert pace.following(NOON) == NOON.replace(day=22, hour=2, minute=30)


def test_a_new_watch_is_due_at_once_for_the_latest_due_time() -> None:
    """Nobody waits an hour for a first answer."""
    decision = decide(watch(), NOON + timedelta(minutes=20))

    assert decision.due_at == NOON
    assert decision.look_at <= NOON + timedelta(hours=1)


def test_a_watch_is_due_when_a_due_time_has_passed_since_its_last_outcome() -> None:
    """Derived from the outcome alone: a restart in between changes nothing."""
    state = watch(ended_at=NOON + SECOND, last_due=NOON)

    assert decide(state, NOON + timedelta(minutes=59)) == Decision(None, NOON + timedelta(hours=1))
    assert decide(state, NOON + timedelta(hours=1)).due_at == NOON + timedelta(hours=1)


def test_missed_due_times_are_one() -> None:
    """After a night without power each watch is crawled once, for the latest due time."""
    decision = decide(watch(ended_at=NOON - timedelta(hours=9, minutes=30)), NOON + timedelta(minutes=5))

    assert decision.due_at == NOON


def test_a_watch_with_an_open_crawl_is_not_due() -> None:
    """However late it is; it is looked at again, ever less often."""
    young = decide(watch(open_since=NOON, ended_at=NOON - timedelta(days=1)), NOON + SECOND)
    old = decide(watch(open_since=NOON - timedelta(minutes=10)), NOON)

    assert young == Decision(None, NOON + SECOND + timedelta(minutes=1))
    assert old == Decision(None, NOON + timedelta(minutes=10))


@given(paces, moments, st.integers(1, 60))
def test_failures_back_off_up_to_an_hour_or_the_own_interval(
    pace: Pace, ended_at: datetime, failures: int
) -> None:
    """Never at once, never sooner than after fewer failures by more than the jitter, never forgotten."""
    state = WatchState(7, pace, ended_at - timedelta(days=99), ended_at=ended_at, failures=failures)

    decision = decide(state, ended_at)

    every = pace.every or LONGEST_RETRY
    first, longest = min(every, FIRST_RETRY), max(every, LONGEST_RETRY)
    expected = min(first * 2 ** min(failures - 1, 24), longest)
    grid = max(SECOND, first)
    assert decision.due_at is None
    assert expected * 0.75 <= decision.look_at - ended_at <= expected + grid


def test_watches_that_failed_together_come_back_apart() -> None:
    """The jitter is theirs for ever: two processes agree on it without talking."""
    late = {
        decide(WatchState(number, HOURLY, NOON, ended_at=NOON + SECOND, failures=6), NOON + SECOND).look_at
        for number in range(50)
    }

    assert len(late) > 25


def test_a_retry_is_named_by_its_instant() -> None:
    """A due time that failed is not taken twice: the retry has one of its own."""
    state = watch(ended_at=NOON + SECOND, last_due=NOON, failures=1)

    decision = decide(state, NOON + timedelta(minutes=5))

    assert decision.due_at is not None
    assert NOON < decision.due_at <= NOON + FIRST_RETRY + 2 * SECOND


def test_a_disbelieved_list_is_asked_about_again_alone() -> None:
    """The second witness comes as soon as it may, in a crawl of its own, and once."""
    state = watch(
        ended_at=NOON + SECOND, last_due=NOON, witness_at=NOON + SECOND, confirm_after=timedelta(minutes=10)
    )

    early = decide(state, NOON + timedelta(minutes=9))
    due = decide(state, NOON + timedelta(minutes=11))
    answered = decide(
        watch(
            ended_at=NOON + timedelta(minutes=11),
            witness_at=NOON + SECOND,
            confirm_after=timedelta(minutes=10),
        ),
        NOON + timedelta(minutes=12),
    )

    assert early == Decision(None, NOON + timedelta(minutes=10, seconds=1))
    assert due.due_at == NOON + timedelta(minutes=10, seconds=1)
    assert due.alone
    assert answered == Decision(None, NOON + timedelta(hours=1))


def test_a_watch_that_left_and_came_back_within_one_interval_is_due_at_once() -> None:
    """Its due time was answered before it left, so it is given another."""
    now = NOON + timedelta(minutes=20)

    decision = decide(watch(last_due=NOON), now)

    assert decision.due_at == now


@pytest.mark.parametrize("failures", [0, 3])
def test_an_outcome_in_the_future_keeps_nobody_waiting(failures: int) -> None:
    """The clock was a year ahead, and was set right: it is not a year's silence that tells so."""
    ahead = NOON + timedelta(days=365)

    decision = decide(watch(ended_at=ahead, last_due=ahead, failures=failures), NOON)

    assert decision.due_at == NOON
    assert decide(watch(ended_at=NOON, last_due=NOON), NOON + timedelta(minutes=1)).due_at is None


@given(paces, moments, st.integers(0, 3), st.booleans())
def test_years_of_ticks_take_no_due_time_twice(
    pace: Pace, start: datetime, failures: int, restarts: bool
) -> None:
    """Ticks at any rhythm, outcomes of any kind: due times only go forward, no look is in vain."""
    now, last_due, ended_at, failed = start, None, None, 0
    for step in range(30):
        state = WatchState(7, pace, start, ended_at=ended_at, failures=failed, last_due=last_due)
        decision = decide(state, now)
        if decision.due_at is None:
            assert decision.look_at > now
            now = decision.look_at if not restarts else min(decision.look_at, now + timedelta(days=3))
            continue
        assert last_due is None or decision.due_at > last_due
        assert decision.due_at <= now
        last_due, ended_at = decision.due_at, now + timedelta(milliseconds=300)
        failed = failed + 1 if step < failures else 0
        now = ended_at


@pytest.mark.parametrize("every", [timedelta(seconds=2), timedelta(seconds=30)])
def test_retries_of_fast_watches_stay_on_their_grid(every: timedelta) -> None:
    """So that addresses of one rune still share their crawls."""
    state = watch(Pace(every=every), ended_at=NOON + SECOND, failures=3)

    assert (decide(state, NOON + SECOND).look_at - EPOCH) % every == timedelta(0)
