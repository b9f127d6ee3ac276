"""report.balances and report.balances_daily: sums that say whether they are the whole truth."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer.records import LARGEST_AMOUNT
from tests.integration.report.world import Span, World, at

BALANCE = "SELECT * FROM report.balances_as_of(%s)"

COLUMNS = [
    "source",
    "network",
    "address",
    "label",
    "tags",
    "asset_ref",
    "kind",
    "symbol",
    "name",
    "amount",
    "decimals",
    "quantity",
    "positions",
    "status",
    "snapshot_at",
    "complete",
    "missing_watches",
]


@pytest.fixture
def watch(world: World) -> int:
    """Crawled at 1."""
    watch = world.watched()
    world.publish(watch, at(1))
    return watch


def test_has_the_agreed_columns_in_order(world: World) -> None:
    """Names and order are a contract; an empty database answers too."""
    cursor = world.connection.execute("SELECT * FROM report.balances")
    assert [column.name for column in cursor.description or ()] == COLUMNS
    cursor = world.connection.execute(
        "SELECT * FROM report.balances_daily('2025-01-01', '2025-01-02', 'UTC')"
    )
    assert [column.name for column in cursor.description or ()] == ["day", *COLUMNS]


def test_sums_the_positions_of_an_asset(world: World, watch: int) -> None:
    """One row per asset, however many serials."""
    asset = world.asset("0.0.7", symbol="ABC")
    for serial, amount in (("1", 100), ("2", 250)):
        world.version(watch, asset, Span(at(1)), amount, sub_key=serial, decimals=2)

    row = world.row(BALANCE, at(2))

    assert (row["amount"], row["quantity"], row["decimals"]) == (350, Decimal("3.5"), 2)
    assert (row["positions"], row["symbol"], row["status"]) == (2, "ABC", "fresh")
    assert (row["complete"], row["missing_watches"], row["snapshot_at"]) == (True, 0, at(1))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(amounts=st.lists(st.integers(0, LARGEST_AMOUNT), min_size=1, max_size=4))
def test_sums_are_exact(world: World, amounts: list[int]) -> None:
    """Sums go beyond 2^256-1 without losing a digit."""
    with world.connection.transaction(force_rollback=True):
        watch = world.watched(address=f"0.0.{len(amounts)}.{amounts[0] % 997}")
        world.publish(watch, at(1))
        for place, amount in enumerate(amounts):
            world.version(watch, world.asset("0.0.7"), Span(at(1)), amount, sub_key=str(place))

        row = world.row(BALANCE, at(2))

    assert row["amount"] == sum(amounts)


def test_an_unknown_amount_makes_the_sum_unknown(world: World, watch: int) -> None:
    """A total that skips a position would be plausible and wrong."""
    asset = world.asset("0.0.7")
    world.version(watch, asset, Span(at(1)), 100, sub_key="1")
    world.version(watch, asset, Span(at(1)), None, sub_key="2")

    row = world.row(BALANCE, at(2))

    assert (row["amount"], row["quantity"], row["positions"]) == (None, None, 2)


def test_a_position_nobody_could_read_makes_the_sum_unknown(world: World, watch: int) -> None:
    """The readable part alone would be a wrong number, until it is read or gone; another asset's stays."""
    asset, other = world.asset("0.0.7"), world.asset("0.0.9")
    world.version(watch, asset, Span(at(1)), 5, sub_key="1")
    world.version(watch, other, Span(at(1)), 6)
    world.carry(watch, asset, Span(at(1), at(3)), sub_key="2")
    world.version(watch, asset, Span(at(3)), 7, sub_key="2", open_reason="first_read")

    def ask(moment: datetime) -> list[tuple[object, ...]]:
        rows = world.rows(f"{BALANCE} ORDER BY asset_ref", moment)
        return [(row["amount"], row["quantity"], row["positions"], row["status"]) for row in rows]

    assert ask(at(2)) == [(None, None, 1, "carried"), (6, 6, 1, "fresh")]
    assert ask(at(3)) == [(12, 12, 2, "fresh"), (6, 6, 1, "fresh")]


@pytest.mark.parametrize("other", [3, None])
def test_disagreeing_decimals_leave_the_amount_and_no_quantity(
    world: World, watch: int, other: int | None
) -> None:
    """Base units still add up; what they mean is not known."""
    asset = world.asset("0.0.7")
    world.version(watch, asset, Span(at(1)), 100, sub_key="1", decimals=2)
    world.version(watch, asset, Span(at(1)), 100, sub_key="2", decimals=other)

    row = world.row(BALANCE, at(2))

    assert (row["amount"], row["decimals"], row["quantity"]) == (200, None, None)


