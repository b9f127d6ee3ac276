"""Ending tasks for certain. Knows nothing of what they do.

On Python 3.11 `asyncio.wait_for` can swallow a cancellation that arrives in the same moment as its result
(inside the connection pool, for one), and the task goes on as if nothing had been said.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

#: What a task may need to put itself in order before it is asked again.
_PAUSE_SECONDS: Final = 0.5


async def end_tasks(tasks: Iterable[asyncio.Task[Any]], patience_seconds: float = 2.0) -> int:
    """Cancel these tasks until each has ended. Returns how many had not when patience ran out."""
    late = set(tasks)
    for _ in range(max(1, round(patience_seconds / _PAUSE_SECONDS))):
        for task in late:
            task.cancel()
        if late:
            _, late = await asyncio.wait(late, timeout=_PAUSE_SECONDS)
    return len(late)


def was_told_to_stop() -> bool:
    """Whether somebody cancelled the current task, even if what it waited for swallowed that."""
    return times_told() > 0


def times_told() -> int:
    """How often the current task was cancelled. More often after a call than before: it swallowed one."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()
