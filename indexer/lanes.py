"""Who may walk: each source has lanes for ordinary walks and a few for long ones. Pure bookkeeping, no I/O.

A walk of many pages moves to the long lanes, so that one huge account delays no small one; when those are
taken too and others wait, the newest long walk is asked to step back. Its cursor is kept.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from indexer.ahead import Ahead
from indexer.crawl import Outcome
from indexer.store.crawls import Claim
from indexer.worker import MOST_WAITING

#: From this many pages on a walk is long.
LONG_WALK: Final = 20

#: After so many failures in a row, and no success between, the API is asked by one walk at a time.
_DOUBT: Final = 8

Task = asyncio.Task[Outcome]


@dataclass(slots=True)
class Walk:
    """One walk in hand."""

    claim: Claim
    pages: int
    #: It was asked to hand its crawl back.
    steps_back: bool = False
    #: Its answer is being read and committed: it asks nothing meanwhile.
    waits: bool = False

    @property
    def is_long(self) -> bool:
        """Whether it has taken so many pages that it must not keep others waiting."""
        return self.pages >= LONG_WALK


@dataclass(slots=True)
class Lanes:
    """The lanes of one source in this process."""

    source: str
    width: int
    walks: dict[Task, Walk] = field(default_factory=dict)
    #: It refused us: nothing is claimed until it may be tried again.
    is_paused: bool = False
    failures_in_a_row: int = 0
    ahead: Ahead = field(default_factory=Ahead)

    @property
    def long_width(self) -> int:
        """Lanes for long walks, beside the ordinary ones."""
        return max(1, self.width // 3)

    @property
    def in_doubt(self) -> bool:
        """Whether the API may be down: then the queue waits instead of failing through."""
        return self.failures_in_a_row >= _DOUBT

    def count_free(self) -> int:
        """How many more walks may begin now."""
        if self.is_paused or self.in_doubt:
            return 0 if self.walks or self.is_paused else 1
        waiting = min(sum(walk.waits for walk in self.walks.values()), MOST_WAITING)
        long = sum(walk.is_long and not walk.waits for walk in self.walks.values())
        more = self.ahead.count()
        return self.width + more - (len(self.walks) - waiting - min(long, self.long_width))

    def is_worth_claiming(self) -> bool:
        """Whether so many are free that a claim pays before any walk ends."""
        return self.count_free() > (self.width + self.ahead.count()) // 3

    def has_room_for_long(self) -> bool:
        """Whether one more long walk may begin."""
        return sum(walk.is_long for walk in self.walks.values()) < self.long_width

    def begin(self, task: Task, claim: Claim) -> None:
        """A walk is in hand."""
        self.walks[task] = Walk(claim, claim.pages)

    def see_page(self, task: "asyncio.Task[object] | None", page: int) -> None:
        """A walk came this far: the source answers."""
        self.failures_in_a_row = 0
        for mine, walk in self.walks.items():
            if mine is task:
                walk.pages = page

    def see_waiting(self, crawl_id: int, waits: bool) -> None:
        """A walk has an answer in hand, and another may ask meanwhile; or it may ask again."""
        for walk in self.walks.values():
            if walk.claim.crawl_id == crawl_id:
                walk.waits = waits

    def take_ended(self) -> Iterator[tuple[Task, Walk]]:
        """The walks that ended since the last time."""
        for task in [task for task in self.walks if task.done()]:
            yield task, self.walks.pop(task)

    def count(self, outcome: Outcome) -> None:
        """What a walk came to."""
        if outcome == "published":
            self.failures_in_a_row = 0
            self.ahead.count_published(1)
            return
        self.ahead.forget()
        if outcome in ("failed", "handed back"):
            self.failures_in_a_row += 1
        elif outcome == "refused":
            self.is_paused = True

    def find_intruder(self) -> Task | None:
        """The newest long walk in an ordinary lane, when no ordinary lane is free; it must step back."""
        long = [task for task, walk in self.walks.items() if walk.is_long and not walk.steps_back]
        if self.count_free() > 0 or len(long) <= self.long_width:
            return None
        return long[-1]
