"""How a daemon ends: in order when it is told to, at once when it is told twice or something is stuck.

Runs one coroutine until a signal comes. Knows nothing of what it does.
"""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Final

import structlog

_log = structlog.get_logger()

#: Whoever waits for us kills after some seconds; what is not in order by then recovers by itself.
PATIENCE_SECONDS: Final = 3.0


async def run_until_told(work: Coroutine[object, object, None], on_hangup: Callable[[], None]) -> None:
    """Run ``work``; SIGTERM and SIGINT cancel it and wait for its end. Raises what it raises."""
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)
    told: list[int] = []

    def cancel() -> None:
        _log.info("stopping", signal=signal.Signals(told[0]).name)
        task.cancel()

    def stop(number: int, _frame: FrameType | None) -> None:
        told.append(number)
        if len(told) > 1:
            leave(128 + number)
        # A thread, because whatever keeps us from ending may keep the event loop from running, too.
        watchdog = threading.Timer(PATIENCE_SECONDS, leave, [0])
        watchdog.daemon = True
        watchdog.start()
        loop.call_soon_threadsafe(cancel)

    # Not the loop's own handlers: these run even while the loop is busy.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    loop.add_signal_handler(signal.SIGHUP, on_hangup)
    try:
        await task
    except asyncio.CancelledError:
        if not told:
            raise
    except BaseException:
        # What breaks while everything is torn down was about to end anyway.
        if not told:
            raise
        _log.warning("stopping was not smooth", exc_info=True)
    _log.info("stopped")


def leave(code: int) -> None:
    """End the process now. Crawls in hand are free at once: their worker's lock goes with its connection."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)
