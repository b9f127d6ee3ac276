"""No secret, no terminal code and no local variable gets into a log line, whoever writes it."""

import asyncio
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
import structlog

from indexer.client import Client
from indexer.errors import ApiError, UsageError
from indexer.logs import configure
from tests.unit.raw_http import (
    KEY,
    QUESTION,
    REQUEST,
    PlainSource,
    RawServer,
    World,
    reply,
    serving,
    source_config,
)


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Logging is global: each test leaves it as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    for name in ("httpx", "httpcore", "uvicorn", "alembic", "apscheduler"):
        logging.getLogger(name).setLevel(logging.NOTSET)
    logging.captureWarnings(False)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def logged(write: Callable[[], object], *, level: str = "DEBUG", format: str = "json") -> str:  # noqa: A002
    """What ``write`` puts into the log when ``KEY`` is a secret."""
    stream = io.StringIO()
    configure(level, format, [KEY], stream)
    write()
    return stream.getvalue()


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("format", ["json", "console"])
def test_redacts_every_part_of_an_event(format: str) -> None:  # noqa: A002
    """Message, field names, values of any type, context and exception text."""

    def write() -> None:
        log = structlog.get_logger("test")
        structlog.contextvars.bind_contextvars(context=KEY)
        log.debug(
            KEY, value=KEY, nested={"a": [KEY]}, raw=KEY.encode(), url=quote(KEY), **{KEY: 1, f"_{KEY}": 2}
        )
        log.info("stack", stack_info=True, error=ValueError(KEY))
        logging.getLogger("library").warning("%s and %r", KEY, {"k": KEY}, extra={"x": KEY})
        try:
            raise ValueError(KEY) from KeyError(KEY)
        except ValueError:
            log.exception("failed")
            logging.getLogger("library").exception("failed")
        warnings.warn(KEY, stacklevel=1)

    text = logged(write, format=format)

    assert text.count("***") >= 12
    assert KEY not in text
    assert "canary" not in text


def test_shows_no_local_variables() -> None:
    """A traceback has frames and a message; values of variables stay where they are."""

    def write() -> None:
        innocent = "local-" + "value"
        try:
            raise ValueError("wrong") from None
        except ValueError:
            structlog.get_logger().exception("failed", known=len(innocent))

    for format in ("json", "console"):  # noqa: A001
        text = logged(write, format=format)
        assert "ValueError: wrong" in text
        assert "Traceback" in text
        assert "local-value" not in text


@pytest.mark.parametrize(("format", "line_break"), [("json", "\\n"), ("console", "\n")])
def test_a_traceback_keeps_its_lines(format: str, line_break: str) -> None:  # noqa: A002
    """Only text from strangers is put on one line; a traceback on one line could not be read."""

    def write() -> None:
        try:
            raise ValueError("wrong")
        except ValueError:
            structlog.get_logger().exception("failed")

    assert f"(most recent call last):{line_break}  File" in logged(write, format=format)


def test_a_secret_that_only_the_finished_line_spells_is_masked() -> None:
    """The line is searched once more after rendering, when field names and values have met."""
    stream = io.StringIO()
    configure("INFO", "console", ["page=3333"], stream)

    structlog.get_logger().info("seen", page=3333)

    assert "***" in stream.getvalue()
    assert "3333" not in stream.getvalue()


def test_a_number_that_is_a_secret_is_masked() -> None:
    """An account number may be a secret, too; other numbers stay numbers."""
    stream = io.StringIO()
    configure("INFO", "json", ["12345678"], stream)

    structlog.get_logger().info("x", account=12345678, page=3, share=0.5, ok=True, nothing=None)

    (event,) = lines(stream.getvalue())
    assert event["account"] == "***"
    assert (event["page"], event["share"], event["ok"], event["nothing"]) == (3, 0.5, True, None)


def test_an_event_is_one_line_of_json() -> None:
    """Machines read fields; ours and a library's have the same ones."""

    def write() -> None:
        structlog.get_logger("indexer.crawl").info("page committed", source="hedera", page=3)
        logging.getLogger("library").warning("slow %d", 7)

    ours, theirs = lines(logged(write))

    assert (ours["event"], ours["source"], ours["page"]) == ("page committed", "hedera", 3)
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("slow 7", "warning", "library")
    assert ours.keys() >= theirs.keys() >= {"timestamp", "level", "logger", "event"}


@pytest.mark.parametrize("format", ["json", "console"])
def test_names_from_a_chain_cannot_act_on_the_terminal(format: str) -> None:  # noqa: A002
    """Escape codes, line breaks and direction overrides are shown, not done."""
    evil = "a\x1b[2J\r\nINFO forged\u202eb\u2028c\ud800\x9b"

    text = logged(lambda: structlog.get_logger().info("seen", name=evil, **{evil: evil}), format=format)

    assert text.count("\n") == 1
    assert not set(text) & set("\x1b\r\u202e\u2028\ud800\x9b")


