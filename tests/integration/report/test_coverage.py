"""report.coverage: one row per watch, always, saying what is known and why not."""

from datetime import datetime

import pytest

from tests.integration.report.world import World, at

STATUS = "SELECT status FROM report.coverage_as_of(%s)"


@pytest.fixture
def watch(world: World) -> int:
    """Watched from 0 to 10 and again from 20; crawled at 1 and at 21."""
    watch = world.watch()
    world.period(watch, at(0), at(10))
    world.period(watch, at(20))
    world.publish(watch, at(1))
    world.publish(watch, at(21))
    return watch


@pytest.mark.parametrize(
    ("moment", "status"),
    [
        (at(-1), "not_watched"),
        (at(0), "never_observed"),
        (at(0.99), "never_observed"),
        (at(1), "fresh"),
        (at(3.99), "fresh"),
        (at(4), "stale"),
        (at(9.99), "stale"),
        (at(10), "not_watched"),
        (at(20), "never_observed"),
        (at(21), "fresh"),
        (at(24), "stale"),
        (datetime.fromisoformat("2999-01-01T00:00Z"), "future"),
    ],
)
def test_status_follows_the_period_and_its_own_snapshots(
    world: World, watch: int, moment: datetime, status: str
) -> None:
    """Each instant has one status; an earlier period's snapshot never speaks for a later one."""
    assert world.row(STATUS, moment)["status"] == status


def test_a_watch_never_vanishes(world: World) -> None:
    """Removed and never crawled watches keep their row."""
    removed = world.watch(address="0.0.1")
    world.period(removed, at(0), at(1))
    world.watched(address="0.0.2")

    statuses = world.rows("SELECT address, status FROM report.coverage ORDER BY address")

    assert [(row["address"], row["status"]) for row in statuses] == [
        ("0.0.1", "not_watched"),
        ("0.0.2", "never_observed"),
    ]


def test_says_how_old_and_how_good_the_answer_is(world: World, watch: int) -> None:
    """The snapshot's own figures stand beside the status."""
    world.publish(watch, at(22), holdings=7, unreadable=2, consistency="window")

    row = world.row("SELECT * FROM report.coverage_as_of(%s)", at(23))

    assert (row["snapshot_at"], row["age"], row["holdings"]) == (at(22), at(1) - at(0), 7)
    assert (row["unreadable"], row["consistency"]) == (2, "window")
    assert (row["source"], row["network"], row["source_state"]) == ("hedera", "hedera", "active")


@pytest.mark.parametrize("moment", [at(-1), at(0), at(10), datetime.fromisoformat("2999-01-01T00:00Z")])
def test_shows_no_snapshot_where_there_is_no_answer(world: World, watch: int, moment: datetime) -> None:
    """Unknown has no age, no snapshot and no count that could be taken for one."""
    row = world.row("SELECT * FROM report.coverage_as_of(%s)", moment)

    assert (row["snapshot_at"], row["age"], row["holdings"], row["pending_review"]) == (
        None,
        None,
        None,
        False,
    )


@pytest.mark.parametrize(
    ("moment", "pending"),
    [(at(21.9), False), (at(22), True), (at(22.9), True), (at(23), False)],
)
def test_a_disbelieved_list_is_pending_until_resolved(
    world: World, watch: int, moment: datetime, pending: bool
) -> None:
    """pending_review is as of the instant, also when the list was resolved later."""
    world.quarantine(watch, at(22), resolved=at(23))

    assert world.row("SELECT * FROM report.coverage_as_of(%s)", moment)["pending_review"] is pending


def test_a_disbelieved_list_of_an_earlier_period_is_not_pending(world: World, watch: int) -> None:
    """What was doubted before the watch was removed says nothing about the new period."""
    world.quarantine(watch, at(5))

    assert world.row("SELECT * FROM report.coverage_as_of(%s)", at(22))["pending_review"] is False


def test_now_is_not_the_future(world: World, watch: int) -> None:
    """The view passes the very instant it compares with."""
    assert world.row("SELECT status FROM report.coverage")["status"] == "stale"
