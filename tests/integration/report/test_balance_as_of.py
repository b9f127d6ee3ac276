"""report.balance_as_of: exactly one row, and unknown is never zero."""

from datetime import datetime
from decimal import Decimal

import pytest

from tests.integration.report.world import Span, World, at

ASK = "SELECT * FROM report.balance_as_of(%s, %s, %s, %s)"


def ask(
    world: World, moment: datetime, asset: str = "0.0.7", address: str = "0.0.1001"
) -> tuple[object, ...]:
    """(amount, answer, reason, status) for the hedera account of these stories."""
    row = world.row(ASK, "hedera", address, asset, moment)
    return (row["amount"], row["answer"], row["reason"], row["status"])


@pytest.fixture
def watch(world: World) -> int:
    """Crawled at 1 and 2; removed at 10."""
    watch = world.watch()
    world.period(watch, at(0), at(10))
    world.publish(watch, at(1))
    world.publish(watch, at(2))
    return watch


def test_held_is_the_sum_over_positions(world: World, watch: int) -> None:
    """All serials together, in base units and exactly in units."""
    asset = world.asset("0.0.7")
    world.version(watch, asset, Span(at(1)), 2**256 - 1, sub_key="1", decimals=18)
    world.version(watch, asset, Span(at(1)), 1, sub_key="2", decimals=18)

    row = world.row(ASK, "hedera", "0.0.1001", "0.0.7", at(2))

    assert (row["amount"], row["answer"], row["reason"], row["status"]) == (2**256, "held", None, "fresh")
    assert row["quantity"] == Decimal(
        "115792089237316195423570985008687907853269984665640564039457.584007913129639936"
    )
    assert row["snapshot_at"] == at(2)


@pytest.mark.parametrize(("moment", "status"), [(at(2), "fresh"), (at(4.99), "fresh"), (at(5), "stale")])
def test_absent_is_a_proven_zero(world: World, watch: int, moment: datetime, status: str) -> None:
    """A complete crawl that did not list the asset proves zero, and an old one says it is old."""
    row = world.row(ASK, "hedera", "0.0.1001", "0.0.7", moment)

    assert (row["amount"], row["quantity"], row["answer"], row["reason"]) == (0, 0, "absent", None)
    assert (row["status"], row["snapshot_at"]) == (status, at(2))


@pytest.mark.parametrize(
    ("moment", "reason"),
    [
        (at(-1), "not_watched"),
        (at(0.5), "never_observed"),
        (at(10), "not_watched"),
        (datetime.fromisoformat("2999-01-01T00:00Z"), "future"),
    ],
)
def test_unknown_says_why(world: World, watch: int, moment: datetime, reason: str) -> None:
    """Before, after and outside of watching, nothing is zero."""
    assert ask(world, moment) == (None, "unknown", reason, None)


@pytest.mark.parametrize(
    ("source", "address"), [("hedera", "0.0.9"), ("nowhere", "0.0.1001"), ("algorand", "0.0.1001")]
)
def test_what_nobody_watches_is_unknown(world: World, watch: int, source: str, address: str) -> None:
    """An unknown address or source still has exactly one row."""
    row = world.row(ASK, source, address, "0.0.7", at(2))

    assert (row["amount"], row["answer"], row["reason"]) == (None, "unknown", "not_watched")
    assert row["snapshot_at"] is None


def test_no_asset_is_not_a_balance_of_zero(world: World, watch: int) -> None:
    """A join that found no asset asks for nothing in particular: no list proves that absent."""
    row = world.row(ASK, "hedera", "0.0.1001", None, at(2))

    assert (row["amount"], row["answer"], row["reason"]) == (None, "unknown", "not_watched")


def test_an_empty_database_answers(world: World) -> None:
    """One row even when there is nothing at all."""
    assert ask(world, at(2)) == (None, "unknown", "not_watched", None)


def test_an_unreadable_item_without_a_history_is_unknown(world: World, watch: int) -> None:
    """It is listed, so it is not absent; nobody knows how much."""
    world.carry(watch, world.asset("0.0.7"), Span(at(1), at(2)))

    assert ask(world, at(1)) == (None, "unknown", "unreadable", "fresh")
    assert ask(world, at(2)) == (0, "absent", None, "fresh")


