"""History: the statements of a publish. Nothing here commits, decides or knows a source.

`publish.py` calls these in order inside one transaction; the database chooses the instant.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

import msgspec
from psycopg.rows import class_row

from indexer import copying
from indexer.folding import FoldPrice, FoldRow
from indexer.store import statements
from indexer.store.database import Connection
from indexer.store.statements import Statements

_SQL = LIVE = statements.load("history")

#: A temporary table with more rows than this gets statistics before it is joined.
_ANALYZE_FROM = 300


class Known(msgspec.Struct, frozen=True):
    """What is known of a watch before a publish."""

    watch_id: int
    #: Since when it is watched: a list that was begun before says nothing about this period.
    watched_from: datetime
    #: Nothing known is later than this.
    latest: datetime
    #: No snapshot was published since it is watched.
    baseline: bool
    #: Whether the last snapshot proved absence.
    proved_before: bool
    #: Digest and counts of the last snapshot's list.
    digest: bytes | None
    unreadable: int
    holdings: int | None
    #: Crawl of the last snapshot.
    crawl_id: int | None
    #: Chain height of the latest list, a disbelieved one included; None: never stated.
    height: int | None
    #: Whether it never had any version, not even before it was unwatched.
    unheard_of: bool
    #: Whether any holding is carried.
    carries: bool
    #: Unresolved surprising list, and its age in seconds.
    witness: int | None
    witness_age: float | None
    #: That list was itself older than the last published one: it testifies to nothing.
    witness_lags: bool
    #: The last snapshot's list moved while it was paged: the same rows again may be as incomplete.
    drifted: bool = False


class Measured(msgspec.Struct, frozen=True):
    """A new list beside what is held: numbers of holdings."""

    watch_id: int
    known: int
    readable: int
    unreadable: int
    missing: int
    witnessed: int


class PageMeasured(msgspec.Struct, frozen=True):
    """One page of a new list beside what is held where it stands: numbers of holdings."""

    watch_id: int
    listed: int
    known: int
    #: Known and listed.
    familiar: int


class Repeats(msgspec.Struct, frozen=True):
    """Rows of one list that came twice."""

    watch_id: int
    conflicting: bool
    far: bool
    whole_page: bool


class Believed(msgspec.Struct, frozen=True):
    """A list that goes into history, and how to read absence in it."""

    watch_id: int
    crawl_id: int
    part_on: date
    baseline: bool
    unproved_before: bool
    proves: bool
    absences_needed: int
    #: A confirmed witness: what it missed too is missing for the second time.
    witness: int | None


class DeltaRow(NamedTuple):
    """One holding that a list says otherwise than the one before it."""

    watch_id: int
    crawl_id: int
    asset_id: int
    sub_key: str
    #: It is listed now; it was listed before.
    listed: bool
    held: bool
    amount: int | None = None
    decimals: int | None = None
    locked: int | None = None
    frozen: bool | None = None
    delegate: str | None = None
    details: str | None = None
    page_no: int | None = None
    observed_at: datetime | None = None


class DeltaFound(msgspec.Struct, frozen=True):
    """What a delta met in history."""

    watch_id: int
    #: A holding was open that should not be, or the other way round: nothing may be committed.
    is_mistaken: bool
    changed: bool


class SnapshotRow(msgspec.Struct, frozen=True):
    """A verdict about one list, as it is stored."""

    watch_id: int
    crawl_id: int
    state: str
    fresh_for: timedelta
    first_page_at: datetime
    last_page_at: datetime
    height_from: int | None
    height_to: int | None
    pages: int
    holdings: int
    unreadable: int
    missing: int
    proves: bool
    consistency: str
    digest: bytes
    reason: str | None = None
    resolution: str | None = None


async def begin(connection: Connection, watches: Sequence[int]) -> dict[int, Known]:
    """Lock these watches and read what is known of them. One left out is not watched any more."""
    await connection.execute(_SQL.lock_watches, {"watches": list(watches)})
    async with connection.cursor(row_factory=class_row(Known)) as cursor:
        await cursor.execute(_SQL.read_watches, {"watches": list(watches)})
        return {known.watch_id: known for known in await cursor.fetchall()}


async def create_fold(connection: Connection) -> None:
    """Make the temporary tables of this connection."""
    for statement in _SQL.create_fold.split(b";\n"):
        await connection.execute(statement.strip().rstrip(b";"))


async def fill_fold(connection: Connection, rows: Iterable[FoldRow]) -> int:
    """Copy rows of a list; returns how many."""
    return await fill_fold_packed(connection, copying.blocks(map(copying.line, rows)))


async def fill_fold_packed(connection: Connection, blocks: Iterable[bytes]) -> int:
    """Copy rows of a list that are lines already; returns how many."""
    return await _copy(connection, _SQL.copy_fold, blocks)


async def copy_versions(connection: Connection, lines: Iterable[str]) -> None:
    """Open the versions of first lists."""
    await _copy(connection, _SQL.copy_versions, copying.blocks(lines))


async def fill_prices(connection: Connection, prices: Iterable[FoldPrice]) -> None:
    """Copy the prices of a list."""
    await _copy(connection, _SQL.copy_prices, copying.blocks(map(copying.line, prices)))


async def _copy(connection: Connection, statement: bytes, blocks: Iterable[bytes]) -> int:
    async with connection.cursor() as cursor:
        async with cursor.copy(statement) as copy:
            for block in blocks:
                await copy.write(block)
        return cursor.rowcount


async def finish_fold(connection: Connection, rows: int) -> dict[int, Repeats]:
    """Find rows that came twice, keep the last of each, and prepare the fold for joins."""
    async with connection.cursor(row_factory=class_row(Repeats)) as cursor:
        await cursor.execute(_SQL.find_repeats)
        repeats = {found.watch_id: found for found in await cursor.fetchall()}
    if repeats:
        await connection.execute(_SQL.drop_repeats)
    if rows > _ANALYZE_FROM:
        await connection.execute(_SQL.analyze_fold)
    return repeats


async def measure(
    connection: Connection, known: Sequence[Known], sql: Statements = _SQL
) -> dict[int, Measured]:
    """Compare the folded lists with what is held. ``sql``: the same statements on other tables (replay)."""
    async with connection.cursor(row_factory=class_row(Measured)) as cursor:
        await cursor.execute(
            sql.measure_lists,
            {"watches": [item.watch_id for item in known], "witnesses": [item.witness for item in known]},
        )
        return {measured.watch_id: measured for measured in await cursor.fetchall()}


async def find_hidden(
    connection: Connection, read_at: Mapping[int, datetime | None], sql: Statements = _SQL
) -> set[int]:
    """The watches whose folded list misses what it may leave out. ``read_at``: its last page."""
    cursor = await connection.execute(
        sql.find_hidden, {"watches": list(read_at), "read_at": list(read_at.values())}
    )
    return {watch for (watch,) in await cursor.fetchall()}


async def measure_places(connection: Connection, watch_id: int) -> list[PageMeasured]:
    """Compare each page of a folded list with what is held there. It is in the order of its asset numbers."""
    async with connection.cursor(row_factory=class_row(PageMeasured)) as cursor:
        await cursor.execute(_SQL.measure_places, {"watches": [watch_id]})
        return await cursor.fetchall()


async def count_quarantined(connection: Connection, watch_id: int) -> tuple[int, int]:
    """How many watches this watch's source has, and how many of them are quarantined."""
    cursor = await connection.execute(_SQL.count_quarantined, {"watch": watch_id})
    row = await cursor.fetchone()
    return (row[0], row[1]) if row else (0, 0)


