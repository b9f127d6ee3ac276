"""Ending tasks for certain, even those that do not hear it the first time."""

import asyncio
import contextlib

from indexer.cancelling import end_tasks, was_told_to_stop


async def deaf(times: int) -> None:
    """Swallows so many cancellations, as `asyncio.wait_for` may."""
    for _ in range(times):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
    await asyncio.Event().wait()


def test_a_swallowed_cancellation_is_repeated() -> None:
    """One call ends the task; nobody is left behind."""

    async def test() -> tuple[int, bool]:
        task = asyncio.create_task(deaf(1))
        await asyncio.sleep(0)
        late = await end_tasks([task])
        return late, task.cancelled()

    assert asyncio.run(test()) == (0, True)


def test_a_task_that_never_ends_is_counted() -> None:
    """Patience has an end, too."""

    async def test() -> int:
        task = asyncio.create_task(deaf(2))
        await asyncio.sleep(0)
        late = await end_tasks([task], patience_seconds=0.5)
        await end_tasks([task])
        return late

    assert asyncio.run(test()) == 1


def test_a_loop_learns_what_its_call_swallowed() -> None:
    """The cancellation is not forgotten, only not raised."""

    async def loop() -> bool:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return was_told_to_stop()

    async def test() -> bool:
        task = asyncio.create_task(loop())
        await asyncio.sleep(0)
        task.cancel()
        return await task

    assert asyncio.run(test())