@pytest.mark.parametrize("reason", ["unreadable", "missing", "unkeyed"])
def test_a_carried_holding_keeps_its_value(world: World, watch: int, reason: str) -> None:
    """The last known value stands and says so."""
    asset = world.asset("0.0.7")
    world.version(watch, asset, Span(at(1)), 5)
    world.carry(watch, asset, Span(at(2)), reason)

    assert ask(world, at(1)) == (5, "held", None, "fresh")
    assert ask(world, at(2)) == (5, "held", None, "carried")


def test_what_has_ended_is_told_as_it_was(world: World, watch: int) -> None:
    """Held until 4 and carried for a while: each instant is answered as of then."""
    world.publish(watch, at(3))
    world.publish(watch, at(4))
    asset = world.asset("0.0.7")
    world.version(watch, asset, Span(at(1), at(4)), 5)
    world.carry(watch, asset, Span(at(2), at(3)), "missing")

    assert [ask(world, at(hour)) for hour in (1, 2, 3, 4)] == [
        (5, "held", None, "fresh"),
        (5, "held", None, "carried"),
        (5, "held", None, "fresh"),
        (0, "absent", None, "fresh"),
    ]


def test_one_carried_position_makes_the_sum_carried(world: World, watch: int) -> None:
    """The sum is as good as its worst part."""
    asset = world.asset("0.0.7")
    world.version(watch, asset, Span(at(1)), 5, sub_key="1")
    world.version(watch, asset, Span(at(1)), 6, sub_key="2")
    world.carry(watch, asset, Span(at(2)), sub_key="2")

    assert ask(world, at(2)) == (11, "held", None, "carried")


def test_a_position_nobody_could_read_makes_the_sum_unknown(world: World, watch: int) -> None:
    """It is held for sure, but the readable part alone would be a wrong number."""
    asset = world.asset("0.0.7")
    world.version(watch, asset, Span(at(1)), 5, sub_key="1")
    world.carry(watch, asset, Span(at(2)), sub_key="2")

    assert ask(world, at(2)) == (None, "held", "unreadable", "carried")


def test_an_item_without_a_key_proves_no_absence(world: World, watch: int) -> None:
    """Nobody knows which holding it was; what was listed is still held."""
    world.version(watch, world.asset("0.0.8"), Span(at(1)), 5)
    world.publish(watch, at(3), unreadable=1, proves_absence=False)

    assert ask(world, at(3), "0.0.7") == (None, "unknown", "unreadable", "fresh")
    assert ask(world, at(3), "0.0.8") == (5, "held", None, "fresh")


def test_a_list_that_moved_proves_no_absence(world: World, watch: int) -> None:
    """Between two pages a row can slip past the reader: never seen is not absent."""
    world.version(watch, world.asset("0.0.8"), Span(at(1)), 5)
    world.publish(watch, at(3), consistency="drifted", proves_absence=False)

    assert ask(world, at(3), "0.0.7") == (None, "unknown", "drifted", "fresh")
    assert ask(world, at(3), "0.0.8") == (5, "held", None, "fresh")


def test_an_unstated_amount_is_held_and_null(world: World, watch: int) -> None:
    """Held without an amount is neither zero nor unknown whether held."""
    world.version(watch, world.asset("0.0.7"), Span(at(1)), None)

    assert ask(world, at(2)) == (None, "held", None, "fresh")


@pytest.mark.parametrize(
    ("other", "amount", "quantity"),
    [({"decimals": 2}, 30, Decimal("0.30")), ({"decimals": 3}, 30, None), ({"decimals": None}, 30, None)],
)
def test_positions_that_disagree_on_decimals_have_no_quantity(
    world: World, watch: int, other: dict[str, int | None], amount: int, quantity: Decimal | None
) -> None:
    """Base units still add up; what they mean is not known."""
    asset = world.asset("0.0.7")
    world.version(watch, asset, Span(at(1)), 10, sub_key="1", decimals=2)
    world.version(watch, asset, Span(at(1)), 20, sub_key="2", **other)

    row = world.row(ASK, "hedera", "0.0.1001", "0.0.7", at(2))

    assert (row["amount"], row["quantity"], row["answer"]) == (amount, quantity, "held")


