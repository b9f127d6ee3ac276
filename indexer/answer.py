"""One HTTP/1.1 answer out of the bytes of a connection, however they were cut on the way.

The grammar is llhttp's (through httptools). Ours is when an answer is whole, how much that is no body may be
sent to us, and whether the connection can be asked again. Here is no I/O, no URL, no key and no source.
"""

from collections.abc import Mapping
from typing import Final, Protocol

import httptools

#: Heads, trailers and the lines between chunks may have this many bytes, and …
MOST_HEAD_BYTES: Final = 100 * 1024

#: … this many more for each byte of the body: a chunk of one byte takes six.
_FRAMING_PER_BODY_BYTE: Final = 8

#: The headers somebody here reads. Real answers have twenty others.
_READ_HEADERS: Final = frozenset(
    {b"content-encoding", b"content-length", b"retry-after", b"transfer-encoding"}
)

#: Statuses whose answers have no body, whatever their headers say.
_WITHOUT_BODY: Final = frozenset({204, 304})


class WireError(Exception):
    """An exchange failed on the way. Its text is of fixed words: it may be shown."""


class Incoming(Protocol):
    """Whoever takes an answer in. What it raises ends the exchange."""

    def begin(self, status: int, headers: Mapping[str, str]) -> bool:
        """The head is there; names in lower case, only those that are read. False: the body is not wanted."""
        ...

    def feed(self, data: bytes) -> bool:
        """The next bytes of the body, as they were sent. False: no more is wanted."""
        ...


class AnswerReader:
    """Reads the answers of one connection, one after another: ``expect``, then ``take`` until it is whole."""

    def __init__(self) -> None:
        # One for all answers: it knows by itself where the next begins.
        self._parser = httptools.HttpResponseParser(self)
        # With both kinds of length chunks count, by the standard, and the connection is not used again.
        self._parser.set_dangerous_leniencies(lenient_chunked_length=True)
        self.forget()

    def forget(self) -> None:
        """Nothing is expected; whoever took the last answer in is let go."""
        self._incoming: Incoming | None = None
        self._headers: dict[bytes, bytes] = {}
        self._received = self._head_bytes = self._body_bytes = 0
        self._has_head = self._ends_with_connection = False
        self._is_whole = False
        #: Whether the connection can be asked again after this answer.
        self.can_go_on = True

    def expect(self, incoming: Incoming) -> None:
        """The next bytes are an answer for ``incoming``."""
        self.forget()
        self._incoming = incoming

    def take(self, data: bytes | memoryview) -> bool:
        """Bytes arrived. True: the answer is whole. Raises WireError, or what ``incoming`` raised."""
        self._received += len(data)
        problem = self._parse(data)
        if self._is_whole:
            # Bytes behind the answer are nobody's, whatever they are.
            self.can_go_on = self.can_go_on and problem is None
            return True
        if problem is not None:
            try:
                raise problem
            finally:
                del problem  # see `Connection.ask`: its frames, with the body, would live as long as they can
        framing = self._received - self._body_bytes
        if framing > MOST_HEAD_BYTES + _FRAMING_PER_BODY_BYTE * self._body_bytes:
            raise WireError("the head of the answer is too large")
        return False

    def end(self) -> None:
        """The connection ended. Raises WireError unless the answer is whole by that."""
        if not self._received:
            raise WireError("it was closed without an answer")
        if not self._ends_with_connection:
            raise WireError("the answer was cut off")

    def _parse(self, data: bytes | memoryview) -> BaseException | None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            # Raised in one of the methods below, which are called by the parser.
            return error.__context__ or error
        except httptools.HttpParserUpgrade:
            return WireError("the answer is another protocol")
        except httptools.HttpParserError:
            return WireError("the answer is not HTTP")
        return None

    def on_message_begin(self) -> None:
        """An answer starts. Behind the one that was asked for there should be none."""
        if self._is_whole:
            self.can_go_on = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, or one of a trailer."""
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > MOST_HEAD_BYTES:
            raise WireError("the head of the answer is too large")
        name = name.lower()
        if name in _READ_HEADERS and not self._has_head:
            known = self._headers.get(name)
            self._headers[name] = value if known is None else known + b", " + value

    def on_headers_complete(self) -> None:
        """A head is there. After an informational one another follows."""
        headers, self._headers = self._headers, {}
        status = self._parser.get_status_code()
        if status < 200 or self._is_whole:
            return
        self._has_head = True
        self._choose_end(headers)
        assert self._incoming is not None
        shown = {name.decode("ascii"): value.decode("latin-1").strip() for name, value in headers.items()}
        if not self._incoming.begin(status, shown) or status in _WITHOUT_BODY:
            self._stop()

    def _choose_end(self, headers: Mapping[bytes, bytes]) -> None:
        coding, has_length = headers.get(b"transfer-encoding"), b"content-length" in headers
        if coding is not None and coding.strip().lower() != b"chunked":
            raise WireError("the answer has an unknown transfer encoding")
        self._ends_with_connection = coding is None and not has_length
        self.can_go_on = (coding is not None) != has_length

    def on_body(self, data: bytes) -> None:
        """A part of the body."""
        self._body_bytes += len(data)
        assert self._incoming is not None
        if not self._is_whole and not self._incoming.feed(data):
            self._stop()

    def on_message_complete(self) -> None:
        """An answer is whole."""
        if self._has_head and not self._is_whole:
            self._is_whole = True
            self.can_go_on = self.can_go_on and self._parser.should_keep_alive()

    def _stop(self) -> None:
        """What is still to come is not wanted."""
        self._is_whole = True
        self.can_go_on = False
