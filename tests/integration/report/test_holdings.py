"""report.holdings: what every watch with an answer held at an instant."""

from datetime import datetime, timedelta
from decimal import Context, Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer.records import LARGEST_AMOUNT
from tests.integration.report.world import Span, World, at

#: The default context of Python would round to 28 digits.
EVERY_DIGIT = Context(prec=400)

COLUMNS = [
    "source",
    "network",
    "address",
    "scope",
    "label",
    "tags",
    "asset_ref",
    "sub_key",
    "kind",
    "symbol",
    "name",
    "amount",
    "decimals",
    "quantity",
    "locked",
    "frozen",
    "delegate",
    "details",
    "status",
    "snapshot_at",
    "observed_at",
    "valid_from",
    "pending_review",
]


@pytest.fixture
def watch(world: World) -> int:
    """Crawled at 1, 2 and 3."""
    watch = world.watched()
    for hour in (1, 2, 3):
        world.publish(watch, at(hour))
    return watch


def test_has_the_agreed_columns_in_order(world: World) -> None:
    """Other tools are written against names and order; an empty database answers too."""
    for query in (b"SELECT * FROM report.holdings", b"SELECT * FROM report.holdings_as_of(now())"):
        cursor = world.connection.execute(query)
        assert [column.name for column in cursor.description or ()] == COLUMNS


def test_shows_the_version_of_the_instant(world: World, watch: int) -> None:
    """A version counts from its first instant up to, not including, its last."""
    asset = world.asset("0.0.7")
    world.version(watch, asset, Span(at(1), at(2)), 5, close_reason="changed")
    world.version(watch, asset, Span(at(2), at(3)), 8, open_reason="changed")

    amounts = {
        hour: [row["amount"] for row in world.rows("SELECT amount FROM report.holdings_as_of(%s)", at(hour))]
        for hour in (0.5, 1, 1.99, 2, 2.99, 3)
    }

    assert amounts == {0.5: [], 1: [5], 1.99: [5], 2: [8], 2.99: [8], 3: []}


def test_a_watch_without_an_answer_has_no_rows(world: World) -> None:
    """After unwatching nothing is shown as held, however long ago it was seen."""
    watch = world.watch()
    world.period(watch, at(0), at(4))
    world.publish(watch, at(1))
    world.version(watch, world.asset("0.0.7"), Span(at(1), at(4)), close_reason="unwatched")

    assert world.rows("SELECT * FROM report.holdings_as_of(%s)", at(3))
    assert world.rows("SELECT * FROM report.holdings_as_of(%s)", at(4)) == []
    assert world.rows("SELECT * FROM report.holdings") == []


def test_the_future_holds_nothing_yet(world: World, watch: int) -> None:
    """An instant that has not come has no holdings, not today's."""
    world.version(watch, world.asset("0.0.7"), Span(at(1)))

    assert world.rows("SELECT * FROM report.holdings_as_of(now() + interval '1 hour')") == []


@pytest.mark.parametrize(("moment", "status"), [(at(3), "fresh"), (at(5.9), "fresh"), (at(6), "stale")])
def test_status_is_the_age_of_the_snapshot(world: World, watch: int, moment: datetime, status: str) -> None:
    """fresh up to fresh_until, stale from it on; both say which snapshot speaks."""
    world.version(watch, world.asset("0.0.7"), Span(at(1)))

    row = world.row("SELECT * FROM report.holdings_as_of(%s)", moment)

    assert (row["status"], row["snapshot_at"]) == (status, at(3))
    assert row["observed_at"] == at(3) - timedelta(minutes=1)


@pytest.mark.parametrize("reason", ["unreadable", "missing", "unkeyed"])
def test_a_carried_holding_says_so(world: World, watch: int, reason: str) -> None:
    """While its item could not be read the last value stands, dated by the page that showed it."""
    asset = world.asset("0.0.7")
    world.version(watch, asset, Span(at(1)), 5)
    world.carry(watch, asset, Span(at(2), at(3)), reason)

    statuses = {h: world.row("SELECT * FROM report.holdings_as_of(%s)", at(h)) for h in (1.9, 2, 3)}

    assert [row["status"] for row in statuses.values()] == ["fresh", "carried", "fresh"]
    assert [row["amount"] for row in statuses.values()] == [5, 5, 5]
    assert statuses[2]["observed_at"] == at(1) - timedelta(minutes=1)
    assert statuses[2]["snapshot_at"] == at(2)


def test_carrying_touches_its_own_position_only(world: World, watch: int) -> None:
    """Another serial of the same token is as fresh as its snapshot."""
    asset = world.asset("0.0.7")
    world.version(watch, asset, Span(at(1)), sub_key="1")
    world.version(watch, asset, Span(at(1)), sub_key="2")
    world.carry(watch, asset, Span(at(2)), sub_key="2")

    rows = world.rows("SELECT sub_key, status FROM report.holdings_as_of(%s) ORDER BY sub_key", at(3))

    assert [(row["sub_key"], row["status"]) for row in rows] == [("1", "fresh"), ("2", "carried")]


def test_a_pending_list_is_shown_beside_what_still_counts(world: World, watch: int) -> None:
    """History stays, and says that a newer list was not believed."""
    world.version(watch, world.asset("0.0.7"), Span(at(1)))
    world.quarantine(watch, at(4))

    pending = [
        world.row("SELECT pending_review AS p FROM report.holdings_as_of(%s)", at(h))["p"] for h in (3.9, 4)
    ]

    assert pending == [False, True]


def test_descriptions_are_todays_and_may_be_missing(world: World, watch: int) -> None:
    """An asset nobody described is `other`; decimals never come from the description."""
    world.version(watch, world.asset("0.0.7"), Span(at(1)), decimals=None)
    described = world.asset("0.0.8", kind="fungible", symbol="ABC", name="Abc", decimals=6)
    world.version(watch, described, Span(at(1)), 10, decimals=None)

    rows = world.rows("SELECT * FROM report.holdings ORDER BY asset_ref")

    assert [(r["kind"], r["symbol"], r["decimals"], r["quantity"]) for r in rows] == [
        ("other", None, None, None),
        ("fungible", "ABC", None, None),
    ]


def test_an_amount_nobody_stated_is_null_not_zero(world: World, watch: int) -> None:
    """Held without an amount is a row with NULL."""
    world.version(watch, world.asset("0.0.7"), Span(at(1)), None, decimals=2)

    row = world.row("SELECT amount, quantity FROM report.holdings")

    assert (row["amount"], row["quantity"]) == (None, None)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(amount=st.integers(0, LARGEST_AMOUNT), decimals=st.integers(0, 255))
def test_quantity_is_exact(world: World, amount: int, decimals: int) -> None:
    """amount × 10^-decimals keeps every digit, whatever the size."""
    with world.connection.transaction(force_rollback=True):
        watch = world.watched(address=f"0.0.{amount % 9973}.{decimals}")
        world.publish(watch, at(1))
        world.version(watch, world.asset("0.0.7"), Span(at(1)), amount, decimals=decimals)

        row = world.row("SELECT amount, quantity::text AS quantity FROM report.holdings")

    assert row["amount"] == amount
    assert Decimal(row["quantity"]).scaleb(decimals, context=EVERY_DIGIT) == amount
