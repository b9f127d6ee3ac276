"""Named points at which a test may kill or stop this process: where power could fail with the worst luck.

`reached` does nothing unless `arm` was called, which only bootstrap does, for INDEXER_TEST_CRASH_AT.
"""

import os
import signal
from typing import Final

import msgspec

from indexer.errors import UsageError

#: Every point, in the order in which one page passes them; the last ones belong to a whole pass, or to
#: `replay --adopt`.
POINTS: Final = (
    "cluster_made",
    "server_up",
    "server_joined",
    "migration_written",
    "files_reloaded",
    "watchlist_written",
    "watches_removed",
    "partitions_made",
    "pass_prepared",
    "claimed",
    "asking",
    "answered",
    "parsed",
    "assets_learned",
    "commit_begun",
    "page_written",
    "history_changed",
    "snapshot_written",
    "crawl_completed",
    "page_durable",
    "heartbeat",
    "restart_written",
    "handed_back",
    "pass_finished",
    "adoption_begun",
    "adoption_written",
)

_SIGNALS: Final = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


class _Trap(msgspec.Struct):
    #: What it was armed with.
    text: str
    point: str
    #: Passings until it springs.
    left: int
    signal: signal.Signals

    def pass_by(self, point: str) -> None:
        if point != self.point:
            return
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), self.signal)


_trap: _Trap | None = None


def arm(text: str) -> None:
    """Set the trap ``point:n`` or ``point:n:stop``: the n-th passing kills (or stops) this process.

    ``''`` disarms; the same text again, at a reload, leaves the trap as it is. Raises UsageError for
    anything else.
    """
    global _trap  # noqa: PLW0603  one process, one trap: points are passed by code that knows nothing of it
    if not text:
        _trap = None
        return
    if _trap is not None and _trap.text == text:
        return
    point, _, rest = text.partition(":")
    count, _, how = rest.partition(":")
    if point not in POINTS or not count.isdigit() or (how or "kill") not in _SIGNALS:
        raise UsageError(f"INDEXER_TEST_CRASH_AT: POINT:N or POINT:N:stop, of {', '.join(POINTS)}")
    _trap = _Trap(text, point, int(count), _SIGNALS[how or "kill"])


def reached(point: str) -> None:
    """Pass a point. Free unless a test armed it."""
    if _trap is not None:
        _trap.pass_by(point)
