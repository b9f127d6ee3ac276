"""What the pages of a crawl told, and the list they add up to: by the promises alone, not yet believed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

#: asset_ref, sub_key
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Content:
    """What a list says of one holding."""

    amount: int | None
    decimals: int | None = None
    frozen: bool | None = None
    delegate: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One listed item. No key: nobody can tell which holding it is. No content: it cannot be read."""

    key: Key | None
    content: Content | None
    #: Only where one list speaks of several addresses.
    address: str = ""


@dataclass(frozen=True, slots=True)
class Served:
    """What one answer said."""

    rows: tuple[Row, ...]
    height: int | None = None
    #: How long the list is in all, as the API counts it.
    total: int | None = None
    #: Rows that say that nothing is held.
    empty_rows: int = 0


@dataclass(frozen=True, slots=True)
class FullList:
    """A whole list as its pages stated it. A content of None: listed, but nobody could read it."""

    listed: Mapping[Key, Content | None]
    #: Items of which not even the key could be read.
    nameless: int
    #: When the page that lists a key was fetched.
    seen_at: Mapping[Key, datetime]
    first_page_at: datetime
    last_page_at: datetime
    consistency: str
    #: Chain height at the first and at the last page, where the API states it.
    heights: tuple[int, int] | None = None
    #: A row came twice where the API counts rows: another one never came.
    falls_short: bool = False
    #: What each page lists, pages without a row that has a name left out.
    pages: Sequence[frozenset[Key]] = ()
    #: Nothing on it shows that its server lists what lies in token accounts too, as another one is known to.
    may_hide: bool = False
    #: And it misses what may lie in one.
    hides: bool = False

    def lags_behind(self, height: int | None) -> bool:
        """Whether any of it was told before the chain was this high."""
        return height is not None and self.heights is not None and min(self.heights) < height

    @property
    def drifted(self) -> bool:
        """The list moved while it was paged."""
        return self.consistency == "drifted"

    @property
    def proves(self) -> bool:
        """Whether what it does not list is missing from it: a nameless item may be anything."""
        return self.nameless == 0 and not self.falls_short and not self.hides

    @property
    def proves_absence(self) -> bool:
        """Whether that alone shows it to be absent: a list that moved may have missed it."""
        return self.proves and not self.drifted

    @property
    def unread(self) -> int:
        """Listed items that could not be read."""
        return sum(content is None for content in self.listed.values()) + self.nameless

    @property
    def length(self) -> int:
        """Everything listed, readable or not."""
        return len(self.listed) + self.nameless


@dataclass(slots=True)
class _Pages:
    """The pages of a crawl on their way into one list."""

    listed: dict[Key, Content | None] = field(default_factory=dict)
    seen_at: dict[Key, datetime] = field(default_factory=dict)
    nameless: int = 0
    #: On which pages a key stands, and whether it is told differently there.
    places: dict[Key, list[int]] = field(default_factory=dict)
    contradicts: bool = False

    @classmethod
    def read(cls, told: Sequence[tuple[Served, datetime]], address: str) -> Self:
        """Everything these pages say of one address."""
        pages = cls()
        for number, (served, fetched_at) in enumerate(told):
            for row in served.rows:
                if row.address == address:
                    pages._take(number, row, fetched_at)
        return pages

    def _take(self, number: int, row: Row, fetched_at: datetime) -> None:
        if row.key is None:
            self.nameless += 1
            return
        again = row.key in self.listed
        self.contradicts |= again and self.listed[row.key] != row.content
        self.places.setdefault(row.key, []).append(number)
        # The later page wins, but for a row that cannot be read.
        if row.content is not None or self.listed.get(row.key) is None:
            self.listed[row.key] = row.content
            self.seen_at[row.key] = fetched_at

    @property
    def repeats(self) -> Mapping[Key, Sequence[int]]:
        """The keys that came more than once, and where."""
        return {key: numbers for key, numbers in self.places.items() if len(numbers) > 1}

    @property
    def by_page(self) -> Sequence[frozenset[Key]]:
        """The keys of each page that has any."""
        found: dict[int, set[Key]] = {}
        for key, numbers in self.places.items():
            for number in numbers:
                found.setdefault(number, set()).add(key)
        return [frozenset(found[number]) for number in sorted(found)]

    def says_nothing_new(self) -> bool:
        """Whether a page only repeats what came before."""
        rows = Counter(number for numbers in self.places.values() for number in numbers)
        old = Counter(numbers[-1] for numbers in self.repeats.values() if numbers[0] < numbers[-1])
        return any(count >= rows[number] for number, count in old.items())


def fold(told: Sequence[tuple[Served, datetime]], address: str, times: tuple[datetime, datetime]) -> FullList:
    """The list that these pages tell of one address, and whether it stood still meanwhile."""
    pages, answers = _Pages.read(told, address), [served for served, _ in told]
    heights = [served.height for served in answers if served.height is not None]
    falls_short = bool(pages.repeats) and answers[0].total is not None
    consistency = "point" if len(told) == 1 or len(set(heights)) == 1 else "window"
    if falls_short or _moved(answers, heights) or _is_restless(pages):
        consistency = "drifted"
    stated = (heights[0], heights[-1]) if heights else None
    return FullList(
        pages.listed,
        pages.nameless,
        pages.seen_at,
        *times,
        consistency,
        stated,
        falls_short=falls_short,
        pages=pages.by_page,
    )


def _moved(answers: Sequence[Served], heights: Sequence[int]) -> bool:
    """Whether the API's own numbers say so: totals that differ or do not add up, heights that go back."""
    totals = [served.total for served in answers if served.total is not None]
    rows = sum(len(served.rows) + served.empty_rows for served in answers)
    return (bool(totals) and {rows} != set(totals)) or list(heights) != sorted(heights)


def _is_restless(pages: _Pages) -> bool:
    """Whether rows that came twice say so. The same row again at the edge of a page does not."""
    far = any(numbers[-1] - numbers[0] > 1 for numbers in pages.repeats.values())
    return pages.contradicts or far or pages.says_nothing_new()
