"""The scratch copy in which history is built again, and what tells it from the live one.

The statements that change history are the live ones, turned to temporary tables: a replay that folded by
other rules would prove nothing. Nothing here commits.
"""

from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from psycopg.rows import class_row

from indexer.store import statements
from indexer.store.database import Connection
from indexer.store.history import Known, SnapshotRow
from indexer.store.past import PastList
from indexer.store.statements import Statements

_SQL: Final = statements.load("replay")

#: Live tables of history, and the temporary ones that stand in for them.
_SCRATCH: Final = {
    b"ledger.holding_version": b"pg_temp.replayed_version",
    b"ledger.carried_span": b"pg_temp.replayed_span",
    b"ledger.missing_holding": b"pg_temp.replayed_missing",
}


def on_scratch(module: str) -> Statements:
    """The statements of a module, working on the scratch copy instead of history."""
    live = statements.load(module)
    texts: dict[str, bytes] = {}
    for name in live:
        text: bytes = getattr(live, name)
        for table, stand_in in _SCRATCH.items():
            text = text.replace(table, stand_in)
        texts[name] = text
    return Statements(texts)


#: The statements of a publish, and those that end a watch, on the scratch copy.
HISTORY: Final = on_scratch("history")
_WATCHING: Final = on_scratch("watching")


@dataclass(frozen=True, slots=True)
class ReplayedWatch:
    """A watch whose history can be built again."""

    watch_id: int
    source: str
    address: str
    scope: str


@dataclass(frozen=True, slots=True)
class Period:
    """A span in which a watch was on the watchlist."""

    watched_from: datetime
    watched_to: datetime | None


@dataclass(frozen=True, slots=True)
class Judgement(PastList):
    """A list that was judged, with what was found in it."""

    judged_at: datetime
    holdings: int
    unreadable: int
    missing: int
    proves_absence: bool
    digest: bytes
    reason: str | None
    #: Whether the pages can still be there.
    kept: bool
    #: The disbelieved list that this one confirmed or released.
    witness: int | None

    def as_known(self, watch_id: int, *, baseline: bool, proved: bool) -> Known:
        """What the fold must know of the watch before it; nothing is skipped because a digest is known."""
        return Known(
            watch_id=watch_id,
            watched_from=self.first_page_at,
            latest=self.judged_at,
            baseline=baseline,
            proved_before=proved,
            digest=None,
            unreadable=0,
            holdings=None,
            crawl_id=None,
            height=None,
            unheard_of=False,
            carries=True,
            witness=self.witness,
            witness_age=None,
            witness_lags=False,
        )


@dataclass(frozen=True, slots=True)
class Story:
    """What is recorded of one watch, in order."""

    judgements: Sequence[Judgement]
    periods: Sequence[Period]

    @property
    def since(self) -> datetime | None:
        """The last instant whose pages are gone; None: they are all there."""
        gone = [judged for judged in self.judgements if not judged.kept]
        if not gone:
            return None
        since = max(judged.judged_at for judged in gone)
        lost = {judged.snapshot_id for judged in gone}
        # What a lost witness missed is not known any more, so what confirmed it cannot be judged again.
        orphans = [judged.judged_at for judged in self.judgements if judged.witness in lost]
        return max([since, *orphans])

    def is_kept_by(self, now: "Story") -> bool:
        """Whether nothing of it was pruned or folded since."""
        here = {judged.snapshot_id for judged in now.judgements}
        return now.since == self.since and all(judged.snapshot_id in here for judged in self.judgements)

    def events(self) -> Iterator[tuple[datetime, Judgement | Literal["begin", "end"]]]:
        """Beginnings and ends of watching, and the verdicts between them."""
        rest = deque(self.judgements)
        for period in self.periods:
            yield period.watched_from, "begin"
            while rest and (period.watched_to is None or rest[0].judged_at < period.watched_to):
                yield rest[0].judged_at, rest.popleft()
            if period.watched_to is not None:
                yield period.watched_to, "end"


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """A row that is not the same in the live history and in the one built again."""

    asset_id: int
    asset_ref: str | None
    sub_key: str
    valid_from: datetime
    #: JSON objects of the row's facts; None: there is no such row.
    live: str | None
    replayed: str | None


