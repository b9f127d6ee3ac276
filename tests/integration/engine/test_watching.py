"""What the watchlist owner does: taking an address off ends knowledge, and never looks like a sale."""

import asyncio
from typing import Any

import pytest

from indexer import bootstrap, jobs
from indexer.jobs import Engine, Selection
from indexer.store import passes
from indexer.store.database import Connection
from tests.integration.engine.conftest import OpenStage
from tests.integration.engine.gate import Gate
from tests.integration.engine.stage import Fault, Stage, WatchKey, by_watch, outcomes
from tests.integration.engine.test_resume import stop_at

_VERSIONS = """
SELECT open_reason, close_reason, count(*) AS n
FROM ledger.holding_version
GROUP BY 1, 2
ORDER BY 1, 2 NULLS LAST
"""


def _reasons(stage: Stage) -> list[tuple[object, ...]]:
    """How versions were opened and closed, and how many each."""
    return [tuple(row.values()) for row in stage.rows(_VERSIONS)]


def test_an_address_taken_off_closes_as_unwatched(open_stage: OpenStage) -> None:
    """Its versions end as `unwatched` when the list is applied; the other address is not touched."""
    stage = open_stage({"hedera": (6, 4)})
    stage.crawl()
    before, instant = stage.held(), stage.now()
    stage.world.watched = stage.world.watched[1:]

    found = stage.crawl()

    assert outcomes(found) == {"unchanged": 1}
    assert stage.differences() == {}
    assert _reasons(stage) == [("baseline", "unwatched", 6), ("baseline", None, 4)]
    assert stage.held(instant) == before
    assert stage.value("SELECT count(*) FROM ledger.watch_period WHERE watched_to IS NOT NULL") == 1


def test_an_address_put_back_begins_with_a_baseline(open_stage: OpenStage) -> None:
    """Between the two periods nothing is known: what is held afterwards did not `appear`."""
    stage = open_stage({"hedera": (6, 4)})
    stage.crawl()
    everything = list(stage.world.watched)
    stage.world.watched = everything[1:]
    stage.crawl()
    gap = stage.now()
    stage.world.watched = everything

    found = stage.crawl()

    assert outcomes(found) == {"published": 1, "unchanged": 1}
    assert stage.differences() == {}
    assert _reasons(stage) == [("baseline", "unwatched", 6), ("baseline", None, 10)]
    assert len(stage.held(gap)) == 1


def test_taking_an_address_off_ends_its_doubts(open_stage: OpenStage) -> None:
    """Carried holdings and witnesses of an address nobody watches are settled as `unwatched`."""
    stage = open_stage({"hedera": (6, 4)})
    stage.crawl()
    stage.sim.faults.add(Fault("hedera", "empty_200", address=stage.only_address("hedera"), times=None))
    stage.crawl()
    stage.world.watched = stage.world.watched[1:]

    stage.crawl()

    assert stage.value("SELECT resolution FROM ledger.snapshot WHERE state = 'quarantined'") == "unwatched"
    assert stage.value("SELECT count(*) FROM ledger.missing_holding") == 0


def test_an_address_taken_off_in_the_middle_of_its_crawl_is_skipped(open_stage: OpenStage) -> None:
    """Its crawl writes nothing more, and the pass that waited for it says `skipped`."""
    stage = open_stage({"hedera": (25, 4)}, pages=10)
    address = stage.only_address("hedera")
    gate = Gate(stage.sim, "hedera", 3)

    found = asyncio.run(_take_off_first(stage, gate))

    assert found["hedera", address, ""] == "skipped"
    assert sorted(found.values()) == ["published", "skipped"]
    assert stage.differences() == {}
    assert stage.value("SELECT state FROM ledger.crawl ORDER BY crawl_id LIMIT 1") == "abandoned"


def test_an_address_taken_off_while_its_crawl_is_queued_is_skipped(
    open_stage: OpenStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process reads newer files just then: nothing failed, and no clock stepped back."""
    stage = open_stage({"hedera": (3, 4)}, pages=100)
    stage.crawl()
    address, plain = stage.only_address("hedera"), passes.place

    async def apply(engine: Engine) -> None:
        await jobs.apply_watchlist(engine.database, engine.config, engine.sources, engine.entries)

    async def place(connection: Connection, *rest: Any) -> None:
        stage.world.watched = stage.world.watched[1:]
        await asyncio.to_thread(stage.run, apply)
        await plain(connection, *rest)

    monkeypatch.setattr(passes, "place", place)

    found = {outcome.address: (outcome.outcome, outcome.error) for outcome in stage.crawl()}

    assert found.pop(address) == ("skipped", "removed from the watchlist")
    assert [outcome for outcome, _ in found.values()] == ["unchanged"]


def test_a_source_disabled_in_the_middle_of_a_pass_is_told_once(open_stage: OpenStage) -> None:
    """A pass that goes on after an interruption says `skipped` of it, and not `failed` as well."""
    stage = open_stage({"hedera": (25,), "algorand": (5,)}, pages=10)
    stop_at(stage, "hedera", 2)

    found = stage.crawl(SOURCES__HEDERA__ENABLED="false")

    assert {o.source: o.outcome for o in found} == {"hedera": "skipped", "algorand": "published"}
    assert len(found) == 2
    assert outcomes(stage.crawl()) == {"published": 1, "unchanged": 1}
    assert stage.differences() == {}


async def _take_off_first(stage: Stage, gate: Gate) -> dict[WatchKey, str]:
    """Run a pass, take the first address off while a request stands at the gate; the outcomes."""
    async with bootstrap.engine(stage.config()) as engine:
        running = asyncio.create_task(jobs.run_pass(engine, Selection(None, None), lambda _progress: None))
        await gate.reached()
        stage.world.watched = stage.world.watched[1:]
        async with bootstrap.engine(stage.config()) as other:
            await jobs.apply_watchlist(other.database, other.config, other.sources, other.entries)
        gate.open()
        return dict(by_watch(list(await running)))


def test_one_of_a_batch_taken_off_costs_the_others_nothing(open_stage: OpenStage) -> None:
    """Of three asked together one is taken off before the last page: the other two are published."""
    stage = open_stage({"okx_runes": (12, 9, 8)}, pages=10)
    gate = Gate(stage.sim, "okx_runes", 2)

    found = asyncio.run(_take_off_first(stage, gate))

    assert sorted(found.values()) == ["published", "published", "skipped"]
    assert stage.differences() == {}


def test_a_batch_that_begins_again_still_tells_of_everybody(open_stage: OpenStage) -> None:
    """One is taken off, then the cursor is lost: the new crawl covers two, the pass tells of three."""
    stage = open_stage({"okx_runes": (12, 9, 8)}, pages=10)
    stage.sim.faults.add(Fault("okx_runes", "expired_cursor", page=2))
    gate = Gate(stage.sim, "okx_runes", 2)

    found = asyncio.run(_take_off_first(stage, gate))

    assert sorted(found.values()) == ["published", "published", "skipped"]
    assert stage.differences() == {}


def test_a_disabled_source_is_skipped_and_keeps_its_history(open_stage: OpenStage) -> None:
    """Disabled is not removed: `skipped`, nothing asked, what was held is still held."""
    stage = open_stage({"hedera": (6,), "algorand": (5,)})
    stage.crawl()
    asked = len(stage.sim.log)

    found = stage.crawl(SOURCES__HEDERA__ENABLED="false")

    assert {o.source: o.outcome for o in found} == {"hedera": "skipped", "algorand": "unchanged"}
    assert stage.log("hedera", asked) == []
    assert stage.differences() == {}
