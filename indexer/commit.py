"""The committer: finished pages of many crawls go into one transaction, with the publishes of those that end.

While one transaction runs the next pages gather, so batches grow with the load and nobody waits on a timer;
once there are enough for a batch of their own, they need not wait for its end.
If a batch fails for any member, every member is tried alone: one bad page costs nobody else anything.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec
import psycopg

from indexer.cancelling import end_tasks
from indexer.crashpoints import reached
from indexer.errors import BadPage, PublishTooSlow, WalkMoved
from indexer.lists import FinishedCrawl, NeedsWholeList
from indexer.publish import GIVEN_UP_SECONDS, publish
from indexer.records import Asset
from indexer.store import assets, crawls, pages
from indexer.store.assets import AssetBook, Described
from indexer.store.crawls import WatchVerdict
from indexer.store.database import PUBLISHERS, Connection, Database
from indexer.store.pages import Advanced, RawPage

#: Pages in one transaction at most. 16 to 64 measured alike; fewer keeps the locks short.
BATCH: Final = 32

#: Fewer pages than this wait for those that are being read at this moment, until the event loop has had
#: nothing to do for so many turns; and for a transaction that is running, unless it takes longer than usual.
#: One costs nearly the same for one page as for many.
_GATHERED: Final = 16
_QUIET_TURNS: Final = 2
_BRIEF_SECONDS: Final = 1.0

#: Ends by max_window after which a walk may take as long as it needs, and the watch's window grows.
WINDOW_RESTARTS: Final = 2


class Work(msgspec.Struct):
    """One page on its way into the log, with its crawl when that page was the last."""

    page: RawPage
    window: timedelta
    may_restart_window: bool
    finished: FinishedCrawl | None = None
    #: Database time of the commit, once it is durable.
    committed_at: datetime | None = None
    done: "asyncio.Future[list[WatchVerdict]]" = msgspec.field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class _Wish(msgspec.Struct):
    """Assets a page names, until they have their numbers."""

    network: str
    refs: set[str]
    #: What the page says of them that was not known to be stored.
    news: Mapping[str, Described]
    numbers: Mapping[str, int] | None = None


class Committer:
    """Where pages become durable. One per process."""

    def __init__(self, database: Database, lease: timedelta) -> None:
        self._database = database
        self._lease = lease
        self._queue: deque[Work] = deque()
        #: Something came into the queue, or a transaction ended.
        self._stirred = asyncio.Event()
        #: Transactions, and since when.
        self._running: dict[asyncio.Task[None], float] = {}
        self._learning = asyncio.Lock()
        self._wishes: list[_Wish] = []
        self._book, self._life = AssetBook(), database.life

    @property
    def book(self) -> AssetBook:
        """What is remembered of assets; nothing in a new life of the database."""
        if self._life != self._database.life:
            self._book, self._life = AssetBook(), self._database.life
        return self._book

    async def learn_assets(self, network: str, refs: set[str], known: Sequence[Asset]) -> Mapping[str, int]:
        """Number these assets and keep what is said about them, in a short transaction of its own."""
        numbers, news = self.book.numbers_of_all(network, refs), self.book.news(network, known)
        if numbers is not None and not news:
            return numbers
        wish = _Wish(network, refs, news)
        self._wishes.append(wish)
        # Whoever comes first learns for all who wait: many accounts hold the same assets.
        async with self._learning:
            if wish.numbers is None:
                batch, self._wishes = self._wishes, []
                try:
                    await self._database.steadily(lambda: self._learn(batch))
                except BaseException:
                    self._wishes += [other for other in batch if other is not wish]
                    raise
        assert wish.numbers is not None
        return wish.numbers

    async def _learn(self, batch: Sequence[_Wish]) -> None:
        for network in {wish.network for wish in batch}:
            wishes = [wish for wish in batch if wish.network == network]
            refs = set[str]().union(*(wish.refs for wish in wishes))
            told = {ref: entry for wish in wishes for ref, entry in wish.news.items()}
            async with self._database.transaction() as connection:
                # Not before: this may be the first session of another life.
                book = self.book
                known, news = book.numbers(network, refs), book.still_news(network, told)
                learned = await assets.number(connection, network, refs - known.keys())
                every = assets.Numbered({**known, **learned.found}, learned.inserted)
                digests = await assets.describe(connection, news, every)
            book.remember(network, learned.all, digests)
            numbers = every.all
            for wish in wishes:
                wish.numbers = numbers

    async def commit(self, work: Work) -> list[WatchVerdict]:
        """Return when the page is durable, with the verdicts if its crawl was published.

        Raises LeaseLost, WalkMoved, BadPage (a repeated cursor), ClockWentBack, PublishTooSlow,
        DatabaseUnavailable.
        """
        self._queue.append(work)
        self._stirred.set()
        return await work.done

    async def run(self) -> None:
        """Commit until cancelled."""
        try:
            while True:
                batch = await self._gather()
                task = asyncio.create_task(self._commit_batch(batch))
                self._running[task] = time.monotonic()
                task.add_done_callback(self._end)
        finally:
            await end_tasks(self._running)

    def _end(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._stirred.set()

    async def _gather(self) -> list[Work]:
        """The pages of the next transaction, when it may begin."""
        quiet = 0
        while not self._may_begin(quiet):
            if self._is_worth_waiting():
                self._stirred.clear()
                # Not `wait_for`: before Python 3.12 it may swallow that we are cancelled.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_BRIEF_SECONDS if self._running else None):
                        await self._stirred.wait()
                quiet = 0
            else:
                gathered = len(self._queue)
                await asyncio.sleep(0)
                quiet = quiet + 1 if len(self._queue) == gathered else 0
        return [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]

    def _may_begin(self, quiet: int) -> bool:
        has_enough = len(self._queue) >= _GATHERED or quiet >= _QUIET_TURNS
        return has_enough and len(self._running) < PUBLISHERS

    def _is_worth_waiting(self) -> bool:
        """Whether only a page or the end of a transaction can change anything, and that soon."""
        if not self._queue or len(self._running) == PUBLISHERS:
            return True
        now = time.monotonic()
        return any(now - began < _BRIEF_SECONDS for began in self._running.values())

    async def _commit_batch(self, batch: Sequence[Work]) -> None:
        try:
            verdicts = await self._database.steadily(lambda: self._write(batch))
        except NeedsWholeList as needs:
            for work in batch:
                if work.finished is not None and work.page.crawl_id in needs.crawls:
                    work.finished.delta = None
                    work.finished.may_begin = False
            await self._commit_batch(batch)
            return
        except Exception as error:  # noqa: BLE001  whatever it is, somebody waits for it
            if len(batch) == 1 and not (isinstance(error, PublishTooSlow) and _allow_longer(batch[0], error)):
                _fail(batch[0], _translated(error))
                return
            for work in batch:
                await self._commit_batch([work])
            return
        for work in batch:
            mine = [verdict for verdict in verdicts if verdict.crawl_id == work.page.crawl_id]
            if not work.done.done():
                work.done.set_result(mine)

    async def _write(self, batch: Sequence[Work]) -> list[WatchVerdict]:
        async with self._database.publishing() as connection:
            reached("commit_begun")
            for work in batch:
                if work.finished is not None:
                    work.finished.forget_numbers_of_other_lives(self._database.life)
            advanced = await pages.append(connection, [work.page for work in batch], self._lease)
            reached("page_written")
            for work in batch:
                work.committed_at = advanced[work.page.crawl_id].last_page_at
                await _check_window(connection, work, advanced[work.page.crawl_id])
            finished = [work.finished for work in batch if work.finished is not None]
            if not finished:
                return []
            return await publish(connection, finished, advanced)


async def _check_window(connection: Connection, work: Work, advanced: Advanced) -> None:
    """Pages too far apart are not one moment (promise 7)."""
    if advanced.first_page_at is None or advanced.last_page_at is None:
        return
    took = advanced.last_page_at - advanced.first_page_at
    if took <= work.window:
        return
    if work.may_restart_window:
        raise WalkMoved(f"its pages span {took.total_seconds():.0f} s, more than its window allows", "window")
    if work.finished is not None:
        await crawls.grow_windows(connection, list(work.finished.covered.values()), took * 1.5)


def _allow_longer(work: Work, slow: PublishTooSlow) -> bool:
    """Let a list that takes so long name a later instant. False: nothing takes as long as that."""
    if work.finished is None or slow.seconds > GIVEN_UP_SECONDS:
        return False
    work.finished.lead = timedelta(seconds=slow.seconds)
    return True


def _fail(work: Work, error: BaseException) -> None:
    if not work.done.done():
        work.done.set_exception(error)


def _translated(error: Exception) -> Exception:
    """A unique violation on the cursor is the API repeating itself; anything else stays what it is."""
    if isinstance(error, psycopg.errors.UniqueViolation) and "md5" in (error.diag.constraint_name or ""):
        return BadPage("the API gave a cursor it had given before: a loop")
    return error