async def merge(
    connection: Connection,
    believed: Sequence[Believed],
    instant: datetime,
    *,
    doubts: bool,
    sql: Statements = _SQL,
) -> set[int]:
    """Close and open versions and spans for the believed lists; returns the watches in which any changed.

    ``doubts``: some list has or had carried holdings, so spans need looking after.
    ``sql``: the same statements on other tables (replay).
    """
    await connection.execute(sql.prepare_watches, _believed(believed))
    bind = {"instant": instant, "watches": [item.watch_id for item in believed]}
    await connection.execute(_SQL.forbid_loops)
    changed = await _run_steps(connection, [sql.close_changed, sql.close_absent], bind)
    await connection.execute(_SQL.allow_loops)
    steps = [sql.open_versions, sql.close_spans, sql.open_spans] if doubts else [sql.open_versions]
    return changed | await _run_steps(connection, steps, bind)


async def merge_deltas(
    connection: Connection, rows: Sequence[DeltaRow], instant: datetime
) -> dict[int, DeltaFound]:
    """Close and open the versions of holdings that changed, appeared or went; what was met, by watch."""
    names = (
        "watches", "crawls", "assets", "sub_keys", "listed", "held", "amounts", "decimals", "locked",
        "frozen", "delegates", "details", "pages", "observed_at",
    )  # fmt: skip
    bind: dict[str, object] = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    async with connection.cursor(row_factory=class_row(DeltaFound)) as cursor:
        await cursor.execute(_SQL.merge_deltas, bind | {"instant": instant})
        return {found.watch_id: found for found in await cursor.fetchall()}


