"""The command tree: its names, its help, and how wrong usage is answered."""

from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from indexer.__main__ import asks_for_debug, main
from indexer.cli.app import build_app

PROMISED = {
    "demo",
    "init",
    "config show",
    "watchlist check",
    "crawl",
    "status",
    "holdings",
    "history",
    "changes",
    "raw",
    "release",
    "reject",
    "db upgrade",
    "db check",
    "db url",
    "db psql",
    "db roles",
    "db start",
    "db stop",
}


def list_commands() -> Iterator[tuple[str, Any]]:
    """Every leaf of the tree with its full name; two dashes name no command, so all are built."""
    root: Any = get_command(build_app(["--"]))
    for name, command in root.commands.items():
        if hasattr(command, "commands"):
            yield from ((f"{name} {inner}", leaf) for inner, leaf in command.commands.items())
        else:
            yield name, command


def test_every_promised_command_exists() -> None:
    """The names are a contract."""
    assert {name for name, _ in list_commands()} >= PROMISED


@pytest.mark.parametrize(("name", "command"), list(list_commands()))
def test_every_command_takes_config_and_debug_and_shows_an_example(name: str, command: Any) -> None:
    """A newcomer finds one line to copy under each command."""
    options = {option for parameter in command.params for option in parameter.opts}

    assert {"--config", "--debug"} <= options
    assert f"indexer {name}" in command.epilog
    assert command.help


@pytest.mark.parametrize(
    "arguments", [[], ["--help"], ["crawl", "--help"], ["db", "--help"], ["db", "start", "-h"]]
)
def test_help_is_no_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Help goes to stdout with exit code 0."""
    assert main(arguments) == 0

    out, err = capsys.readouterr()
    assert "Usage: indexer" in out
    assert err == ""


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """One line, for bug reports."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("indexer ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["crawll"], "crawll"),
        (["crawl", "--sauce", "x"], "indexer crawl --help"),
        (["history", "0.0.1"], "ASSET"),
        (["raw", "one"], "CRAWL"),
        (["holdings", "--format", "xml"], "--format"),
        (["holdings", "--as-of", "yesteryear"], "2026-11-20"),
        (["--config", "x.toml", "crawl"], "Options come after the command"),
        (["db", "start", "--port", "70000"], "--port"),
    ],
)
def test_wrong_usage_exits_2_with_one_line_that_helps(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line names what was wrong; stdout stays empty."""
    assert main(arguments) == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.startswith("Error: ")
    assert err.count("\n") == 1


def test_debug_after_two_dashes_is_somebody_elses() -> None:
    """`indexer db psql -- --debug` talks to psql."""
    assert asks_for_debug(["crawl", "--debug"])
    assert not asks_for_debug(["db", "psql", "--", "--debug"])
