"""The committer's own clockwork, without a database."""

import asyncio
import time
from datetime import timedelta
from types import SimpleNamespace
from typing import cast

from indexer.commit import Committer
from indexer.store.database import Database


def test_it_ends_when_cancelled_at_the_very_moment_a_page_comes() -> None:
    """Whoever cancels it waits for it: the page that woke it must not make it forget that."""

    async def cancel_as_it_wakes() -> bool:
        committer = Committer(cast("Database", SimpleNamespace(life=0)), timedelta(seconds=1))
        # It waits for a transaction, for a while: what it waits with must not swallow the cancellation.
        transaction = asyncio.create_task(asyncio.sleep(60))
        committer._running[transaction] = time.monotonic()
        running = asyncio.create_task(committer.run())
        for _ in range(3):
            await asyncio.sleep(0)
        committer._stirred.set()
        running.cancel()
        done, _ = await asyncio.wait({running}, timeout=5)
        running.cancel()
        return running in done

    assert asyncio.run(cancel_as_it_wakes())
