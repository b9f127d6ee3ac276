"""A disappearance needs evidence: surprising lists wait for a second witness; an outage is none."""

import pytest

from indexer import review
from indexer.errors import UsageError
from indexer.jobs import Engine
from indexer.simulator.positions import SOURCES
from tests.integration.engine.conftest import OpenStage
from tests.integration.engine.stage import Fault, Stage, outcomes

AT_ONCE = {"GUARD__CONFIRM_AFTER": "0s"}
NOT_YET = {"GUARD__CONFIRM_AFTER": "1h"}

_WITNESSES = "SELECT state, resolution FROM ledger.snapshot ORDER BY snapshot_id"


def _states(stage: Stage) -> list[tuple[str, str | None]]:
    """State and resolution of every snapshot, oldest first."""
    return [(row["state"], row["resolution"]) for row in stage.rows(_WITNESSES)]


def _empty(stage: Stage, source: str) -> int:
    """From now on every list of the source is empty; the number by which the fault is removed."""
    return stage.sim.faults.add(Fault(source, "empty_200", times=None))


def _hide(stage: Stage, source: str, first: int, last: int) -> int:
    """From now on the source does not list its items number ``first`` to ``last``."""
    items = stage.world.items(source, stage.only_address(source))
    return stage.sim.faults.add(
        Fault(source, "hidden", value=[item.key for item in items[first:last]], times=None)
    )


@pytest.mark.parametrize("source", SOURCES)
def test_empty_after_holdings_needs_a_second_witness(open_stage: OpenStage, source: str) -> None:
    """The true empty answer changes nothing; a second one, late enough, closes every version as absent."""
    stage = open_stage({source: (12,)}, pages=10)
    stage.crawl()
    before = stage.held()
    _empty(stage, source)

    found = stage.crawl(**AT_ONCE)

    assert outcomes(found) == {"quarantined": 1}
    assert "lists nothing" in (found[0].error or "")
    assert stage.held() == before
    assert _states(stage) == [("published", None), ("quarantined", None)]

    assert outcomes(stage.crawl(**AT_ONCE)) == {"published": 1}
    assert stage.held() == {}
    closed = stage.rows("SELECT DISTINCT close_reason FROM ledger.holding_version")
    assert closed == [{"close_reason": "absent"}]
    assert _states(stage) == [("published", None), ("quarantined", "confirmed"), ("published", None)]
    assert stage.value("SELECT count(*) FROM ledger.missing_holding") == 0


def test_a_repetition_before_its_time_confirms_nothing(open_stage: OpenStage) -> None:
    """Asked again before confirm_after, the same empty list is noted; the first witness stays."""
    stage = open_stage({"hedera": (12,)}, pages=10)
    stage.crawl()
    before = stage.held()
    _empty(stage, "hedera")
    stage.crawl(**NOT_YET)

    found = stage.crawl(**NOT_YET)

    assert outcomes(found) == {"quarantined": 1}
    assert stage.held() == before
    assert _states(stage) == [("published", None), ("quarantined", None), ("quarantined", "repeated")]
    assert outcomes(stage.crawl(**AT_ONCE)) == {"published": 1}
    assert stage.held() == {}


def test_one_page_of_another_account_is_not_believed(open_stage: OpenStage) -> None:
    """Rows of Algorand name no owner: what stands where known holdings stood tells whose the page is."""
    stage = open_stage({"algorand": (30,)}, pages=10)
    stage.crawl()
    before = stage.held()
    fault = stage.sim.faults.add(Fault("algorand", "other_account", page=2, times=None))

    found = stage.crawl(**NOT_YET)

    assert outcomes(found) == {"quarantined": 1}
    assert "has a page with 0 of the 10 holdings known there, and others" in (found[0].error or "")
    assert stage.held() == before
    stage.sim.faults.remove(fault)
    assert outcomes(stage.crawl(**NOT_YET)) == {"unchanged": 1}
    assert _states(stage)[1] == ("quarantined", "superseded")


