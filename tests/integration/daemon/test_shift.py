"""Working: sources do not wait for each other, small accounts not for large ones, and refusals for nobody."""

import asyncio
import dataclasses
import threading
from typing import Any

import psycopg

from indexer import bootstrap
from indexer.jobs import Engine
from indexer.metrics import Metrics
from indexer.records import Page, Question
from indexer.shift import Shift
from indexer.sources.base import Source
from indexer.store.crawls import Claim
from tests.integration.daemon.working import always, begin, make_due, open_shift, wait_until, work_until
from tests.integration.engine.conftest import OpenStage
from tests.integration.engine.stage import Fault

OPEN = "SELECT count(*) FROM ledger.crawl WHERE state IN ('pending', 'running')"
PUBLISHED = "SELECT count(*) FROM ledger.crawl_watch WHERE verdict = 'published'"
REFUSAL = Fault("hedera", "status", status=403, times=None)


def test_a_source_that_refuses_us_is_paused_and_the_others_go_on(open_stage: OpenStage) -> None:
    """With its reason; what waits for it stays in the queue instead of failing through."""
    stage = open_stage({"hedera": (1,) * 40, "algorand": (1,) * 10})
    stage.sim.faults.add(REFUSAL)

    async def work(engine: Engine) -> None:
        await begin(engine)
        await make_due(engine)
        await work_until(engine, lambda: stage.value(PUBLISHED) == 10, "algorand is done")

    stage.run(work)

    state = stage.rows("SELECT state, paused_reason FROM ledger.source WHERE source_id = 'hedera'")[0]
    assert state["state"] == "paused"
    assert "403" in state["paused_reason"]
    assert len(stage.log("hedera")) < 20
    assert stage.value(OPEN) > 20


def test_a_worker_that_lost_its_session_does_not_take_over_its_own_crawls(open_stage: OpenStage) -> None:
    """To itself it looks gone: it claims nothing until others know again that it lives."""
    stage = open_stage({"hedera": (1,) * 4})

    async def lose(engine: Engine) -> list[int]:
        await begin(engine)
        await make_due(engine)
        worker = engine.worker
        held = await worker.claim("hedera", 3, None)
        stage.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
            f"WHERE application_name = 'indexer worker {worker.number.number}'"
        )
        found = list[Claim]()
        async with asyncio.timeout(30):
            while not found:
                found = await worker.claim("hedera", 10, None)
                await asyncio.sleep(0.05)
        return [len(held), len(found)]

    sizes = stage.run(lose)

    assert sizes == [3, 1]
    assert stage.value("SELECT max(attempts) FROM ledger.crawl") == 1


def test_a_paused_source_is_tried_by_one_crawl_of_one_process(open_stage: OpenStage) -> None:
    """Two processes, forty crawls waiting, and the pause is over: one request finds out, then all go."""
    stage = open_stage({"hedera": (1,) * 40})
    fault = stage.sim.faults.add(REFUSAL)

    async def work(engine: Engine) -> None:
        await begin(engine)
        await make_due(engine)
        paused = "SELECT count(*) FROM ledger.source WHERE state = 'paused'"
        await work_until(engine, lambda: stage.value(paused) == 1, "it is paused")

    async def try_again(engine: Engine) -> None:
        async with bootstrap.engine(stage.config()) as other:
            shifts = [asyncio.create_task(open_shift(one).run()) for one in (engine, other)]
            await wait_until(lambda: stage.log("hedera", since) and not stage.value(still_due), "one tried")
            for shift in shifts:
                shift.cancel()
            await asyncio.gather(*shifts, return_exceptions=True)

    still_due = "SELECT count(*) FROM ledger.source WHERE paused_until <= clock_timestamp()"
    stage.run(work)
    since = len(stage.sim.log)
    stage.execute("UPDATE ledger.source SET paused_until = now() WHERE state = 'paused'")
    stage.run(try_again)
    trials = len(stage.log("hedera", since))
    stage.sim.faults.remove(fault)
    stage.execute("UPDATE ledger.source SET paused_until = now() WHERE state = 'paused'")

    async def go_on(engine: Engine) -> None:
        await work_until(engine, lambda: stage.value(OPEN) == 0, "the queue is empty")

    stage.run(go_on)

    assert trials == 1
    assert stage.value("SELECT state FROM ledger.source WHERE source_id = 'hedera'") == "active"
    assert stage.value(PUBLISHED) >= 20


def test_whales_do_not_delay_small_accounts(open_stage: OpenStage) -> None:
    """More whales than lanes, first in the queue: the small accounts are done while whales still walk."""
    stage = open_stage({"hedera": (*([1500] * 40), *([1] * 30))}, pages=25)
    finished = "SELECT count(*) FROM ledger.snapshot WHERE state = 'published' AND holdings {} 100"

    async def work(engine: Engine) -> int:
        await begin(engine)
        await make_due(engine)
        small = finished.format("<")
        await work_until(engine, lambda: stage.value(small) == 30, "small accounts are done")
        return int(stage.value(finished.format(">")))

    whales = stage.run(work, SOURCES__HEDERA__CONCURRENCY="1")

    assert whales < 40
    assert stage.value("SELECT count(*) FROM ledger.crawl WHERE state = 'failed'") == 0
    assert stage.value("SELECT max(pages) FROM ledger.crawl WHERE state = 'pending'") >= 20


