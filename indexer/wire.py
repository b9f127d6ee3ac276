"""How requests look on the wire, and what the wire's failures mean in words of ours.

Fixed words and type names only: messages of the libraries below carry URLs, and URLs carry keys.
"""

import socket
import ssl
from importlib import metadata
from typing import Final

import anyio
import h11
import httpcore
import httpx

from indexer.config import SourceConfig
from indexer.decoding import ACCEPTED_ENCODINGS, BodyDecoder
from indexer.errors import BadPage, ServerTrouble, UsageError

#: A host that does not answer in this time is not there.
CONNECT_SECONDS: Final = 10.0

#: Everything the transport is known to raise. What is not listed is a bug of ours and stays loud.
TRANSPORT_ERRORS: Final = (
    httpx.HTTPError,
    httpx.StreamError,
    httpx.InvalidURL,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.TimeoutException,
    h11.ProtocolError,
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.EndOfStream,
    OSError,
)


def describe_failure(error: BaseException) -> str:
    """What went wrong on the way, in types and fixed words: messages of libraries carry URLs."""
    if isinstance(error, httpx.ConnectTimeout):
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
    names = dict.fromkeys(type(cause).__name__ for cause in causes)
    return f"the connection failed ({', '.join(names)})"


def _causes(error: BaseException) -> list[BaseException]:
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    return causes


def origin_of(config: SourceConfig) -> httpx.URL:
    """Scheme, host and port of ``base_url``; the sources put its path into their targets."""
    if config.base_url is None:
        raise UsageError(f"{config.name} is retired: set sources.{config.name}.base_url to use it")
    try:
        url: httpx.URL | None = httpx.URL(config.base_url)
    except (httpx.InvalidURL, ValueError):
        url = None
    if url is None or url.scheme not in {"http", "https"} or not url.host:
        raise UsageError(f"sources.{config.name}.base_url is not an http(s) URL with a host")
    return httpx.URL(scheme=url.scheme, host=url.host, port=url.port, path="/")


def open_transport(connections: int) -> httpx.AsyncHTTPTransport:
    """A bare transport, not httpx's client: no redirects, cookies, authentication or logged URLs.

    ``trust_env=False``: proxies and certificates from the environment would see or send our keys
    (a netrc file would even add credentials), and only bootstrap reads the environment.
    """
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    return httpx.AsyncHTTPTransport(trust_env=False, http2=False, limits=limits)


def _version() -> str:
    try:
        return metadata.version("indexer")
    except metadata.PackageNotFoundError:
        return "dev"


FIXED_HEADERS: Final = {
    "Accept": "application/json",
    "Accept-Encoding": ACCEPTED_ENCODINGS,
    "User-Agent": f"indexer/{_version()}",
}


def timeouts(seconds: float) -> dict[str, float]:
    """The transport's own time-outs, inside the deadline over the whole request."""
    connect = min(CONNECT_SECONDS, seconds)
    return {"connect": connect, "read": seconds, "write": seconds, "pool": seconds}


def fits_header(value: str) -> bool:
    """Whether this text can be a header as it stands."""
    return value.isascii() and value.isprintable()


def fits_target(text: str) -> bool:
    """Whether this text can be part of a target as it stands."""
    return text.isascii() and text.isprintable() and " " not in text


async def read_body(response: httpx.Response, what: str, max_bytes: int) -> bytes:
    """The whole decoded body. Raises BadPage above the cap, ServerTrouble when it is broken."""
    assert isinstance(response.stream, httpx.AsyncByteStream)
    try:
        decoder = BodyDecoder(response.headers.get("Content-Encoding", ""), what, max_bytes)
        async for chunk in response.stream:
            decoder.feed(chunk)
        return decoder.finish()
    except (BadPage, ServerTrouble):
        if not _status_says_enough(response.status_code):
            raise
    return b""


def _status_says_enough(status: int) -> bool:
    """An unreadable error page is still a refusal, a limit or trouble."""
    return status in {401, 402, 403, 429} or status >= 500