def test_the_worst_position_gives_the_status(world: World, watch: int) -> None:
    """carried is worse than stale, stale worse than fresh."""
    asset = world.asset("0.0.7")
    world.version(watch, asset, Span(at(1)), sub_key="1")
    world.version(watch, asset, Span(at(1)), sub_key="2")
    world.publish(watch, at(2), unreadable=1)
    world.carry(watch, asset, Span(at(2)), sub_key="2")

    statuses = [world.row(BALANCE, at(hour))["status"] for hour in (1.5, 2.5, 9)]

    assert statuses == ["fresh", "carried", "carried"]


@pytest.mark.parametrize(
    ("moment", "complete"), [(at(1), True), (at(4), False), (at(5), False), (at(6), False), (at(7), True)]
)
def test_complete_needs_a_fresh_readable_undisputed_list(
    world: World, watch: int, moment: datetime, complete: bool
) -> None:
    """Stale at 4, something unreadable at 5, something without a key at 6, all good at 7."""
    world.version(watch, world.asset("0.0.7"), Span(at(1)))
    world.publish(watch, at(5), unreadable=1)
    world.carry(watch, world.asset("0.0.8"), Span(at(5), at(6)))
    world.publish(watch, at(6), unreadable=1, proves_absence=False)
    world.publish(watch, at(7))

    assert world.row(BALANCE, moment)["complete"] is complete


def test_what_is_still_unreadable_makes_sums_incomplete(world: World, watch: int) -> None:
    """Something else at the address could not be read: it may be more of the same."""
    world.version(watch, world.asset("0.0.7"), Span(at(1)))
    world.carry(watch, world.asset("0.0.8"), Span(at(1)))

    assert world.row(BALANCE, at(2))["complete"] is False


def test_a_pending_list_makes_sums_incomplete(world: World, watch: int) -> None:
    """Somebody saw something else: the sum is not final."""
    world.version(watch, world.asset("0.0.7"), Span(at(1)))
    world.quarantine(watch, at(1.5))

    assert world.row(BALANCE, at(2))["complete"] is False


def test_a_rune_is_judged_by_its_own_watch_only(world: World) -> None:
    """Another rune's missing answer does not make this one's sum doubtful."""
    rune = world.watched("okx_runes", "bc1qx", "1:1")
    world.watched("okx_runes", "bc1qx", "2:2")
    world.publish(rune, at(1))
    world.version(rune, world.asset("1:1", "bitcoin"), Span(at(1)), 5)

    row = world.row(BALANCE, at(2))

    assert (row["amount"], row["complete"], row["missing_watches"]) == (5, True, 0)


def test_a_watch_without_an_answer_is_counted_as_missing(world: World, watch: int) -> None:
    """Where several watches could hold the asset, a silent one makes the sum partial."""
    world.watched(scope="other")
    world.version(watch, world.asset("0.0.7"), Span(at(1)))

    row = world.row(BALANCE, at(2))

    assert (row["complete"], row["missing_watches"]) == (False, 1)


DAILY = "SELECT * FROM report.balances_daily(%s, %s, %s) ORDER BY day"


def test_days_without_a_crawl_keep_the_last_value_as_stale(world: World, watch: int) -> None:
    """Gap-filled: every day since the first answer has its row."""
    world.version(watch, world.asset("0.0.7"), Span(at(1)), 5)
    world.publish(watch, at(23))

    rows = world.rows(DAILY, date(2025, 2, 28), date(2025, 3, 3), "UTC")

    assert [(row["day"].day, row["amount"], row["status"], row["complete"]) for row in rows] == [
        (1, 5, "fresh", True),
        (2, 5, "stale", False),
        (3, 5, "stale", False),
    ]


@pytest.mark.parametrize(("day", "hours"), [(date(2025, 3, 30), 23), (date(2025, 10, 26), 25)])
def test_a_day_ends_at_its_own_midnight(world: World, day: date, hours: int) -> None:
    """Days of 23 and 25 hours end one microsecond before the next local midnight."""
    start = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo("Europe/Berlin"))
    midnight = (start.astimezone(ZoneInfo("UTC")) + timedelta(hours=hours)).astimezone(ZoneInfo("UTC"))
    watch = world.watched()
    for moment in (start, midnight):
        world.publish(watch, moment, fresh_until=moment + timedelta(days=3))
    asset = world.asset("0.0.7")
    world.version(watch, asset, Span(start, midnight), 1, close_reason="changed")
    world.version(watch, asset, Span(midnight), 2, open_reason="changed")

    rows = world.rows(DAILY, day, day + timedelta(days=1), "Europe/Berlin")

    assert [row["amount"] for row in rows] == [1, 2]


