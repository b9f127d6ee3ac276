"""When an API refuses, slows us down or talks nonsense: one reaction each, and the other sources go on."""

import pytest

from indexer.simulator.positions import SOURCES
from tests.integration.engine.conftest import OpenStage
from tests.integration.engine.stage import Fault, Stage, outcomes


def _state(stage: Stage, source: str) -> tuple[str, str | None]:
    """State of a source, and why."""
    (row,) = stage.rows(
        "SELECT state, paused_reason FROM ledger.source WHERE source_id = %(source)s", source=source
    )
    return row["state"], row["paused_reason"]


def test_a_refusal_pauses_its_source_and_no_other(open_stage: OpenStage) -> None:
    """After a 401 no storm follows: what waits fails with the reason, the other sources go on."""
    stage = open_stage(dict.fromkeys(SOURCES, (5, 4, 3)) | {"hedera": (2,) * 30})
    stage.sim.faults.add(Fault("hedera", "status", status=401, times=None))

    found = stage.crawl()

    hedera = [o for o in found if o.source == "hedera"]
    assert outcomes(hedera) == {"failed": 30}
    assert all("401" in (o.error or "") for o in hedera)
    # No more than the crawls that were in hand when the first answer came.
    assert len(stage.log("hedera")) <= 9
    assert outcomes([o for o in found if o.source != "hedera"]) == {"published": len(found) - 30}
    state, reason = _state(stage, "hedera")
    assert state == "paused"
    assert "401" in (reason or "")
    assert {_state(stage, source)[0] for source in SOURCES if source != "hedera"} == {"active"}


def test_a_paused_source_is_tried_once(open_stage: OpenStage) -> None:
    """While it still refuses, a pass sends one request, and says for every watch why."""
    stage = open_stage({"hedera": (2,) * 12})
    stage.sim.faults.add(Fault("hedera", "status", status=403, times=None))
    stage.crawl()
    asked = len(stage.sim.log)

    found = stage.crawl()

    assert outcomes(found) == {"failed": 12}
    assert len(stage.log("hedera", asked)) == 1
    assert all("403" in (o.error or "") for o in found)


def test_a_paused_source_that_answers_goes_on(open_stage: OpenStage) -> None:
    """The first success ends the pause, and the same pass crawls everything."""
    stage = open_stage({"hedera": (2,) * 12})
    stage.sim.faults.add(Fault("hedera", "status", status=402, times=None))
    stage.crawl()
    stage.sim.faults.clear()

    found = stage.crawl()

    assert outcomes(found) == {"published": 12}
    assert _state(stage, "hedera") == ("active", None)
    assert stage.differences() == {}


def test_a_refusal_in_the_middle_keeps_the_pages(open_stage: OpenStage) -> None:
    """Refused at page 2, the crawl stays open with page 1, and goes on there when the key works again."""
    stage = open_stage({"okx_runes": (25,)}, pages=10)
    stage.sim.faults.add(Fault("okx_runes", "status", page=2, status=401))
    assert outcomes(stage.crawl()) == {"failed": 1}
    asked = len(stage.sim.log)

    found = stage.crawl()

    assert outcomes(found) == {"published": 1}
    assert [entry.page for entry in stage.log("okx_runes", asked)] == [2, 3, 4]
    assert stage.differences() == {}


def test_retry_after_is_respected(open_stage: OpenStage) -> None:
    """After `429` with `Retry-After: 1` nobody asks this source for a second; then all goes on."""
    stage = open_stage({"hedera": (5, 4, 3)})
    stage.sim.faults.add(Fault("hedera", "status", status=429, headers=(("Retry-After", "1"),)))

    found = stage.crawl()

    assert outcomes(found) == {"published": 3}
    entries = stage.log("hedera")
    refused = next(entry for entry in entries if entry.status == 429)
    retried = next(e for e in entries if e.address == refused.address and e.status == 200)
    assert retried.at - refused.at >= 1.0
    assert stage.differences() == {}


def test_trouble_that_passes_is_nobodys_business(open_stage: OpenStage) -> None:
    """A 502, a cut body and a reset are asked again in the same crawl; the requests are counted."""
    stage = open_stage({"algorand": (25,)}, pages=10)
    for page, kind in enumerate(("status", "short_body", "reset_mid_body"), start=1):
        stage.sim.faults.add(Fault("algorand", kind, page=page, status=502))

    found = stage.crawl()

    assert outcomes(found) == {"published": 1}
    assert found[0].requests == 6
    assert stage.value("SELECT requests FROM ledger.crawl") == 6
    assert stage.differences() == {}


def test_an_answer_that_makes_no_sense_is_kept_and_changes_nothing(open_stage: OpenStage) -> None:
    """HTML with status 200 fails the watch at once; its bytes are in the log as `rejected`."""
    stage = open_stage(dict.fromkeys(SOURCES, (7,)))
    stage.crawl()
    before = stage.held()
    for source in SOURCES:
        stage.sim.faults.add(Fault(source, "html_200", times=None))

    found = stage.crawl()

    assert outcomes(found) == {"failed": len(SOURCES)}
    assert stage.held() == before
    assert stage.value("SELECT count(*) FROM ledger.raw_page WHERE kind = 'rejected'") == len(SOURCES)
    stage.sim.faults.clear()
    assert outcomes(stage.crawl()) == {"unchanged": len(SOURCES)}


def test_a_list_without_end_fails_and_its_last_page_is_kept(
    open_stage: OpenStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More pages than any account has: the API has lost its way, and nobody follows it for ever."""
    stage = open_stage({"hedera": (25,)}, pages=10)
    monkeypatch.setattr("indexer.page_reader._MOST_PAGES", 1)

    (found,) = stage.crawl()

    assert found.outcome == "failed"
    assert "did not end after 1 pages" in (found.error or "")
    assert stage.value("SELECT count(*) FROM ledger.raw_page WHERE kind = 'rejected'") == 1
    assert stage.held() == {}


def test_an_api_that_only_teaches_fails(open_stage: OpenStage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Look-up after look-up and never a page: nobody asks on for ever."""
    stage = open_stage({"loopring": (5,)})
    monkeypatch.setattr("indexer.page_reader._MOST_LOOKUPS", 0)

    (found,) = stage.crawl()

    assert found.outcome == "failed"
    assert "could not be read after 0 look-ups" in (found.error or "")
    assert len(stage.log("loopring")) == 1
