"""`indexer init`, `config show` and `watchlist check`: the files a person edits."""

import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from indexer.cli.opening import open_config
from indexer.cli.options import ConfigOption, DebugOption
from indexer.cli.output import cell, new_table, note, say, show
from indexer.printable import printable

if TYPE_CHECKING:
    from indexer.config import Config
    from indexer.watchlist import WatchEntry


def init(
    folder: Annotated[Path, typer.Argument(metavar="[FOLDER]", help="Where to write.")] = Path("config"),
    config: ConfigOption = None,
    debug: DebugOption = False,
) -> None:
    """Write a commented configuration with an example watchlist. Existing files are never touched."""
    from indexer.templates import write_template

    _ = config, debug
    for path in write_template(folder):
        say(f"wrote {path}")
    named = "" if folder == Path("config") else f" --config {shlex.quote(str(folder / 'indexer.toml'))}"
    note(f"Edit the watchlist, then: indexer watchlist check{named} && indexer crawl{named}")


def show_config(config: ConfigOption = None, debug: DebugOption = False) -> None:
    """The configuration in force, as TOML, with secrets masked."""
    from indexer.config import show as config_text

    text = config_text(open_config(config, debug, quiet=False))
    sys.stdout.write("\n".join(printable(line) for line in text.splitlines()) + "\n")


def check_watchlist(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE]…", show_default=False, help="Only these files, instead of the configured ones."
        ),
    ] = None,
    config: ConfigOption = None,
    debug: DebugOption = False,
) -> None:
    """Check every watchlist file and count what would be watched. All mistakes are shown at once."""
    from indexer import bootstrap
    from indexer.config import watchlist_folder
    from indexer.watchlist import list_overlooked, load

    settings = open_config(config, debug)
    sources = bootstrap.build_sources(settings)
    if files:
        entries = load([str(path) for path in files], Path.cwd(), sources)
    else:
        entries = bootstrap.read_watchlist(settings, sources)
    print_counts(entries)
    note_doubts(settings, entries)
    for path in () if files else list_overlooked(settings.watchlists, watchlist_folder(settings)):
        note(f"{path} is not read: no pattern in `watchlists` names it.")


def note_doubts(settings: "Config", entries: "Sequence[WatchEntry]") -> None:
    """What is no mistake and yet not what anybody wants."""
    from indexer.config import missing_secrets
    from indexer.durations import format_duration

    sources = settings.sources
    for source in sorted({entry.source for entry in entries}):
        if not sources[source].enabled:
            note(f"{source} is switched off: nothing is crawled while sources.{source}.enabled is false.")
            continue
        if sources[source].base_url is None:
            note(f"{source} is retired: nothing is crawled until sources.{source}.base_url names a server.")
        for name in missing_secrets(source, settings):
            note(f"{source} needs {name}, which is not set: nothing is crawled without it.")
    remote = [e for e in entries if e.source == "hedera" and set(e.address.split(".")[:-1]) - {"0"}]
    if remote:
        note(
            f"{_count_such(remote)}: the public networks of Hedera have shard 0 and realm 0 only, and say"
            f" of {remote[0].address} that it holds nothing."
        )
    paces = [(entry, entry.every or sources[entry.source].every) for entry in entries]
    slow = [(entry, pace) for entry, pace in paces if pace and pace > sources[entry.source].fresh_for]
    if slow:
        entry, pace = slow[0]
        note(
            f"Stale before the next crawl: {_count_such([entry for entry, _ in slow])} with every = "
            f"{format_duration(pace)} and fresh_for = {format_duration(sources[entry.source].fresh_for)}. "
            "Make fresh_for longer than every."
        )


def _count_such(entries: "Sequence[WatchEntry]") -> str:
    """How many, and where the first of them stands."""
    watches = "1 watch" if len(entries) == 1 else f"{len(entries)} watches"
    return f"{watches}, such as {entries[0].file}:{entries[0].line}"


def print_counts(entries: "Sequence[WatchEntry]") -> None:
    """How many watches and addresses each source has."""
    watches = Counter(entry.source for entry in entries)
    addresses = Counter(source for source, _ in {(entry.source, entry.address) for entry in entries})
    table = new_table("Watchlist", "source", "addresses", "watches", right=("addresses", "watches"))
    for source in sorted(watches):
        table.add_row(cell(source), cell(addresses[source]), cell(watches[source]))
    show(table)
    files = sorted({entry.file for entry in entries})
    note(f"Nothing is wrong with {', '.join(files)}.")