def test_the_zone_of_the_session_does_not_matter(world: World, watch: int) -> None:
    """The same days, wherever the reader sits."""
    world.version(watch, world.asset("0.0.7"), Span(at(1)), 5)
    question = (DAILY, date(2025, 2, 28), date(2025, 3, 2), "Europe/Berlin")

    here = world.rows(*question)
    world.connection.execute("SET TimeZone = 'Pacific/Kiritimati'")

    assert [(row["day"], row["snapshot_at"]) for row in world.rows(*question)] == [
        (row["day"], row["snapshot_at"]) for row in here
    ]


def test_the_current_day_is_not_complete_and_the_next_not_there(world: World) -> None:
    """Today shows now; tomorrow shows nothing."""
    now = world.row("SELECT now() AS now, (now() AT TIME ZONE 'UTC')::date AS today")
    watch = world.watched()
    world.publish(watch, now["now"] - timedelta(seconds=5))
    world.version(watch, world.asset("0.0.7"), Span(now["now"] - timedelta(seconds=5)), 5)

    rows = world.rows(DAILY, now["today"], now["today"] + timedelta(days=2), "UTC")

    assert [(row["day"], row["amount"], row["complete"]) for row in rows] == [(now["today"], 5, False)]


@pytest.mark.parametrize("zone", ["UTC+2", "+02", "GMT+2", "-03:00", "<X>5", None])
def test_an_offset_is_no_zone(world: World, zone: str | None) -> None:
    """POSIX has their sign reversed: days would end hours off, without a word."""
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="name a place"):
        world.rows(DAILY, date(2025, 3, 1), date(2025, 3, 1), zone)


@pytest.mark.parametrize("zone", ["UTC", "America/Port-au-Prince", "Etc/GMT+2", "EST5EDT", "Europe/Berlin"])
def test_a_place_is_a_zone(world: World, zone: str) -> None:
    """Names with digits and dashes too."""
    assert world.rows(DAILY, date(2025, 3, 1), date(2025, 3, 1), zone) == []


def test_a_day_ends_at_the_first_of_two_midnights(world: World) -> None:
    """The Azores set clocks back from 1 to 0: what happens in the hour that comes twice is of the new day."""
    watch, asset = world.watched(), world.asset("0.0.7")
    start, change = datetime(2025, 10, 25, 6, tzinfo=UTC), datetime(2025, 10, 26, 0, 30, tzinfo=UTC)
    for moment in (start, change):
        world.publish(watch, moment, fresh_until=moment + timedelta(days=3))
    world.version(watch, asset, Span(start, change), 1, close_reason="changed")
    world.version(watch, asset, Span(change), 2, open_reason="changed")

    rows = world.rows(DAILY, date(2025, 10, 25), date(2025, 10, 26), "Atlantic/Azores")

    assert [row["amount"] for row in rows] == [1, 2]


def test_a_day_that_just_ended_is_not_complete_yet(world: World) -> None:
    """A list of its last second may still be on its way in: zones in which midnight was so long ago."""
    now = world.row("SELECT now() AS now")["now"]
    watch = world.watched()
    world.publish(watch, now - timedelta(days=3), fresh_until=now + timedelta(days=3))
    world.version(watch, world.asset("0.0.7"), Span(now - timedelta(days=3)), 5)
    definition = world.row("SELECT pg_get_functiondef('report.balances_daily'::regproc) AS text")["text"]

    def ask(seconds_ago: int) -> bool:
        """The same function on a clock that stands so long after midnight."""
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        clock = f"'{midnight + timedelta(seconds=seconds_ago)}'::timestamptz"
        world.connection.execute(
            definition.replace("report.balances_daily", "pg_temp.balances_daily").replace(
                "statement_timestamp()", clock
            )
        )
        day = midnight.date() - timedelta(days=1)
        return bool(world.row("SELECT * FROM pg_temp.balances_daily(%s, %s, 'UTC')", day, day)["complete"])

    assert [ask(1), ask(59), ask(61)] == [False, False, True]
