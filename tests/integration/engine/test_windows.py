"""A smeared crawl is not one moment: too long, moved under our hands, lost its place, or never ends."""

import pytest
from msgspec.structs import replace

from indexer.records import Cursor, Page, Question
from indexer.simulator.positions import SOURCES
from indexer.sources.hedera import Hedera
from tests.integration.engine.conftest import OpenStage
from tests.integration.engine.gate import before_page
from tests.integration.engine.stage import Fault, Stage, outcomes
from tests.integration.engine.test_resume import stop_at

_CRAWLS = """
SELECT state, error_class, window_restarts AS windows, drift_restarts AS drifts, cursor_restarts AS cursors
FROM ledger.crawl ORDER BY crawl_id
"""


def _crawls(stage: Stage) -> list[tuple[object, ...]]:
    """State, error class and restarts by window, drift and cursor of every crawl."""
    return [tuple(row.values()) for row in stage.rows(_CRAWLS)]


def test_the_third_walk_takes_the_time_it_needs(open_stage: OpenStage) -> None:
    """Longer than its window twice, a walk is published as `window`; the watch gets one that fits."""
    stage = open_stage({"hedera": (25,)}, pages=10)

    found = stage.crawl(DEFAULTS__MAX_WINDOW="1ms")

    assert outcomes(found) == {"published": 1}
    assert _crawls(stage) == [
        ("abandoned", "WalkMoved", 0, 0, 0),
        ("abandoned", "WalkMoved", 1, 0, 0),
        ("complete", None, 2, 0, 0),
    ]
    snapshot = stage.rows("SELECT consistency, last_page_at - first_page_at AS took FROM ledger.snapshot")[0]
    assert snapshot["consistency"] == "window"
    assert stage.value("SELECT grown_window FROM ledger.watch") == snapshot["took"] * 1.5
    assert stage.differences() == {}


def test_a_walk_interrupted_for_longer_than_its_window_begins_again(open_stage: OpenStage) -> None:
    """An hour after page 1 its list is another moment: the next pass asks from page 1."""
    stage = open_stage({"algorand": (25,)}, pages=10)
    asked = stop_at(stage, "algorand", 2)
    stage.execute(
        "UPDATE ledger.crawl SET first_page_at = first_page_at - interval '1 hour',"
        " last_page_at = last_page_at - interval '1 hour'"
    )

    found = stage.crawl()

    assert outcomes(found) == {"published": 1}
    assert stage.pages_asked("algorand", asked) == [1, 2, 3]
    assert _crawls(stage) == [("abandoned", "WalkMoved", 0, 0, 0), ("complete", None, 1, 0, 0)]
    assert stage.differences() == {}


def test_a_list_that_moved_is_walked_again(open_stage: OpenStage) -> None:
    """A page that came twice is drift where nothing sorts the list: it is walked again."""
    stage = open_stage({"loopring": (25,)}, pages=10)
    stage.sim.faults.add(Fault("loopring", "duplicate_page", page=2))

    found = stage.crawl()

    assert outcomes(found) == {"published": 1}
    assert [row[2:] for row in _crawls(stage)] == [(0, 0, 0), (0, 1, 0)]
    assert stage.value("SELECT consistency FROM ledger.snapshot") == "window"
    assert stage.differences() == {}


def test_a_list_that_never_stands_still_is_published_as_drifted(open_stage: OpenStage) -> None:
    """After two walks that moved, the third is published, and says what it is."""
    stage = open_stage({"loopring": (25,)}, pages=10)
    stage.sim.faults.add(Fault("loopring", "duplicate_page", page=2, times=None))

    found = stage.crawl()

    assert outcomes(found) == {"published": 1}
    assert [row[3] for row in _crawls(stage)] == [0, 1, 2]
    assert stage.value("SELECT consistency FROM ledger.snapshot") == "drifted"
    asked = "SELECT answer, reason FROM report.balance_as_of(%(source)s, %(address)s, 'never seen', now())"
    (watch,) = stage.truth()
    (never_seen,) = stage.rows(asked, source=watch[0], address=watch[1])
    assert never_seen == {"answer": "unknown", "reason": "drifted"}


def test_a_page_that_comes_again_with_a_new_cursor_is_a_loop(open_stage: OpenStage) -> None:
    """OKX could give page after page for ever: the crawl fails, and the next one is as good as any."""
    stage = open_stage({"okx_runes": (25,)}, pages=10)
    stage.sim.faults.add(Fault("okx_runes", "duplicate_page", page=2))

    assert outcomes(stage.crawl()) == {"failed": 1}
    assert stage.versions() == 0
    assert outcomes(stage.crawl()) == {"published": 1}
    assert stage.differences() == {}


