"""How requests look on the wire, what is kept of answers, and what the wire's failures mean in words of ours.

Fixed words and type names only: what others say of a failure may carry a host, a URL or a key.
"""

import ipaddress
import re
import socket
import ssl
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from indexer import __version__
from indexer.answer import WireError
from indexer.config import SourceConfig
from indexer.connection import ConnectTimeout, Origin
from indexer.decoding import ACCEPTED_ENCODINGS, BodyDecoder
from indexer.errors import BadPage, RequestRejected, ServerTrouble, UsageError

#: A host that does not answer in this time is not there.
CONNECT_SECONDS: Final = 10.0

#: Everything an exchange is known to raise. What is not listed is a bug of ours and stays loud.
TRANSPORT_ERRORS: Final = (WireError, OSError)

FIXED_HEADERS: Final = {
    "Accept": "application/json",
    "Accept-Encoding": ACCEPTED_ENCODINGS,
    "User-Agent": f"indexer/{__version__}",
}

_PORTS: Final = {"http": 80, "https": 443}
_HOST: Final = re.compile(r"[A-Za-z0-9._~-]+")


def describe_failure(error: BaseException) -> str:
    """What went wrong on the way, in types and fixed words."""
    if isinstance(error, ConnectTimeout):
        # First: a TLS handshake that only took too long has an SSLError among its causes.
        return "no connection in time (ConnectTimeout)"
    causes = _causes(error)
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            reason = getattr(cause, "verify_message", "no reason given")
            return f"the TLS certificate was not accepted ({reason})"
        if isinstance(cause, ssl.SSLError):
            return "the TLS connection failed (SSLError)"
        if isinstance(cause, socket.gaierror):
            return "the host of base_url cannot be resolved (DNS)"
    if isinstance(error, WireError):
        return f"the connection failed ({error})"
    names = dict.fromkeys(type(cause).__name__ for cause in causes)
    return f"the connection failed ({', '.join(names)})"


def _causes(error: BaseException) -> list[BaseException]:
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    return causes


def origin_of(config: SourceConfig) -> Origin:
    """Scheme, host and port of ``base_url``; the sources put its path into their targets."""
    if config.base_url is None:
        raise UsageError(f"{config.name} is retired: set sources.{config.name}.base_url to use it")
    origin = _read_origin(config.base_url)
    if origin is None:
        raise UsageError(f"sources.{config.name}.base_url is not an http(s) URL with a host")
    return origin


def _read_origin(base_url: str) -> Origin | None:
    try:
        parts = urlsplit(base_url)
        port = parts.port or _PORTS[parts.scheme]
        host = _canonical_host(parts.hostname or "")
    except (ValueError, KeyError):
        return None
    return Origin(parts.scheme, host, port)


def _canonical_host(host: str) -> str:
    """The host as it is resolved and named in requests. Raises ValueError if it cannot be one."""
    if ":" in host:
        return str(ipaddress.IPv6Address(host))
    host = host if host.isascii() else host.encode("idna").decode("ascii")
    if _HOST.fullmatch(host) is None:
        raise ValueError("not a host name")
    return host


def fits_header(value: str) -> bool:
    """Whether this text can be a header as it stands."""
    return value.isascii() and value.isprintable()


def fits_target(text: str) -> bool:
    """Whether this text can be part of a target as it stands."""
    return text.isascii() and text.isprintable() and " " not in text


class RequestWriter:
    """Writes requests to one origin. What they are made of must fit: see the two functions above."""

    def __init__(self, origin: Origin) -> None:
        host = f"[{origin.host}]" if ":" in origin.host else origin.host
        usual = origin.port == _PORTS[origin.scheme]
        host_header = {"Host": host if usual else f"{host}:{origin.port}"}
        self._start = _write_headers(host_header | FIXED_HEADERS)

    def write(self, method: str, target: bytes, headers: Mapping[str, str], body: bytes) -> bytes:
        """The whole request: the target and the body stay as they are, byte for byte."""
        start = b"%b %b HTTP/1.1\r\n%b" % (method.encode("ascii"), target, self._start)
        if body or method != "GET":
            headers = {"Content-Type": "application/json", **headers, "Content-Length": str(len(body))}
        return b"%b%b\r\n%b" % (start, _write_headers(headers), body)


def _write_headers(headers: Mapping[str, str]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("ascii")


class Reply:
    """One answer as it comes in: its body is decoded under a cap, and what cannot be believed is refused."""

    def __init__(self, what: str, max_bytes: int) -> None:
        """``what`` names the request in errors."""
        self._what = what
        self._max_bytes = max_bytes
        #: None: no answer came.
        self.status: int | None = None
        self.headers: Mapping[str, str] = {}
        self._decoder: BodyDecoder | None = None

    def begin(self, status: int, headers: Mapping[str, str]) -> bool:
        """The head. Raises RequestRejected for a redirect; otherwise see ``feed``."""
        self.status, self.headers = status, headers
        if 300 <= status < 400:
            raise RequestRejected(f"{self._what}: {status}, redirects are not followed")
        try:
            self._decoder = BodyDecoder(headers.get("content-encoding", ""), self._what, self._max_bytes)
        except BadPage:
            if not self._may_be_unreadable():
                raise
            return False
        return True

    def feed(self, data: bytes) -> bool:
        """More of the body. Raises BadPage above the cap, ServerTrouble when it is broken."""
        try:
            if self._decoder is not None:
                self._decoder.feed(data)
        except (BadPage, ServerTrouble):
            if not self._may_be_unreadable():
                raise
            return False
        return True

    def finish(self) -> bytes:
        """The whole decoded body, when the answer is complete. Raises ServerTrouble when it was cut off."""
        try:
            return b"" if self._decoder is None else self._decoder.finish()
        except ServerTrouble:
            if not self._may_be_unreadable():
                raise
        return b""

    def _may_be_unreadable(self) -> bool:
        """An unreadable error page is still a refusal, a limit or trouble; of anything else it is the end."""
        assert self.status is not None
        if self.status not in {401, 402, 403, 429} and self.status < 500:
            return False
        self._decoder = None
        return True
