"""HTTP/1.1 as far as the simulator needs it: a request as it came in, an answer as it goes out.

Written by hand because faults need the raw socket, and because signatures cover the target
exactly as it was received. No API is known here.
"""

import asyncio
import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote, unquote_plus

from indexer.simulator.state import Hide

JSON: Final = ("Content-Type", "application/json")
Header = tuple[str, str]

_REASONS: Final = {200: "OK", 302: "Found", 304: "Not Modified", 400: "Bad Request", 404: "Not Found"}
#: A longer head than any honest client sends.
_LONGEST_HEAD: Final = 64 * 1024


@dataclass(slots=True)
class Switches:
    """How the APIs behave where their documents leave a choice. Tests may change it at any time."""

    #: Rows per page at most, per source, below the API's own maximum.
    max_page: dict[str, int] = field(default_factory=dict)
    #: Which revision of the DAS server answers: M, T or J.
    das_revision: str = "T"
    #: Whether DAS accepts a seventh and eighth parameter.
    das_options: bool = True
    #: DAS writes null where its reference server omits optional fields.
    das_nulls: bool = False
    #: OKX answers 200 + code 83000 for addresses that own nothing.
    okx_not_found: bool = False
    #: OKX ends a list after this many rows.
    okx_longest_list: int | None = None
    #: Whether gzip is used when asked for.
    compress: bool = False
    #: Added to every answer, as a network would.
    latency_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Question:
    """What a request asks, in terms faults and logs can match."""

    addresses: tuple[str, ...] = ()
    scope: str = ""
    #: '' asks for the first page.
    cursor: str = ""
    #: False for look-ups and for requests the API does not serve.
    is_page: bool = False


@dataclass(frozen=True, slots=True)
class Inquiry:
    """One request as received. ``target`` is raw; ``path`` is without the source's prefix."""

    source: str
    method: str
    target: str
    path: str
    #: Decoded, in order, repeats kept.
    query: tuple[tuple[str, str], ...]
    #: Names in lower case.
    headers: Mapping[str, str]
    body: bytes
    switches: Switches
    secrets: Mapping[str, str]
    #: Items a fault hides from this answer.
    hide: Hide | None = None

    def values(self, name: str) -> list[str]:
        """Every value of a query parameter."""
        return [value for key, value in self.query if key == name]

    def first(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        return next(iter(self.values(name)), default)

    def page_size(self, asked: int) -> int:
        """The rows this answer may have: what was asked for, or less when a test shrinks pages."""
        return min(asked, self.switches.max_page.get(self.source, asked))


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer before it goes on the wire."""

    status: int
    body: bytes = b""
    headers: tuple[Header, ...] = (JSON,)


def json_answer(status: int, value: object, *headers: Header) -> Answer:
    """An answer with this JSON value as its body."""
    return Answer(status, dump(value), (JSON, *headers))


def dump(value: object) -> bytes:
    """Compact JSON in UTF-8; a lone surrogate stays an escape, since UTF-8 has none."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Received:
    """A request before it is known which API it is for."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


async def read_request(reader: asyncio.StreamReader) -> Received | None:
    """The next request of a connection, or None when the client is done with it."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        if len(head) > _LONGEST_HEAD:
            return None
        lines = head.decode("latin-1").split("\r\n")
        method, target, _version = lines[0].split(" ", 2)
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:-2])
        }
        length = int(headers.get("content-length", "0"))
        body = await reader.readexactly(length) if length else b""
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, ValueError):
        return None
    return Received(method, target, headers, body)


def read_query(target: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Path and decoded query of a target; a parameter without ``=`` has the value ''."""
    path, _, query = target.partition("?")
    pairs = (part.partition("=") for part in query.split("&") if part)
    return unquote(path), tuple((unquote_plus(name), unquote_plus(value)) for name, _, value in pairs)


def compressed(answer: Answer, headers: Mapping[str, str]) -> Answer:
    """The answer in gzip when the client accepts it."""
    if "gzip" not in headers.get("accept-encoding", "") or not answer.body:
        return answer
    body = gzip.compress(answer.body, compresslevel=1, mtime=0)
    return Answer(answer.status, body, (*answer.headers, ("Content-Encoding", "gzip")))


def render_head(answer: Answer, length: int | None = None) -> bytes:
    """Status line and headers. A ``length`` that is not the body's is a lie on purpose."""
    reason = _REASONS.get(answer.status, "Status")
    lines = [f"HTTP/1.1 {answer.status} {reason}", *(f"{name}: {value}" for name, value in answer.headers)]
    lines.append(f"Content-Length: {len(answer.body) if length is None else length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def read_json(body: bytes) -> Any:
    """A JSON value, or None for anything else."""
    try:
        return json.loads(body)
    except ValueError:
        return None
