"""What `indexer crawl` loads, and what it asks the database before its first request.

Both are counted, not timed: the same on every machine, in every mood. Time is in the benchmarks.
"""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest
from psycopg.pq import Trace

from indexer import bootstrap, config, jobs
from indexer.jobs import Selection
from indexer.pacing import Pacer
from indexer.simulator.server import Simulator
from indexer.simulator.world import World
from indexer.store import database, history
from indexer.store.database import Connection
from indexer.worker import Worker
from tests.acceptance.cli_program import build_environment

#: Each takes longer to load than to read one page: what of them is needed is loaded when it is.
_HEAVY: Final = (
    *("alembic", "sqlalchemy", "rich", "pygments", "apscheduler"),
    *("uvicorn", "starlette", "prometheus_client", "platformdirs", "psutil", "eth_utils", "Crypto"),
    *("tenacity", "httpx", "anyio", "indexer.embedded", "indexer.daemon"),
)

#: Statements, BEGIN and COMMIT among them, of a pass over a watchlist that is applied already.
_BEFORE_THE_FIRST_REQUEST: Final = 23

#: Asked beside the work, as often as time allows.
_PROGRESS: Final = ("-- Sign of life", "-- How far the pass is")

_SENT = re.compile(r'^F\t\d+\t(?:Parse\t "[^"]*"|Query\t) "([^\n]*)', re.MULTILINE)


def _environment(simulator: Simulator, url: str, folder: Path) -> Mapping[str, str]:
    """Files and variables of a program that crawls the simulator."""
    (folder / "watchlist.yaml").write_text(simulator.world.watchlist_yaml())
    (folder / "indexer.toml").write_text('watchlists = ["watchlist.yaml"]\n')
    return {**simulator.environment(), "INDEXER_DATABASE__URL": url}


@pytest.mark.parametrize(
    "command", [["crawl", "--json"], ["holdings"], ["changes", "--format", "csv"]], ids=" ".join
)
def test_a_command_loads_what_it_needs(command: list[str], database_url: str, tmp_path: Path) -> None:
    """No library is loaded for what does not happen."""
    program = (
        "import importlib.metadata, sys; from indexer.__main__ import main\n"
        "importlib.metadata.distributions = None  # nobody asks what else is installed\n"
        f"code = main({[*command, '--config', 'indexer.toml']!r})\n"
        f"print(code, [name for name in {_HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    world = World.build(5, {"hedera": [20], "algorand": [20]})

    with Simulator(world) as simulator:
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            env=build_environment(_environment(simulator, database_url, tmp_path)),
            capture_output=True,
            text=True,
            check=True,
        )

    heavy = () if command[0] == "crawl" or "csv" in command else ("rich", "pygments")
    loaded = done.stderr.splitlines()[-1]
    assert [name for name in _HEAVY if f"'{name}'" in loaded and name not in heavy] == []
    assert loaded.startswith("0 ")


@pytest.mark.parametrize(("level", "told"), [("INFO", 0), ("DEBUG", 3)])
def test_pages_are_told_to_those_who_look_for_mistakes(
    level: str, told: int, database_url: str, tmp_path: Path
) -> None:
    """A crawl is one line; a line for each page is for debugging only."""
    with Simulator(World.build(5, {"hedera": [220]})) as simulator:
        done = subprocess.run(
            [sys.executable, "-m", "indexer", "crawl", "--json", "--config", "indexer.toml"],
            cwd=tmp_path,
            env=build_environment(_environment(simulator, database_url, tmp_path))
            | {"INDEXER_LOG__LEVEL": level},
            capture_output=True,
            text=True,
            check=True,
        )

    events = [json.loads(line)["event"] for line in done.stderr.splitlines() if line.startswith("{")]
    assert events.count("crawl finished") == 1
    assert events.count("page committed") == told


class _Noting:
    """A pacer that notes what was sent to the database when the first request is about to leave."""

    def __init__(self, pacer: Pacer, wire: "_Wire") -> None:
        self._pacer = pacer
        self._wire = wire

    async def wait(self) -> None:
        """The turn before: the pacer's own statement is still to come."""
        if self._wire.before is None:
            self._wire.before = self._wire.count()
        await self._pacer.wait()

    async def hold(self, seconds: float) -> None:
        """Passed on."""
        await self._pacer.hold(seconds)


class _Wire:
    """Everything the connections of one engine sent, written down by the client library."""

    def __init__(self, folder: Path, open_files: ExitStack) -> None:
        self._folder = folder
        self._open_files = open_files
        self._files: list[Path] = []
        self.before: int | None = None

    async def watch(self, connection: Connection) -> None:
        """From now on; a prepared statement would be sent by its number."""
        connection.prepare_threshold = None
        self._files.append(self._folder / f"wire-{len(self._files)}")
        file = self._open_files.enter_context(self._files[-1].open("wb"))
        connection.pgconn.trace(file.fileno())
        connection.pgconn.set_trace_flags(Trace.SUPPRESS_TIMESTAMPS)

    def count(self) -> int:
        """Statements so far, without those that only tell how far the pass is."""
        sent = [line for file in self._files for line in _SENT.findall(file.read_text(errors="replace"))]
        return sum(not line.startswith(_PROGRESS) for line in sent)


async def _crawl(settings: config.Config, wire: _Wire) -> None:
    """One pass, as `bootstrap.engine` would run it, with every connection watched."""
    sources = bootstrap.build_sources(settings)
    entries = bootstrap.read_watchlist(settings, sources)
    assert settings.database.url is not None
    url = settings.database.url.get_secret_value()
    async with database.opened(url, configure=wire.watch, prepare_publisher=history.create_fold) as opened:
        worker = Worker(settings, opened, sources, str)
        worker.wrap_pacer = lambda _source, pacer: _Noting(pacer, wire)
        async with worker.working():
            engine = jobs.Engine(settings, opened, sources, entries, worker)
            await jobs.run_pass(engine, Selection(None, None), lambda _progress: None)


def test_the_first_request_leaves_after_a_few_statements(database_url: str, tmp_path: Path) -> None:
    """Of a pass over a small account, most of the time is waiting for the database's answers one by one."""
    with ExitStack() as stack:
        simulator = stack.enter_context(Simulator(World.build(5, {"hedera": [20]})))
        environment = _environment(simulator, database_url, tmp_path)
        settings = config.load(tmp_path / "indexer.toml", environment)
        asyncio.run(_crawl(settings, _Wire(tmp_path, stack)))
        wire = _Wire(tmp_path, stack)

        asyncio.run(_crawl(settings, wire))

    assert wire.before is not None
    assert 0 < wire.before <= _BEFORE_THE_FIRST_REQUEST
