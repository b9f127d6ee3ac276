"""A list that changed a little: only what is new is read, and history is what reading all of it makes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from indexer import lists
from indexer.lists import FoldedList
from tests.integration import keeping
from tests.integration.engine.conftest import OpenStage
from tests.integration.engine.stage import Fault, outcomes
from tests.integration.engine.test_recognised import parsed_by

COMPARED = ["algorand", "hedera"]

#: Three pages of ten.
SIZES = (25,)


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows were new in each list that went into history as a comparison."""
    seen: list[int] = []
    plain: Callable[..., list[FoldedList] | None] = lists._compared

    def watching(*arguments: object) -> list[FoldedList] | None:
        found = plain(*arguments)
        seen.extend(len(item.delta.fresh) for item in found or () if item.delta is not None)
        return found

    monkeypatch.setattr(lists, "_compared", watching)
    return seen


@pytest.mark.parametrize("source", COMPARED)
def test_many_rounds_of_change_stay_true(open_stage: OpenStage, source: str, compared: list[int]) -> None:
    """Round after round a few holdings change, come and go; nothing that was said before changes."""
    stage = open_stage({source: (60, 25, 9)}, pages=10)
    stage.crawl()
    told = []
    for step in range(8):
        stage.world.churn(0.08, step + 1)
        found = stage.crawl()
        assert set(outcomes(found)) <= {"published", "unchanged"}
        assert stage.differences() == {}
        told.append((stage.now(), stage.held()))

    assert sum(compared) > 0
    assert all(stage.held(at) == held for at, held in told)
    assert stage.rows("SELECT * FROM ledger.invariant_violation") == []


@pytest.mark.parametrize("source", COMPARED)
def test_only_what_is_new_is_parsed(
    open_stage: OpenStage, source: str, monkeypatch: pytest.MonkeyPatch, compared: list[int]
) -> None:
    """One holding of 200 changes: a handful of rows is parsed, not the pages."""
    stage = open_stage({source: (200,)})
    stage.crawl()
    (watch,) = stage.truth()
    key = sorted((item.asset_ref, item.sub_key) for item in stage.world.items(*watch))[100]
    whole = parsed_by(monkeypatch, source)
    stage.world.remove(*watch[:2], key)

    found = stage.crawl()

    assert outcomes(found) == {"published": 1}
    assert compared == [0]
    assert sum(whole) < 6000
    assert stage.differences() == {}


@pytest.mark.parametrize("source", COMPARED)
def test_what_went_and_came_back_is_another_version(open_stage: OpenStage, source: str) -> None:
    """The chain goes on where it ended."""
    stage = open_stage({source: SIZES}, pages=10)
    stage.crawl()
    before = stage.truth()
    stage.world.churn(0.2, 1)
    stage.crawl()
    assert stage.truth() != before
    stage.world.churn(0.2, 2)
    stage.crawl()

    assert stage.differences() == {}
    assert stage.rows("SELECT * FROM ledger.invariant_violation") == []
    reasons = {row["open_reason"] for row in stage.rows("SELECT open_reason FROM ledger.holding_version")}
    assert reasons <= {"baseline", "appeared", "changed"}


@pytest.mark.parametrize("source", COMPARED)
def test_a_surprising_loss_is_doubted_all_the_same(open_stage: OpenStage, source: str) -> None:
    """Half of a list gone: quarantined with what it misses, and confirmed by the next."""
    stage = open_stage({source: SIZES}, pages=10)
    stage.crawl()
    (watch,) = stage.truth()
    keys = sorted((item.asset_ref, item.sub_key) for item in stage.world.items(*watch))
    for key in keys[::2] + keys[1::4]:
        stage.world.remove(*watch[:2], key)

    assert outcomes(stage.crawl()) == {"quarantined": 1}
    assert len(stage.held()[watch]) == 25
    missing = stage.value("SELECT missing FROM ledger.snapshot WHERE state = 'quarantined'")
    assert stage.value("SELECT count(*) FROM ledger.missing_holding") == missing > 12


def test_history_that_is_not_what_was_listed_is_not_built_upon(database_url: str, tmp_path: Path) -> None:
    """What the last list had and is not open any more, by whatever hand: the whole list is read."""
    with keeping.open_stage(database_url, tmp_path, {"algorand": [25]}) as stage:
        stage.crawl()
        closed = stage.execute(
            "UPDATE ledger.holding_version"
            " SET valid_to = clock_timestamp(), close_reason = 'absent', closed_by = opened_by"
        )
        assert closed == 25
        stage.world.churn(0.2, 1)

        found = stage.crawl()

        assert outcomes(found) == {"published": 1}
        assert stage.differences() == {}


@pytest.mark.parametrize("source", COMPARED)
@pytest.mark.parametrize(
    "kind", ["wrong_type", "missing_field", "duplicate_page", "item_key_unreadable", "skipped_rows"]
)
def test_a_fault_among_what_is_new_is_met_as_ever(open_stage: OpenStage, source: str, kind: str) -> None:
    """Whatever is wrong with a page that changed, no holding is lost or invented."""
    stage = open_stage({source: SIZES}, pages=10)
    stage.crawl()
    before = stage.held()
    stage.world.churn(0.1, 1)
    stage.sim.faults.add(Fault(source, kind, page=2, times=1))
    stage.crawl()

    assert stage.held(carried=False).keys() <= before.keys()
    stage.crawl()
    stage.crawl()
    assert stage.differences() == {}
    assert stage.rows("SELECT * FROM ledger.invariant_violation") == []
