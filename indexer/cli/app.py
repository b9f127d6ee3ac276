"""The command tree. Only what an invocation asks for is built: loading all takes longer than most run."""

import inspect
from collections.abc import Sequence
from typing import Annotated, Final

import typer

from indexer import __version__
from indexer.cli.commands import GROUPS, Command, choose_commands, find_function

_ABOUT: Final = """Crawls blockchain addresses over five holdings APIs into PostgreSQL, with exact history.

New here? [bold]indexer demo[/bold] shows everything on a private database; [bold]indexer init[/bold] writes
files to edit. Options come after the command: [bold]indexer crawl --source hedera[/bold]."""

_CODES: Final = (
    "Exit codes: 0 done · 1 internal error · 2 usage, configuration or watchlist error · "
    "3 finished, but a watch was not published · 4 database unavailable or schema not current."
)

#: What asks for the help of the whole program, and so for no command's parameters.
_HELP: Final = ("--help", "-h")


def build_app(given: Sequence[str]) -> typer.Typer:
    """The command tree, as much of it as these arguments can reach."""
    app = typer.Typer(
        name="indexer",
        add_completion=False,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": list(_HELP)},
    )
    app.callback(invoke_without_command=True, help=_ABOUT, epilog=_CODES)(root)
    commands = choose_commands(given)
    only_named = not given or given[0] in _HELP
    for command in commands:
        if " " not in command.name:
            _add(app, command.name, command, only_named=only_named)
    for group in GROUPS:
        members = [command for command in commands if command.name.startswith(f"{group.name} ")]
        if members:
            app.add_typer(
                _build_group(members), name=group.name, rich_help_panel=group.panel, help=group.about
            )
    return app


def _build_group(members: Sequence[Command]) -> typer.Typer:
    group = typer.Typer()
    group.callback(invoke_without_command=True)(show_help)
    for command in members:
        _add(group, command.name.split()[1], command)
    return group


def _add(app: typer.Typer, name: str, command: Command, *, only_named: bool = False) -> None:
    """Register a command; ``only_named`` without its parameters, for a help page that shows none."""
    function = find_function(command)
    called = _name_only if only_named else function
    register = app.command(
        name,
        help=inspect.getdoc(function),
        rich_help_panel=command.panel,
        epilog=f"Example: {command.example}",
    )
    register(called)


def _name_only() -> None:
    raise AssertionError("the help of the program calls no command")


def print_version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        typer.echo(f"indexer {__version__}")
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
