"""What a person sees when a command fails: one sentence that says what to do, and an exit code.

A traceback is shown only with --debug, and only after every known secret has been masked.
"""

import os
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Final

from indexer.errors import DatabaseError, IndexerError, UsageError

INTERNAL_ERROR: Final = 1
WRONG_USAGE: Final = 2
NOT_PUBLISHED: Final = 3
NO_DATABASE: Final = 4
#: As shells count them: 128 + SIGINT, 128 + SIGPIPE, 128 + SIGTERM.
INTERRUPTED: Final = 130
OUTPUT_CLOSED: Final = 141
TERMINATED: Final = 143

#: Secrets of the configuration in force, for masking tracebacks. Set by `opening.open_config`.
known_secrets: Final[ContextVar[tuple[str, ...]]] = ContextVar("known_secrets", default=())


class Ended(Exception):
    """A command that said all there is to say ends with this exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def report_failure(error: BaseException, *, debug: bool) -> int:
    """Say on stderr what happened and return the exit code that belongs to it."""
    cause = find_cause(error)
    if isinstance(cause, BrokenPipeError):
        silence_stdout()
        return OUTPUT_CLOSED
    if debug:
        import traceback

        sys.stderr.write(mask_secrets("".join(traceback.format_exception(error))))
    sys.stderr.write(f"Error: {describe(cause)}\n")
    if isinstance(cause, OSError):
        drop_unwritten()
    return exit_code_of(cause)


def find_cause(error: BaseException) -> BaseException:
    """The error to react to: out of a group, the first of ours, else the first."""
    leaves = list(_leaves(error))
    return next((leaf for leaf in leaves if isinstance(leaf, IndexerError)), leaves[0])


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def exit_code_of(error: BaseException) -> int:
    """The exit code of an error: its class tells."""
    if isinstance(error, UsageError) or _command_line_message(error) is not None:
        return WRONG_USAGE
    if isinstance(error, DatabaseError) or is_database_trouble(error):
        return NO_DATABASE
    return INTERNAL_ERROR


def describe(error: BaseException) -> str:
    """One sentence (or one line per mistake) that is safe to show."""
    from indexer.printable import printable

    message = _command_line_message(error)
    if message is None and isinstance(error, IndexerError):
        message = str(error)
    if message is None and is_database_trouble(error):
        # Its text may name hosts and users; the class says enough (QueryCanceled, DiskFull, AdminShutdown …).
        name = type(error).__name__
        message = (
            "The database is read-only: set database.url to the primary, which takes writes, not a standby."
            if name == "ReadOnlySqlTransaction"
            else f"The database did not do its work ({name}): check that it is up and has room, then"
            " try again."
        )
    if message is None and isinstance(error, OSError) and error.strerror:
        message = f"The operating system refused: {error.strerror}."
    if message is None:
        # The text of an unexpected error may carry anything, a key included: only its class is shown.
        message = (
            f"Internal error ({type(error).__name__}): run it again with --debug and report what it prints."
        )
    return "\n".join(printable(line) for line in mask_secrets(message).splitlines())


def _command_line_message(error: BaseException) -> str | None:
    """The message of typer's own errors, which have no public class in every version."""
    format_message = getattr(error, "format_message", None)
    if format_message is None:
        return None
    message = str(format_message()).strip()
    context = getattr(error, "ctx", None)
    if context is None:
        return message
    if context.parent is None and ("--config" in message or "--debug" in message):
        return f"{message} Options come after the command: indexer COMMAND --config FILE --debug."
    return f"{message} Try '{context.command_path} --help'."


def is_database_trouble(error: BaseException) -> bool:
    """Whether psycopg lost its server. Never imports psycopg: unloaded, it cannot have raised."""
    psycopg = sys.modules.get("psycopg")
    return psycopg is not None and isinstance(
        error, (psycopg.OperationalError, psycopg.errors.ReadOnlySqlTransaction)
    )


def mask_secrets(text: str) -> str:
    """``text`` without the secrets of the configuration in force."""
    secrets = known_secrets.get()
    if not secrets:
        return text
    from indexer.logs import Redactor

    return Redactor(secrets)(text)


def drop_unwritten() -> None:
    """What a full disk did not take: Python would try again at exit, and end with a code of its own."""
    try:
        sys.stdout.flush()
    except OSError:
        silence_stdout()


def silence_stdout() -> None:
    """Nobody reads stdout any more: what is still buffered must not raise again at exit."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        return