async def _run_steps(connection: Connection, steps: Sequence[bytes], bind: Mapping[str, object]) -> set[int]:
    """The watches that any of these statements changed."""
    changed: set[int] = set()
    for step in steps:
        cursor = await connection.execute(step, bind)
        changed.update(row[0] for row in await cursor.fetchall())
    return changed


async def write_prices(connection: Connection, sources: Sequence[tuple[int, int, date]]) -> None:
    """Write the prices that changed, for these lists: (watch number, crawl number, partition) each."""
    await connection.execute(
        _SQL.write_prices,
        {
            "watches": [watch for watch, _, _ in sources],
            "crawls": [crawl for _, crawl, _ in sources],
            "part_ons": [part_on for _, _, part_on in sources],
        },
    )


def _believed(believed: Sequence[Believed]) -> dict[str, object]:
    return {
        "watches": [item.watch_id for item in believed],
        "crawls": [item.crawl_id for item in believed],
        "part_ons": [item.part_on for item in believed],
        "baselines": [item.baseline for item in believed],
        "unproved_before": [item.unproved_before for item in believed],
        "proves": [item.proves for item in believed],
        "absences_needed": [item.absences_needed for item in believed],
        "witnesses": [item.witness for item in believed],
    }


async def resolve_witnesses(
    connection: Connection, resolutions: Sequence[tuple[int, str]], instant: datetime
) -> None:
    """Say what became of surprising lists."""
    snapshots, words = [snapshot for snapshot, _ in resolutions], [word for _, word in resolutions]
    bind = {"snapshots": snapshots, "resolutions": words, "instant": instant}
    await connection.execute(_SQL.resolve_witnesses, bind)


async def drop_testimony(connection: Connection, snapshots: Sequence[int]) -> None:
    """Forget what resolved lists missed."""
    await connection.execute(_SQL.drop_testimony, {"snapshots": list(snapshots)})


async def insert_snapshots(
    connection: Connection, rows: Sequence[SnapshotRow], instant: datetime
) -> dict[int, int]:
    """Store the verdicts; returns the snapshot number of each watch."""
    names = {
        "watches": "watch_id", "crawls": "crawl_id", "states": "state", "fresh_for": "fresh_for",
        "first_pages_at": "first_page_at", "last_pages_at": "last_page_at", "heights_from": "height_from",
        "heights_to": "height_to", "pages": "pages", "holdings": "holdings", "unreadable": "unreadable",
        "missing": "missing", "proves": "proves", "consistencies": "consistency", "digests": "digest",
        "reasons": "reason", "resolutions": "resolution",
    }  # fmt: skip
    bind: dict[str, object] = {name: [getattr(row, field) for row in rows] for name, field in names.items()}
    cursor = await connection.execute(_SQL.insert_snapshots, bind | {"instant": instant})
    return {row[0]: row[1] for row in await cursor.fetchall()}


async def insert_testimony(
    connection: Connection, witnesses: Sequence[tuple[int, int]], sql: Statements = _SQL
) -> None:
    """Keep what surprising lists miss: (snapshot number, watch number) each."""
    await connection.execute(
        sql.insert_testimony,
        {"snapshots": [snapshot for snapshot, _ in witnesses], "watches": [watch for _, watch in witnesses]},
    )
