"""How many statements a crawl sends, counted on the wire: the same number on every machine, in every mood.

The client library writes down what it sends; the first line of a statement says which one it is.
"""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from psycopg.pq import Trace

from indexer import bootstrap, config, jobs
from indexer.config import Config
from indexer.jobs import Engine, Selection
from indexer.simulator.server import Simulator
from indexer.simulator.world import World
from indexer.store import database, history, statements
from indexer.store.database import Connection
from indexer.worker import Worker

#: Modules whose statements depend on the work alone; claims and progress are asked as often as time allows.
_MODULES = ("pages", "history", "assets")

#: An account of one page: its first list; the same list again; a list that changed.
_FIRST, _UNCHANGED, _CHANGED = 19, 12, 24

#: What each further page adds to a first list (its assets are new) and to one that is the same again.
_PER_NEW_PAGE, _PER_KNOWN_PAGE = 9, 3


def _first_lines() -> Iterator[tuple[str, str]]:
    for module in _MODULES:
        loaded = statements.load(module)
        for name in loaded:
            text: bytes = getattr(loaded, name)
            yield text.splitlines()[0].decode(), f"{module}.{name}"


_NAMES = dict(_first_lines())
_SENT = re.compile(r'^F\t\d+\t(?:Parse\t "[^"]*"|Query\t) "(--[^\n]*)', re.MULTILINE)


class _Wire:
    """Everything the connections of one engine sent."""

    def __init__(self, folder: Path, open_files: ExitStack) -> None:
        self._folder = folder
        self._open_files = open_files
        self._files: list[Path] = []

    async def watch(self, connection: Connection) -> None:
        """Prepare a connection as the program does, and write down what it sends from then on."""
        await history.create_fold(connection)
        # A prepared statement is sent by its number from the sixth time on; here each must say what it is.
        connection.prepare_threshold = None
        self._files.append(self._folder / f"wire-{len(self._files)}")
        file = self._open_files.enter_context(self._files[-1].open("wb"))
        connection.pgconn.trace(file.fileno())
        connection.pgconn.set_trace_flags(Trace.SUPPRESS_TIMESTAMPS)

    def count(self) -> Counter[str]:
        """How often each statement of the modules was sent."""
        sent = (line for file in self._files for line in _SENT.findall(file.read_text(errors="replace")))
        return Counter(_NAMES[line] for line in sent if line in _NAMES)


@asynccontextmanager
async def _watched_engine(settings: Config, wire: _Wire) -> AsyncIterator[Engine]:
    """What `bootstrap.engine` builds, with every connection of the pool watched."""
    sources = bootstrap.build_sources(settings)
    entries = bootstrap.read_watchlist(settings, sources)
    assert settings.database.url is not None
    async with (
        database.opened(settings.database.url.get_secret_value(), configure=wire.watch) as opened,
        Worker(settings, opened, sources, str).working() as worker,
    ):
        yield Engine(settings, opened, sources, entries, worker)


class _Program:
    """One simulated Hedera account, crawled by a fresh engine each time."""

    def __init__(self, simulator: Simulator, url: str, folder: Path) -> None:
        self.world = simulator.world
        self._folder = folder
        (folder / "watchlist.yaml").write_text(self.world.watchlist_yaml())
        (folder / "indexer.toml").write_text('watchlists = ["watchlist.yaml"]\n')
        environ = {**simulator.environment(), "INDEXER_DATABASE__URL": url}
        environ["INDEXER_SOURCES__HEDERA__REQUESTS_PER_SECOND"] = "1000"
        self._settings = config.load(folder / "indexer.toml", environ)

    def crawl(self) -> Counter[str]:
        """One pass, and the statements it sent."""
        with ExitStack() as open_files:
            wire = _Wire(self._folder, open_files)

            async def go() -> list[str]:
                async with _watched_engine(self._settings, wire) as engine:
                    outcomes = await jobs.run_pass(engine, Selection(None, None), lambda _progress: None)
                return [outcome.outcome for outcome in outcomes]

            assert set(asyncio.run(go())) <= {"published", "unchanged"}
        return wire.count()


def _program(holdings: int, url: str, folder: Path, stack: ExitStack) -> _Program:
    world = World.build(5, {"hedera": [holdings]})
    simulator = stack.enter_context(Simulator(world, limits={"hedera": None}))
    return _Program(simulator, url, folder)


def test_a_small_account_stays_within_its_budget_of_statements(database_url: str, tmp_path: Path) -> None:
    """First, unchanged and changed crawls of one page send a fixed number of statements."""
    with ExitStack() as stack:
        program = _program(60, database_url, tmp_path, stack)

        first, unchanged = program.crawl(), program.crawl()
        program.world.churn(0.1, 1)
        changed = program.crawl()

    assert first.total() <= _FIRST
    assert unchanged.total() <= _UNCHANGED
    assert changed.total() <= _CHANGED


def test_every_further_page_costs_a_fixed_number_of_statements(database_url: str, tmp_path: Path) -> None:
    """Eleven pages cost what one costs, and a fixed number for each of the other ten."""
    with ExitStack() as stack:
        program = _program(1000, database_url, tmp_path, stack)

        first, unchanged = program.crawl(), program.crawl()

    assert first.total() <= _FIRST + 10 * _PER_NEW_PAGE
    assert unchanged.total() <= _UNCHANGED + 10 * _PER_KNOWN_PAGE