async def select_watches(
    connection: Connection, source: str | None, addresses: Sequence[str] | None
) -> list[ReplayedWatch]:
    """The watches of a selection, those watched no more included."""
    async with connection.cursor(row_factory=class_row(ReplayedWatch)) as cursor:
        await cursor.execute(
            _SQL.select_watches,
            {"source": source, "addresses": None if addresses is None else list(addresses)},
        )
        return await cursor.fetchall()


async def prepare(connection: Connection) -> None:
    """Make the scratch copy of this connection, empty."""
    # Several statements at once, which no connection can prepare.
    await connection.execute(_SQL.create_scratch, prepare=False)
    await connection.execute(_SQL.clear_scratch, prepare=False)


async def read_story(connection: Connection, watch_id: int) -> Story:
    """What is recorded of a watch."""
    async with connection.cursor(row_factory=class_row(Judgement)) as cursor:
        await cursor.execute(_SQL.read_judgements, {"watch": watch_id})
        judgements = await cursor.fetchall()
    async with connection.cursor(row_factory=class_row(Period)) as cursor:
        await cursor.execute(_SQL.read_periods, {"watch": watch_id})
        return Story(judgements, await cursor.fetchall())


async def seed(connection: Connection, watch_id: int, since: datetime) -> None:
    """Begin with what was open at that instant: the pages before it are gone."""
    bind = {"watch": watch_id, "since": since}
    await connection.execute(_SQL.seed_versions, bind)
    await connection.execute(_SQL.seed_spans, bind)
    await analyze(connection)


async def keep_facts(connection: Connection, snapshot_id: int, again: SnapshotRow) -> None:
    """Remember what the pages say of a list now."""
    await connection.execute(
        _SQL.keep_facts,
        {
            "snapshot": snapshot_id,
            "holdings": again.holdings,
            "unreadable": again.unreadable,
            "missing": again.missing,
            "proves": again.proves,
            "digest": again.digest,
        },
    )


async def analyze(connection: Connection) -> None:
    """Statistics for the planner, after many rows were written."""
    await connection.execute(_SQL.analyze_scratch)


async def unwatch(connection: Connection, watch_id: int, instant: datetime) -> None:
    """End what is known, as taking an address off the watchlist does."""
    bind = {"watches": [watch_id], "instant": instant}
    await connection.execute(_WATCHING.close_versions, bind)
    await connection.execute(_WATCHING.close_spans, bind)


async def freeze(connection: Connection) -> None:
    """Everything this transaction reads is of one moment."""
    await connection.execute(_SQL.freeze)


async def allow_time(connection: Connection) -> None:
    """No statement of this transaction is too long."""
    await connection.execute(_SQL.allow_time)


async def count(connection: Connection) -> tuple[int, int]:
    """Versions and spans that were built again, the seeded ones included."""
    cursor = await connection.execute(_SQL.count_replayed)
    row = await cursor.fetchone()
    assert row is not None
    return row[0], row[1]


async def compare_versions(
    connection: Connection, watch_id: int, since: datetime | None, until: datetime
) -> AsyncIterator[Discrepancy]:
    """Versions that differ between both instants, one at a time."""
    async for found in _compare(connection, _SQL.compare_versions, watch_id, since, until):
        yield found


async def compare_spans(
    connection: Connection, watch_id: int, since: datetime | None, until: datetime
) -> AsyncIterator[Discrepancy]:
    """Spans of doubt that differ between both instants, one at a time."""
    async for found in _compare(connection, _SQL.compare_spans, watch_id, since, until):
        yield found


async def _compare(
    connection: Connection, statement: bytes, watch_id: int, since: datetime | None, until: datetime
) -> AsyncIterator[Discrepancy]:
    bind = {"watch": watch_id, "since": since, "until": until}
    async with connection.cursor("compared", row_factory=class_row(Discrepancy)) as cursor:
        await cursor.execute(statement, bind)
        async for found in cursor:
            yield found
