"""Log lines: one event with fields per line, for a person or for a machine, without secrets.

Everything any library logs goes the same way. Every text passes the redactor before it is rendered
and again as a finished line, at every level; no traceback shows local variables.
"""

import base64
import json
import logging
import re
import sys
from collections.abc import Callable, Iterable, MutableMapping
from functools import lru_cache
from typing import Any, Final, TextIO

import structlog

from indexer.errors import UsageError
from indexer.printable import printable

MASK: Final = "***"

#: Shorter secrets would blank out ordinary words; they are never logged by us.
_SHORTEST_SECRET: Final = 4

#: Base64 of a few characters is too short to tell from a word.
_SHORTEST_ENCODED: Final = 8

#: The password in ``scheme://user:password@host``. libpq reads up to the last @ before a slash.
_URL_PASSWORD: Final = re.compile(r"(://[^\s/:@]*):[^\s/]*@")

#: The password in ``key=value`` connection strings and in URL queries.
_NAMED_PASSWORD: Final = re.compile(r"(?i)(\bpassword\s*=\s*)(?:'(?:[^'\\]|\\.)*'|[^\s&'\"]+)")

#: Libraries that tell their own diary; ours is interesting at INFO, theirs only when debugging.
_CHATTY: Final = (
    "alembic",
    "apscheduler",
    "asyncio",
    "httpcore",
    "httpx",
    "psycopg",
    "sqlalchemy",
    "uvicorn",
    "uvicorn.access",  # uvicorn cuts this one off from the others when its access log is off
)

#: Fields whose text has lines on purpose.
_MULTI_LINE: Final = frozenset({"exception", "stack"})


#: What the formatter passes to itself; it is removed before rendering.
_STRUCTLOG_OWN: Final = frozenset({"_record", "_from_structlog"})


class Redactor:
    """Replaces every known secret, however it is spelled, and every password in a database URL.

    Also for error texts that are stored in tables.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = sorted(
            {secret for secret in secrets if len(secret) >= _SHORTEST_SECRET}, key=len, reverse=True
        )
        spellings = [_any_spelling(secret) for secret in known]
        spellings += [re.escape(code) for secret in known for code in _base64_forms(secret)]
        self._known = re.compile("|".join(spellings)) if spellings else None

    def __call__(self, text: str) -> str:
        """``text`` with ``***`` wherever a secret was."""
        text = self.hide_known(text)
        # Without these signs there is no password, and of every event each field comes here.
        if "://" in text:
            text = _URL_PASSWORD.sub(rf"\1:{MASK}@", text)
        return _NAMED_PASSWORD.sub(rf"\1{MASK}", text) if "=" in text else text

    def hide_known(self, text: str) -> str:
        """Only the known secrets: safe on finished JSON, whose shape the password rules could break."""
        return self._known.sub(MASK, text) if self._known else text


def _any_spelling(secret: str) -> str:
    """A pattern for the secret with each character raw, percent-encoded or escaped, in any mixture."""
    return "".join(f"(?:{'|'.join(_character_spellings(character))})" for character in secret)


def _character_spellings(character: str) -> list[str]:
    """Longest first: where the secret ends, the first spelling that fits decides how much goes."""
    encoded = character.encode("utf-8", "surrogatepass")
    # Escaped twice happens when an error quotes an error: %2520.
    percent = "".join(f"%(?:25)?{byte:02X}" for byte in encoded)
    escapes = [re.escape(form) for form in _numeric_escapes(character)]
    forms = {character, json.dumps(character)[1:-1], repr(character)[1:-1], f"\\{character}"}
    plain = [re.escape(form) for form in sorted(forms, key=len, reverse=True)]
    form_space = [r"\+"] if character == " " else []
    return [f"(?i:{'|'.join([percent, *escapes])})", *plain, *form_space]


def _numeric_escapes(character: str) -> list[str]:
    code = ord(character)
    escapes = [f"\\u{code:04x}"] if code < 0x10000 else [f"\\U{code:08x}"]
    return [*escapes, f"\\x{code:02x}"] if code < 0x100 else escapes


def _base64_forms(secret: str) -> set[str]:
    """What base64 of any text around the secret shows of it, at each of the three alignments."""
    forms: set[str] = set()
    raw = secret.encode("utf-8", "surrogatepass")
    for offset in range(3):
        whole = base64.b64encode(bytes(offset) + raw).decode()
        # The first and last characters also depend on what stands beside the secret.
        start = (offset * 8 + 5) // 6
        end = (offset + len(raw)) * 8 // 6
        forms |= {whole[start:end], whole[start:end].translate(str.maketrans("+/", "-_"))}
    return {form for form in forms if len(form) >= _SHORTEST_ENCODED}


class _SafeHandler(logging.StreamHandler[TextIO]):
    """Writes finished lines; redacts them once more and never shows a record it cannot format."""

    def __init__(self, stream: TextIO, redact: Redactor) -> None:
        super().__init__(stream)
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        line = self._redact.hide_known(super().format(record))
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        return line.encode(encoding, "backslashreplace").decode(encoding)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Logging's own report would print the message and its arguments unredacted."""
        kind = sys.exc_info()[0]
        try:
            self.stream.write(
                f"log line lost logger={record.name} because={getattr(kind, '__name__', kind)}\n"
            )
        except (OSError, ValueError):
            # stderr is gone: there is nobody left to tell, and logging must not end the daemon.
            return


