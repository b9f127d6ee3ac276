"""report.diff: two instants side by side, unknown shown as unknown."""

from datetime import datetime
from typing import Any

import pytest

from tests.integration.report.world import Span, World, at


def diff(world: World, first: datetime, second: datetime) -> list[tuple[Any, ...]]:
    """(asset, from, to, answer before, answer after, change), by asset."""
    rows = world.rows("SELECT * FROM report.diff(%s, %s) ORDER BY asset_ref, sub_key", first, second)
    wanted = ("asset_ref", "old_amount", "new_amount", "old_answer", "new_answer", "change")
    return [tuple(row[name] for name in wanted) for row in rows]


@pytest.fixture
def watch(world: World) -> int:
    """Watched from 0 to 10; crawled at 1 and 2."""
    watch = world.watch()
    world.period(watch, at(0), at(10))
    world.publish(watch, at(1))
    world.publish(watch, at(2))
    return watch


def test_shows_what_came_went_and_moved(world: World, watch: int) -> None:
    """Unchanged holdings have no row."""
    names = {
        name: world.asset(name) for name in ("a-gone", "b-new", "c-more", "d-less", "e-frozen", "f-same")
    }
    world.version(watch, names["a-gone"], Span(at(1), at(2)), 5)
    world.version(watch, names["b-new"], Span(at(2)), 6, open_reason="appeared")
    for name, after, changed in (("c-more", 9, {}), ("d-less", 1, {}), ("e-frozen", 5, {"frozen": True})):
        world.version(watch, names[name], Span(at(1), at(2)), 5, close_reason="changed")
        world.version(watch, names[name], Span(at(2)), after, open_reason="changed", **changed)
    world.version(watch, names["f-same"], Span(at(1)), 5)

    assert diff(world, at(1), at(2)) == [
        ("a-gone", 5, 0, "held", "absent", "disappeared"),
        ("b-new", 0, 6, "absent", "held", "appeared"),
        ("c-more", 5, 9, "held", "held", "increased"),
        ("d-less", 5, 1, "held", "held", "decreased"),
        ("e-frozen", 5, 5, "held", "held", "changed"),
    ]


def test_there_and_back_is_no_difference(world: World, watch: int) -> None:
    """What is the same at both instants has no row, however it moved in between."""
    world.publish(watch, at(3))
    asset = world.asset("0.0.7")
    world.version(watch, asset, Span(at(1), at(2)), 5, close_reason="changed")
    world.version(watch, asset, Span(at(2), at(3)), 8, open_reason="changed", close_reason="changed")
    world.version(watch, asset, Span(at(3)), 5, open_reason="changed")

    assert diff(world, at(1), at(3)) == []


@pytest.mark.parametrize("before", [at(-1), at(0.5)])
def test_unknown_before_is_not_a_purchase(world: World, watch: int, before: datetime) -> None:
    """Held now and unknown then is first_seen, with no old amount."""
    world.version(watch, world.asset("0.0.7"), Span(at(1)), 5)

    assert diff(world, before, at(2)) == [("0.0.7", None, 5, "unknown", "held", "first_seen")]


@pytest.mark.parametrize("after", [at(11), datetime.fromisoformat("2999-01-01T00:00Z")])
def test_unknown_afterwards_is_not_a_sale(world: World, watch: int, after: datetime) -> None:
    """Held then and unknown now: our knowledge ended."""
    world.version(watch, world.asset("0.0.7"), Span(at(1), at(10)), 5, close_reason="unwatched")

    assert diff(world, at(2), after) == [("0.0.7", 5, None, "held", "unknown", "knowledge_ended")]


def test_seen_again_after_a_time_unwatched(world: World, watch: int) -> None:
    """It had been held before the time nobody looked."""
    world.period(watch, at(20))
    world.publish(watch, at(21))
    asset = world.asset("0.0.7")
    world.version(watch, asset, Span(at(1), at(10)), 5, close_reason="unwatched")
    world.version(watch, asset, Span(at(21)), 7)

    assert diff(world, at(15), at(22)) == [("0.0.7", None, 7, "unknown", "held", "seen_again")]


