"""Every command by name: where its function is, and what its help shows beside the function's own words.

Only what an invocation asks for is imported: all commands together take longer to load than most take to run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Final

_START: Final = "Start here"
_CRAWL: Final = "Crawl"
_READ: Final = "Read"
_KEEP: Final = "Keep"


@dataclass(frozen=True, slots=True)
class Command:
    """One command, and where its function is."""

    #: With its group: `db upgrade`.
    name: str
    #: Module of `indexer.cli` and function: `database:upgrade`.
    place: str
    #: How it is called with arguments somebody would give.
    example: str
    #: Where the help of the program shows it. Commands of a group are shown with the group.
    panel: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """The first word of several commands."""

    name: str
    about: str
    panel: str


COMMANDS: Final = (
    Command("demo", "demo:demo", "indexer demo", _START),
    Command("init", "settings:init", "indexer init && indexer watchlist check", _START),
    Command("crawl", "crawling:crawl", "indexer crawl --source hedera --json", _CRAWL),
    Command("run", "daemon:run", "indexer run --listen 127.0.0.1:9464", _CRAWL),
    Command("work", "daemon:work", "indexer work --config /etc/indexer/indexer.toml", _CRAWL),
    Command("status", "status:status", "indexer status --watch", _CRAWL),
    Command("release", "review:release", "indexer release 42", _CRAWL),
    Command("reject", "review:reject", "indexer reject 42", _CRAWL),
    Command("holdings", "reading:holdings", "indexer holdings Treasury --as-of '1h ago'", _READ),
    Command("history", "reading:history", "indexer history 0.0.1001 0.0.5005", _READ),
    Command("changes", "reading:changes", "indexer changes --since 2026-11-20 --format csv", _READ),
    Command("raw", "raw:raw", "indexer raw 17 --page 1 > page.json", _READ),
    Command("export", "export:export", "indexer export lake --as-of 2026-11-01", _READ),
    Command("verify", "upkeep:verify", "indexer verify --json", _KEEP),
    Command("replay", "upkeep:replay", "indexer replay --source hedera", _KEEP),
    Command("prune", "upkeep:prune", "indexer prune --dry-run", _KEEP),
    Command("config show", "settings:show_config", "indexer config show --config config/indexer.toml"),
    Command(
        "watchlist check", "settings:check_watchlist", "indexer watchlist check config/watchlist/ops.yaml"
    ),
    Command("db upgrade", "database:upgrade", "indexer db upgrade"),
    Command("db check", "database:check", "indexer db check"),
    Command("db url", "database:print_url", 'psql "$(indexer db url)"'),
    Command("db psql", "database:psql", "indexer db psql -- -c 'SELECT * FROM report.coverage'"),
    Command("db roles", "database:roles", "indexer db roles > roles.sql"),
    Command("db start", "database:start", "indexer db start --port 5433"),
    Command("db stop", "database:stop", "indexer db stop"),
)

GROUPS: Final = (
    Group("config", "The configuration in force.", _START),
    Group("watchlist", "The files that say what is watched.", _START),
    Group("db", "The database: schema, psql, the embedded server.", _READ),
)


def choose_commands(given: Sequence[str]) -> Sequence[Command]:
    """The commands these arguments can mean: one, those of a group, or all when no command is named."""
    for words in (" ".join(given[:2]), *given[:1]):
        named = [command for command in COMMANDS if command.name == words]
        if named:
            return named
    return [command for command in COMMANDS if command.name.split()[:1] == list(given[:1])] or COMMANDS


def find_function(command: Command) -> Callable[..., None]:
    """The function of a command; its module is imported only now."""
    module, _, name = command.place.partition(":")
    function: Callable[..., None] = getattr(import_module(f"indexer.cli.{module}"), name)
    return function