def test_what_is_in_hand_is_handed_back_when_told_to_stop(open_stage: OpenStage) -> None:
    """No crawl stays leased, and each keeps its cursor."""
    stage = open_stage({"hedera": (400,) * 6}, pages=25)
    held = threading.Event()

    def hold(_source: str, inquiry: Any) -> None:
        if len(stage.sim.log) > 30:
            held.set()
            threading.Event().wait(0.2)

    async def work(engine: Engine) -> None:
        await begin(engine)
        await make_due(engine)
        await work_until(engine, held.is_set, "they walk")

    stage.sim.before_answer = hold
    stage.run(work)

    states = stage.rows("SELECT DISTINCT state FROM ledger.crawl ORDER BY state")
    assert [row["state"] for row in states] in (["pending"], ["complete", "pending"])
    assert stage.value("SELECT max(pages) FROM ledger.crawl WHERE state = 'pending'") > 0


@dataclasses.dataclass(frozen=True)
class _Broken:
    """A source with a bug: its parser raises what no source should."""

    source: Source

    def __getattr__(self, name: str) -> Any:
        return getattr(self.source, name)

    def parse(self, question: Question, body: bytes) -> Page:
        """Fail as a programming mistake does."""
        raise ZeroDivisionError(f"{question.addresses} {len(body)}")


def test_a_walk_that_breaks_fails_its_watch_and_nothing_else(open_stage: OpenStage) -> None:
    """A bug in one parser: told with its traceback, recorded by its class, and the rest goes on."""
    stage = open_stage({"hedera": (1,), "algorand": (1,)})

    async def work(engine: Engine) -> None:
        await begin(engine)
        await make_due(engine)
        broken: Any = _Broken(engine.sources["hedera"])
        engine.worker.reconfigure(engine.config, {**engine.sources, "hedera": broken}, str)
        await work_until(engine, lambda: stage.value(OPEN) == 0, "both ended")

    stage.run(work)

    verdicts = stage.rows(
        "SELECT source_id, verdict, error_class "
        "FROM ledger.crawl JOIN ledger.crawl_watch USING (crawl_id) ORDER BY source_id"
    )
    assert [tuple(row.values()) for row in verdicts] == [
        ("algorand", "published", None),
        ("hedera", "failed", "ZeroDivisionError"),
    ]


def test_a_list_that_is_believed_for_nobody_is_counted_as_failed(open_stage: OpenStage) -> None:
    """The whole list was read, and too little of it could be: the alert about failures must see that."""
    stage = open_stage({"algorand": (1,), "hedera": (1,)})
    stage.sim.faults.add(Fault("algorand", "item_error", value="nan", times=None))
    metrics = Metrics()

    async def work(engine: Engine) -> None:
        await begin(engine)
        await make_due(engine)
        shift = asyncio.create_task(Shift(engine, metrics, always).run())
        await wait_until(lambda: len(_read_crawls(metrics)) == 2, "both are counted")
        shift.cancel()
        await asyncio.gather(shift, return_exceptions=True)

    stage.run(work)

    assert _read_crawls(metrics) == {("algorand", "failed"): 1, ("hedera", "published"): 1}


def _read_crawls(metrics: Metrics) -> dict[tuple[str, str], float]:
    """How many walks of which source ended how."""
    samples = next(iter(metrics.crawls.collect())).samples
    return {
        (one.labels["source"], one.labels["outcome"]): one.value
        for one in samples
        if one.name.endswith("_total")
    }


def test_a_worker_that_can_claim_nothing_gives_no_sign_of_life(open_stage: OpenStage) -> None:
    """In a database that may only be read it can do nothing: its status door must not call it ready."""
    stage = open_stage({"hedera": (1,)})
    beats: list[object] = []

    async def work(engine: Engine) -> None:
        await begin(engine)
        await make_due(engine)
        claim, refused = engine.worker.claim, asyncio.Event()

        async def refuse(*_: object) -> list[Claim]:
            refused.set()
            raise psycopg.errors.ReadOnlySqlTransaction("cannot execute UPDATE in a read-only transaction")

        engine.worker.claim = refuse  # type: ignore[method-assign,assignment]
        shift = asyncio.create_task(Shift(engine, Metrics(), always, beats.append).run())
        await wait_until(refused.is_set, "it has tried")
        assert beats == []
        engine.worker.claim = claim  # type: ignore[method-assign]
        await wait_until(lambda: beats, "it lives")
        shift.cancel()
        await asyncio.gather(shift, return_exceptions=True)

    stage.run(work)


def test_a_source_of_a_newer_program_is_left_to_it(open_stage: OpenStage) -> None:
    """Its crawls wait in the queue both share; ours go on."""
    stage = open_stage({"hedera": (1,) * 3})

    async def work(engine: Engine) -> None:
        await begin(engine)
        await make_due(engine)
        stage.execute(
            "INSERT INTO ledger.source (source_id, network, origin)"
            " VALUES ('a_newer_one', 'elsewhere', 'https://newer.example')"
        )
        stage.execute("INSERT INTO ledger.crawl (source_id) VALUES ('a_newer_one')")
        await work_until(engine, lambda: stage.value(PUBLISHED) == 3, "hedera is done")

    stage.run(work)

    assert stage.rows("SELECT source_id, attempts FROM ledger.crawl WHERE state = 'pending'") == [
        {"source_id": "a_newer_one", "attempts": 0}
    ]
    # Without a watch it would be a violation, and the newer program's watches are its own affair.
    stage.execute("DELETE FROM ledger.crawl WHERE source_id = 'a_newer_one'")