def test_unreadable_before_is_unknown_before(world: World, watch: int) -> None:
    """It was listed then; that it appeared would be wrong."""
    asset = world.asset("0.0.7")
    world.carry(watch, asset, Span(at(1), at(2)))
    world.version(watch, asset, Span(at(2)), 5, open_reason="first_read")

    assert diff(world, at(1), at(2)) == [("0.0.7", None, 5, "unknown", "held", "first_seen")]


@pytest.mark.parametrize("readable_again", [None, at(4)])
def test_unreadable_afterwards_is_not_a_sale(
    world: World, watch: int, readable_again: datetime | None
) -> None:
    """It was gone for a while and is listed again, but nobody knows how much."""
    asset = world.asset("0.0.7")
    world.version(watch, asset, Span(at(1), at(2)), 5)
    world.publish(watch, at(3), unreadable=1)
    world.carry(watch, asset, Span(at(3), readable_again))

    assert diff(world, at(1), at(3)) == [("0.0.7", 5, None, "held", "unknown", "knowledge_ended")]
    assert diff(world, at(1), at(2)) == [("0.0.7", 5, 0, "held", "absent", "disappeared")]


def test_absent_before_it_was_unreadable_is_absent(world: World, watch: int) -> None:
    """What nobody could read later on had been proved absent before."""
    asset = world.asset("0.0.7")
    world.publish(watch, at(3), unreadable=1)
    world.publish(watch, at(4))
    world.carry(watch, asset, Span(at(3), at(4)))
    world.version(watch, asset, Span(at(4)), 5, open_reason="first_read")

    assert diff(world, at(2), at(4)) == [("0.0.7", 0, 5, "absent", "held", "appeared")]


def test_a_holding_of_which_nothing_is_stated_comes_and_goes(world: World, watch: int) -> None:
    """Neither amount nor decimals: it is there all the same."""
    world.publish(watch, at(3))
    world.version(
        watch, world.asset("0.0.7"), Span(at(2), at(3)), None, decimals=None, open_reason="appeared"
    )

    assert diff(world, at(1), at(2)) == [("0.0.7", 0, None, "absent", "held", "appeared")]
    assert diff(world, at(2), at(3)) == [("0.0.7", None, 0, "held", "absent", "disappeared")]


def test_nothing_is_known_of_the_future(world: World, watch: int) -> None:
    """What is held now may be gone then."""
    world.version(watch, world.asset("0.0.7"), Span(at(1)), 5)
    future = datetime.fromisoformat("2999-01-01T00:00Z")

    assert diff(world, at(2), future) == [("0.0.7", 5, None, "held", "unknown", "knowledge_ended")]
    assert diff(world, future, at(2)) == [("0.0.7", None, 5, "unknown", "held", "seen_again")]


def test_what_ended_later_is_told_as_it_was(world: World, watch: int) -> None:
    """Held at the second instant, whatever became of it."""
    world.version(watch, world.asset("0.0.7"), Span(at(1), at(2)), 5)

    assert diff(world, at(0.5), at(1)) == [("0.0.7", None, 5, "unknown", "held", "first_seen")]


def test_a_list_with_a_nameless_item_leaves_the_rest_unknown(world: World, watch: int) -> None:
    """It proves no absence, on either side."""
    world.publish(watch, at(3), proves_absence=False, unreadable=1)
    world.publish(watch, at(4))
    world.version(watch, world.asset("0.0.7"), Span(at(4)), 5, open_reason="appeared")
    world.version(watch, world.asset("0.0.8"), Span(at(1), at(2)), 6)

    gone = ("0.0.8", 6, None, "held", "unknown", "knowledge_ended")
    assert diff(world, at(3), at(4)) == [("0.0.7", None, 5, "unknown", "held", "first_seen")]
    assert diff(world, at(2), at(4)) == [("0.0.7", 0, 5, "absent", "held", "appeared")]
    assert diff(world, at(1), at(3)) == [gone]


def test_has_the_agreed_columns_in_order(world: World) -> None:
    """Names and order are a contract; an empty database answers too."""
    cursor = world.connection.execute("SELECT * FROM report.diff(now(), now())")

    assert [column.name for column in cursor.description or ()] == [
        "source",
        "network",
        "address",
        "scope",
        "asset_ref",
        "sub_key",
        "symbol",
        "old_amount",
        "new_amount",
        "old_answer",
        "new_answer",
        "change",
    ]
