"""The engine over the simulated APIs in this process: one world, one database, passes as they are.

Nothing is replaced: real HTTP on loopback, a real database, the real pass. Reading back is plain SQL.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from indexer import bootstrap, config, jobs
from indexer.config import Config
from indexer.jobs import Engine, Selection
from indexer.simulator.answer_faults import BAD_AMOUNTS
from indexer.simulator.desk import LogEntry
from indexer.simulator.faults import Fault
from indexer.simulator.positions import SOURCES
from indexer.simulator.server import Simulator
from indexer.simulator.world import World
from indexer.store.passes import Outcome

#: (source, address, scope)
WatchKey = tuple[str, str, str]

#: asset_ref, sub_key, amount, decimals, frozen, locked, delegate: what history and truth must agree on.
Held = frozenset[tuple[str, str, int | None, int | None, bool | None, int | None, str | None]]

_HELD = """
SELECT w.source_id, a.address, w.scope, t.asset_ref, v.sub_key, v.amount, v.decimals, v.frozen, v.locked,
       v.delegate
FROM ledger.holding_version AS v
JOIN ledger.watch AS w USING (watch_id)
JOIN ledger.address AS a USING (address_id)
JOIN ledger.asset AS t USING (asset_id)
WHERE v.valid_from <= %(at)s AND (v.valid_to IS NULL OR v.valid_to > %(at)s)
"""

_NOT_CARRIED = """
  AND NOT EXISTS (
      SELECT FROM ledger.carried_span AS c
      WHERE (c.watch_id, c.asset_id, c.sub_key) = (v.watch_id, v.asset_id, v.sub_key)
        AND c.valid_from <= %(at)s AND (c.valid_to IS NULL OR c.valid_to > %(at)s)
  )
"""

__all__ = ["BAD_AMOUNTS", "Fault", "Held", "Outcome", "Stage", "WatchKey", "World"]


@dataclass
class Stage:
    """A world, its APIs, a database and a configuration between them."""

    sim: Simulator
    url: str
    folder: Path
    #: Variables on top of the built-in ones, by name without INDEXER_.
    settings: dict[str, str] = field(default_factory=dict)
    #: None: what the world watches.
    watchlist: str | None = None

    @property
    def world(self) -> World:
        """What is true."""
        return self.sim.world

    def config(self, **settings: str) -> Config:
        """The configuration as the program would read it."""
        (self.folder / "watchlist.yaml").write_text(self.watchlist or self.world.watchlist_yaml())
        (self.folder / "indexer.toml").write_text('watchlists = ["watchlist.yaml"]\n')
        rates = {f"SOURCES__{name.upper()}__REQUESTS_PER_SECOND": "1000" for name in SOURCES}
        mine = {"DATABASE__URL": self.url, "LOG__LEVEL": "ERROR", **rates, **self.settings, **settings}
        environ = self.sim.environment() | {f"INDEXER_{name}": value for name, value in mine.items()}
        return config.load(self.folder / "indexer.toml", environ)

    def run(self, work: Callable[[Engine], Awaitable[Any]], **settings: str) -> Any:
        """Do something with an engine of its own, as one process would."""

        async def go() -> Any:
            async with bootstrap.engine(self.config(**settings)) as engine:
                return await work(engine)

        return asyncio.run(go())

    def crawl(self, source: str | None = None, address: str | None = None, **settings: str) -> list[Outcome]:
        """One pass, as `indexer crawl` runs it."""

        async def one_pass(engine: Engine) -> tuple[Outcome, ...]:
            return await jobs.run_pass(engine, Selection(source, address), lambda _progress: None)

        return list(self.run(one_pass, **settings))

    def rows(self, query: str, **values: object) -> list[dict[str, Any]]:
        """What a query answers."""
        with psycopg.connect(self.url, row_factory=dict_row, autocommit=True) as connection:
            return connection.execute(query.encode(), values).fetchall()

    def value(self, query: str, **values: object) -> Any:
        """The one value a query answers."""
        (row,) = self.rows(query, **values)
        (only,) = row.values()
        return only

    def execute(self, statement: str, **values: object) -> int:
        """Change something behind the engine's back; returns how many rows."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(statement.encode(), values).rowcount

    def now(self) -> datetime:
        """The database clock."""
        found = self.value("SELECT clock_timestamp()")
        assert isinstance(found, datetime)
        return found

    def held(self, at: datetime | None = None, *, carried: bool = True) -> dict[WatchKey, Held]:
        """What history says of every watch as of an instant (default: now), with or without doubts."""
        found: dict[WatchKey, set[Any]] = {}
        for row in self.rows(_HELD + ("" if carried else _NOT_CARRIED), at=at or self.now()):
            source, address, scope, *holding = row.values()
            found.setdefault((source, address, scope), set()).add(_whole(holding))
        return {key: frozenset(rows) for key, rows in found.items()}

    def truth(self) -> dict[WatchKey, Held]:
        """What the world says, watches without holdings left out."""
        return {key: held for key, held in truths(self.world).items() if held}

    def differences(self, *, carried: bool = True) -> dict[WatchKey, frozenset[Any]]:
        """Where history and the world disagree now: empty when they do not."""
        held, truth = self.held(carried=carried), self.truth()
        empty: Held = frozenset()
        apart = {key: held.get(key, empty) ^ truth.get(key, empty) for key in held | truth}
        return {key: rows for key, rows in apart.items() if rows}

    def versions(self) -> int:
        """How many versions history has."""
        return int(self.value("SELECT count(*) FROM ledger.holding_version"))

    def pages_asked(self, source: str, since: int = 0) -> list[int]:
        """Numbers of the pages asked for, in order, from the ``since``-th log entry on."""
        return [entry.page for entry in self.log(source, since) if entry.page]

    def log(self, source: str, since: int = 0) -> list[LogEntry]:
        """What was asked of a source, from the ``since``-th log entry on."""
        return [entry for entry in self.sim.log[since:] if entry.source == source]

    def only_address(self, source: str) -> str:
        """The first watched address of a source, in its stored form."""
        row = next(row for row in self.world.watched if row.source == source)
        return self.world.canonical(source, row.address)


def truths(world: World) -> dict[WatchKey, Held]:
    """What is held at every watch of a world."""
    return {
        key: frozenset(
            (p.asset_ref, p.sub_key, p.amount, p.decimals, p.frozen, p.locked, p.delegate) for p in found
        )
        for key, found in world.truth_all().items()
    }


def _whole(holding: list[Any]) -> tuple[Any, ...]:
    """Amounts as integers: Decimal and int are equal, but a fraction must never pass for a whole."""
    asset_ref, sub_key, amount, decimals, frozen, locked, delegate = holding
    for number in (amount, locked):
        assert number is None or number == int(number)
    return (asset_ref, sub_key, amount, decimals, frozen, locked, delegate)


def outcomes(found: list[Outcome]) -> dict[str, int]:
    """How often each outcome occurred."""
    counted: dict[str, int] = {}
    for outcome in found:
        counted[outcome.outcome] = counted.get(outcome.outcome, 0) + 1
    return counted


def by_watch(found: list[Outcome]) -> Mapping[WatchKey, str]:
    """The outcome of every watch."""
    return {(o.source, o.address, o.scope): o.outcome for o in found}
