"""The values that travel between floors: what is asked, what was answered, what is held.

Everything here is frozen and plain. Nothing here does I/O, reads a clock or knows a source. What a page has
thousands of is a `msgspec.Struct`: made in a tenth of the time, and never visited by the garbage collector.
Amounts are integers in the smallest unit of the asset; ``None`` is "not stated", which is not 0.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Literal, NewType

import msgspec

#: Where the next page starts. Opaque text: only the source that wrote it can read it.
Cursor = NewType("Cursor", str)

#: Facts a source learned from look-ups (a rune's divisibility, an account number), by name.
Facts = Mapping[str, str]

#: Secrets of one source by key name (``api_key``), already revealed. They live in memory only.
Secrets = Mapping[str, str]

NO_FACTS: Facts = MappingProxyType({})

#: The largest amount any chain here can state: an unsigned 256-bit integer.
LARGEST_AMOUNT = 2**256 - 1


class Question(msgspec.Struct, frozen=True):
    """What one crawl wants to know next: the same question always gives the same request."""

    #: Canonical addresses. One, except for sources that take a batch (``Source.batch``).
    addresses: tuple[str, ...]
    #: ``''`` except for ``okx_runes``, where it is the rune id.
    scope: str = ""
    #: ``None`` asks for the first page.
    cursor: Cursor | None = None
    facts: Facts = msgspec.field(default_factory=lambda: NO_FACTS)


class Request(msgspec.Struct, frozen=True):
    """One HTTP request without its secrets. ``target`` is sent and signed exactly as it stands."""

    method: Literal["GET", "POST"]
    #: Path and query as they go on the wire, with the prefix of ``base_url`` in front.
    target: str
    #: What is stored and logged instead of the target: no address, cursor or key in it.
    template: str
    body: bytes = b""
    #: A look-up teaches facts that pages need; it is kept as raw bytes like a page.
    kind: Literal["page", "lookup"] = "page"


class Holding(msgspec.Struct, frozen=True, gc=False):
    """One position of one asset at one address, as one page stated it."""

    address: str
    asset_ref: str
    sub_key: str = ""
    #: Smallest units. ``None``: held, but the API does not say how much.
    amount: int | None = None
    decimals: int | None = None
    #: The part of ``amount`` that cannot move, in smallest units, where the API states one.
    locked: int | None = None
    frozen: bool | None = None
    delegate: str | None = None
    #: Canonical JSON object of what is true of this position (``sources.base.canonical_json``).
    details: str = "{}"


class Unreadable(msgspec.Struct, frozen=True, gc=False):
    """An item the API listed but nobody could read. Listed is not absent."""

    reason: str
    #: ``None``: even the owner could not be read, so every address of the question is affected.
    address: str | None = None
    #: ``None``: the key could not be read, so nobody knows which holding it was.
    asset_ref: str | None = None
    sub_key: str = ""


class Asset(msgspec.Struct, frozen=True, weakref=True):
    """Facts about an asset itself, the same for every owner."""

    asset_ref: str
    kind: Literal["native", "fungible", "nft", "other"]
    symbol: str | None = None
    name: str | None = None
    decimals: int | None = None
    #: Canonical JSON object: the API's whole description, without owner-specific fields.
    metadata: str = "{}"


class Price(msgspec.Struct, frozen=True, gc=False):
    """A price the API mentioned. An ask belongs to its position and values nothing else."""

    address: str
    asset_ref: str
    kind: Literal["ask", "market"]
    currency: str
    price: Decimal
    sub_key: str = ""


class SplitPage(msgspec.Struct, frozen=True):
    """A page cut into its rows, each the exact bytes of one element of the list.

    All pages of a source have bytes there, or all have views of them (`msgspec.Raw`).
    """

    rows: Sequence[bytes]
    before: bytes
    after: bytes

    def with_rows(self, rows: Sequence[bytes]) -> bytes:
        """A page that says the same of itself and lists these rows."""
        return self.before + b",".join(rows) + self.after


class Page(msgspec.Struct, frozen=True):
    """One answer, read. Immutable; the order of ``holdings`` is the order of the list."""

    holdings: tuple[Holding, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    assets: tuple[Asset, ...] = ()
    prices: tuple[Price, ...] = ()
    #: ``None``: this was the last page.
    next_cursor: Cursor | None = None
    #: The API's own count of the whole list, where it gives one that can be trusted.
    reported_total: int | None = None
    #: Rows listed that are not holdings by rule (burnt, balance 0 at Loopring).
    not_held: int = 0
    #: The chain height the API stated for this page (Algorand's round).
    height: int | None = None
    #: Facts this answer taught, for the rest of the crawl.
    facts: Facts = msgspec.field(default_factory=lambda: NO_FACTS)
    #: Names in ``facts`` that later crawls may rely on too.
    lasting: frozenset[str] = frozenset()
    #: This answer only taught facts: the same cursor must be asked again with them.
    teaches_only: bool = False
    #: The source saw by itself that the list moved between pages.
    moved: bool = False
    #: Names of facts. Where one is known, this answer leaves rows out, so that its list proves no absence.
    lacks: frozenset[str] = frozenset()
    #: The same of an answer that does not show whether it does: unless a page of the list tells the fact.
    may_lack: frozenset[str] = frozenset()
