"""`indexer status`: what an operator needs at a glance, and what to type."""

import json
from collections.abc import Callable

import pytest

from indexer.cli.status import Status, print_status, read_status
from indexer.jobs import Engine
from indexer.simulator import Fault
from tests.integration.daemon.working import begin, make_due, work_until
from tests.integration.engine.conftest import OpenStage
from tests.integration.engine.stage import Stage

Look = Callable[[Stage], str]


@pytest.fixture
def look(capsys: pytest.CaptureFixture[str]) -> Look:
    """What it prints on a terminal without an end."""

    def read(stage: Stage) -> str:
        capsys.readouterr()
        print_status(stage.run(lambda engine: read_status(engine.database)), as_json=False)
        return capsys.readouterr().out

    return read


@pytest.fixture
def stage(open_stage: OpenStage) -> Stage:
    """Two sources whose crawls wait, made by a daemon that is not there any more."""
    made = open_stage({"hedera": (6, 2), "algorand": (3,)})
    made.run(begin)
    made.run(make_due)
    made.execute("UPDATE ledger.schedule SET look_at = now() + interval '50 minutes'")
    return made


def finish(stage: Stage) -> None:
    """Let the crawls end; nothing is due again soon."""
    stage.run(
        lambda engine: work_until(
            engine,
            lambda: not stage.value("SELECT count(*) FROM ledger.crawl_watch WHERE open"),
            "they ended",
        )
    )
    stage.execute("UPDATE ledger.schedule SET look_at = now() + interval '50 minutes'")


def test_a_quiet_installation_needs_no_attention(stage: Stage, look: Look) -> None:
    """Sources, their freshness and when they are due next; nothing else."""
    finish(stage)

    shown = look(stage)

    assert "hedera" in shown
    assert "49m" in shown
    assert "What needs attention" not in shown
    assert "Open crawls" not in shown
    assert "1 process can work" in shown


def test_nobody_who_makes_crawls_is_noticed(stage: Stage, look: Look) -> None:
    """The daemon is not there: the status says so, and since when."""
    finish(stage)
    stage.execute("UPDATE ledger.schedule SET look_at = now() - interval '3 hours'")

    shown = look(stage)

    assert "3 watches are due and nobody makes crawls" in shown
    assert "indexer run" in shown
    assert "3h" in shown


def test_a_paused_source_says_why_and_until_when(stage: Stage, look: Look) -> None:
    """And its crawls say what they wait for."""
    stage.execute(
        "UPDATE ledger.source SET state = 'paused', paused_reason = '402 for the key', "
        "paused_until = '2030-01-02T03:04:05Z' WHERE source_id = 'algorand'"
    )

    shown = look(stage)

    assert "Paused: 402 for the key. Tried again at 2030-01-02 03:04:05Z." in shown
    assert "its source is paused" in shown


def test_a_failed_watch_says_why_and_when_it_is_asked_again(stage: Stage, look: Look) -> None:
    """What went wrong, how long ago, and the next attempt."""
    stage.sim.faults.add(Fault("algorand", "html_200", times=100))
    finish(stage)

    shown = look(stage)
    seen = stage.run(lambda engine: read_status(engine.database))

    assert "failed: BadPage: algorand page" in shown
    assert "49m" in shown
    assert list(seen.retries) == [seen.failures[0].crawl_id]


def test_a_waiting_crawl_says_what_it_met_with(stage: Stage, look: Look) -> None:
    """An attempt that failed keeps its pages, and the next one its time."""
    stage.execute(
        "UPDATE ledger.crawl SET error_class = 'ServerTrouble', error = '500', "
        "next_attempt_at = now() + interval '10 minutes' WHERE state = 'pending' AND source_id = 'algorand'"
    )

    assert "again in 9m" in look(stage)
    assert "ServerTrouble: 500" in look(stage)


def test_programs_get_the_same_facts(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """One JSON document with everything the tables show."""

    async def read(engine: Engine) -> Status:
        return await read_status(engine.database)

    print_status(stage.run(read), as_json=True)
    found = json.loads(capsys.readouterr().out)

    assert found["workers"] == 1
    assert found["queue"] == {"pending": 3, "running": 0}
    assert {row["trouble"] for row in found["crawls"]} == {None}
    assert {"now", "sources", "outlook", "quarantine", "failures", "notices", "upkeep"} <= set(found)
