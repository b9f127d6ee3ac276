"""`indexer crawl` as a process that can be killed or stopped at a chosen point."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.acceptance.cli_program import PROGRAM, build_environment
from tests.faults.stand import Stand

#: Longer than anything here takes on a busy machine; reached only when something hangs.
DEADLINE_SECONDS: Final = 90.0


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def killed(self) -> bool:
        """It died of SIGKILL."""
        return self.code == -signal.SIGKILL

    def outcomes(self) -> list[dict[str, Any]]:
        """What `indexer crawl --json` printed."""
        found: list[dict[str, Any]] = json.loads(self.stdout)["watches"]
        return found


def start(stand: Stand, *arguments: str, crash_at: str = "") -> "subprocess.Popen[str]":
    """`indexer …` on this stand."""
    program = (sys.executable, "-m", "tests.faults.mutant_program", stand.mutant) if stand.mutant else PROGRAM
    return subprocess.Popen(
        [*program, *arguments, "--config", str(stand.folder / "indexer.toml")],
        cwd=stand.folder,
        env=build_environment(stand.environment | {"INDEXER_TEST_CRASH_AT": crash_at}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process: "subprocess.Popen[str]") -> Ended:
    """Wait for its end."""
    try:
        stdout, stderr = process.communicate(timeout=DEADLINE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        stdout, stderr = process.communicate()
    return Ended(process.returncode, stdout, stderr)


def crawl(stand: Stand, *arguments: str, crash_at: str = "") -> Ended:
    """`indexer crawl --json` to its end, whichever that is."""
    return end(start(stand, "crawl", "--json", *arguments, crash_at=crash_at))


def run(stand: Stand, *arguments: str) -> Ended:
    """`indexer …` to its end."""
    return end(start(stand, *arguments))


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Return when it is so. Fails after the deadline."""
    until = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < until, f"waited in vain: {what}"
        time.sleep(0.02)


def is_stopped(pid: int) -> bool:
    """Whether a process sits in SIGSTOP."""
    status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    return status.rpartition(")")[2].split()[0] == "T"


def resume(process: "subprocess.Popen[str]") -> None:
    """Let a stopped process go on."""
    os.kill(process.pid, signal.SIGCONT)
