"""Bodies: exact bytes as they are stored, and exact bytes again. Pure.

A body is stored once per content and month: whole (`zstd`, or `none` where that is shorter), or as what is
new beside the same page's earlier body: a `patch` where both were cut into rows, else a `delta`, which is
zstd with the earlier body as its dictionary. Behind each of those stands a whole body of the same month, at
most `MOST_DEPTH` steps away. A page that repeats a body but for one number keeps a splice.
"""

import hashlib
import struct
from collections.abc import Sequence
from typing import Final, Literal

import msgspec
import zstandard

from indexer.errors import BadPage
from indexer.recognition import KnownPage, Steady
from indexer.row_runs import Run
from indexer.store.patches import CutBody, apply_patch, make_patch

_COMPRESSOR: Final = zstandard.ZstdCompressor(level=3)

#: Steps from a body to the whole one behind it, at most: what reading one page may cost.
MOST_DEPTH: Final = 12

#: What is new and not this much shorter than the whole body behind it starts a new whole one.
_WORTH: Final = 0.5

#: A splice: where it begins, how many bytes of the body it replaces; the replacement follows.
_SPLICE: Final = struct.Struct(">II")

#: What unpacking and parsing stored bytes raise when a hand or a disk has changed them.
UNREADABLE: Final = (BadPage, ValueError, struct.error, zstandard.ZstdError)


class Body(msgspec.Struct, frozen=True, gc=False):
    """Exact bytes as they are stored: content-addressed, compressed by us."""

    #: Of the stored body.
    sha256: bytes
    codec: Literal["none", "zstd", "delta", "patch"]
    length: int
    #: None: this body is stored already.
    stored: bytes | None
    #: The body a delta or a patch was made against, and the steps from here to a whole one.
    base_sha256: bytes | None = None
    depth: int = 0
    #: Where the page differs from the body in one place: that place, and the SHA-256 of the page.
    splice: bytes | None = None
    exact_sha256: bytes | None = None


def pack(body: bytes, sha256: bytes | None = None) -> Body:
    """Compress a body, unless that makes it longer."""
    packed = _COMPRESSOR.compress(body)
    sha256 = sha256 or hashlib.sha256(body).digest()
    if len(packed) < len(body):
        return Body(sha256, "zstd", len(body), packed)
    return Body(sha256, "none", len(body), body)


def pack_known(body: bytes, sha256: bytes, steady: Steady, known: KnownPage) -> Body:
    """A page that repeats a stored body, apart from the number that changes by itself."""
    if sha256 == known.body_sha256:
        return Body(sha256, "none", len(body), None)
    replaced = known.body_length - (len(body) - (steady.end - steady.start))
    splice = _SPLICE.pack(steady.start, replaced) + body[steady.start : steady.end]
    return Body(known.body_sha256, "none", known.body_length, None, splice=splice, exact_sha256=sha256)


def pack_changed(
    body: bytes,
    sha256: bytes,
    base: "StoredBody | None",
    base_sha256: bytes,
    cut: tuple[CutBody, CutBody, Sequence[Run]] | None = None,
) -> Body:
    """A page that says something else than the stored ``base``: what is new about it, where that is short.

    ``cut``: the exact bytes of the base and this body with their rows, where both have any, and equal ones.
    """
    if base is None:
        return pack(body, sha256)
    whole = base.whole
    if base.depth < MOST_DEPTH:
        patch = None if cut is None else make_patch(*cut)
        if patch is not None and len(patch) <= len(whole.stored) * _WORTH:
            return Body(sha256, "patch", len(body), patch, base_sha256, base.depth + 1)
    earlier, name, depth = base, base_sha256, base.depth + 1
    if depth > MOST_DEPTH and base.whole_sha256 is not None:
        earlier, name, depth = whole, base.whole_sha256, 1
    packed = _compress_against(earlier.unpack(), body)
    if len(packed) > len(whole.stored) * _WORTH:
        return pack(body, sha256)
    return Body(sha256, "delta", len(body), packed, name, depth)


def _compress_against(earlier: bytes, body: bytes) -> bytes:
    """Level 1 finds repetitions of any earlier place, if its table has room for the whole of it."""
    both = (len(earlier) + len(body)).bit_length()
    parameters = zstandard.ZstdCompressionParameters.from_level(
        1, window_log=max(both, 10), hash_log=min(max(len(earlier).bit_length(), 17), 22)
    )
    dictionary = zstandard.ZstdCompressionDict(earlier, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    return zstandard.ZstdCompressor(dict_data=dictionary, compression_params=parameters).compress(body)


class StoredBody(msgspec.Struct, frozen=True):
    """A body as it stands in the database."""

    codec: str
    length: int
    stored: bytes
    #: The body a delta or a patch was made against.
    base: "StoredBody | None" = None
    #: SHA-256 of the whole body behind it, where it is known.
    whole_sha256: bytes | None = None

    @property
    def depth(self) -> int:
        """Steps to the whole body."""
        return 0 if self.base is None else self.base.depth + 1

    @property
    def whole(self) -> "StoredBody":
        """The body that stands alone behind this one."""
        return self if self.base is None else self.base.whole

    def unpack(self) -> bytes:
        """The exact bytes again."""
        if self.codec == "none":
            return self.stored
        if self.codec == "zstd":
            return zstandard.ZstdDecompressor().decompress(self.stored, max_output_size=self.length)
        if self.base is None:
            raise ValueError("the body behind this one is gone")
        if self.codec == "patch":
            return apply_patch(self.base.unpack(), self.stored)
        dictionary = zstandard.ZstdCompressionDict(
            self.base.unpack(), dict_type=zstandard.DICT_TYPE_RAWCONTENT
        )
        return zstandard.ZstdDecompressor(dict_data=dictionary).decompress(
            self.stored, max_output_size=self.length
        )


def stored_body(
    codecs: Sequence[str], lengths: Sequence[int], bodies: Sequence[bytes], whole_sha256: bytes | None = None
) -> StoredBody | None:
    """A body from its chain: itself first, the whole one last. None: there is no such body."""
    chain: StoredBody | None = None
    for codec, length, body in zip(reversed(codecs), reversed(lengths), reversed(bodies), strict=True):
        chain = StoredBody(codec, length, body, chain, None if chain is None else whole_sha256)
    return chain


def apply_splice(body: bytes, splice: bytes | None) -> bytes:
    """The exact bytes of a page from its body and what differs from it."""
    if splice is None:
        return body
    start, replaced = _SPLICE.unpack_from(splice)
    return body[:start] + splice[_SPLICE.size :] + body[start + replaced :]


def steady_digest(exact: bytes, splice: bytes | None) -> bytes:
    """SHA-256 of exact bytes without what their splice put there."""
    start, size = 0, 0
    if splice is not None:
        start, size = _SPLICE.unpack_from(splice)[0], len(splice) - _SPLICE.size
    digest = hashlib.sha256(exact[:start])
    digest.update(exact[start + size :])
    return digest.digest()
