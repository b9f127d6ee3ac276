"""What a pass tells while it is at work, others among them: that it lives."""

import asyncio

import pytest

from indexer.errors import DatabaseUnavailable
from indexer.jobs import Engine, Selection, run_pass
from indexer.store import passes
from indexer.store.database import Connection
from tests.integration.engine.conftest import OpenStage
from tests.integration.engine.gate import DEADLINE_SECONDS, Gate


def test_a_pass_tells_that_it_lives_after_the_database_was_away(
    open_stage: OpenStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request is on its way for longer than the outage: nobody takes the pass for a dead one."""
    stage = open_stage({"hedera": (3,)})
    gate = Gate(stage.sim, "hedera", 1)
    touch, touched = passes.touch, asyncio.Event()
    asked = 0

    async def touch_after_an_outage(connection: Connection, number: int) -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise DatabaseUnavailable("The database cannot be reached: it was away for too long")
        await touch(connection, number)
        touched.set()

    monkeypatch.setattr(passes, "touch", touch_after_an_outage)

    async def work(engine: Engine) -> list[str]:
        running = asyncio.create_task(run_pass(engine, Selection(None, None), lambda _progress: None))
        await gate.reached()
        async with asyncio.timeout(DEADLINE_SECONDS):
            await touched.wait()
        gate.open()
        return [outcome.outcome for outcome in await running]

    assert stage.run(work) == ["published"]
    assert asked > 1
