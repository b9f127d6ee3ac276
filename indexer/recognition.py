"""Recognising a page: the same question, answered with the same bytes, says what it said last time. Pure.

Parsing is a pure function of question, facts and bytes. Where all three are those of the last published crawl
and the code that read it is the same, its result is known without parsing. What changes by itself in a body
(Algorand's round) is left out of the comparison and kept exactly all the same.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from re import Pattern
from typing import Final

#: Bodies skipped by recognition are kept up to this size together, in case a later page differs.
SKIPPED_BYTES: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Steady:
    """A body's digests, with and without what changes by itself."""

    whole_sha256: bytes
    #: SHA-256 of the steady part; None where nothing in the body changes by itself.
    sha256: bytes | None = None
    #: Where the changing number stands; both 0 where there is none.
    start: int = 0
    end: int = 0
    height: int | None = None


def find_steady(body: bytes, volatile: Pattern[bytes] | None) -> Steady:
    """The steady part of a body. A number that is not there exactly once cannot be told from a name."""
    found = [] if volatile is None else list(volatile.finditer(body))
    if len(found) != 1:
        return Steady(hashlib.sha256(body).digest())
    start, end = found[0].span(1)
    whole = hashlib.sha256(memoryview(body)[:start])
    # What both begin with is digested once: the number stands near the end.
    steady = whole.copy()
    whole.update(memoryview(body)[start:])
    steady.update(memoryview(body)[end:])
    return Steady(whole.digest(), steady.digest(), start, end, int(found[0][1]))


@dataclass(frozen=True, slots=True)
class KnownPage:
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


@dataclass(frozen=True, slots=True)
class KnownList:
    """The pages a list had when it was last published."""

    crawl_id: int
    part_on: date
    facts: Mapping[str, str]
    pages: Sequence[KnownPage]
    #: Whether what its pages said is still known: the code that read them, and nothing in doubt.
    recognisable: bool = True

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