def test_a_narrow_terminal_loses_no_line() -> None:
    """A stream that cannot encode a name shows its code instead of dropping the event."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", errors="strict", write_through=True)
    configure("INFO", "console", [], stream)

    structlog.get_logger().info("seen", name="金")

    assert b"\\u91d1" in raw.getvalue()


class Unprintable:
    """A value whose text cannot be made, and whose error quotes the key."""

    def __str__(self) -> str:
        raise RuntimeError(KEY)

    __repr__ = __str__


def test_a_record_that_cannot_be_formatted_leaks_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Logging's own error report would print message and arguments; ours names the logger."""
    text = logged(lambda: logging.getLogger("library").warning("%s %d", KEY, "x"))

    assert "log line lost" in text
    assert KEY not in text + capsys.readouterr().err


def test_a_value_that_cannot_be_shown_ends_nothing() -> None:
    """A broken object in a field costs its text, not the event and not the caller."""
    (event,) = lines(logged(lambda: structlog.get_logger().info("seen", value=Unprintable(), page=1)))

    assert (event["event"], event["page"], event["value"]) == (
        "seen",
        1,
        "<Unprintable that cannot be shown>",
    )


def test_a_closed_stream_ends_nothing() -> None:
    """A daemon whose stderr is gone goes on crawling."""
    stream = io.StringIO()
    configure("INFO", "json", [], stream)
    stream.close()

    structlog.get_logger().info("unheard")

    assert stream.closed


def test_libraries_are_quiet_unless_debugging() -> None:
    """INFO is the operator's diary: theirs is shown from WARNING up, and in full at DEBUG."""

    def write() -> None:
        for name in ("httpx", "httpcore.connection", "uvicorn.access", "apscheduler.scheduler", "alembic"):
            logging.getLogger(name).info("chatter")
            logging.getLogger(name).warning("trouble")

    at_info = [event["event"] for event in lines(logged(write, level="INFO"))]
    at_debug = [event["event"] for event in lines(logged(write, level="DEBUG"))]

    assert at_info == ["trouble"] * 5
    assert at_debug == ["chatter", "trouble"] * 5


def test_a_logger_that_was_cut_off_is_heard_again() -> None:
    """uvicorn silences its access logger for good; the next configuration must not lose its warnings."""
    logging.getLogger("uvicorn.access").propagate = False

    heard = lines(logged(lambda: logging.getLogger("uvicorn.access").warning("trouble"), level="INFO"))

    assert [event["event"] for event in heard] == ["trouble"]


def test_shows_nothing_below_its_level() -> None:
    """``log.level`` counts for our events and for everybody's."""

    def write() -> None:
        structlog.get_logger().info("ours")
        logging.getLogger("library").info("theirs")
        structlog.get_logger().warning("shown")

    assert [event["event"] for event in lines(logged(write, level="warning"))] == ["shown"]


def test_a_library_cannot_go_round_the_redactor() -> None:
    """A handler that a library brought along is removed."""
    own = io.StringIO()
    logging.getLogger("uvicorn").addHandler(logging.StreamHandler(own))

    text = logged(lambda: logging.getLogger("uvicorn").error(KEY))

    assert own.getvalue() == ""
    assert "***" in text


def test_refuses_an_unknown_level() -> None:
    """A typo in the knob is a configuration error that lists the choices."""
    with pytest.raises(UsageError, match="'LOUD', not one of DEBUG, INFO, WARNING, ERROR"):
        configure("LOUD", "json", [])


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stream", "is_json"), [(io.StringIO(), True), (Terminal(), False)])
def test_chooses_the_format_by_the_stream(stream: io.StringIO, is_json: bool) -> None:
    """Lines for people on a terminal, JSON for pipes and files."""
    configure("INFO", "", [], stream)

    structlog.get_logger().info("hello", page=1)

    assert stream.getvalue().startswith("{") == is_json


def test_fetching_at_debug_shows_no_secret() -> None:
    """Key in path and header, servers that quote it back: masked in every library's line and in errors."""
    echo = f"X-Echo: {quote(KEY)} {KEY}"
    replies = [
        reply(200, KEY.encode(), echo),
        reply(302, b"", f"Location: http://h/{KEY}"),
        b"HTTP/1.1 200 OK\r\nbad header " + KEY.encode() + b"\r\n\r\n",
        reply(401, KEY.encode(), echo, f"Set-Cookie: k={KEY}"),
    ]

    async def use(client: Client, server: RawServer) -> None:
        for _ in range(len(replies)):
            try:
                await client.fetch(QUESTION, REQUEST)
            except ApiError:
                logging.getLogger("test").exception("failed")
        assert all(KEY in request.decode() for request in server.requests)

    async def run() -> None:
        world = World(source=PlainSource(key_in_path=True))
        async with serving(*replies) as server, world.client(source_config(server.url)) as client:
            await use(client, server)

    text = logged(lambda: asyncio.run(run(), debug=True))

    assert "connected to 127.0.0.1" in text
    assert "Traceback" in text
    assert "canary" not in text
