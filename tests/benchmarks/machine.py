"""Runs one command to its end and says what it took: seconds, processor seconds, memory at its worst."""

import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil  # type: ignore[import-untyped,unused-ignore]

#: How often memory and processor time are looked at. A peak shorter than this may be missed.
_LOOK_SECONDS: Final = 0.05

#: Process numbers of the database's sessions at this moment.
Backends = Callable[[], Sequence[int]]


def no_backends() -> Sequence[int]:
    """For runs without a database, or with one on another machine."""
    return ()


@dataclass(frozen=True, slots=True)
class Taken:
    """What one run took."""

    seconds: float
    #: Of all its processes, the database's not included.
    cpu_seconds: float
    #: Of the database's sessions that it used; one that lives shorter than a look is not seen.
    database_cpu_seconds: float
    #: Resident memory of all its processes together, at its worst.
    peak_bytes: int
    #: What it wrote to stdout.
    output: str


class RunFailed(Exception):
    """A contender ended with an error; its last words are in the message."""


class _Watcher(threading.Thread):
    """Adds up the resident memory of a process and its children while they live."""

    def __init__(self, pid: int, backends: Backends) -> None:
        super().__init__(daemon=True)
        self._root = psutil.Process(pid)
        self._backends = backends
        self._backend_cpu: dict[int, float] = {}
        self._done = threading.Event()
        self.peak_bytes = 0
        self._cpu: dict[int, float] = {}

    @property
    def cpu_seconds(self) -> float:
        """User and system time of every process seen."""
        return sum(self._cpu.values())

    @property
    def database_cpu_seconds(self) -> float:
        """The same of the database's sessions."""
        return sum(self._backend_cpu.values())

    def run(self) -> None:
        while not self._done.wait(_LOOK_SECONDS):
            self.look()
            self._look_at_backends()

    def _look_at_backends(self) -> None:
        for pid in self._backends():
            with suppress(psutil.Error):
                times = psutil.Process(pid).cpu_times()
                self._backend_cpu[pid] = times.user + times.system

    def look(self) -> None:
        """Take one sample."""
        total = 0
        with suppress(psutil.Error):
            for process in [self._root, *self._root.children(recursive=True)]:
                with suppress(psutil.Error):
                    total += process.memory_info().rss
                    times = process.cpu_times()
                    self._cpu[process.pid] = times.user + times.system
        self.peak_bytes = max(self.peak_bytes, total)

    def stop(self) -> None:
        """No more samples."""
        self._done.set()
        self.join()


def run_measured(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    name: str,
    backends: Backends = no_backends,
) -> Taken:
    """Run to the end; stderr goes to ``<name>.log`` in ``folder``. Raises RunFailed."""
    log = folder / f"{name}.log"
    with log.open("wb") as errors:
        started = time.perf_counter()
        with subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=errors
        ) as process:
            watcher = _Watcher(process.pid, backends)
            watcher.start()
            assert process.stdout is not None
            try:
                output = process.stdout.read().decode()
                code = process.wait()
            except BaseException:
                process.kill()  # who leaves does not wait for a contender that takes minutes
                raise
            finally:
                seconds = time.perf_counter() - started
                watcher.stop()
    if code != 0:
        words = (log.read_text(errors="replace") + output)[-2000:]
        raise RunFailed(f"{name} ended with exit code {code}:\n{words}")
    return Taken(seconds, watcher.cpu_seconds, watcher.database_cpu_seconds, watcher.peak_bytes, output)
