"""When to ask again, and when not to ask at all."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import ServerTrouble
from indexer.retry import Breaker, backoff_seconds, longest_wait, read_retry_after

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@given(attempt=st.integers(1, 10_000), chance=st.floats(0, 1, exclude_max=True))
def test_backoff_is_full_jitter_under_a_growing_ceiling(attempt: int, chance: float) -> None:
    """Between nothing and 0.5 s × 2^(attempt-1), never above 30 s, spread over the whole range."""
    ceiling = min(0.5 * 2 ** min(attempt - 1, 100), 30.0)

    assert backoff_seconds(attempt, lambda: chance) == pytest.approx(chance * ceiling)


@given(seconds=st.integers(0, 10**11))
def test_reads_retry_after_in_seconds(seconds: int) -> None:
    """A plain number is seconds."""
    assert read_retry_after(f" {seconds} ", NOW) == seconds


@given(offset=st.integers(-(10**7), 10**7))
def test_reads_retry_after_as_a_date(offset: int) -> None:
    """A date is the time until then; one in the past is no wait."""
    header = format_datetime(NOW + timedelta(seconds=offset), usegmt=True)

    assert read_retry_after(header, NOW) == max(0, offset)


@given(text=st.text(max_size=40))
def test_never_fails_on_a_strange_retry_after(text: str) -> None:
    """The header comes from a stranger: it is read or ignored."""
    wait = read_retry_after(text, NOW)

    assert wait is None or wait >= 0


@pytest.mark.parametrize("text", ["", "-5", "1.5", "soon", "١٢", "9" * 5000, "Sun, 99 Mar 2026 12:00:00 GMT"])
def test_ignores_what_is_neither(text: str) -> None:
    """Anything else states no wait, which is not a wait of 0."""
    assert read_retry_after(text, NOW) is None


def test_the_longest_stated_wait_wins() -> None:
    """Not stated is not 0; nonsense does not count."""
    assert longest_wait(None, 3.0, 0.0) == 3.0
    assert longest_wait(None, float("nan"), float("inf"), -1.0) is None


class Clock:
    """Seconds that pass when told."""

    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def broken_breaker(clock: Clock) -> Breaker:
    breaker = Breaker(clock, failures=3, pause_seconds=30)
    for _ in range(3):
        breaker.enter("x")
        breaker.fail()
    return breaker


def test_breaker_opens_after_failures_in_a_row() -> None:
    """One success in between starts the count again."""
    breaker = Breaker(Clock(), failures=3, pause_seconds=30)

    for _ in range(5):
        breaker.fail()
        breaker.fail()
        breaker.succeed()

    breaker.enter("x")


def test_breaker_refuses_while_it_pauses() -> None:
    """The refusal says since when and until when, in words and as a number."""
    clock = Clock()
    breaker = broken_breaker(clock)
    clock.seconds += 10

    with pytest.raises(ServerTrouble, match="3 fetches in a row failed; next try in 20 s") as caught:
        breaker.enter("x")

    assert caught.value.retry_after_seconds == 20


def test_breaker_lets_one_trial_through_after_the_pause() -> None:
    """Only one fetch finds out whether the source is back; its success opens the way for all."""
    clock = Clock()
    breaker = broken_breaker(clock)
    clock.seconds += 30

    breaker.enter("the trial")
    with pytest.raises(ServerTrouble):
        breaker.enter("another")
    breaker.succeed()

    breaker.enter("another")
    breaker.enter("and another")


def test_breaker_pauses_again_when_the_trial_fails() -> None:
    """A failed trial starts the next pause at once."""
    clock = Clock()
    breaker = broken_breaker(clock)
    clock.seconds += 30
    breaker.enter("the trial")
    breaker.fail()
    clock.seconds += 29

    with pytest.raises(ServerTrouble):
        breaker.enter("too early")
    clock.seconds += 1

    breaker.enter("the next trial")


def test_breaker_gives_a_cancelled_trial_to_the_next() -> None:
    """A trial that was cancelled must not block the source for ever."""
    clock = Clock()
    breaker = broken_breaker(clock)
    clock.seconds += 30
    breaker.enter("the trial")

    breaker.abort()

    breaker.enter("the next trial")
