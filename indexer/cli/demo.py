"""`indexer demo`: all five sources on simulated APIs and a private database, in half a minute.

Everything it shows is made by the real engine; only the APIs are ours. It reads no configuration and
asks no API on the internet.
"""

import fcntl
import os
import shlex
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from indexer.cli.opening import run
from indexer.cli.options import ConfigOption, DebugOption
from indexer.cli.output import note, say
from indexer.errors import UsageError

if TYPE_CHECKING:
    from indexer.config import Config
    from indexer.simulator import Simulator
    from indexer.store.database import Database
    from indexer.store.reading import ChangeRow, HoldingRow

ROUNDS: Final = 4

#: Says that a folder is a demo's, so that a later demo may overwrite what is in it.
_MARKER: Final = ".indexer-demo"

#: Rows shown per source: enough to see the idea.
_SAMPLE: Final = 3

_SETTINGS: Final = """\
# Written by `indexer demo`. The sources are off: these addresses exist in its simulator only.
watchlists = ["watchlist.yaml"]

[database]
data_dir = "database"
"""

Key = tuple[str, str, str, str, str]


def demo(
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder", metavar="DIR", show_default=False, help="Where to keep it. Default: your data folder."
        ),
    ] = None,
    config: ConfigOption = None,
    debug: DebugOption = False,
) -> None:
    """Show everything on a private database: five simulated APIs, four rounds of change, one outage."""
    from indexer import embedded
    from indexer.simulator import Simulator, World

    _ = config
    world = World.demo()
    with open_folder(folder or default_folder()) as place:
        with Simulator(world, limits=dict.fromkeys(list_sources())) as simulator:
            settings = write_files(place, simulator)
            set_up(settings, debug)
            note(f"Starting a private PostgreSQL in {place} …")
            with embedded.running(settings.database.data_dir, reason="demo") as url:
                start_again(url)
                run(_play(settings, simulator))
        command = f"indexer db psql --config {shlex.quote(str(place / 'indexer.toml'))}"
        say(f"The database is kept in {place}. Ask it yourself:")
        sys.stdout.write(f"  {command}\n")


def list_sources() -> list[str]:
    """The five names."""
    from indexer.settings import SOURCES

    return list(SOURCES)


def default_folder() -> Path:
    """Beside the data folder of the real database, never inside it."""
    import platformdirs

    if os.geteuid() == 0:
        return Path("/var/lib/indexer-demo")
    return platformdirs.user_data_path("indexer-demo", appauthor=False)


