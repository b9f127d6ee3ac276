"""The process: runs one command and turns what happened into an exit code.

Nothing is decided here but the code: 0 done, 1 internal error, 2 usage, 3 not everything published,
4 database, 130 interrupted, 141 nobody reads our output any more.
"""

import sys
from collections.abc import Sequence

from indexer.cli.failures import INTERRUPTED, OUTPUT_CLOSED, report_failure


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `indexer` with these arguments (default: the process's own) and return the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return run_command(given)
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit:
        # Only rich does this, when the reader of a help page closes the pipe.
        return OUTPUT_CLOSED
    except Exception as error:  # noqa: BLE001 - the last floor: whatever it is becomes an exit code
        return report_failure(error, debug=asks_for_debug(given))


def run_command(given: Sequence[str]) -> int:
    """Parse and call; errors pass through. Not click's own `main`, which swallows some of them."""
    from typer import Exit
    from typer.main import get_command

    from indexer.cli.app import app

    if hasattr(sys.stdout, "reconfigure"):
        # A name on a chain must not stop the program only because the terminal cannot show it.
        sys.stdout.reconfigure(errors="backslashreplace")
    command = get_command(app)
    try:
        with command.make_context("indexer", list(given)) as context:
            code = command.invoke(context)
    except Exit as ending:
        code = ending.exit_code
    sys.stdout.flush()
    return code if isinstance(code, int) else 0


def asks_for_debug(given: Sequence[str]) -> bool:
    """Whether --debug is among our options; what follows ``--`` belongs to somebody else."""
    ours = given[: given.index("--")] if "--" in given else given
    return "--debug" in ours


if __name__ == "__main__":
    sys.exit(main())
