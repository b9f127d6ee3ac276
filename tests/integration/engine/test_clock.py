"""Instants only move forward: a clock that steps back delays history, it never rewrites it."""

import asyncio
from datetime import datetime, timedelta

import pytest

from indexer import bootstrap, jobs, publish
from indexer.jobs import Engine, Selection
from indexer.store import upkeep
from tests.integration.engine.conftest import OpenStage
from tests.integration.engine.gate import Gate
from tests.integration.engine.stage import Stage, outcomes

_COPY_TO_FUTURE = """
INSERT INTO ledger.snapshot
    (watch_id, crawl_id, state, judged_at, snapshot_at, fresh_until, first_page_at, last_page_at, pages,
     holdings, unreadable, missing, proves_absence, consistency, digest)
SELECT watch_id, crawl_id, state, judged_at + %(ahead)s, snapshot_at + %(ahead)s, fresh_until + %(ahead)s,
       first_page_at, last_page_at, pages, holdings, unreadable, missing, proves_absence, consistency, digest
FROM ledger.snapshot
"""

#: The database clock, in which the first statements that write a table take so many seconds each.
_LOSE_TIME = """
CREATE SCHEMA slow;
CREATE SEQUENCE slow.writes MINVALUE 0 START 0;
CREATE FUNCTION slow.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
    'SELECT pg_catalog.clock_timestamp()
            + interval ''1 s'' * {seconds} * least(last_value + is_called::int, {times})
     FROM slow.writes';
CREATE FUNCTION slow.lose_time() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM nextval(''slow.writes''); RETURN NULL; END';
CREATE TRIGGER lose_time AFTER {writes} FOR EACH STATEMENT EXECUTE FUNCTION slow.lose_time();
DO 'BEGIN EXECUTE format(''ALTER DATABASE %%I SET search_path = slow, pg_catalog'', current_database()); END';
"""


def _instants(stage: Stage) -> list[datetime]:
    """Instants of all published snapshots in the order in which they were written."""
    return [
        row["snapshot_at"]
        for row in stage.rows("SELECT snapshot_at FROM ledger.any_snapshot ORDER BY snapshot_id")
    ]


def test_history_far_ahead_of_the_clock_stops_publishing(open_stage: OpenStage) -> None:
    """An hour ahead, the next publish is refused in a sentence that says what to do; nothing changes."""
    stage = open_stage({"hedera": (6,)})
    stage.crawl()
    stage.execute(_COPY_TO_FUTURE, ahead=timedelta(hours=1))
    before, instants = stage.held(), _instants(stage)
    stage.world.mint("hedera", stage.only_address("hedera"))

    found = stage.crawl()

    assert outcomes(found) == {"failed": 1}
    assert "set the clock right" in (found[0].error or "")
    assert stage.held() == before
    assert _instants(stage) == instants
    assert (
        stage.value("SELECT error_class FROM ledger.crawl ORDER BY crawl_id DESC LIMIT 1") == "ClockWentBack"
    )


def test_history_far_ahead_of_the_clock_keeps_nothing_fresh(open_stage: OpenStage) -> None:
    """A year ahead, the status door tells the age of what is known now, and not that of what is to come."""
    stage = open_stage({"hedera": (6,)})
    stage.crawl()
    stage.execute(_COPY_TO_FUTURE, ahead=timedelta(days=365))

    async def read(engine: Engine) -> list[upkeep.SourceFigures]:
        async with engine.database.connection() as connection:
            return await upkeep.read_source_figures(connection)

    (age,) = (found.oldest_seconds for found in stage.run(read) if found.source == "hedera")

    assert age is not None
    assert age >= 0


