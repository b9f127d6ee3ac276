"""Pages of many crawls in one transaction: what is wrong with one costs no other anything."""

import asyncio
from collections.abc import Callable

import pytest

from indexer.commit import Committer
from tests.integration.engine.conftest import OpenStage
from tests.integration.engine.gate import DEADLINE_SECONDS
from tests.integration.engine.stage import by_watch, outcomes

#: What becomes of a crawl whose lease ran out and that another worker has taken.
_TAKEN = "UPDATE ledger.crawl SET lease_epoch = lease_epoch + 1, lease_until = clock_timestamp()"


def commit_together(
    monkeypatch: pytest.MonkeyPatch, works: int, before: Callable[[], object] = lambda: None
) -> None:
    """The first transaction waits for so many pages, and for something that happens before it."""
    plain = Committer.run

    async def run(self: Committer) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            waiting = [await self._queue.get() for _ in range(works)]
        before()
        for work in waiting:
            self._queue.put_nowait(work)
        await plain(self)

    monkeypatch.setattr(Committer, "run", run)


def test_a_lost_lease_costs_the_other_pages_nothing(
    open_stage: OpenStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of three crawls is in other hands when its page is to be written: the others are durable."""
    stage = open_stage({"hedera": (3, 2, 1)})
    commit_together(monkeypatch, 3, lambda: stage.execute(f"{_TAKEN} WHERE crawl_id = 2"))

    found = stage.crawl()

    assert outcomes(found) == {"published": 3}
    assert stage.differences() == {}
    assert [row["attempts"] for row in stage.rows("SELECT attempts FROM ledger.crawl ORDER BY 1")] == [
        1,
        1,
        2,
    ]


def test_a_surprise_leaves_the_other_lists_what_they_are(
    open_stage: OpenStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One list lost too much and is read whole; the other, which only changed, is published beside it."""
    stage = open_stage({"algorand": (12, 12)})
    stage.crawl()
    lost, changed = sorted(stage.truth())
    for item in stage.world.items(*lost)[:8]:
        stage.world.remove(*lost[:2], item.key)
    stage.world.mint(*changed[:2], index=10_000)
    commit_together(monkeypatch, 2)

    found = stage.crawl()

    assert by_watch(found) == {lost: "quarantined", changed: "published"}
    assert stage.differences().keys() == {lost}
    assert stage.value("SELECT missing FROM ledger.snapshot WHERE state = 'quarantined'") == 8
