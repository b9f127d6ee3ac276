"""What the server remembers of requests: its log, and per source what is being counted."""

from collections import deque
from dataclasses import dataclass

from indexer.simulator.wire import Answer, Inquiry, Question


@dataclass(frozen=True, slots=True)
class Arrival:
    """When a request came, as which page of its walk, and how many were being answered."""

    at: float
    page: int
    in_flight: int


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One request and what came of it. The DAS key is not in ``path``."""

    source: str
    #: Monotonic seconds when the request had been read.
    at: float
    method: str
    path: str
    query: str
    status: int
    #: As asked; several are joined by commas.
    address: str
    scope: str
    cursor: str
    #: The page of its walk, from 1; 0 for anything that is no page.
    page: int
    #: Requests of this source being answered, this one included.
    in_flight: int
    fault: str = ""


#: Addresses and scope.
Walk = tuple[tuple[str, ...], str]


class Desk:
    """What is counted per source: requests in flight, the last second, pages of each walk."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.recent: deque[float] = deque()
        self.walks: dict[Walk, list[str]] = {}
        #: The honest answers to the last two pages of each walk, by cursor.
        self._pages: dict[Walk, list[tuple[str, Answer]]] = {}

    def page(self, question: Question) -> int:
        """Which page of its walk a question asks for: a retry asks for the same one."""
        if not question.is_page:
            return 0
        seen = self.walks.setdefault((question.addresses, question.scope), [""])
        if not question.cursor:
            del seen[1:]
            return 1
        if question.cursor not in seen:
            seen.append(question.cursor)
        return seen.index(question.cursor) + 1

    def page_before(self, walk: Walk, cursor: str) -> Answer | None:
        """The honest answer to the page before this one, not to an earlier try of this one."""
        seen = self.walks.get(walk, [])
        if not cursor or cursor not in seen:
            return None
        before = seen[seen.index(cursor) - 1]
        return next((answer for known, answer in self._pages.get(walk, ()) if known == before), None)

    def keep_page(self, walk: Walk, cursor: str, answer: Answer) -> None:
        """Remember what an honest server said here."""
        others = [page for page in self._pages.get(walk, ()) if page[0] != cursor]
        self._pages[walk] = [*others[-1:], (cursor, answer)]

    def admits(self, now: float, limit: float | None) -> bool:
        """Whether one more request keeps every one-second window within the limit."""
        while self.recent and self.recent[0] <= now - 1.0:
            self.recent.popleft()
        if limit is not None and len(self.recent) + 1 > max(1.0, limit):
            return False
        self.recent.append(now)
        return True


def log_entry(inquiry: Inquiry, question: Question, arrival: Arrival, status: int, fault: str) -> LogEntry:
    """The line of the log for one request."""
    return LogEntry(
        source=inquiry.source,
        at=arrival.at,
        method=inquiry.method,
        path="/v3/***" if inquiry.source == "solana_das" else inquiry.path,
        query=inquiry.target.partition("?")[2],
        status=status,
        address=",".join(question.addresses),
        scope=question.scope,
        cursor=question.cursor,
        page=arrival.page,
        in_flight=arrival.in_flight,
        fault=fault,
    )
