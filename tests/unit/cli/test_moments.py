"""Instants as people type them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.cli.moments import Moment, age, brief, iso, read_moment
from indexer.errors import UsageError

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@given(st.datetimes(timezones=st.just(UTC)))
def test_an_instant_we_print_is_read_back_exactly(at: datetime) -> None:
    """What any output shows can be pasted into --as-of."""
    moment = read_moment(iso(at))

    assert moment == Moment(at=at)


@pytest.mark.parametrize("text", ["2026-11-20", "2026-11-20T00:00:00", " 2026-11-20 00:00 "])
def test_without_a_zone_utc_is_assumed_and_marked(text: str) -> None:
    """An assumption about time is made visible."""
    assert read_moment(text) == Moment(at=datetime(2026, 11, 20, tzinfo=UTC), zone_assumed=True)


def test_a_zone_is_honoured() -> None:
    """01:00 in Berlin is midnight UTC."""
    moment = read_moment("2026-11-20T01:00:00+01:00")

    assert moment == Moment(at=datetime(2026, 11, 20, tzinfo=UTC))
    assert moment.at is not None
    assert moment.at.tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "back"),
    [
        ("1h ago", timedelta(hours=1)),
        ("-1h", timedelta(hours=1)),
        ("-1h30m", timedelta(minutes=90)),
        ("2d AGO", timedelta(days=2)),
        ("now", timedelta()),
    ],
)
def test_a_distance_counts_back_from_the_databases_now(text: str, back: timedelta) -> None:
    """Only the database's clock says what an hour ago is."""
    assert read_moment(text).resolve(NOW) == NOW - back


@given(st.text(max_size=30))
def test_whatever_is_typed_gives_an_instant_or_a_usage_error(text: str) -> None:
    """No input ends in an internal error."""
    try:
        at = read_moment(text).resolve(NOW)
    except UsageError:
        return
    assert at.utcoffset() == timedelta()


def test_longer_ago_than_any_date_is_a_usage_error() -> None:
    """36000 days before the year 1 does not exist."""
    with pytest.raises(UsageError, match="longer ago"):
        read_moment("-36000d").resolve(datetime(10, 1, 1, tzinfo=UTC))


def test_tables_show_utc_to_the_second() -> None:
    """Whatever zone the driver gave."""
    assert brief(datetime(2026, 11, 20, 1, 2, 3, 9, timezone(timedelta(hours=1)))) == "2026-11-20 00:02:03Z"


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(0), "0s"),
        (timedelta(milliseconds=900), "0s"),
        (timedelta(seconds=-5), "0s"),
        (timedelta(minutes=12, seconds=5), "12m 5s"),
        (timedelta(days=3, hours=4, seconds=1), "3d 4h"),
        (timedelta(days=1, seconds=7), "1d 7s"),
    ],
)
def test_an_age_has_its_two_largest_units(span: timedelta, text: str) -> None:
    """Enough to judge by, short enough for a column."""
    assert age(span) == text