def configure(
    level: str,
    format: str,  # noqa: A002 - the knob is called `log.format`
    secrets: Iterable[str],
    stream: TextIO | None = None,
) -> Redactor:
    """Send all logs to ``stream`` (stderr). Returns the redactor for texts that are stored.

    ``format`` is "console", "json" or "", which chooses by whether the stream is a terminal.
    """
    stream = stream or sys.stderr
    number = _level_number(level)
    redact = Redactor(secrets)
    prepare = _preparation(redact)
    handler = _SafeHandler(stream, redact)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=prepare,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderer(format, stream),
            ],
        )
    )
    structlog.configure(
        processors=[*prepare, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(number),
        # A second configure (another config, a test) must reach loggers that were used before.
        cache_logger_on_first_use=False,
    )
    _route_standard_logging(handler, number)
    return redact


def _level_number(level: str) -> int:
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise UsageError(f"log.level is {printable(level)!r}, not one of DEBUG, INFO, WARNING, ERROR")
    return number


def _preparation(redact: Redactor) -> list[structlog.typing.Processor]:
    """What happens to every event, ours or a library's, before it is rendered."""

    # The program's own words come again with every event.
    clean_key = lru_cache(maxsize=1024)(lambda key: printable(redact(key)))

    def clean(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {
            clean_key(str(key)): _clean_value(value, redact, multi_line=key in _MULTI_LINE)
            if key not in _STRUCTLOG_OWN
            else value
            for key, value in event.items()
        }

    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        # Plain tracebacks: the pretty ones show local variables, and those hold keys.
        structlog.processors.format_exc_info,
        clean,
    ]


def _clean_value(value: object, redact: Redactor, *, multi_line: bool = False) -> object:
    """The value as it may be shown. Numbers stay numbers unless they are a secret."""
    if value is None or isinstance(value, bool):
        return value
    text = value if isinstance(value, str) else _show(value)
    safe = redact(text)
    if isinstance(value, int | float) and safe == text:
        return value
    return "\n".join(printable(line) for line in safe.split("\n")) if multi_line else printable(safe)


def _show(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - any object's text may fail; an event must not end its caller
        return f"<{type(value).__name__} that cannot be shown>"


def _renderer(format: str, stream: TextIO) -> list[structlog.typing.Processor]:  # noqa: A002 - as above
    terminal = stream.isatty()
    if format == "console" or (format == "" and terminal):
        plain: Callable[..., None] = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(colors=terminal, exception_formatter=plain, pad_event_to=0)]
    return [structlog.processors.JSONRenderer()]


def _route_standard_logging(handler: logging.Handler, number: int) -> None:
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(number)
    logging.captureWarnings(True)
    for name in _CHATTY:
        logger = logging.getLogger(name)
        # A library that was imported first may have a handler of its own, past the redactor.
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.NOTSET if number <= logging.DEBUG else logging.WARNING)
