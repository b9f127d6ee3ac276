"""report.holding_history and report.holding_changes: what changed, and between which two looks."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.integration.report.world import Span, World, at

FIRST_PAGE = timedelta(minutes=2)
LAST_PAGE = timedelta(minutes=1)


@pytest.fixture
def watch(world: World) -> int:
    """Crawled at 1, 2, 3 and 4."""
    watch = world.watched()
    for hour in (1, 2, 3, 4):
        world.publish(watch, at(hour))
    return watch


def changes(world: World) -> list[tuple[Any, ...]]:
    """(when, what, from, to), in order."""
    rows = world.rows("SELECT * FROM report.holding_changes ORDER BY changed_at, change")
    return [(row["changed_at"], row["change"], row["old_amount"], row["new_amount"]) for row in rows]


def bounds(world: World, change: str) -> tuple[datetime | None, datetime | None]:
    """Between which instants this change happened."""
    row = world.row("SELECT not_before, not_after FROM report.holding_changes WHERE change = %s", change)
    return (row["not_before"], row["not_after"])


def test_a_life_is_told_change_by_change(world: World, watch: int) -> None:
    """Each event is one row, though it closes one version and opens another."""
    asset = world.asset("0.0.7")
    world.version(watch, asset, Span(at(1), at(2)), 5, close_reason="changed")
    world.version(watch, asset, Span(at(2), at(3)), 8, open_reason="changed", close_reason="changed")
    world.version(watch, asset, Span(at(3), at(4)), 2, open_reason="changed")
    other = world.asset("0.0.8")
    world.version(watch, other, Span(at(3)), 1, open_reason="appeared")

    assert changes(world) == [
        (at(1), "first_seen", None, 5),
        (at(2), "increased", 5, 8),
        (at(3), "appeared", 0, 1),
        (at(3), "decreased", 8, 2),
        (at(4), "disappeared", 2, 0),
    ]


@pytest.mark.parametrize(("before", "after"), [(5, 5), (None, 5), (5, None), (None, None)])
def test_other_facts_or_unknown_amounts_are_changed(
    world: World, watch: int, before: int | None, after: int | None
) -> None:
    """Nobody can say more or less of an amount nobody stated."""
    asset = world.asset("0.0.7")
    world.version(watch, asset, Span(at(1), at(2)), before, close_reason="changed")
    world.version(watch, asset, Span(at(2)), after, open_reason="changed", frozen=True)

    assert changes(world)[1] == (at(2), "changed", before, after)


def test_unwatching_is_not_selling(world: World) -> None:
    """What ends is our knowledge; when we look again the holding is seen again."""
    watch = world.watch()
    world.period(watch, at(0), at(2))
    world.period(watch, at(5))
    world.publish(watch, at(1))
    world.publish(watch, at(6))
    asset = world.asset("0.0.7")
    world.version(watch, asset, Span(at(1), at(2)), 5, close_reason="unwatched")
    world.version(watch, asset, Span(at(6)), 9)

    assert changes(world) == [
        (at(1), "first_seen", None, 5),
        (at(2), "knowledge_ended", 5, None),
        (at(6), "seen_again", None, 9),
    ]
    assert bounds(world, "knowledge_ended") == (None, None)
    assert bounds(world, "seen_again") == (None, at(6) - LAST_PAGE)
    ended = world.row("SELECT crawl FROM report.holding_changes WHERE change = 'knowledge_ended'")
    assert ended["crawl"] is None


def test_first_readable_is_first_seen(world: World, watch: int) -> None:
    """It was listed before, unreadable: that it appeared would be a guess."""
    asset = world.asset("0.0.7")
    world.carry(watch, asset, Span(at(1), at(2)))
    world.version(watch, asset, Span(at(2)), 5, open_reason="first_read")

    assert changes(world) == [(at(2), "first_seen", None, 5)]
    assert bounds(world, "first_seen") == (None, at(2) - LAST_PAGE)


def test_a_change_lies_between_two_looks(world: World, watch: int) -> None:
    """After the first page of the look before, before the last page of the look that shows it."""
    world.version(watch, world.asset("0.0.7"), Span(at(3)), open_reason="appeared")

    assert bounds(world, "appeared") == (at(2) - FIRST_PAGE, at(3) - LAST_PAGE)


@pytest.mark.parametrize("reason", ["unreadable", "missing", "unkeyed"])
def test_while_carried_nobody_looked(world: World, watch: int, reason: str) -> None:
    """The last look is the one before the carried span, not one that could not see the holding."""
    asset = world.asset("0.0.7")
    world.version(watch, asset, Span(at(1), at(4)))
    world.carry(watch, asset, Span(at(2), at(3)), "unreadable")
    world.carry(watch, asset, Span(at(3), at(4)), reason)

    assert bounds(world, "disappeared") == (at(1) - FIRST_PAGE, at(4) - LAST_PAGE)


def test_a_list_with_a_nameless_item_is_no_proof_of_absence(world: World, watch: int) -> None:
    """The nameless item may have been the one that appears later."""
    world.publish(watch, at(5), proves_absence=False, unreadable=1)
    world.publish(watch, at(6))
    world.version(watch, world.asset("0.0.7"), Span(at(6)), open_reason="appeared")
    world.version(watch, world.asset("0.0.8"), Span(at(6)), open_reason="first_read")

    assert bounds(world, "appeared") == (at(4) - FIRST_PAGE, at(6) - LAST_PAGE)
    assert bounds(world, "first_seen") == (None, at(6) - LAST_PAGE)


def test_a_list_with_a_nameless_item_is_a_look_at_what_it_names(world: World, watch: int) -> None:
    """What changed or went later was seen in it as it had been."""
    world.publish(watch, at(5), proves_absence=False, unreadable=1)
    world.publish(watch, at(6))
    asset = world.asset("0.0.7")
    world.version(watch, asset, Span(at(1), at(6)), 5, close_reason="changed")
    world.version(watch, asset, Span(at(6)), 8, open_reason="changed")
    world.version(watch, world.asset("0.0.8"), Span(at(2), at(6)), open_reason="appeared")

    assert bounds(world, "increased") == (at(5) - FIRST_PAGE, at(6) - LAST_PAGE)
    assert bounds(world, "disappeared") == (at(5) - FIRST_PAGE, at(6) - LAST_PAGE)


def test_a_change_in_a_time_that_has_ended_keeps_its_bounds(world: World) -> None:
    """The watch was taken off the list since; what was seen before was seen."""
    watch = world.watch()
    world.period(watch, at(0), at(4))
    world.publish(watch, at(1))
    world.publish(watch, at(2))
    world.version(
        watch, world.asset("0.0.7"), Span(at(2), at(4)), open_reason="appeared", close_reason="unwatched"
    )

    assert bounds(world, "appeared") == (at(1) - FIRST_PAGE, at(2) - LAST_PAGE)


@pytest.fixture
def folded(world: World) -> int:
    """Crawled at 1 and 2, at 3 and 4 as at 2, and at 5; taken off the list at 6."""
    watch = world.watch()
    world.period(watch, at(0), at(6))
    world.publish(watch, at(1))
    world.repeat(watch, world.publish(watch, at(2)), at(3), at(4))
    world.publish(watch, at(5))
    return watch


def test_the_last_of_a_run_is_the_look_before(world: World, folded: int) -> None:
    """What was folded was seen all the same."""
    asset, other = world.asset("0.0.7"), world.asset("0.0.8")
    world.version(folded, asset, Span(at(1), at(5)), 5, close_reason="changed")
    world.version(folded, asset, Span(at(5), at(6)), 8, open_reason="changed", close_reason="unwatched")
    world.version(folded, other, Span(at(5), at(6)), open_reason="appeared", close_reason="unwatched")

    assert bounds(world, "increased") == (at(4) - FIRST_PAGE, at(5) - LAST_PAGE)
    assert bounds(world, "appeared") == (at(4) - FIRST_PAGE, at(5) - LAST_PAGE)


@pytest.mark.parametrize(("until", "look"), [(at(5), at(1)), (at(3.5), at(4))])
def test_while_carried_nobody_looked_in_a_run_either(
    world: World, folded: int, until: datetime, look: datetime
) -> None:
    """The last look is one that could see the holding."""
    asset = world.asset("0.0.7")
    world.version(folded, asset, Span(at(1), at(5)))
    world.carry(folded, asset, Span(at(2), until))

    assert bounds(world, "disappeared") == (look - FIRST_PAGE, at(5) - LAST_PAGE)


def test_a_run_of_lists_with_a_nameless_item_proves_no_absence(world: World, watch: int) -> None:
    """It is a look at what it names, and at nothing else."""
    world.repeat(watch, world.publish(watch, at(5), proves_absence=False, unreadable=1), at(6), at(7))
    world.publish(watch, at(8))
    asset = world.asset("0.0.7")
    world.version(watch, asset, Span(at(1), at(8)), 5, close_reason="changed")
    world.version(watch, asset, Span(at(8)), 8, open_reason="changed")
    world.version(watch, world.asset("0.0.8"), Span(at(2), at(8)), open_reason="appeared")
    world.version(watch, world.asset("0.0.9"), Span(at(8)), open_reason="appeared")
    world.version(watch, world.asset("0.0.6"), Span(at(8)), open_reason="first_read")

    looks = (
        "SELECT asset_ref, not_before FROM report.holding_changes WHERE change IN ('appeared', 'first_seen')"
    )
    found = {row["asset_ref"]: row["not_before"] for row in world.rows(looks + " AND changed_at = %s", at(8))}
    assert found == {"0.0.9": at(4) - FIRST_PAGE, "0.0.6": None}
    assert bounds(world, "increased") == (at(7) - FIRST_PAGE, at(8) - LAST_PAGE)
    assert bounds(world, "disappeared") == (at(7) - FIRST_PAGE, at(8) - LAST_PAGE)


def test_a_disbelieved_list_is_no_look(world: World, watch: int) -> None:
    """Only published snapshots bound a change."""
    world.quarantine(watch, at(4.5), resolved=at(5))
    world.publish(watch, at(5))
    world.version(watch, world.asset("0.0.7"), Span(at(1), at(5)))

    assert bounds(world, "disappeared") == (at(4) - FIRST_PAGE, at(5) - LAST_PAGE)


def test_quantities_use_the_decimals_of_their_time(world: World, watch: int) -> None:
    """Old and new are each read with what was reported then."""
    asset = world.asset("0.0.7")
    world.version(watch, asset, Span(at(1), at(2)), 500, decimals=2, close_reason="changed")
    world.version(watch, asset, Span(at(2)), 9000, decimals=3, open_reason="changed")

    row = world.row("SELECT * FROM report.holding_changes WHERE change = 'increased'")

    assert (row["old_quantity"], row["new_quantity"]) == (Decimal(5), Decimal(9))


def test_quantities_and_crawls_are_those_of_the_event(world: World) -> None:
    """What came has its opening crawl and began with nothing; what went has its closing one and ended so."""
    watch = world.watch()
    world.period(watch, at(0), at(4))
    for hour in (1, 2, 3):
        world.publish(watch, at(hour))
    asset, other = world.asset("0.0.7"), world.asset("0.0.8")
    world.version(watch, asset, Span(at(2), at(3)), 500, decimals=2, open_reason="appeared", opened_by=7)
    world.version(watch, other, Span(at(1), at(4)), 7, close_reason="unwatched", opened_by=8)

    rows = world.rows("SELECT * FROM report.holding_changes ORDER BY changed_at")

    assert [(row["change"], row["old_quantity"], row["new_quantity"], row["crawl"]) for row in rows] == [
        ("first_seen", None, 7, 8),
        ("appeared", 0, 5, 7),
        ("disappeared", 5, 0, 2),
        ("knowledge_ended", 7, None, None),
    ]


def test_history_shows_every_version_and_where_it_came_from(world: World, watch: int) -> None:
    """Spans, reasons, crawl and page; the key is stable and unique."""
    asset = world.asset("0.0.7")
    world.version(watch, asset, Span(at(1), at(2)), 5, close_reason="changed", sub_key="9", opened_page=4)
    world.version(watch, asset, Span(at(2)), 8, open_reason="changed", sub_key="9")

    first, second = world.rows("SELECT * FROM report.holding_history ORDER BY valid_from")

    assert first["version_key"] == f"{watch}/{asset}/9/2025-03-01T01:00:00.000000Z"
    assert (first["valid_from"], first["valid_to"]) == (at(1), at(2))
    assert (first["open_reason"], first["close_reason"]) == ("baseline", "changed")
    assert (first["opened_by_crawl"], first["opened_page"], first["closed_by_crawl"]) == (1, 4, 2)
    assert (second["valid_to"], second["close_reason"], second["closed_by_crawl"]) == (None, None, None)
    assert first["version_key"] != second["version_key"]


def test_a_version_key_does_not_depend_on_the_session(world: World, watch: int) -> None:
    """Incremental loads from another time zone find the same key."""
    world.version(watch, world.asset("0.0.7"), Span(at(1)))
    key = "SELECT version_key FROM report.holding_history"

    here = world.row(key)
    world.connection.execute("SET TimeZone = 'Asia/Tokyo'; SET DateStyle = 'German'")

    assert world.row(key) == here