@contextmanager
def open_folder(folder: Path) -> Iterator[Path]:
    """The folder, made or taken again if it is a demo's, and nobody else's while this lasts."""
    place = folder.expanduser().resolve()
    try:
        place.mkdir(parents=True, exist_ok=True)
        if not (place / _MARKER).exists() and any(place.iterdir()):
            raise UsageError(f"{place} is not a demo's folder and not empty: choose another with --folder.")
        with (place / _MARKER).open("w") as marker:
            fcntl.flock(marker, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield place
    except BlockingIOError:
        raise UsageError(f"Another demo is running in {place}: wait for it or use --folder.") from None
    except OSError as error:
        raise UsageError(
            f"{place} cannot be used ({error.strerror}): choose another with --folder."
        ) from None


def write_files(place: Path, simulator: "Simulator") -> "Config":
    """The files that reopen this demo later, and the configuration that points at the simulator now."""
    from indexer.config import load

    names = list_sources()
    switches = "".join(f"\n[sources.{name}]\nenabled = false\n" for name in names)
    (place / "indexer.toml").write_text(_SETTINGS + switches, encoding="utf-8")
    (place / "watchlist.yaml").write_text(simulator.world.watchlist_yaml(), encoding="utf-8")
    environment = simulator.environment()
    for name in names:
        prefix = f"INDEXER_SOURCES__{name.upper()}__"
        environment |= {f"{prefix}ENABLED": "true", f"{prefix}REQUESTS_PER_SECOND": "500"}
    return load(place / "indexer.toml", environment)


def set_up(settings: "Config", debug: bool) -> None:
    """What other commands do as they start; of the logs warnings only, as the demo tells its story itself."""
    from indexer import bootstrap

    bootstrap.overrule_libpq(settings)
    bootstrap.configure_logs(replace(settings, log=replace(settings.log, level="WARNING")), debug)


def start_again(url: str) -> None:
    """Forget what an earlier demo left."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET lock_timeout = '5s'")
        try:
            connection.execute("DROP SCHEMA IF EXISTS report CASCADE")
            connection.execute("DROP SCHEMA IF EXISTS ledger CASCADE")
        except psycopg.errors.LockNotAvailable:
            raise UsageError("Somebody uses the demo's database: close psql, or use --folder.") from None


async def _play(settings: "Config", simulator: "Simulator") -> None:
    from indexer import bootstrap, jobs
    from indexer.cli.crawling import progress_bar
    from indexer.store import reading

    first = None
    async with bootstrap.database(settings) as database:
        for number in range(1, ROUNDS + 1):
            turn_world(simulator, number)
            async with bootstrap.engine(settings) as engine:
                with progress_bar() as on_progress:
                    outcomes = await jobs.run_pass(engine, jobs.Selection(None, None), on_progress)
            counts = Counter(outcome.outcome for outcome in outcomes)
            told = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
            note(f"Round {number} of {ROUNDS}: {len(outcomes)} watches, {told}.")
            async with database.connection() as conn:
                first = first or await reading.read_clock(conn)
        assert first is not None
        await _show(database, first, settings.path)


def turn_world(simulator: "Simulator", number: int) -> None:
    """What happens before a round: change, and before the last one an outage nobody announces."""
    if number > 1:
        simulator.world.change(number - 1)
    if number == ROUNDS:
        from indexer.simulator import Fault

        victim = next(row for row in simulator.world.watchlist() if row.source == "hedera")
        simulator.faults.add(Fault("hedera", "empty_200", address=victim.address, times=None))
        note(f"Now hedera answers 200 with an empty list for {victim.address}. Did it sell everything?")


async def _show(database: "Database", first: datetime, path: Path | None) -> None:
    from indexer.cli import reports, status
    from indexer.store import reading

    async with database.connection() as conn:
        now = await reading.read_clock(conn)
        changes = await reading.list_changes(conn, first, None)
        today = await reading.list_holdings(conn, now, None)
        then = await reading.list_holdings(conn, first, None)
        coverage = await reading.list_coverage(conn, now)
        quarantine = await reading.list_quarantine(conn)
    picked = choose_sample(changes)
    keys = {change_key(row) for row in picked}
    reports.show_holdings("Holdings now (a sample)", now, [row for row in today if holding_key(row) in keys])
    reports.show_holdings("The same after round 1", first, [row for row in then if holding_key(row) in keys])
    reports.show_changes(f"What changed since (a sample of {len(changes)})", picked)
    reports.show_coverage(coverage)
    say("A list that is suddenly empty is not believed: its holdings stand until a second witness agrees.")
    status.show_quarantine(now, quarantine, path)


def choose_sample(changes: "Sequence[ChangeRow]") -> "list[ChangeRow]":
    """A few changes of each source, of different kinds where there are, oldest first."""
    oldest_first = list(reversed(changes))
    first_of_kind = list({(row.source, row.change): row for row in changes}.values())
    picked: list[ChangeRow] = []
    taken: Counter[str] = Counter()
    for row in [*reversed(first_of_kind), *oldest_first]:
        if taken[row.source] < _SAMPLE and row not in picked:
            taken[row.source] += 1
            picked.append(row)
    return sorted(picked, key=oldest_first.index)


def change_key(row: "ChangeRow") -> Key:
    """Which holding a change is about."""
    return (row.source, row.address, row.scope, row.asset_ref, row.sub_key)


def holding_key(row: "HoldingRow") -> Key:
    """Which holding a row is about."""
    return (row.source, row.address, row.scope, row.asset_ref, row.sub_key)
