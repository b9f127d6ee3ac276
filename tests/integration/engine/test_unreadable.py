"""Listed but unreadable is not absent: what is known is carried, the rest stays unknown, both counted."""

import pytest

from indexer.simulator.positions import SOURCES
from tests.integration.engine.conftest import OpenStage
from tests.integration.engine.stage import Fault, World, by_watch, outcomes

_SPANS = "SELECT reason, valid_to IS NULL AS open FROM ledger.carried_span ORDER BY valid_from"


@pytest.mark.parametrize("source", SOURCES)
def test_an_unreadable_amount_carries_the_old_version(open_stage: OpenStage, source: str) -> None:
    """The version stays open, marked as carried, and the mark goes when the item can be read again."""
    stage = open_stage({source: (20,)})
    stage.crawl()
    fault = stage.sim.faults.add(Fault(source, "item_error", value="negative", times=None))

    found = stage.crawl()

    assert outcomes(found) == {"published": 1}
    assert stage.rows(_SPANS) == [{"reason": "unreadable", "open": True}]
    assert stage.differences() == {}
    assert stage.rows("SELECT unreadable, proves_absence FROM ledger.snapshot WHERE snapshot_id = 2") == [
        {"unreadable": 1, "proves_absence": True}
    ]
    stage.sim.faults.remove(fault)

    assert set(outcomes(stage.crawl())) == {"published"}
    assert stage.rows(_SPANS) == [{"reason": "unreadable", "open": False}]
    assert stage.value("SELECT count(*) FROM ledger.holding_version WHERE valid_to IS NOT NULL") == 0


def test_an_item_never_read_is_unknown_and_then_first_read(open_stage: OpenStage) -> None:
    """Unreadable from the beginning it has no version; read later it is `first_read`, not `appeared`."""
    stage = open_stage({"algorand": (20,)})
    fault = stage.sim.faults.add(Fault("algorand", "item_error", value="float", times=None))
    stage.crawl()
    assert stage.versions() == 19
    assert stage.rows(_SPANS) == [{"reason": "unreadable", "open": True}]
    stage.sim.faults.remove(fault)

    stage.crawl()

    assert stage.differences() == {}
    reasons = stage.rows(
        "SELECT open_reason, count(*) AS n FROM ledger.holding_version GROUP BY 1 ORDER BY 1"
    )
    assert reasons == [{"open_reason": "baseline", "n": 19}, {"open_reason": "first_read", "n": 1}]


def test_an_account_with_nothing_readable_is_first_read_later(open_stage: OpenStage) -> None:
    """Its only item was unreadable: read at last, the doubt ends, and it did not `appear`."""
    stage = open_stage({"algorand": (1,)})
    fault = stage.sim.faults.add(Fault("algorand", "item_error", value="text", times=None))
    stage.crawl(GUARD__MAX_UNREADABLE="1.0")
    stage.sim.faults.remove(fault)

    stage.crawl()

    assert stage.differences() == {}
    assert stage.rows(_SPANS) == [{"reason": "unreadable", "open": False}]
    assert stage.rows("SELECT open_reason FROM ledger.holding_version") == [{"open_reason": "first_read"}]


@pytest.mark.parametrize("source", SOURCES)
def test_an_item_without_a_key_closes_nothing(open_stage: OpenStage, source: str) -> None:
    """Nobody knows which holding it was: what is not listed is carried as `unkeyed`; no absence."""
    stage = open_stage({source: (20,)})
    stage.crawl()
    address = stage.only_address(source)
    gone = stage.world.items(source, address)[5]
    stage.world.remove(source, address, gone.key)
    fault = stage.sim.faults.add(Fault(source, "item_key_unreadable", times=None))

    found = stage.crawl()

    assert outcomes(found) == {"published": 1}
    # The removed one, and the one whose key could not be read.
    assert stage.rows(_SPANS) == [{"reason": "unkeyed", "open": True}] * 2
    assert stage.value("SELECT count(*) FROM ledger.holding_version WHERE valid_to IS NOT NULL") == 0
    assert stage.rows("SELECT unreadable, proves_absence FROM ledger.snapshot WHERE snapshot_id = 2") == [
        {"unreadable": 1, "proves_absence": False}
    ]
    stage.sim.faults.remove(fault)

    stage.crawl()
    stage.crawl()

    assert stage.differences() == {}
    assert stage.value("SELECT count(*) FROM ledger.carried_span WHERE valid_to IS NULL") == 0


def test_the_list_after_an_unproved_one_tells_no_appearance(open_stage: OpenStage) -> None:
    """What shows up after a snapshot that proved no absence may have been there all along."""
    stage = open_stage({"hedera": (20,)})
    stage.crawl()
    address = stage.only_address("hedera")
    fault = stage.sim.faults.add(Fault("hedera", "item_key_unreadable", times=None))
    stage.crawl()
    stage.sim.faults.remove(fault)
    stage.world.mint("hedera", address)

    stage.crawl()

    assert stage.differences() == {}
    assert stage.value("SELECT count(*) FROM ledger.holding_version WHERE open_reason = 'first_read'") == 1
    assert stage.value("SELECT count(*) FROM ledger.holding_version WHERE open_reason = 'appeared'") == 0


def test_too_much_unreadable_fails_the_watch(open_stage: OpenStage) -> None:
    """One of three is above max_unreadable: the watch fails, and its history stays as it was."""
    stage = open_stage({"algorand": (3, 12)})
    stage.crawl()
    before = stage.held()
    small = stage.only_address("algorand")
    stage.sim.faults.add(Fault("algorand", "item_error", address=small, value="2^256", times=None))

    found = stage.crawl()

    assert by_watch(found)["algorand", small, ""] == "failed"
    assert outcomes(found) == {"failed": 1, "unchanged": 1}
    assert "1 of 3 listed items" in next(o.error or "" for o in found if o.outcome == "failed")
    assert stage.held() == before
    assert stage.value("SELECT count(*) FROM ledger.snapshot") == 3


def test_one_strange_address_does_not_sink_the_twenty_it_was_asked_with(open_stage: OpenStage) -> None:
    """Of an OKX batch only the watch with too many unreadable rows fails; the others are published."""
    world = World.build(5, {"okx_runes": (3, *[6] * 19)})
    stage = open_stage(world=world)
    stage.crawl()
    first = stage.only_address("okx_runes")
    # Its oldest row is the first of the merged list, and the one the fault strikes.
    for row in world.watched:
        world.mint("okx_runes", row.address, scope=row.runes[0])
    stage.sim.faults.add(Fault("okx_runes", "item_error", value="negative", times=None))

    found = by_watch(stage.crawl())

    assert [outcome for key, outcome in found.items() if key[1] == first] == ["failed"]
    assert {outcome for key, outcome in found.items() if key[1] != first} == {"published"}
    assert len({entry.address for entry in stage.sim.log if entry.page}) == 1
    apart = stage.differences()
    assert {key[1] for key in apart} == {first}
