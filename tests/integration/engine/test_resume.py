"""A crawl that stops anywhere goes on there: nothing is asked twice, nothing lost, nothing doubled."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from indexer import bootstrap, jobs
from indexer.jobs import Engine, Selection
from indexer.simulator.positions import SOURCES
from tests.integration.engine.conftest import OpenStage
from tests.integration.engine.gate import Gate
from tests.integration.engine.stage import Fault, Outcome, Stage, outcomes

#: Three pages of ten.
SIZES = (25,)


def _last_page(source: str) -> int:
    """OKX tells the end by an empty page; Loopring by its total; the others by a cursor or a short page."""
    return {"okx_runes": 4, "solana_das": 4}.get(source, 3)


def stop_at(stage: Stage, source: str, page: int) -> int:
    """Run a pass and cancel it while this page is on its way; how many requests were made."""
    gate = Gate(stage.sim, source, page)

    async def one_pass(engine: Engine) -> None:
        running = asyncio.create_task(_one_pass(engine))
        await gate.reached()
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled()

    stage.run(one_pass)
    return gate.settle()


@pytest.mark.parametrize("source", SOURCES)
def test_a_cancelled_crawl_asks_only_for_what_is_missing(open_stage: OpenStage, source: str) -> None:
    """Stopped while page 2 was on its way, the next pass begins with page 2, and no look-up is repeated."""
    stage = open_stage({source: SIZES}, pages=10)
    asked = stop_at(stage, source, 2)
    assert stage.held() == {}

    found = stage.crawl()

    assert outcomes(found) == {"published": 1}
    assert [entry.page for entry in stage.log(source, asked)] == list(range(2, _last_page(source) + 1))
    assert stage.differences() == {}


@pytest.mark.parametrize("page", [1, 3])
def test_any_page_may_be_the_one_it_stops_at(open_stage: OpenStage, page: int) -> None:
    """The first and the last page are no special case."""
    stage = open_stage({"algorand": SIZES}, pages=10)
    asked = stop_at(stage, "algorand", page)

    stage.crawl()

    assert stage.pages_asked("algorand", asked) == list(range(page, 4))
    assert stage.differences() == {}


def test_a_failing_api_costs_the_page_it_failed_at(open_stage: OpenStage) -> None:
    """Never answered page 2, the pass says `failed` and keeps page 1; the next pass begins with page 2."""
    stage = open_stage({"hedera": SIZES}, pages=10)
    fault = stage.sim.faults.add(Fault("hedera", "status", page=2, status=502, times=None))

    found = stage.crawl(DEFAULTS__TIMEOUT="200ms")

    assert outcomes(found) == {"failed": 1}
    assert "502" in (found[0].error or "")
    assert stage.value("SELECT pages FROM ledger.crawl") == 1
    assert stage.held() == {}
    stage.sim.faults.remove(fault)
    asked = len(stage.sim.log)

    assert outcomes(stage.crawl()) == {"published": 1}
    assert stage.pages_asked("hedera", asked) == [2, 3]
    assert stage.value("SELECT count(*) FROM ledger.crawl") == 1
    assert stage.differences() == {}


@pytest.mark.parametrize("source", ["okx_runes", "loopring"])
def test_what_a_lookup_taught_is_remembered(open_stage: OpenStage, source: str) -> None:
    """One look-up per rune or account, ever: later crawls begin with page 1."""
    stage = open_stage({source: (25, 5)}, pages=10)
    for step in range(3):
        stage.crawl()
        stage.world.change(step)

    lookups = [entry for entry in stage.log(source) if entry.page == 0]

    assert len(lookups) == (1 if source == "okx_runes" else 2)


def test_a_resumed_crawl_folds_what_another_worker_fetched(open_stage: OpenStage) -> None:
    """Pages of the first worker come from the log: the digest is that of a crawl in one go."""
    stage = open_stage(dict.fromkeys(SOURCES, SIZES), pages=10)
    stop_at(stage, "loopring", 2)
    stage.crawl()
    digests = "SELECT watch_id, digest FROM ledger.snapshot WHERE snapshot_id IN ({}) ORDER BY watch_id"
    first = digests.format("SELECT min(snapshot_id) FROM ledger.snapshot GROUP BY watch_id")
    second = digests.format("SELECT max(snapshot_id) FROM ledger.snapshot GROUP BY watch_id")

    found = stage.crawl()

    assert outcomes(found) == {"unchanged": len(SOURCES)}
    assert stage.rows(first) == stage.rows(second)


def test_a_killed_process_is_taken_over_at_once(open_stage: OpenStage, tmp_path: Path) -> None:
    """After SIGKILL nobody waits for the lease: the dead worker's lock is gone, and page 3 is asked next."""
    stage = open_stage({"algorand": (35,)}, pages=10)
    gate = Gate(stage.sim, "algorand", 3)
    process = _start_process(stage, tmp_path)
    try:
        asyncio.run(gate.reached())
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        asked = gate.settle()

    found = stage.crawl()

    assert outcomes(found) == {"published": 1}
    assert stage.pages_asked("algorand", asked) == [3, 4]
    assert stage.value("SELECT attempts FROM ledger.crawl") == 2
    assert stage.differences() == {}


