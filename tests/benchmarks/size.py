"""`python -m tests.benchmarks.size`: what a crawl costs on disk, table by table.

Small accounts of every source, crawled again and again without a change; then lists of which one holding in a
hundred changes. Sizes are of heap, indexes and toast after a VACUUM; the log of the server is not counted.
"""

import argparse
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg

from indexer.prune import Repeats
from indexer.simulator.positions import SOURCES
from indexer.simulator.server import Simulator
from indexer.simulator.world import World
from indexer.store import migrations
from tests.benchmarks import databases
from tests.integration.engine.stage import Stage
from tests.integration.keeping import fold_stage

#: Holdings of the small accounts.
SMALL: Final = (3, 2, 1, 0)

#: Seconds between rounds: what a pass waited for a moment ago is not folded.
_PAUSE: Final = 0.6

_SIZES: Final = """
SELECT regexp_replace(c.relname, '_[0-9]{6}$', '') AS name,
       sum(pg_table_size(c.oid))::bigint AS heap, sum(pg_indexes_size(c.oid))::bigint AS indexes
FROM pg_class AS c
WHERE c.relnamespace = 'ledger'::regnamespace AND c.relkind = 'r'
GROUP BY 1
"""


@dataclass(frozen=True, slots=True)
class TableSize:
    """Bytes of one table, its partitions together."""

    heap: int
    indexes: int

    @property
    def bytes(self) -> int:
        """Both."""
        return self.heap + self.indexes


Sizes = Mapping[str, TableSize]


def measure(url: str) -> Sizes:
    """How large every table is, after a VACUUM."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM")
        rows = connection.execute(_SIZES).fetchall()
    return {name: TableSize(heap, indexes) for name, heap, indexes in rows}


def total(sizes: Sizes) -> int:
    """Bytes of all tables."""
    return sum(size.bytes for size in sizes.values())


def say(line: str = "") -> None:
    """One line of the result, as soon as it is known."""
    print(line, flush=True)  # noqa: T201  a program of the terminal


def tell_growth(before: Sizes, after: Sizes, crawls: int) -> None:
    """What each table grew by, in bytes per crawl."""
    say(f"{'table':<18}{'heap':>10}{'indexes':>10}{'all':>10}   bytes per crawl")
    for name in sorted(after, key=lambda name: -(after[name].bytes - before[name].bytes)):
        heap = after[name].heap - before[name].heap
        indexes = after[name].indexes - before[name].indexes
        if heap or indexes:
            say(
                f"{name:<18}{heap / crawls:>10.1f}{indexes / crawls:>10.1f}{(heap + indexes) / crawls:>10.1f}"
            )
    say(f"{'together':<38}{(total(after) - total(before)) / crawls:>10.1f}")


def repeat_small(url: str, folder: Path, source: str, accounts: int, rounds: int) -> None:
    """Small accounts that never change: what a re-crawl leaves behind, and what is left after a prune."""
    sizes = {source: [SMALL[n % len(SMALL)] for n in range(accounts)]}
    with Simulator(World.build(3, sizes), limits=dict.fromkeys(SOURCES, None)) as simulator:
        stage = Stage(simulator, url, folder)
        for _ in range(2):
            stage.crawl()
        repeats = Repeats()
        stage.run(lambda engine: repeats.fold(engine.database))
        before = measure(url)
        for _ in range(rounds):
            time.sleep(_PAUSE)
            stage.crawl()
            # As `indexer crawl` and a daemon do.
            stage.run(lambda engine: repeats.fold(engine.database))
        crawls = rounds * accounts
        say(f"\n{source}: {crawls} unchanged crawls of {accounts} small accounts")
        tell_growth(before, measure(url), crawls)
        fold_stage(stage)
        after = measure(url)
        say("after prune")
        tell_growth(before, after, crawls)


def change_some(url: str, folder: Path, source: str, accounts: int, holdings: int, rounds: int) -> None:
    """Lists of which one holding in a hundred changes each round."""
    with Simulator(
        World.build(4, {source: [holdings] * accounts}), limits=dict.fromkeys(SOURCES, None)
    ) as simulator:
        stage = Stage(simulator, url, folder)
        stage.crawl()
        before = measure(url)
        for step in range(rounds):
            simulator.world.churn(0.01, step + 1)
            stage.crawl()
        after = measure(url)
        listed = rounds * accounts * holdings
        grown = total(after) - total(before)
        say(f"\n{source}: {rounds} rounds of 1 %, {accounts} x {holdings} holdings")
        tell_growth(before, after, rounds * accounts)
        raw = sum(after[name].bytes - before[name].bytes for name in ("raw_page", "raw_body"))
        say(f"grown by {100 * grown / total(before):.1f} %")
        say(f"{raw / listed:.2f} raw bytes per holding and round")


def main(words: Sequence[str] | None = None) -> None:
    """Measure what the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.size", description=__doc__)
    parser.add_argument("--sources", default=",".join(SOURCES), help="of all, separated by commas")
    parser.add_argument("--accounts", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--holdings", type=int, default=1000)
    given = parser.parse_args(words)
    with databases.server() as server_url:
        for source in given.sources.split(","):
            with databases.database(server_url, "size") as url, tempfile.TemporaryDirectory() as folder:
                migrations.upgrade(url)
                repeat_small(url, Path(folder), source, given.accounts, given.rounds)
            with databases.database(server_url, "size") as url, tempfile.TemporaryDirectory() as folder:
                migrations.upgrade(url)
                accounts = max(1, given.accounts // 20)
                change_some(url, Path(folder), source, accounts, given.holdings, given.rounds)


if __name__ == "__main__":
    main()
