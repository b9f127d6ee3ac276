"""History is what the world was: every source, every round, and every round again afterwards."""

from datetime import datetime

import pytest

from indexer.simulator.positions import SOURCES
from tests.integration.engine.conftest import OpenStage
from tests.integration.engine.stage import Held, WatchKey, World, outcomes

SIZES = {
    "okx_runes": (23, 7, 0),
    "solana_das": (23, 7, 0),
    "algorand": (23, 7, 0),
    "loopring": (23, 7, 0),
    "hedera": (23, 7, 0),
}


def test_history_equals_the_world_after_every_round(open_stage: OpenStage) -> None:
    """Whatever moved between two crawls, the open versions are exactly what is held."""
    stage = open_stage(world=World.demo(3), pages=20)

    for step in range(4):
        found = stage.crawl()

        assert set(outcomes(found)) <= {"published", "unchanged"}, found
        # Solana needs two witnesses for an absence: what left since the last round is carried, not held.
        assert stage.differences(carried=False) == {}
        stage.world.change(step)


@pytest.mark.parametrize("source", SOURCES)
def test_an_unchanged_list_opens_no_version(open_stage: OpenStage, source: str) -> None:
    """Crawled again without a change, a watch is `unchanged`; only its snapshot is new."""
    stage = open_stage({source: SIZES[source]}, pages=10)
    stage.crawl()
    before = stage.versions()

    found = stage.crawl()

    assert outcomes(found) == {"unchanged": len(found)}
    assert stage.versions() == before
    assert stage.value("SELECT count(*) FROM ledger.holding_version WHERE valid_to IS NOT NULL") == 0
    assert stage.value("SELECT count(*) FROM ledger.snapshot") == 2 * len(found)


def test_an_earlier_instant_keeps_its_answer(open_stage: OpenStage) -> None:
    """What was held as of a past instant does not change with anything crawled later."""
    stage = open_stage(SIZES, pages=10)
    told: dict[datetime, dict[WatchKey, Held]] = {}

    for step in range(4):
        stage.crawl()
        instant = stage.now()
        told[instant] = stage.held(instant)
        stage.world.change(step)

    assert {instant: stage.held(instant) for instant in told} == told


def test_what_comes_to_an_empty_account_appeared(open_stage: OpenStage) -> None:
    """A list that proved nothing is held is knowledge: what is listed later was not there before."""
    stage = open_stage({"hedera": (0,)})
    stage.crawl()
    stage.world.mint("hedera", stage.only_address("hedera"))

    stage.crawl()

    assert stage.differences() == {}
    assert stage.rows("SELECT open_reason FROM ledger.holding_version") == [{"open_reason": "appeared"}]


def test_refreshed_metadata_changes_no_holding(open_stage: OpenStage) -> None:
    """Descriptions are today's: the asset is described anew, and no version opens."""
    stage = open_stage({"solana_das": (6,), "loopring": (6,)})
    stage.crawl()
    before = stage.versions()
    described = "SELECT asset_id, digest FROM ledger.asset_detail"
    old = {row["asset_id"]: row["digest"] for row in stage.rows(described)}
    for source in ("solana_das", "loopring"):
        for asset_ref in list(stage.world.catalogue[source]):
            stage.world.refresh(source, asset_ref)

    found = stage.crawl()

    assert outcomes(found) == {"unchanged": 2}
    assert stage.versions() == before
    assert any(old[row["asset_id"]] != row["digest"] for row in stage.rows(described))


def test_lists_of_hundreds_that_are_read_whole_stay_true(open_stage: OpenStage) -> None:
    """Enough rows for the database to look at how many there are before it joins them."""
    stage = open_stage({"loopring": (400,)})
    stage.crawl()
    stage.world.churn(0.1, 1)

    found = stage.crawl()

    assert outcomes(found) == {"published": 1}
    assert stage.differences() == {}
