"""The body of an answer, decoded in small steps under a cap.

A body comes from a stranger: a kilobyte may unpack to a gigabyte, stop in the middle or never end.
Nothing here does I/O; whoever feeds it stops at the first error.
"""

import zlib
from typing import Final, Protocol

from indexer.errors import BadPage, ServerTrouble

#: What a request may ask for: exactly the encodings that are read here.
ACCEPTED_ENCODINGS: Final = "gzip, deflate"

#: Decoded bytes made at once: memory never exceeds the cap by more than this.
STEP_BYTES: Final = 64 * 1024

_GZIP_BITS: Final = 31
_ZLIB_BITS: Final = 15
_BARE_DEFLATE_BITS: Final = -15
_MIB: Final = 1024 * 1024


class _Inflater(Protocol):
    """The part of zlib's decompression object that is used."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class BodyDecoder:
    """Collects one body. ``feed`` raw bytes as they arrive, then ``finish``."""

    def __init__(self, content_encoding: str, what: str, max_bytes: int) -> None:
        """``what`` names the request in errors; ``max_bytes`` caps raw and decoded size alike."""
        self._encoding = _known_encoding(content_encoding, what)
        self._what = what
        self._max_bytes = max_bytes
        self._raw_bytes = 0
        self._pieces: list[bytes] = []
        self._decoded_bytes = 0
        #: Fewer than two bytes say nothing about which deflate this is.
        self._undecided = b""
        self._inflater: _Inflater | None = None

    @property
    def decoded_bytes(self) -> int:
        """How much is held in memory by now."""
        return self._decoded_bytes

    def feed(self, data: bytes) -> None:
        """Take the next raw bytes. Raises BadPage above the cap, ServerTrouble for corrupt data."""
        self._raw_bytes += len(data)
        if self._raw_bytes > self._max_bytes:
            raise self._too_large()
        if self._encoding == "identity":
            self._keep(data)
            return
        try:
            self._inflate(data)
        except zlib.error:
            self._pieces.clear()
            raise ServerTrouble(f"{self._what}: the {self._encoding} body is corrupt") from None

    def finish(self) -> bytes:
        """The whole decoded body. Raises ServerTrouble if it stopped before its end."""
        # No bytes at all is an empty body under any encoding: some servers label their empty 429s.
        if self._encoding != "identity" and self._raw_bytes:
            self._drain()
        return b"".join(self._pieces)

    def _inflate(self, data: bytes) -> None:
        if self._inflater is None:
            data = self._undecided + data
            self._undecided = data
            if len(data) < 2:
                return
            self._inflater = zlib.decompressobj(_window_bits(self._encoding, data))
        inflater = self._inflater
        while data:
            if inflater.eof:
                inflater = self._inflater = self._next_member()
            self._keep(inflater.decompress(data, STEP_BYTES))
            data = inflater.unused_data if inflater.eof else inflater.unconsumed_tail

    def _next_member(self) -> _Inflater:
        """A gzip file may have several members; anything else after the end is not the body's."""
        if self._encoding != "gzip":
            raise ServerTrouble(f"{self._what}: the {self._encoding} body goes on after its end")
        return zlib.decompressobj(_GZIP_BITS)

    def _drain(self) -> None:
        inflater = self._inflater
        # zlib may hold decoded bytes back when a step was full; it gives them for no input.
        while inflater is not None and not inflater.eof:
            piece = inflater.decompress(b"", STEP_BYTES)
            if not piece and not inflater.eof:
                break
            self._keep(piece)
        if inflater is None or not inflater.eof:
            raise ServerTrouble(f"{self._what}: the {self._encoding} body was cut off")

    def _keep(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._decoded_bytes += len(piece)
        if self._decoded_bytes > self._max_bytes:
            raise self._too_large()

    def _too_large(self) -> BadPage:
        # Whoever keeps the error keeps this decoder by its traceback: not the body too.
        self._pieces.clear()
        return BadPage(f"{self._what}: the body is more than {_show_size(self._max_bytes)}")


def _known_encoding(content_encoding: str, what: str) -> str:
    """The one encoding in this header. Raises BadPage for what nobody asked for."""
    encoding = content_encoding.strip().lower() or "identity"
    encoding = {"x-gzip": "gzip"}.get(encoding, encoding)
    if encoding not in {"identity", "gzip", "deflate"}:
        kind = "a stacked" if "," in encoding else "an unknown"
        raise BadPage(f"{what}: the body has {kind} content encoding that was not asked for")
    return encoding


def _window_bits(encoding: str, start: bytes) -> int:
    """How zlib must read this. "deflate" means zlib by the book, but some servers send it bare."""
    if encoding == "gzip":
        return _GZIP_BITS
    zlib_header = start[0] & 0x0F == 8 and int.from_bytes(start[:2], "big") % 31 == 0
    return _ZLIB_BITS if zlib_header else _BARE_DEFLATE_BITS


def _show_size(size: int) -> str:
    return f"{size // _MIB} MiB" if size % _MIB == 0 else f"{size} bytes"
