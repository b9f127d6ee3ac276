"""What the read commands ask: one function per question, rows as frozen values. Nothing here writes.

Amounts arrive as exact decimals and instants as aware datetimes; None is "not known", which is not 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, TypeVar

from psycopg.rows import class_row, tuple_row

from indexer.store import statements
from indexer.store.database import Connection

Row = TypeVar("Row")

_SQL: Final = statements.load("reading")


@dataclass(frozen=True, slots=True)
class CoverageRow:
    """What is known of one watch at an instant."""

    source: str
    network: str
    address: str
    scope: str
    label: str | None
    tags: list[str]
    source_state: str
    status: str
    snapshot_at: datetime | None
    age: timedelta | None
    holdings: int | None
    unreadable: int | None
    consistency: str | None
    pending_review: bool | None


@dataclass(frozen=True, slots=True)
class HoldingRow:
    """One holding at an instant."""

    source: str
    network: str
    address: str
    scope: str
    label: str | None
    tags: list[str]
    asset_ref: str
    sub_key: str
    kind: str
    symbol: str | None
    name: str | None
    amount: Decimal | None
    decimals: int | None
    quantity: Decimal | None
    locked: Decimal | None
    frozen: bool | None
    delegate: str | None
    details: str = field(metadata={"json": True})
    status: str
    snapshot_at: datetime
    observed_at: datetime
    valid_from: datetime
    pending_review: bool


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One span in which a holding did not change."""

    source: str
    network: str
    address: str
    scope: str
    label: str | None
    tags: list[str]
    asset_ref: str
    sub_key: str
    kind: str
    symbol: str | None
    name: str | None
    amount: Decimal | None
    decimals: int | None
    quantity: Decimal | None
    locked: Decimal | None
    frozen: bool | None
    delegate: str | None
    details: str = field(metadata={"json": True})
    version_key: str
    valid_from: datetime
    valid_to: datetime | None
    open_reason: str
    close_reason: str | None


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """Held, absent or unknown, and why."""

    amount: Decimal | None
    quantity: Decimal | None
    answer: str
    reason: str | None
    status: str | None
    snapshot_at: datetime | None


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """One change of one holding, with the span in which it must have happened."""

    source: str
    network: str
    address: str
    scope: str
    label: str | None
    tags: list[str]
    asset_ref: str
    sub_key: str
    kind: str
    symbol: str | None
    name: str | None
    changed_at: datetime
    not_before: datetime | None
    not_after: datetime | None
    change: str
    old_amount: Decimal | None
    new_amount: Decimal | None
    old_quantity: Decimal | None
    new_quantity: Decimal | None
    crawl: int | None


@dataclass(frozen=True, slots=True)
class PageRow:
    """One kept answer of a crawl."""

    kind: str
    page_no: int
    fetched_at: datetime
    status: int
    template: str
    items: int
    bytes: int
    #: None: of a folded crawl, whose bytes have a digest only where they are steady.
    sha256: str | None


@dataclass(frozen=True, slots=True)
class BodyRow:
    """The bytes of one answer as they are stored."""

    #: Of the exact bytes; None: only the part that never changes has a digest.
    sha256: bytes | None
    steady_sha256: bytes | None
    #: Where they differ from the body, if they do.
    splice: bytes | None
    #: The body, then every one behind it.
    codecs: list[str]
    lengths: list[int]
    bodies: list[bytes]


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One source: whether it answers us, and what is known of its watches."""

    source: str
    state: str
    paused_reason: str | None
    paused_until: datetime | None
    fresh: int
    stale: int
    never_observed: int
    pending_review: int
    oldest_age: timedelta | None


@dataclass(frozen=True, slots=True)
class QuarantineRow:
    """A list that was not believed, and what to type about it."""

    snapshot_id: int
    source: str
    address: str
    scope: str
    label: str | None
    judged_at: datetime
    reason: str
    holdings: int
    held: int
    missing: int
    release_command: str
    reject_command: str
    #: What it was read from, and how to see that.
    crawl_id: int
    raw_command: str


@dataclass(frozen=True, slots=True)
class OpenCrawlRow:
    """A crawl that runs or waits, and how far it got."""

    crawl_id: int
    source: str
    scope: str
    state: str
    created_at: datetime
    first_page_at: datetime | None
    pages: int
    listed: int
    reported_total: int | None
    attempts: int
    next_attempt_at: datetime
    addresses: list[str]


@dataclass(frozen=True, slots=True)
class FailureRow:
    """A watch whose last crawl did not end well."""

    crawl_id: int
    source: str
    address: str
    scope: str
    label: str | None
    verdict: str
    finished_at: datetime | None
    error_class: str | None
    error: str | None


async def read_clock(conn: Connection) -> datetime:
    """The database's now."""
    async with conn.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(_SQL.read_clock)
        row = await cursor.fetchone()
    assert row is not None
    now: datetime = row[0]
    return now


