"""A test stand: five simulated APIs, one database, and the program's own passes between them.

What history says is read where analysts read it, and compared with the world's own word, which shares no
code with the program.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg

from indexer import bootstrap, config, jobs
from indexer.config import Config
from indexer.simulator import Simulator, World
from indexer.simulator.positions import SOURCES, Position
from indexer.store.passes import Outcome

#: Source, address and scope of one watch.
Watch = tuple[str, str, str]

SIZES: Final[Mapping[str, Sequence[int]]] = dict.fromkeys(SOURCES, (12, 3))
MAX_PAGE: Final = dict.fromkeys(SOURCES, 5)

PUBLISHED: Final = frozenset({"published", "unchanged"})

_HOLDINGS: Final = """
    SELECT source, address, scope, asset_ref, sub_key, amount, decimals, frozen, locked, delegate, status
    FROM report.holdings
"""


@dataclass(frozen=True)
class Known:
    """What history says of one watch: certain positions, and doubtful ones it carries forward."""

    certain: frozenset[Position] = frozenset()
    carried: frozenset[Position] = frozenset()

    @property
    def all(self) -> frozenset[Position]:
        """Every position history shows."""
        return self.certain | self.carried


NOTHING: Final = Known()


@dataclass
class Stand:
    """Everything one test needs."""

    simulator: Simulator
    url: str
    config: Config
    environment: dict[str, str]
    folder: Path
    #: Rounds of change so far.
    steps: int = 0
    #: A promise that processes of this stand break on purpose.
    mutant: str = ""

    @property
    def world(self) -> World:
        """What the five APIs look into."""
        return self.simulator.world

    def crawl(self, source: str | None = None) -> dict[Watch, Outcome]:
        """One pass, as `indexer crawl` does it, in this process."""

        async def run() -> tuple[Outcome, ...]:
            async with bootstrap.engine(self.config) as engine:
                return await jobs.run_pass(engine, jobs.Selection(source, None), lambda _progress: None)

        return {(outcome.source, outcome.address, outcome.scope): outcome for outcome in asyncio.run(run())}

    def move(self) -> None:
        """Every account with something to change changes: an amount or a flag, one more, one less."""
        self.steps += 1
        self.world.advance()
        for row in self.world.watchlist():
            for scope in row.runes or ("",):
                self._move_account(row.source, row.address, scope)

    def _move_account(self, source: str, address: str, scope: str) -> None:
        items = [item for item in self.world.items(source, address, scope) if not item.burnt]
        plain = [item for item in items if item.amount]
        if plain and source in ("okx_runes", "loopring"):
            chosen = plain[self.steps % len(plain)]
            amount = (chosen.amount or 0) + self.steps
            self.world.update(source, address, chosen.key, amount=amount)
        elif plain and source in ("algorand", "solana_das"):
            chosen = plain[self.steps % len(plain)]
            self.world.update(source, address, chosen.key, frozen=not chosen.frozen)
        if len(items) >= 10:
            self.world.remove(source, address, items[self.steps % len(items)].key)
        self.world.mint(source, address, index=len(items) + 40 + self.steps, scope=scope)

    def known(self) -> dict[Watch, Known]:
        """What an analyst is told is held now."""
        certain: dict[Watch, set[Position]] = {}
        carried: dict[Watch, set[Position]] = {}
        with psycopg.connect(self.url) as connection:
            for source, address, scope, *columns, status in connection.execute(_HOLDINGS):
                place = carried if status == "carried" else certain
                place.setdefault((source, address, scope), set()).add(as_position(columns))
        return {
            watch: Known(frozenset(certain.get(watch, ())), frozenset(carried.get(watch, ())))
            for watch in certain.keys() | carried.keys()
        }

    def truth(self) -> dict[Watch, frozenset[Position]]:
        """What is held now, by the world's own word."""
        return self.world.truth_all()

    def rows(self, statement: str, *binds: object) -> list[tuple[object, ...]]:
        """The rows of a statement."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(statement.encode(), binds).fetchall()

    def violations(self) -> list[tuple[object, ...]]:
        """Broken invariants: every row is a bug."""
        return self.rows("SELECT rule, ref FROM ledger.invariant_violation")

    def requests(self, source: str) -> Counter[tuple[str, str, str]]:
        """How often each page was asked for."""
        return Counter(
            (entry.address, entry.scope, entry.cursor) for entry in self.simulator.requests(source)
        )


def as_position(columns: Sequence[object]) -> Position:
    asset_ref, sub_key, amount, decimals, frozen, locked, delegate = columns
    return Position(
        str(asset_ref),
        str(sub_key),
        None if amount is None else int(str(amount)),
        decimals if decimals is None else int(str(decimals)),
        frozen if frozen is None else bool(frozen),
        None if locked is None else int(str(locked)),
        None if delegate is None else str(delegate),
    )


@contextmanager
def built(
    url: str,
    folder: Path,
    world: World,
    settings: Mapping[str, str] | None = None,
    secrets: Mapping[str, Mapping[str, str]] | None = None,
) -> Iterator[Stand]:
    """A stand on a migrated database."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "watched.yaml").write_text(world.watchlist_yaml(), encoding="utf-8")
    (folder / "indexer.toml").write_text('watchlists = ["watched.yaml"]\n', encoding="utf-8")
    limits = dict.fromkeys(SOURCES)
    with Simulator(world, limits=limits, max_page=MAX_PAGE, secrets=secrets) as simulator:
        environment = {"INDEXER_DATABASE__URL": url} | simulator.environment()
        environment |= {f"INDEXER_SOURCES__{name.upper()}__REQUESTS_PER_SECOND": "1000" for name in SOURCES}
        environment |= dict(settings or {})
        read = config.load(folder / "indexer.toml", environment)
        yield Stand(simulator, url, read, environment, folder)
