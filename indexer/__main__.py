"""The process: runs one command and turns what happened into an exit code.

Nothing is decided here but the code: 0 done, 1 internal error, 2 usage, 3 not everything published,
4 database, 130 interrupted, 141 nobody reads our output any more.
"""

import gc
import os
import sys
from collections.abc import Sequence
from typing import Final

from indexer import __version__
from indexer.cli.failures import INTERRUPTED, OUTPUT_CLOSED, Ended, report_failure

#: New objects before Python looks for garbage among them. Its own 700 cost loading a fifth of its time.
_COLLECTED: Final = 50_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `indexer` with these arguments (default: the process's own) and return the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    open_closed_streams()
    if given[:1] in (["run"], ["work"]):
        end_when_told()
    gc.set_threshold(_COLLECTED)
    # Else pydantic asks every installed package whether it is a plugin, and none is for us.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        return run_command(given)
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit:
        # Only rich does this, when the reader of a help page closes the pipe.
        return OUTPUT_CLOSED
    except Exception as error:  # noqa: BLE001 - the last floor: whatever it is becomes an exit code
        return report_failure(error, debug=asks_for_debug(given))
    finally:
        # Before a process ends, Python looks for garbage among all it has loaded. It may end with it instead.
        gc.freeze()


def open_closed_streams() -> None:
    """Some supervisors start programs without stdout or stderr: what is written there then goes nowhere.

    Left closed, the next file or connection that is opened would take their numbers, and what is written.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, open(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False))  # noqa: SIM115  no name, and it stays open


def end_when_told() -> None:
    """Let SIGTERM and SIGINT end the process well: until a daemon works there is nothing to put in order."""
    import signal

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: os._exit(0))


def run_command(given: Sequence[str]) -> int:
    """Parse and call; errors pass through. Not typer's own `main`, which swallows some of them."""
    if given[:1] == ["--version"]:
        # What is asked most often by other programs waits for no library.
        sys.stdout.write(f"indexer {__version__}\n")
        sys.stdout.flush()
        return 0

    if hasattr(sys.stdout, "reconfigure"):
        # A name on a chain must not stop the program only because the terminal cannot show it.
        sys.stdout.reconfigure(errors="backslashreplace")
    code = run_to_end(given)
    sys.stdout.flush()
    return code


def run_to_end(given: Sequence[str]) -> int:
    """Let typer parse and call."""
    # Not at the top: `--version` does without.
    from typer import Exit
    from typer.main import get_command

    from indexer.cli.app import build_app

    command = get_command(build_app(given))
    try:
        with command.make_context("indexer", list(given)) as context:
            command.invoke(context)
    except Exit as ending:
        return ending.exit_code
    except Ended as ending:
        return ending.code
    return 0


def asks_for_debug(given: Sequence[str]) -> bool:
    """Whether --debug is among our options; what follows ``--`` belongs to somebody else."""
    ours = given[: given.index("--")] if "--" in given else given
    return "--debug" in ours


if __name__ == "__main__":
    sys.exit(main())