def test_a_page_of_another_account_is_seen_where_nothing_was_compared(
    open_stage: OpenStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list that was read whole is measured page by page as well."""
    monkeypatch.setattr("indexer.page_reader._COMPARED_BYTES", 0)
    stage = open_stage({"algorand": (30,)}, pages=10)
    stage.crawl()
    stage.sim.faults.add(Fault("algorand", "other_account", page=3, times=None))

    found = stage.crawl(**NOT_YET)

    assert "has a page with 0 of the 10 holdings known there" in (found[0].error or "")


def test_a_list_that_agrees_again_supersedes_the_witness(open_stage: OpenStage) -> None:
    """When everything is listed again the doubt was the API's: nothing ever changed."""
    stage = open_stage({"algorand": (12,)}, pages=10)
    stage.crawl()
    fault = _empty(stage, "algorand")
    stage.crawl(**AT_ONCE)
    stage.sim.faults.remove(fault)

    found = stage.crawl(**AT_ONCE)

    assert outcomes(found) == {"unchanged": 1}
    assert _states(stage) == [("published", None), ("quarantined", "superseded"), ("published", None)]
    assert stage.differences() == {}
    assert stage.value("SELECT count(*) FROM ledger.holding_version WHERE valid_to IS NOT NULL") == 0


def test_a_list_that_misses_others_becomes_the_first_witness(open_stage: OpenStage) -> None:
    """Two surprising lists that miss different holdings confirm nothing; a third that agrees does."""
    stage = open_stage({"hedera": (20,)})
    stage.crawl()
    before = stage.held()
    fault = _hide(stage, "hedera", 0, 12)
    assert outcomes(stage.crawl(**AT_ONCE)) == {"quarantined": 1}
    stage.sim.faults.remove(fault)
    _hide(stage, "hedera", 8, 20)

    assert outcomes(stage.crawl(**AT_ONCE)) == {"quarantined": 1}
    assert stage.held() == before
    assert _states(stage)[1:] == [("quarantined", "replaced"), ("quarantined", None)]

    assert outcomes(stage.crawl(**AT_ONCE)) == {"published": 1}
    assert sum(map(len, stage.held().values())) == 8
    assert _states(stage)[1:] == [
        ("quarantined", "replaced"),
        ("quarantined", "confirmed"),
        ("published", None),
    ]


@pytest.mark.parametrize(("kept", "outcome"), [(9, "quarantined"), (10, "published")])
def test_half_is_the_limit(open_stage: OpenStage, kept: int, outcome: str) -> None:
    """Fewer than half of twenty is surprising, exactly half is not."""
    stage = open_stage({"hedera": (20,)})
    stage.crawl()
    _hide(stage, "hedera", 0, 20 - kept)

    assert outcomes(stage.crawl()) == {outcome: 1}


def test_a_partial_loss_of_a_small_account_is_believed(open_stage: OpenStage) -> None:
    """Under five holdings only an empty list is guarded: one of four left is published."""
    stage = open_stage({"hedera": (4,)})
    stage.crawl()
    _hide(stage, "hedera", 0, 3)

    assert outcomes(stage.crawl()) == {"published": 1}
    assert sum(map(len, stage.held().values())) == 1


def test_an_outage_confirms_nothing(open_stage: OpenStage) -> None:
    """While three watches and over a fifth of a source are in doubt, no list is a second witness."""
    stage = open_stage({"hedera": (6, 6, 6, 6)})
    stage.crawl()
    before = stage.held()
    _empty(stage, "hedera")
    assert outcomes(stage.crawl(**AT_ONCE)) == {"quarantined": 4}

    assert outcomes(stage.crawl(**AT_ONCE)) == {"quarantined": 4}
    assert stage.held() == before

    addresses = [row.address for row in stage.world.watched]
    stage.sim.faults.clear()
    for address in addresses[:2]:
        stage.sim.faults.add(Fault("hedera", "empty_200", address=address, times=None))
    # Two of them answer again; with two left in doubt it is no outage any more.
    recovered = {
        o.address: o.outcome for address in addresses[2:] for o in stage.crawl(None, address, **AT_ONCE)
    }
    assert recovered == dict.fromkeys(addresses[2:], "unchanged")
    assert outcomes(stage.crawl(**AT_ONCE)) == {"published": 2, "unchanged": 2}
    assert set(stage.held()) == {("hedera", address, "") for address in addresses[2:]}


def test_an_operator_may_release(open_stage: OpenStage) -> None:
    """Released, a disbelieved list is folded again from its raw pages and becomes history now."""
    stage = open_stage({"hedera": (20,)}, pages=10)
    stage.crawl()
    before, instant = stage.held(), stage.now()
    _hide(stage, "hedera", 0, 15)
    stage.crawl()

    async def release(engine: Engine) -> str:
        return await review.release(engine.database, engine.config, engine.sources, 2)

    told = stage.run(release)

    assert "history now" in told
    assert sum(map(len, stage.held().values())) == 5
    assert stage.held(instant) == before
    assert _states(stage) == [("published", None), ("quarantined", "released"), ("published", None)]
    with pytest.raises(UsageError, match="not waiting"):
        stage.run(release)
    assert outcomes(stage.crawl()) == {"unchanged": 1}


def test_an_operator_may_reject(open_stage: OpenStage) -> None:
    """Rejected, a list is no witness any more: the next surprising one is the first again."""
    stage = open_stage({"hedera": (20,)})
    stage.crawl()
    before = stage.held()
    _empty(stage, "hedera")
    stage.crawl(**AT_ONCE)

    async def reject(engine: Engine) -> str:
        return await review.reject(engine.database, 2)

    assert "rejected" in stage.run(reject)

    assert outcomes(stage.crawl(**AT_ONCE)) == {"quarantined": 1}
    assert stage.held() == before
    assert _states(stage)[1:] == [("quarantined", "rejected"), ("quarantined", None)]


def test_a_list_whose_pages_are_gone_is_not_released(open_stage: OpenStage) -> None:
    """Without its raw pages a list cannot be folded again: refused, and nothing closes."""
    stage = open_stage({"hedera": (20,)}, pages=10)
    stage.crawl()
    before = stage.held()
    _empty(stage, "hedera")
    stage.crawl()
    stage.execute("DELETE FROM ledger.raw_page WHERE crawl_id = 2")
    stage.execute("UPDATE ledger.crawl SET pages = 0 WHERE crawl_id = 2")

    async def release(engine: Engine) -> str:
        return await review.release(engine.database, engine.config, engine.sources, 2)

    with pytest.raises(UsageError, match="pruned"):
        stage.run(release)
    assert stage.held() == before


def test_solana_needs_two_complete_crawls_for_an_absence(open_stage: OpenStage) -> None:
    """One list without an asset carries it as missing; the second closes it; its return ends the doubt."""
    stage = open_stage({"solana_das": (20,)})
    stage.crawl()
    address = stage.only_address("solana_das")
    item = next(i for i in stage.world.items("solana_das", address) if not i.burnt)
    stage.world.remove("solana_das", address, item.key)

    assert outcomes(stage.crawl()) == {"published": 1}
    assert stage.rows("SELECT reason FROM ledger.carried_span") == [{"reason": "missing"}]
    assert stage.differences(carried=False) == {}
    assert sum(map(len, stage.differences().values())) == 1

    assert outcomes(stage.crawl()) == {"published": 1}
    assert stage.differences() == {}
    assert stage.value("SELECT count(*) FROM ledger.holding_version WHERE close_reason = 'absent'") == 1


def test_solana_returns_what_was_missing_once(open_stage: OpenStage) -> None:
    """An asset that one list forgot was never gone: no version closes, the doubt does."""
    stage = open_stage({"solana_das": (20,)})
    stage.crawl()
    fault = _hide(stage, "solana_das", 3, 4)
    stage.crawl()
    stage.sim.faults.remove(fault)

    stage.crawl()

    assert stage.differences(carried=False) == {}
    assert stage.value("SELECT count(*) FROM ledger.holding_version WHERE valid_to IS NOT NULL") == 0
    assert stage.value("SELECT count(*) FROM ledger.carried_span WHERE valid_to IS NULL") == 0