def _start_process(stage: Stage, folder: Path) -> "subprocess.Popen[bytes]":
    """`indexer crawl` as somebody would type it."""
    stage.config()
    environ = stage.sim.environment() | {"INDEXER_DATABASE__URL": stage.url}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("INDEXER_")}
    return subprocess.Popen(
        [sys.executable, "-m", "indexer", "crawl", "--config", str(folder / "indexer.toml")],
        env=inherited | environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_two_passes_at_once_share_the_work(open_stage: OpenStage) -> None:
    """Two at work on the same list ask for every page once between them and tell the same outcomes."""
    stage = open_stage(dict.fromkeys(SOURCES, (25, 13, 0)), pages=10)

    async def one_pass() -> tuple[Outcome, ...]:
        async with bootstrap.engine(stage.config()) as engine:
            return await _one_pass(engine)

    async def both() -> Any:
        return await asyncio.gather(one_pass(), one_pass())

    first, second = asyncio.run(both())

    asked = [(entry.source, entry.address, entry.scope, entry.path, entry.cursor) for entry in stage.sim.log]
    assert len(asked) == len(set(asked))
    assert first == second
    assert outcomes(list(first)) == {"published": len(first)}
    assert stage.value("SELECT count(*) FROM ledger.crawl_pass") == 1
    assert stage.differences() == {}


@pytest.mark.parametrize("answer", ["honest", "html_200", "expired_cursor", "status"])
def test_who_lost_the_lease_writes_nothing(open_stage: OpenStage, answer: str) -> None:
    """Its lease ran out while it waited for page 2 and another finished: whatever page 2 says is dropped."""
    stage = open_stage({"hedera": SIZES}, pages=10)
    gate = Gate(stage.sim, "hedera", 2)

    async def both() -> Any:
        async with bootstrap.engine(stage.config()) as slow, bootstrap.engine(stage.config()) as fast:
            waiting = asyncio.create_task(_one_pass(slow))
            await gate.reached()
            stage.execute("UPDATE ledger.crawl SET lease_until = clock_timestamp() - interval '1 second'")
            outcome = await _one_pass(fast)
            before = _written(stage)
            if answer != "honest":
                stage.sim.faults.add(Fault("hedera", answer, page=2, status=404))
            gate.open()
            return outcome, await waiting, before

    fast, slow, before = asyncio.run(both())

    assert fast == slow
    assert outcomes(list(fast)) == {"published": 1}
    assert _written(stage) == before
    epochs = stage.rows("SELECT lease_epoch FROM ledger.raw_page ORDER BY page_no")
    first, second, third = [row["lease_epoch"] for row in epochs]
    assert first < second == third
    assert stage.differences() == {}


async def _one_pass(engine: Engine) -> tuple[Outcome, ...]:
    return await jobs.run_pass(engine, Selection(None, None), lambda _progress: None)


def _written(stage: Stage) -> list[list[dict[str, Any]]]:
    """Everything a worker could write about its crawl."""
    tables = {"raw_page": "crawl_id, kind, page_no", "crawl": "crawl_id", "crawl_watch": "crawl_id, watch_id"}
    return [stage.rows(f"SELECT * FROM ledger.{table} ORDER BY {keys}") for table, keys in tables.items()]


def test_a_walk_that_breaks_costs_its_own_watches(
    open_stage: OpenStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error nobody expected fails one crawl and is told by its class only; all others are published."""
    stage = open_stage(dict.fromkeys(SOURCES, (4, 3)))

    def break_it(*_: object) -> str:
        raise ZeroDivisionError("something nobody thought of")

    monkeypatch.setattr("indexer.sources.hedera.Hedera.parse", break_it)

    found = stage.crawl()

    assert outcomes([o for o in found if o.source == "hedera"]) == {"failed": 2}
    assert outcomes([o for o in found if o.source != "hedera"]) == {"published": len(found) - 2}
    assert {o.error for o in found if o.source == "hedera"} == {"internal error: the log has its traceback"}
    monkeypatch.undo()
    assert outcomes(stage.crawl("hedera")) == {"published": 2}
    assert stage.differences() == {}


@pytest.mark.parametrize("source", SOURCES)
def test_an_account_too_large_for_memory_gives_the_same_history(
    open_stage: OpenStage, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Packed or read again, a list has the digest, rows and verdict of one kept as it is."""
    stage = open_stage({source: (45, 7)}, pages=10)
    monkeypatch.setattr("indexer.page_reader.ROWS_IN_MEMORY", 12)
    stage.crawl()
    large = stage.rows("SELECT watch_id, digest, holdings FROM ledger.snapshot ORDER BY watch_id")
    assert stage.differences() == {}
    monkeypatch.undo()

    found = stage.crawl()

    assert outcomes(found) == {"unchanged": 2}
    small = "SELECT watch_id, digest, holdings FROM ledger.snapshot WHERE snapshot_id > 2 ORDER BY watch_id"
    assert stage.rows(small) == large
