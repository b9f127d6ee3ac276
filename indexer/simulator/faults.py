"""Which fault strikes which request, and the table of all kinds.

A fault is added once and applies a number of times; threads may add and remove while the
server runs. What a kind does is one small function in the five files `*_faults.py`.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from indexer.simulator import answer_faults, foreign_faults, odd_faults, protocol_faults, wire_faults
from indexer.simulator.positions import SOURCES, Item
from indexer.simulator.state import Hide
from indexer.simulator.wire import Question

#: Kinds that change what an answer says.
ANSWER_KINDS: Final[dict[str, answer_faults.Bend]] = {
    "empty_200": answer_faults.empty_200,
    "item_error": answer_faults.item_error,
    "item_key_unreadable": answer_faults.item_key_unreadable,
    "repeated_cursor": answer_faults.repeated_cursor,
    "duplicate_page": answer_faults.duplicate_page,
    "repeated_edge": answer_faults.repeated_edge,
    "skipped_rows": answer_faults.skipped_rows,
    "totals_disagree": answer_faults.totals_disagree,
    "wrong_type": answer_faults.wrong_type,
    "missing_field": answer_faults.missing_field,
    "expired_cursor": answer_faults.expired_cursor,
    "api_error": answer_faults.api_error,
    "truncated_json": answer_faults.truncated_json,
    "html_200": answer_faults.html_200,
    "invalid_utf8": answer_faults.invalid_utf8,
    "deep_nesting": answer_faults.deep_nesting,
    "redirect": answer_faults.redirect,
    "wrong_id": answer_faults.wrong_id,
    **odd_faults.KINDS,
    **foreign_faults.KINDS,
}
#: Kinds that break the connection.
WIRE_KINDS: Final[dict[str, wire_faults.Break]] = {
    "hang": wire_faults.hang,
    "slow_drip": wire_faults.slow_drip,
    "reset_mid_body": wire_faults.reset_mid_body,
    "short_body": wire_faults.short_body,
    "no_answer": wire_faults.no_answer,
    "gzip_bomb": wire_faults.gzip_bomb,
    "endless_body": wire_faults.endless_body,
    "huge_headers": wire_faults.huge_headers,
    "wrong_content_type": wire_faults.wrong_content_type,
    "stacked_encodings": wire_faults.stacked_encodings,
    "corrupt_gzip": wire_faults.corrupt_gzip,
    **protocol_faults.KINDS,
}


def _hide_share(value: Any) -> Hide:
    """Hide this share of the items (default 0.6), the same ones on every page."""
    tenths = round(10 * float(value or 0.6))
    return lambda item: item.number * 7 % 10 < tenths


def _hide_keys(value: Any) -> Hide:
    """Hide the items whose (asset_ref, sub_key) is in ``value``."""
    hidden = frozenset(value or ())

    def hides(item: Item) -> bool:
        return item.key in hidden

    return hides


def _hide_since(value: Any) -> Hide:
    """Hide the items that arrived or changed after this round (default 0)."""
    seen = int(value or 0)
    return lambda item: item.touched > seen


#: Kinds that show less of the world than there is, page after page.
VIEW_KINDS: Final[dict[str, Callable[[Any], Hide]]] = {
    "half_gone": _hide_share,
    "hidden": _hide_keys,
    "lagging_node": _hide_since,
}

#: ``status`` answers with ``Fault.status``; the rest is in the three tables.
KINDS: Final = frozenset({"status", *ANSWER_KINDS, *WIRE_KINDS, *VIEW_KINDS})
#: Kinds that only some APIs have a place for.
_ONLY: Final = {
    "totals_disagree": ("solana_das", "loopring"),
    "wrong_id": ("solana_das",),
    "unknown_enum": tuple(odd_faults.ENUMS),
    "other_owner": foreign_faults.STRANGERS,
    "upper_hex": foreign_faults.HEXADECIMAL,
    "circling_link": ("hedera",),
    "link_skips": ("hedera",),
    "link_filters": ("hedera",),
    "older_round": ("algorand",),
    "lagging_node": ("algorand",),
}


def kinds_of(source: str) -> tuple[str, ...]:
    """Every kind of fault this source can have, in a fixed order."""
    return tuple(sorted(kind for kind in KINDS if source in _ONLY.get(kind, SOURCES)))


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong, for which requests, and how often."""

    source: str
    kind: str
    #: '' strikes every address.
    address: str = ""
    #: The page of the walk, from 1. ``None``: any.
    page: int | None = None
    #: Only the n-th matching request since it was added, from 1. ``None``: every one.
    nth: int | None = None
    #: ``None``: until removed.
    times: int | None = 1
    where: Literal["page", "lookup", "any"] = "page"
    #: What the kind takes: a key of BAD_AMOUNTS, a location, seconds, a share, keys.
    value: Any = None
    #: For the kind ``status``; without a body, the one the API documents is used.
    status: int = 500
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no such fault: {self.kind}")
        if self.source not in SOURCES:
            raise ValueError(f"no such source: {self.source}")
        if self.kind not in kinds_of(self.source):
            raise ValueError(f"no such fault at {self.source}: {self.kind}")

    def matches(self, question: Question, page: int) -> bool:
        """Whether a request of this source is one this fault is meant for."""
        if self.where != "any" and (self.where == "page") != question.is_page:
            return False
        if self.page is not None and self.page != page:
            return False
        return not self.address or self.address.lower() in (given.lower() for given in question.addresses)


@dataclass(slots=True)
class _Entry:
    fault: Fault
    seen: int = 0
    struck: int = 0


@dataclass(slots=True)
class FaultBook:
    """The faults in force."""

    _entries: dict[int, _Entry] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _next: int = 0
    #: Every fault that struck, in order.
    struck: list[Fault] = field(default_factory=list)

    def add(self, fault: Fault) -> int:
        """Put a fault in force. Returns the number by which ``remove`` knows it."""
        with self._lock:
            self._next += 1
            self._entries[self._next] = _Entry(fault)
            return self._next

    def remove(self, number: int) -> None:
        """Take a fault out of force; one that has ended by itself is no error."""
        with self._lock:
            self._entries.pop(number, None)

    def clear(self) -> None:
        """Take every fault out of force."""
        with self._lock:
            self._entries.clear()

    def take(self, source: str, question: Question, page: int) -> tuple[Fault, ...]:
        """The faults that strike this request; each counts it."""
        if not self._entries:
            return ()
        with self._lock:
            found = tuple(
                entry.fault
                for number, entry in list(self._entries.items())
                if entry.fault.source == source and self._strikes(number, entry, question, page)
            )
            self.struck.extend(found)
            return found

    def _strikes(self, number: int, entry: _Entry, question: Question, page: int) -> bool:
        fault = entry.fault
        if not fault.matches(question, page):
            return False
        entry.seen += 1
        if fault.nth is not None and fault.nth != entry.seen:
            return False
        entry.struck += 1
        if fault.times is not None and entry.struck >= fault.times:
            del self._entries[number]
        return True
