"""Who is measured, and how each is run: as its own user would run it, in an environment of its own."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol

import platformdirs

from indexer.store import migrations
from tests.benchmarks.books import Book

CHECKOUT: Final = Path(__file__).resolve().parents[2]
_PEERS: Final = Path(__file__).parent / "peers"

#: Where the peers' environments are: outside the checkout.
CACHE: Final = Path(
    os.environ.get("INDEXER_TEST_PEERS") or platformdirs.user_cache_path("indexer-benchmarks")
)


@dataclass(frozen=True, slots=True)
class Task:
    """What a contender is given: the API, a database, a folder of its own."""

    book: Book
    base_url: str
    database_url: str
    folder: Path

    @property
    def addresses(self) -> Path:
        """The file with one address per line."""
        return self.folder / "addresses.txt"


@dataclass(frozen=True, slots=True)
class Command:
    """One process to run."""

    words: Sequence[str]
    environment: Mapping[str, str]


class Contender(Protocol):
    """One way to do the work."""

    @property
    def name(self) -> str:
        """The name in tables."""
        ...

    @property
    def history(self) -> tuple[str, ...]:
        """The tables that hold the result."""
        ...

    @property
    def held(self) -> str:
        """A query that counts what is held now, to see that the work was done."""
        ...

    def missing(self) -> str | None:
        """Why it cannot run here; None: it can."""
        ...

    def prepare(self, task: Task) -> None:
        """What its user does once, before the first run. Not measured."""
        ...

    def command(self, task: Task) -> Command:
        """One run over all accounts."""
        ...


@dataclass(frozen=True, slots=True)
class Ours:
    """`indexer crawl` as a process."""

    concurrency: int = 4
    name: str = "indexer"
    history: tuple[str, ...] = ("ledger.holding_version", "ledger.snapshot")
    held: str = "SELECT count(*) FROM ledger.holding_version WHERE valid_to IS NULL"

    def missing(self) -> str | None:
        """Nothing: it is this checkout."""
        return None

    def prepare(self, task: Task) -> None:
        """Watchlist, configuration, schema."""
        shape = task.book.shape
        (task.folder / "watchlist.csv").write_text(task.book.watchlist(), encoding="utf-8")
        (task.folder / "indexer.toml").write_text(
            'watchlists = ["watchlist.csv"]\n'
            f'[sources.{shape}]\nbase_url = "{task.base_url}"\nrequests_per_second = 10000\n'
            f"concurrency = {self.concurrency}\n",
            encoding="utf-8",
        )
        migrations.upgrade(task.database_url)

    def command(self, task: Task) -> Command:
        """One pass."""
        words = [sys.executable, "-m", "indexer", "crawl", "--json", "--config", "indexer.toml"]
        return Command(words, our_environment(task.database_url))


def our_environment(database_url: str) -> dict[str, str]:
    """The environment of this checkout's program, without the developer's settings."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("INDEXER_")}
    # Installing compiles: the peers were. Ours would be compiled anew at every start, which takes 0.1 s.
    inherited.pop("PYTHONDONTWRITEBYTECODE", None)
    return {**inherited, "PYTHONPATH": str(CHECKOUT), "INDEXER_DATABASE__URL": database_url}


@dataclass(frozen=True, slots=True)
class Peer:
    """A driver file in `peers/`, run by the Python of its own environment."""

    name: str
    environment: str
    requirements: tuple[str, ...]
    driver: str
    history: tuple[str, ...]
    held: str
    options: Mapping[str, bool] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def folder(self) -> Path:
        """Its virtual environment."""
        return CACHE / self.environment

    def missing(self) -> str | None:
        """Whether `--setup` has been run."""
        if (self.folder / "ready").exists():
            return None
        return "not installed: run `python -m tests.benchmarks --setup`"

    def install(self) -> None:
        """Make its environment. Raises CalledProcessError."""
        subprocess.run([sys.executable, "-m", "venv", "--clear", self.folder], check=True)
        install = [self._program("python"), "-m", "pip", "install", "--quiet", *self.requirements]
        subprocess.run(install, check=True)
        (self.folder / "ready").touch()

    def prepare(self, task: Task) -> None:
        """Nothing: each makes its tables on its first run."""

    def command(self, task: Task) -> Command:
        """The driver with its argument."""
        return Command([self._program("python"), str(_PEERS / self.driver), self.argument(task)], os.environ)

    def argument(self, task: Task) -> str:
        """What every driver is told."""
        return json.dumps(
            {
                "shape": task.book.shape,
                "base_url": task.base_url,
                "database_url": task.database_url,
                "addresses": str(task.addresses),
                "folder": str(task.folder),
                **self.options,
            }
        )

    def _program(self, name: str) -> str:
        return str(self.folder / "bin" / name)


class SingerPeer(Peer):
    """A tap piped into target-postgres, as `meltano run` does."""

    __slots__ = ()

    def prepare(self, task: Task) -> None:
        """The target's configuration, with COPY and large batches."""
        settings = {
            "sqlalchemy_url": task.database_url.replace("postgresql:", "postgresql+psycopg:", 1),
            "default_target_schema": "bench",
            "use_copy": True,
            "batch_size_rows": 100_000,
            "activate_version": False,
            "add_record_metadata": False,
        }
        (task.folder / "target.json").write_text(json.dumps(settings), encoding="utf-8")

    def command(self, task: Task) -> Command:
        """The pipe."""
        tap = shlex.join([self._program("python"), str(_PEERS / self.driver), self.argument(task)])
        target = shlex.join([self._program("target-postgres"), "--config", str(task.folder / "target.json")])
        return Command(["bash", "-c", f"set -o pipefail; {tap} | {target}"], os.environ)


_DLT: Final = ("dlt[postgres]>=1.4,<2",)
_DLT_HELD: Final = "SELECT count(*) FROM bench.holdings WHERE _dlt_valid_to IS NULL"

PEERS: Final[tuple[Peer, ...]] = (
    Peer("dlt", "dlt", _DLT, "dlt_pipeline.py", ("bench.holdings",), _DLT_HELD),
    Peer(
        "dlt-narrow",
        "dlt",
        _DLT,
        "dlt_pipeline.py",
        ("bench.holdings",),
        _DLT_HELD,
        MappingProxyType({"narrow": True}),
    ),
    SingerPeer(
        "singer",
        "singer",
        ("meltanolabs-target-postgres", "requests"),
        "singer_tap.py",
        ("bench.holdings",),
        "SELECT count(*) FROM bench.holdings",
    ),
    Peer(
        "script",
        "script",
        ("httpx", "psycopg2-binary"),
        "script.py",
        ("holdings",),
        "SELECT count(*) FROM holdings",
    ),
)


def set_up() -> dict[str, str]:
    """Install every peer; returns what could not be, with the reason."""
    failed: dict[str, str] = {}
    for environment in {peer.environment: peer for peer in PEERS}.values():
        try:
            environment.install()
        except subprocess.CalledProcessError as error:
            failed[environment.name] = f"pip ended with exit code {error.returncode}"
    return failed
