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
    """A body without what changes by itself."""

    #: SHA-256 of the steady part; None where nothing in the body changes by itself.
    sha256: bytes | None
    #: Where the changing number stands; both 0 where there is none.
    start: int = 0
    end: int = 0
    height: int | None = None


NOTHING_VOLATILE: Final = Steady(None)


def find_steady(body: bytes, volatile: Pattern[bytes] | None) -> Steady:
    """The steady part of a body. A number that is not there exactly once cannot be told from a name."""
    if volatile is None:
        return NOTHING_VOLATILE
    found = list(volatile.finditer(body))
    if len(found) != 1:
        return NOTHING_VOLATILE
    start, end = found[0].span(1)
    digest = hashlib.sha256(memoryview(body)[:start])
    digest.update(memoryview(body)[end:])
    return Steady(digest.digest(), start, end, int(found[0][1]))


@dataclass(frozen=True, slots=True)
class KnownPage:
    """A page of the last published crawl."""

    page_no: int
    cursor_in: str | None
    cursor_out: str | None
    items: int
    sha256: bytes
    steady_sha256: bytes | None
    #: The body that stands alone behind it: its own, or the one it is a splice of; and that one's length.
    base_sha256: bytes
    base_length: int


@dataclass(frozen=True, slots=True)
class KnownList:
    """The pages a list had when it was last published."""

    crawl_id: int
    part_on: date
    facts: Mapping[str, str]
    pages: Sequence[KnownPage]

    def recognise(
        self, page_no: int, cursor: str | None, facts: Mapping[str, str], body_sha256: bytes, steady: Steady
    ) -> KnownPage | None:
        """The page this answer repeats, or None."""
        if page_no > len(self.pages) or facts != self.facts:
            return None
        known = self.pages[page_no - 1]
        if known.page_no != page_no or known.cursor_in != cursor:
            return None
        if known.steady_sha256 is None:
            return known if body_sha256 == known.sha256 else None
        return known if steady.sha256 == known.steady_sha256 else None