def test_an_identical_row_at_a_page_edge_is_no_drift(open_stage: OpenStage) -> None:
    """The last row of a page may come first on the next, unchanged: kept once, nothing is walked again."""
    stage = open_stage({"okx_runes": (25,)}, pages=10)
    stage.sim.faults.add(Fault("okx_runes", "repeated_edge", page=2))

    found = stage.crawl()

    assert outcomes(found) == {"published": 1}
    assert len(_crawls(stage)) == 1
    assert stage.differences() == {}


def test_rows_that_move_up_between_two_pages_are_noticed(open_stage: OpenStage) -> None:
    """A row of page 1 leaves before page 2 is asked: by offset one is skipped, so it is walked again."""
    stage = open_stage({"loopring": (25,)}, pages=10)
    address = stage.only_address("loopring")
    newest = stage.world.items("loopring", address)[-1]
    before_page(stage.sim, "loopring", 2, lambda: stage.world.remove("loopring", address, newest.key))

    found = stage.crawl()

    assert outcomes(found) == {"published": 1}
    assert [row[3] for row in _crawls(stage)] == [0, 1]
    assert stage.differences() == {}


@pytest.mark.parametrize("source", SOURCES)
def test_a_lost_cursor_starts_again_from_page_one(open_stage: OpenStage, source: str) -> None:
    """What the API forgot once costs the pages before it, nothing else."""
    stage = open_stage({source: (25,)}, pages=10)
    stage.sim.faults.add(Fault(source, "expired_cursor", page=2))

    found = stage.crawl()

    assert outcomes(found) == {"published": 1}
    assert _crawls(stage) == [("abandoned", "CursorRejected", 0, 0, 0), ("complete", None, 0, 0, 1)]
    assert stage.pages_asked(source)[:4] == [1, 2, 1, 2]
    assert stage.differences() == {}


def test_a_cursor_lost_every_time_fails_in_the_end(open_stage: OpenStage) -> None:
    """Two new beginnings, then the watch fails: never an endless loop."""
    stage = open_stage({"hedera": (25,)}, pages=10)
    stage.sim.faults.add(Fault("hedera", "expired_cursor", page=2, times=None))

    found = stage.crawl()

    assert outcomes(found) == {"failed": 1}
    assert stage.pages_asked("hedera") == [1, 2] * 3
    assert [row[0] for row in _crawls(stage)] == ["abandoned", "abandoned", "failed"]
    assert stage.held() == {}


@pytest.mark.parametrize("source", ["okx_runes", "algorand", "hedera"])
def test_a_cursor_that_repeats_fails_at_once(open_stage: OpenStage, source: str) -> None:
    """Where the next page would start where this one did, nothing more is asked, and the answer is kept."""
    stage = open_stage({source: (35,)}, pages=10)
    stage.sim.faults.add(Fault(source, "repeated_cursor", page=2, times=None))

    found = stage.crawl()

    assert outcomes(found) == {"failed": 1}
    assert stage.pages_asked(source) == [1, 2]
    assert stage.value("SELECT error_class FROM ledger.crawl") == "BadPage"
    assert stage.value("SELECT count(*) FROM ledger.raw_page WHERE kind = 'rejected'") == 1
    assert stage.held() == {}
    stage.sim.faults.clear()
    assert outcomes(stage.crawl()) == {"published": 1}
    assert stage.differences() == {}


@pytest.mark.parametrize("places", [(1, 1), (1, 2, 1, 2)], ids=["at once", "after a while"])
def test_a_place_the_source_cannot_tell_apart_is_a_loop_all_the_same(
    open_stage: OpenStage, monkeypatch: pytest.MonkeyPatch, places: tuple[int, ...]
) -> None:
    """Whatever a source makes of the answers: where a list has been before, it does not go again."""
    stage = open_stage({"hedera": (5,)})
    plain, left = Hedera.parse, list(places)

    def circle(self: Hedera, question: Question, body: bytes) -> Page:
        page = plain(self, question, body)
        return replace(page, next_cursor=Cursor(f"order=asc&token.id=gte:0.0.{left.pop(0)}"))

    monkeypatch.setattr(Hedera, "parse", circle)

    (found,) = stage.crawl()

    assert found.outcome == "failed"
    assert "a loop" in (found.error or "")
    assert len(stage.pages_asked("hedera")) == len(places)
    assert stage.held() == {}
