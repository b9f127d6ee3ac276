"""The command tree: every command by name, with its one example line."""

from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Final

import typer

from indexer.cli import crawling, daemon, database, raw, reading, review, settings, status, upkeep
from indexer.cli.demo import demo

_ABOUT: Final = """Crawls blockchain addresses over five holdings APIs into PostgreSQL, with exact history.

New here? [bold]indexer demo[/bold] shows everything on a private database; [bold]indexer init[/bold] writes
files to edit. Options come after the command: [bold]indexer crawl --source hedera[/bold]."""

_START: Final = "Start here"
_CRAWL: Final = "Crawl"
_READ: Final = "Read"
_KEEP: Final = "Keep"

_CODES: Final = (
    "Exit codes: 0 done · 1 internal error · 2 usage, configuration or watchlist error · "
    "3 finished, but a watch was not published · 4 database unavailable or schema not current."
)

app: Final = typer.Typer(
    name="indexer",
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def print_version(wanted: bool) -> None:
    """Print the version and stop."""
    if not wanted:
        return
    try:
        typer.echo(f"indexer {version('indexer')}")
    except PackageNotFoundError:
        typer.echo("indexer (from a checkout)")
    raise typer.Exit


def show_help(context: typer.Context) -> None:
    """Help when no command was given: asking what there is, is no mistake."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def root(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """The program itself: help when no command was given."""
    show_help(context)


app.callback(invoke_without_command=True, help=_ABOUT, epilog=_CODES)(root)

app.command("demo", rich_help_panel=_START, epilog="Example: indexer demo")(demo)
app.command("init", rich_help_panel=_START, epilog="Example: indexer init && indexer watchlist check")(
    settings.init
)
app.command("crawl", rich_help_panel=_CRAWL, epilog="Example: indexer crawl --source hedera --json")(
    crawling.crawl
)
app.command("run", rich_help_panel=_CRAWL, epilog="Example: indexer run --listen 127.0.0.1:9464")(daemon.run)
app.command(
    "work", rich_help_panel=_CRAWL, epilog="Example: indexer work --config /etc/indexer/indexer.toml"
)(daemon.work)
app.command("status", rich_help_panel=_CRAWL, epilog="Example: indexer status --watch")(status.status)
app.command("release", rich_help_panel=_CRAWL, epilog="Example: indexer release 42")(review.release)
app.command("reject", rich_help_panel=_CRAWL, epilog="Example: indexer reject 42")(review.reject)
app.command("holdings", rich_help_panel=_READ, epilog="Example: indexer holdings Treasury --as-of '1h ago'")(
    reading.holdings
)
app.command("history", rich_help_panel=_READ, epilog="Example: indexer history 0.0.1001 0.0.5005")(
    reading.history
)
app.command(
    "changes", rich_help_panel=_READ, epilog="Example: indexer changes --since 2026-11-20 --format csv"
)(reading.changes)
app.command("raw", rich_help_panel=_READ, epilog="Example: indexer raw 17 --page 1 > page.json")(raw.raw)
app.command("verify", rich_help_panel=_KEEP, epilog="Example: indexer verify --json")(upkeep.verify)
app.command("replay", rich_help_panel=_KEEP, epilog="Example: indexer replay --source hedera")(upkeep.replay)
app.command("prune", rich_help_panel=_KEEP, epilog="Example: indexer prune --dry-run")(upkeep.prune)

config_group: Final = typer.Typer()
config_group.callback(invoke_without_command=True)(show_help)
config_group.command("show", epilog="Example: indexer config show --config config/indexer.toml")(
    settings.show_config
)
app.add_typer(config_group, name="config", rich_help_panel=_START, help="The configuration in force.")

watchlist_group: Final = typer.Typer()
watchlist_group.callback(invoke_without_command=True)(show_help)
watchlist_group.command("check", epilog="Example: indexer watchlist check config/watchlist/ops.yaml")(
    settings.check_watchlist
)
app.add_typer(
    watchlist_group, name="watchlist", rich_help_panel=_START, help="The files that say what is watched."
)

database_group: Final = typer.Typer()
database_group.callback(invoke_without_command=True)(show_help)
database_group.command("upgrade", epilog="Example: indexer db upgrade")(database.upgrade)
database_group.command("check", epilog="Example: indexer db check")(database.check)
database_group.command("url", epilog='Example: psql "$(indexer db url)"')(database.print_url)
database_group.command("psql", epilog="Example: indexer db psql -- -c 'SELECT * FROM report.coverage'")(
    database.psql
)
database_group.command("roles", epilog="Example: indexer db roles > roles.sql")(database.roles)
database_group.command("start", epilog="Example: indexer db start --port 5433")(database.start)
database_group.command("stop", epilog="Example: indexer db stop")(database.stop)
app.add_typer(
    database_group, name="db", rich_help_panel=_READ, help="The database: schema, psql, the embedded server."
)