async def list_coverage(conn: Connection, as_of: datetime) -> list[CoverageRow]:
    """Every watch with what is known of it at ``as_of``."""
    return await _fetch(conn, CoverageRow, _SQL.list_coverage, as_of=as_of)


async def find_coverage(
    conn: Connection, as_of: datetime, addresses: Sequence[str], label: str
) -> list[CoverageRow]:
    """The watches of these addresses or with this label."""
    return await _fetch(
        conn, CoverageRow, _SQL.find_coverage, as_of=as_of, addresses=list(addresses), label=label
    )


async def list_names(conn: Connection) -> list[str]:
    """Every known address and label."""
    async with conn.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(_SQL.list_names)
        return [row[0] for row in await cursor.fetchall()]


async def list_holdings(conn: Connection, as_of: datetime, limit: int | None) -> list[HoldingRow]:
    """The whole book at ``as_of``, at most ``limit`` rows of it."""
    return await _fetch(conn, HoldingRow, _SQL.list_holdings, as_of=as_of, limit=limit)


async def list_holdings_of(
    conn: Connection, as_of: datetime, addresses: Sequence[str], limit: int | None
) -> list[HoldingRow]:
    """The holdings of these addresses at ``as_of``."""
    return await _fetch(
        conn, HoldingRow, _SQL.list_holdings_of, as_of=as_of, addresses=list(addresses), limit=limit
    )


async def list_history(conn: Connection, addresses: Sequence[str], asset_ref: str) -> list[VersionRow]:
    """Every version of one asset at these addresses, oldest first."""
    return await _fetch(conn, VersionRow, _SQL.list_history, addresses=list(addresses), asset_ref=asset_ref)


async def read_answer(conn: Connection, watch: CoverageRow, asset_ref: str, as_of: datetime) -> AnswerRow:
    """Whether the address of a watch holds an asset: held, absent or unknown."""
    rows = await _fetch(
        conn,
        AnswerRow,
        _SQL.read_answer,
        source=watch.source,
        address=watch.address,
        asset_ref=asset_ref,
        as_of=as_of,
    )
    return rows[0]


async def list_changes(conn: Connection, since: datetime, limit: int | None) -> list[ChangeRow]:
    """The newest ``limit`` changes from ``since`` on, newest first."""
    return await _fetch(conn, ChangeRow, _SQL.list_changes, since=since, limit=limit)


async def list_pages(conn: Connection, crawl_id: int) -> list[PageRow]:
    """The answers kept of one crawl."""
    return await _fetch(conn, PageRow, _SQL.list_pages, crawl_id=crawl_id)


async def list_subjects(conn: Connection, crawl_id: int) -> list[str]:
    """The watches a crawl was about: source, address and rune of each, in one phrase."""
    cursor = await conn.execute(_SQL.list_subjects, {"crawl_id": crawl_id})
    return [row[0] for row in await cursor.fetchall()]


async def read_body(conn: Connection, crawl_id: int, kind: str, page_no: int) -> BodyRow | None:
    """The stored bytes of one answer, or None when it is not kept."""
    rows = await _fetch(conn, BodyRow, _SQL.read_body, crawl_id=crawl_id, kind=kind, page_no=page_no)
    return rows[0] if rows else None


async def list_sources(conn: Connection) -> list[SourceRow]:
    """Every source and the state of its watches."""
    return await _fetch(conn, SourceRow, _SQL.list_sources)


async def list_quarantine(conn: Connection) -> list[QuarantineRow]:
    """Every list that waits for a second witness or a person, oldest first."""
    return await _fetch(conn, QuarantineRow, _SQL.list_quarantine)


async def list_open_crawls(conn: Connection, limit: int) -> list[OpenCrawlRow]:
    """Crawls that run or wait, running ones first."""
    return await _fetch(conn, OpenCrawlRow, _SQL.list_open_crawls, limit=limit)


async def list_failures(conn: Connection, limit: int) -> list[FailureRow]:
    """Watches whose last crawl failed, newest first."""
    return await _fetch(conn, FailureRow, _SQL.list_failures, limit=limit)


async def _fetch(conn: Connection, row: type[Row], statement: bytes, /, **binds: object) -> list[Row]:
    async with conn.cursor(row_factory=class_row(row)) as cursor:
        await cursor.execute(statement, binds)
        return await cursor.fetchall()
