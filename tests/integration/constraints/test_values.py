"""Amounts are exact, instants finite and forward, snapshots make sense: whoever writes."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.integration.constraints.ledger import LARGEST, REFUSED, Ledger, at, is_accepted, many_examples


@given(st.integers(0, LARGEST))
@many_examples
def test_every_amount_a_chain_can_state_is_kept_exactly(ledger: Ledger, amount: int) -> None:
    """From 0 to 2^256-1, to the last digit."""
    watch = ledger.watch()

    ledger.version(watch, at(1), amount=amount, locked=amount)

    query = "SELECT amount FROM ledger.holding_version WHERE watch_id = %(watch)s"
    assert ledger.value(query, watch=watch) == Decimal(amount)
    assert ledger.value(query.replace("amount", "locked::text", 1), watch=watch) == str(amount)


@pytest.mark.parametrize("amount", [0, 1, 2**64, 2**128, LARGEST])
def test_the_limits_are_accepted(ledger: Ledger, amount: int) -> None:
    """The largest amount is the largest, not one less."""
    ledger.version(ledger.watch(), at(1), amount=amount)

    assert int(ledger.value("SELECT amount FROM ledger.holding_version")) == amount


@pytest.mark.parametrize("column", ["amount", "locked"])
@pytest.mark.parametrize(
    "amount", ["NaN", "1.5", "0.1", "1.0", "-1", str(2**256), "Infinity", "-Infinity", "1e78", "1e-1"]
)
def test_no_other_amount_is_accepted(ledger: Ledger, amount: str, column: str) -> None:
    """Not a number, a fraction of a base unit (even .0), negative, beyond 256 bits, infinite."""
    with pytest.raises(REFUSED):
        ledger.version(ledger.watch(), at(1), **{column: Decimal(amount)})


@given(st.decimals(allow_nan=True, allow_infinity=True, places=3))
@many_examples
def test_an_amount_with_fraction_digits_is_refused(ledger: Ledger, amount: Decimal) -> None:
    """Nothing is rounded on its way in, whatever its size."""
    assert not is_accepted(ledger.version, ledger.watch(), at(1), amount=amount)


@pytest.mark.parametrize("instant", ["infinity", "-infinity"])
def test_no_instant_is_infinite(ledger: Ledger, instant: str) -> None:
    """Infinity is a legal timestamptz and would make a closed span out of an open one."""
    watch = ledger.watch()
    attempts: list[Callable[[], object]] = [
        lambda: ledger.version(watch, instant),
        lambda: ledger.version(watch, at(1), instant),
        lambda: ledger.carried(watch, instant),
        lambda: ledger.carried(watch, at(1), instant),
        lambda: ledger.period(watch, instant),
        lambda: ledger.period(watch, at(1), instant),
        lambda: ledger.snapshot(watch, instant),
        lambda: ledger.snapshot(watch, at(1), fresh_until=instant),
    ]

    assert [is_accepted(attempt) for attempt in attempts] == [False] * len(attempts)


@pytest.mark.parametrize("decimals", [-1, 256])
def test_decimals_are_sane(ledger: Ledger, decimals: int) -> None:
    """No chain has more than 255, and none has fewer than 0."""
    with pytest.raises(REFUSED):
        ledger.version(ledger.watch(), at(1), decimals=decimals)


# Snapshots.


def test_one_snapshot_per_instant(ledger: Ledger) -> None:
    """A watch has one answer at an instant; another watch may have its own."""
    watch = ledger.watch()
    ledger.snapshot(watch, at(1))

    assert not is_accepted(ledger.snapshot, watch, at(1))
    assert is_accepted(ledger.snapshot, ledger.watch(), at(1))


@many_examples
@given(st.lists(st.integers(0, 20), max_size=8))
def test_instants_of_a_watch_only_move_forward(ledger: Ledger, hours: list[int]) -> None:
    """Accepted exactly when later than every snapshot before it: answers for the past stay."""
    watch, latest = ledger.watch(), -1
    for hour in hours:
        assert is_accepted(ledger.snapshot, watch, at(hour)) is (hour > latest)
        latest = max(latest, hour)


def test_a_snapshot_is_not_older_than_its_pages(ledger: Ledger) -> None:
    """What the last page stated cannot have been known before it came."""
    with pytest.raises(REFUSED):
        ledger.snapshot(ledger.watch(), at(1), last_page_at=at(2))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("snapshot_at", at(5)),
        ("judged_at", at(5)),
        ("fresh_until", at(5)),
        ("holdings", 5),
        ("unreadable", 5),
        ("proves_absence", False),
        ("consistency", "drifted"),
        ("digest", b"e" * 32),
        ("watch_id", 2),
        ("crawl_id", 2),
        ("pages", 2),
    ],
)
def test_a_published_snapshot_is_not_changed(ledger: Ledger, column: str, value: object) -> None:
    """What was proved once stays what was proved."""
    watch = ledger.watch()
    ledger.watch()
    ledger.snapshot(watch, at(1))

    with pytest.raises(REFUSED):
        ledger.run(f"UPDATE ledger.snapshot SET {column} = %(value)s", value=value)


def test_a_quarantined_snapshot_is_resolved_once(ledger: Ledger) -> None:
    """Only its resolution may be said, and only once; nothing else changes with it."""
    ledger.quarantine(ledger.watch())
    resolve = "UPDATE ledger.snapshot SET resolution = %(word)s, resolved_at = now()"

    assert not is_accepted(ledger.run, resolve + ", holdings = 5", word="rejected")
    assert not is_accepted(ledger.run, "UPDATE ledger.snapshot SET reason = 'other'")
    assert not is_accepted(ledger.run, resolve, word="forgotten")
    assert ledger.run(resolve, word="rejected") == 1
    assert not is_accepted(ledger.run, resolve, word="released")
    assert not is_accepted(ledger.run, resolve, word=None)


def test_one_witness_at_a_time(ledger: Ledger) -> None:
    """A watch waits for the second witness of one list; once that is resolved another may be the first."""
    watch = ledger.watch()
    ledger.quarantine(watch)

    assert not is_accepted(ledger.quarantine, watch)
    ledger.run("UPDATE ledger.snapshot SET resolution = 'rejected', resolved_at = now()")
    assert is_accepted(ledger.quarantine, watch)


@pytest.mark.parametrize(
    "wrong",
    [
        {"state": "quarantined"},
        {"snapshot_at": None},
        {"fresh_until": at(0.5)},
        {"reason": "because"},
        {"resolution": "confirmed", "resolved_at": at(2)},
        {"digest": b"short"},
        {"holdings": -1},
        {"consistency": "whatever"},
    ],
    ids="-".join,
)
def test_a_snapshot_makes_sense(ledger: Ledger, wrong: dict[str, object]) -> None:
    """State, instant, reason and resolution go together."""
    with pytest.raises(REFUSED):
        ledger.snapshot(ledger.watch(), at(1), **wrong)
