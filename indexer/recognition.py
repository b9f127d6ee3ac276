"""Recognising a page: the same question, answered with the same bytes, says what it said last time. Pure.

Parsing is a pure function of question, facts and bytes. Where all three are those of the last published crawl
and the code that read it is the same, its result is known without parsing. What changes by itself in a body
(Algorand's round) is left out of the comparison and kept exactly all the same.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date
from re import Match, Pattern
from typing import Final

import msgspec

#: Bodies skipped by recognition are kept up to this size together, in case a later page differs.
SKIPPED_BYTES: Final = 4 * 1024 * 1024

#: The end of a body in which its last number is looked for first.
_END_BYTES: Final = 64


class Steady(msgspec.Struct, frozen=True, gc=False):
    """A body's digests, with and without what changes by itself."""

    whole_sha256: bytes
    #: SHA-256 of the steady part; None where nothing in the body changes by itself.
    sha256: bytes | None = None
    #: Where the changing number stands; both 0 where there is none.
    start: int = 0
    end: int = 0
    height: int | None = None


def find_steady(body: bytes, volatile: Pattern[bytes] | None) -> Steady:
    """The steady part of a body: all but the number that changes by itself, where that can be told."""
    found = None if volatile is None else _find_last(body, volatile) or _find_only(body, volatile)
    if found is None:
        return Steady(hashlib.sha256(body).digest())
    start, end = found.span(1)
    if body[end : end + 1] not in (b",", b"}"):
        # Spaces before and after it: without it, two bodies are the same that have it in different places.
        return Steady(hashlib.sha256(body).digest())
    whole = hashlib.sha256(memoryview(body)[:start])
    # What both begin with is digested once: the number stands near the end.
    steady = whole.copy()
    whole.update(memoryview(body)[start:])
    steady.update(memoryview(body)[end:])
    return Steady(whole.digest(), steady.digest(), start, end, int(found[1]))


def _find_last(body: bytes, volatile: Pattern[bytes]) -> Match[bytes] | None:
    """The number if it ends the body's object: it is no part of another object then, and the one that counts.

    That is where algod writes it, and looking nowhere else halves the time a page takes to be recognised.
    """
    *_, last = [None, *volatile.finditer(body, max(0, len(body) - _END_BYTES))]
    if last is None or body[last.end() :].strip() != b"}":
        return None
    # After a backslash its first quote is part of a longer name.
    return None if body[last.start() - 1 : last.start()] == b"\\" else last


def _find_only(body: bytes, volatile: Pattern[bytes]) -> Match[bytes] | None:
    """The number if it is there exactly once: else it cannot be told from one inside another object."""
    found = list(volatile.finditer(body))
    return found[0] if len(found) == 1 else None


class KnownPage(msgspec.Struct, frozen=True, gc=False):
    """A page of the last published crawl."""

    page_no: int
    cursor_in: str | None
    cursor_out: str | None
    items: int
    sha256: bytes
    steady_sha256: bytes | None
    #: The body it is kept as, whole or but for one number, and that body's length.
    body_sha256: bytes
    body_length: int


class KnownList(msgspec.Struct, frozen=True):
    """The pages a list had when it was last published."""

    crawl_id: int
    part_on: date
    facts: Mapping[str, str]
    pages: Sequence[KnownPage]
    #: Whether what its pages said is still known: the code that read them, and nothing in doubt.
    recognisable: bool = True

    @property
    def body_bytes(self) -> int:
        """The size of its bodies together, unpacked."""
        return sum(page.body_length for page in self.pages)

    def page_kept_in(self, part_on: date, page_no: int) -> KnownPage | None:
        """The page of this number, if its bytes are kept as long as those of that month."""
        if self.part_on != part_on or page_no > len(self.pages):
            return None
        return self.pages[page_no - 1]

    def recognise(
        self, page_no: int, cursor: str | None, facts: Mapping[str, str], body_sha256: bytes, steady: Steady
    ) -> KnownPage | None:
        """The page this answer repeats, or None."""
        if not self.recognisable or page_no > len(self.pages) or facts != self.facts:
            return None
        known = self.pages[page_no - 1]
        if known.page_no != page_no or known.cursor_in != cursor:
            return None
        if known.steady_sha256 is None:
            return known if body_sha256 == known.sha256 else None
        return known if steady.sha256 == known.steady_sha256 else None