def test_one_position_of_unstated_amount_makes_the_sum_unknown(world: World, watch: int) -> None:
    """A total that skips a position would be plausible and wrong."""
    asset = world.asset("0.0.7")
    world.version(watch, asset, Span(at(1)), 5, sub_key="1")
    world.version(watch, asset, Span(at(1)), None, sub_key="2")

    assert ask(world, at(2)) == (None, "held", None, "fresh")


def test_no_snapshot_speaks_where_one_watch_of_two_has_none(world: World, watch: int) -> None:
    """What one of them saw is not the whole answer."""
    world.watched(scope="other")

    row = world.row(ASK, "hedera", "0.0.1001", "0.0.7", at(2))

    assert (row["answer"], row["reason"]) == ("unknown", "never_observed")
    assert (row["status"], row["snapshot_at"]) == (None, None)


def test_holding_zero_is_held(world: World, watch: int) -> None:
    """An opted-in account with balance 0 holds the asset."""
    world.version(watch, world.asset("0.0.7"), Span(at(1)), 0)

    assert ask(world, at(2)) == (0, "held", None, "fresh")


def test_a_new_period_starts_without_knowledge(world: World, watch: int) -> None:
    """Watched again but not crawled yet: unknown, whatever was known before."""
    world.period(watch, at(20))

    assert ask(world, at(15))[1:3] == ("unknown", "not_watched")
    assert ask(world, at(21))[1:3] == ("unknown", "never_observed")


def test_a_rune_is_answered_by_its_own_watch_only(world: World) -> None:
    """OKX proves absence per rune: another rune's list says nothing about this one."""
    rune = world.watched("okx_runes", "bc1qx", "1:1")
    world.publish(rune, at(1))
    world.version(rune, world.asset("1:1", "bitcoin"), Span(at(1)), 5, sub_key="t:0")
    world.watched("okx_runes", "bc1qx", "3:3")

    answers = {asset: world.row(ASK, "okx_runes", "bc1qx", asset, at(2)) for asset in ("1:1", "2:2", "3:3")}

    assert {asset: (row["amount"], row["answer"], row["reason"]) for asset, row in answers.items()} == {
        "1:1": (5, "held", None),
        "2:2": (None, "unknown", "not_watched"),
        "3:3": (None, "unknown", "never_observed"),
    }


def test_a_rune_that_could_not_be_read_is_unknown(world: World) -> None:
    """Its own watch lists it, and another rune's watch says nothing of it."""
    rune = world.watched("okx_runes", "bc1qx", "1:1")
    world.publish(rune, at(1), unreadable=1)
    world.carry(rune, world.asset("1:1", "bitcoin"), Span(at(1)), sub_key="t:0")

    row = world.row(ASK, "okx_runes", "bc1qx", "1:1", at(2))

    assert (row["amount"], row["answer"], row["reason"]) == (None, "unknown", "unreadable")


def test_the_same_address_on_another_source_is_another_question(world: World, watch: int) -> None:
    """Assets are found on the source's own network."""
    other = world.watched("algorand", "0.0.1001")
    world.publish(other, at(1))
    world.version(other, world.asset("0.0.7", "algorand"), Span(at(1)), 9)

    assert ask(world, at(2)) == (0, "absent", None, "fresh")
    assert world.row(ASK, "algorand", "0.0.1001", "0.0.7", at(2))["amount"] == 9


def test_takes_named_parameters(world: World, watch: int) -> None:
    """The parameter names are part of the contract."""
    row = world.row(
        "SELECT * FROM report.balance_as_of("
        "p_source => 'hedera', p_address => '0.0.1001', p_asset_ref => '0.0.7', p_at => %s)",
        at(2),
    )

    assert list(row) == ["amount", "quantity", "answer", "reason", "status", "snapshot_at"]
