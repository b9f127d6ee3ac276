"""Durations, sizes and cron lines: read exactly, refused with advice, written back the same."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.durations import (
    cron_trigger,
    format_duration,
    format_size,
    read_cron,
    read_duration,
    read_positive_duration,
    read_size,
)

_DURATIONS = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=36_500))


@given(_DURATIONS)
def test_a_duration_is_read_back_as_it_was_written(duration: timedelta) -> None:
    """``config show`` loses not a microsecond."""
    assert read_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("15m", 900),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("90s", 90),
        ("2d", 172_800),
        ("1w", 604_800),
        ("500ms", 0.5),
        ("1.5h", 5400),
        ("90", 90),
        (90, 90),
        (0.25, 0.25),
        (" 10m ", 600),
    ],
)
def test_a_duration_is_units_or_seconds(text: object, seconds: float) -> None:
    """Every documented way to write a duration."""
    assert read_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "m15", "15 mins", "30m1h", "1H", "-5m", -1, "nan", "inf", True, None, [], "1e99", "200000d"]
)
def test_what_is_no_duration_is_refused(text: object) -> None:
    """Typing errors are refused instead of guessed, and the text is not repeated: it may be a key."""
    with pytest.raises(ValueError, match="must") as caught:
        read_duration(text)
    assert not text or str(text) not in str(caught.value)


def test_zero_is_refused_where_it_would_loop() -> None:
    """Zero is a duration, but not a pause between crawls."""
    assert read_duration("0s") == timedelta(0)
    with pytest.raises(ValueError, match="longer than 0"):
        read_positive_duration("0s")


@given(st.integers(min_value=0, max_value=2**60))
def test_a_size_is_read_back_as_it_was_written(size: int) -> None:
    """No byte is lost on the way through text."""
    assert read_size(format_size(size)) == size


@pytest.mark.parametrize(
    ("text", "size"), [("1GiB", 2**30), ("500MB", 500_000_000), ("1.5kB", 1500), ("7", 7), (7, 7), ("3B", 3)]
)
def test_a_size_is_units_or_bytes(text: object, size: int) -> None:
    """1024s and 1000s are different units."""
    assert read_size(text) == size


@pytest.mark.parametrize("text", ["", "1G", "-1", -1, "1 XB", 1.5, True, None, "1iB", "GiB"])
def test_what_is_no_size_is_refused(text: object) -> None:
    """An unknown unit is refused instead of read as bytes."""
    with pytest.raises(ValueError, match="must"):
        read_size(text)


@pytest.mark.parametrize(
    ("line", "weekdays"),
    [("0 6 * * 0", {6}), ("0 6 * * 7", {6}), ("0 6 * * 1-5", {0, 1, 2, 3, 4}), ("0 6 * * sat,sun", {5, 6})],
)
def test_weekdays_count_as_in_every_crontab(line: str, weekdays: set[int]) -> None:
    """0 is Sunday, though APScheduler by itself would take it for Monday."""
    trigger = cron_trigger(read_cron(line))

    fired: set[int] = set()
    day = datetime(2026, 3, 1, tzinfo=UTC)
    for _ in range(14):
        due = trigger.get_next_fire_time(None, day)
        assert due is not None
        fired.add(due.weekday())
        day = due + timedelta(minutes=1)

    assert fired == weekdays


@pytest.mark.parametrize(
    "line",
    [
        "",
        "* * * *",
        "* * * * * *",
        "61 * * * *",
        "0 0 31 2 *",
        "* * * * 8",
        "* * * * mon-",
        "a b c d e",
        "* * * * */0",
    ],
)
def test_a_cron_line_that_never_fires_is_refused(line: str) -> None:
    """What APScheduler cannot read, or would never fire, is found at the start and not by waiting."""
    with pytest.raises(ValueError, match=r"must|cron|weekday"):
        read_cron(line)


def _advice(read: Callable[[str], object], text: str) -> str | None:
    try:
        read(text)
    except ValueError as error:
        return str(error)
    return None


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text makes a reader fail with anything but advice."""
    for read in (read_duration, read_size, read_cron):
        advice = _advice(read, text)
        assert advice is None or advice.split()[0] in {"must", "is", "has"}