def test_history_a_little_ahead_goes_on_one_microsecond_later(open_stage: OpenStage) -> None:
    """Half a minute ahead, the next instant is the last one plus a microsecond: strictly increasing."""
    stage = open_stage({"hedera": (6,)})
    stage.crawl()
    stage.execute(_COPY_TO_FUTURE, ahead=timedelta(seconds=45))
    latest = stage.value("SELECT max(snapshot_at) FROM ledger.snapshot")
    stage.world.mint("hedera", stage.only_address("hedera"))

    found = stage.crawl()

    assert outcomes(found) == {"published": 1}
    assert found[0].snapshot_at == latest + timedelta(microseconds=1)


def test_a_clock_that_steps_back_between_two_pages_is_survived(open_stage: OpenStage) -> None:
    """Page 1 was committed ten seconds later than it is now: the instant is after every page of its list."""
    stage = open_stage({"hedera": (25,)}, pages=10)
    gate = Gate(stage.sim, "hedera", 3)

    async def step_back() -> object:
        async with bootstrap.engine(stage.config()) as engine:
            running = asyncio.create_task(
                jobs.run_pass(engine, Selection(None, None), lambda _progress: None)
            )
            await gate.reached()
            stage.execute("UPDATE ledger.crawl SET last_page_at = last_page_at + interval '10 seconds'")
            gate.open()
            return await running

    found = asyncio.run(step_back())

    assert [outcome.outcome for outcome in found] == ["published"]  # type: ignore[attr-defined]
    assert stage.value("SELECT count(*) FROM ledger.snapshot WHERE snapshot_at > last_page_at") == 1


def test_instants_increase_strictly(open_stage: OpenStage) -> None:
    """However fast crawls follow each other, each snapshot of a watch is later than the one before."""
    stage = open_stage({"hedera": (3,)})
    for _ in range(4):
        stage.crawl()

    instants = _instants(stage)

    assert len(instants) == 4
    assert instants == sorted(set(instants))


def lose_time(stage: Stage, seconds: int, times: int = 99, writes: str = "INSERT ON ledger.snapshot") -> None:
    """From now on the first ``times`` statements that do these writes take so long each."""
    for statement in _LOSE_TIME.strip().split(";\n"):
        for name, value in (("seconds", seconds), ("times", times), ("writes", writes)):
            statement = statement.replace(f"{{{name}}}", str(value))  # noqa: PLW2901  filled in step by step
        stage.execute(statement)


def test_a_publish_that_takes_long_names_a_later_instant(open_stage: OpenStage) -> None:
    """Answers given meanwhile would change: it is done again, with an instant that lies ahead."""
    stage = open_stage({"hedera": (6,)})
    lose_time(stage, 31)

    found = stage.crawl()

    assert outcomes(found) == {"published": 1}
    assert stage.differences() == {}
    written = stage.rows("SELECT last_page_at, snapshot_at FROM ledger.snapshot")
    assert [row["snapshot_at"] - row["last_page_at"] > timedelta(seconds=30) for row in written] == [True]


def test_nothing_is_published_before_its_instant(
    open_stage: OpenStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It took two seconds once and hardly any the second time: the instant it named is waited for."""
    monkeypatch.setattr(publish, "LONGEST", timedelta(seconds=1))
    stage = open_stage({"hedera": (6,)})
    lose_time(stage, 2, times=1)

    found = stage.crawl()

    assert outcomes(found) == {"published": 1}
    assert stage.value("SELECT count(*) FROM ledger.snapshot WHERE snapshot_at > slow.clock_timestamp()") == 0
    assert stage.value("SELECT snapshot_at - last_page_at > interval '2 s' FROM ledger.snapshot")


def test_a_publish_that_takes_far_too_long_is_given_up(open_stage: OpenStage) -> None:
    """Everything else waits for it: nothing of it is kept, and it is tried again with the next crawl."""
    stage = open_stage({"hedera": (6,)})
    lose_time(stage, 700)

    found = stage.crawl()

    assert outcomes(found) == {"failed": 1}
    assert "publishing took 700 s" in (found[0].error or "")
    assert stage.held() == {}
    assert _instants(stage) == []
