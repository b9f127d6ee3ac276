"""One class per reaction: who catches it is told by the class, what happened by the message.

    IndexerError
    ├── UsageError            exit 2: the command line, configuration or a watchlist is wrong
    ├── DatabaseError         exit 4
    │   ├── DatabaseUnavailable   it cannot be reached or started
    │   └── SchemaNotCurrent      it is there, but `indexer db upgrade` is needed
    ├── LeaseLost             another worker has this crawl now: write nothing
    ├── ClockWentBack         refuse to publish: history is ahead of the database clock
    ├── PublishTooSlow        nothing was written: its instant would be too long ago
    ├── WalkMoved             abandon the crawl and start again: what it saw is not one list
    └── ApiError              an API did not answer as asked
        ├── RateLimited           wait, then ask again
        ├── ServerTrouble         back off, then ask again
        ├── Refused               pause the source: asking again at once cannot help
        ├── CursorRejected        abandon the crawl and start again from page 1
        ├── RequestRejected       the crawl fails: this question will never be answered
        └── BadPage               the crawl fails: the body is kept, nothing changes
            └── ListCut           ask again for fewer addresses at once, if there were several

Messages carry what happened with its values: the request's template, never its URL, a key or a body.
"""

from typing import Literal


class IndexerError(Exception):
    """Any error this program raises on purpose."""


class UsageError(IndexerError):
    """The command line, the configuration or a watchlist is wrong. ``str()`` may have several lines."""


class DatabaseError(IndexerError):
    """The database cannot be used as it is."""


class DatabaseUnavailable(DatabaseError):
    """The database cannot be reached or started."""


class SchemaNotCurrent(DatabaseError):
    """The database answers, but its schema is older or newer than this program's."""


class LeaseLost(IndexerError):
    """Another worker has this crawl now. Whoever catches this writes nothing."""


class ClockWentBack(IndexerError):
    """History is more than a minute ahead of the database clock."""


class PublishTooSlow(IndexerError):
    """A publish or a removal took so long that answers given meanwhile would change. Nothing was written."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        #: From choosing its instant to its last statement.
        self.seconds = seconds


class WalkMoved(IndexerError):
    """What the pages show is not one list of one moment: begin again at page 1."""

    def __init__(self, message: str, cause: Literal["window", "drift"], pause_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.cause = cause
        #: Sooner it would show the same again.
        self.pause_seconds = pause_seconds


class ApiError(IndexerError):
    """An API did not answer as asked."""


class RateLimited(ApiError):
    """The API asked us to slow down."""

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class ServerTrouble(ApiError):
    """A failure on the way or on the server that may pass: 5xx, time-out, reset, cut body."""

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class Refused(ApiError):
    """The API refuses us (key, payment, quota). The source is paused; asking again cannot help."""

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class CursorRejected(ApiError):
    """The API no longer knows our cursor: abandon the crawl and start again from page 1."""


class RequestRejected(ApiError):
    """The API rejects this question as such (unknown account, bad parameter)."""


class BadPage(ApiError):
    """An answer that cannot be believed: wrong shape, wrong type, a loop. Its body is kept."""


class ListCut(BadPage):
    """A list that may end where the API stops listing: ask for fewer addresses at once."""
