"""What a verification reads. Nothing here writes or commits."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date
from typing import Final

from psycopg.rows import class_row

from indexer.store import statements
from indexer.store.bodies import stored_body
from indexer.store.database import Connection

_SQL: Final = statements.load("verify")


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken rule, and the key of what breaks it."""

    rule: str
    ref: str


@dataclass(frozen=True, slots=True)
class Counts:
    """How much there is."""

    snapshots: int
    versions: int
    carried_spans: int
    crawls: int
    pages: int


@dataclass(frozen=True, slots=True)
class JudgedCrawl:
    """A crawl whose pages are kept, and what was judged of its lists: one entry per snapshot."""

    crawl_id: int
    part_on: date
    source: str
    scope: str
    facts: dict[str, str] | None
    pages: int
    #: In request order.
    addresses: list[str]
    snapshots: list[int]
    watches: list[int]
    watched: list[str]
    digests: list[bytes]


@dataclass(frozen=True, slots=True)
class StoredBody:
    """Bytes as they are stored, under the hash of what they should be."""

    sha256: bytes
    length: int
    #: Of the body and of every one behind it.
    codecs: list[str]
    lengths: list[int]
    bodies: list[bytes]

    def unpack(self) -> bytes:
        """The exact bytes again."""
        body = stored_body(self.codecs, self.lengths, self.bodies)
        assert body is not None
        return body.unpack()


async def freeze(connection: Connection) -> None:
    """Everything this transaction reads is of one moment, and may take its time."""
    await connection.execute(_SQL.freeze)
    await connection.execute(_SQL.allow_time)


async def read_violations(connection: Connection) -> AsyncIterator[Violation]:
    """Broken invariants, one at a time."""
    for statement in (_SQL.read_violations, _SQL.read_page_violations):
        async with connection.cursor("violations", row_factory=class_row(Violation)) as cursor:
            await cursor.execute(statement)
            async for violation in cursor:
                yield violation


async def count_checked(connection: Connection) -> Counts:
    """What the invariants were held against."""
    async with connection.cursor(row_factory=class_row(Counts)) as cursor:
        await cursor.execute(_SQL.count_checked)
        counts = await cursor.fetchone()
        assert counts is not None
        return counts


async def read_judged_crawls(connection: Connection) -> AsyncIterator[JudgedCrawl]:
    """Crawls that can be folded again, in order."""
    after = 0
    while True:
        async with connection.cursor(row_factory=class_row(JudgedCrawl)) as cursor:
            await cursor.execute(_SQL.read_judged_crawls, {"after": after})
            found = await cursor.fetchall()
        for crawl in found:
            yield crawl
        if not found:
            return
        after = found[-1].crawl_id


async def is_kept(connection: Connection, crawl: JudgedCrawl) -> bool:
    """Whether the pages of that crawl can still be there."""
    cursor = await connection.execute(_SQL.find_month, {"part_on": crawl.part_on, "crawl": crawl.crawl_id})
    row = await cursor.fetchone()
    return bool(row and row[0])


async def list_days(connection: Connection) -> AsyncIterator[date]:
    """The days of which bodies are kept."""
    after = date.min
    while True:
        cursor = await connection.execute(_SQL.list_days, {"after": after})
        row = await cursor.fetchone()
        if row is None or row[0] is None:
            return
        after = row[0]
        yield after


async def read_bodies(connection: Connection, part_on: date) -> AsyncIterator[StoredBody]:
    """The bodies of one day, a few in memory at a time."""
    after = b""
    while True:
        async with connection.cursor(row_factory=class_row(StoredBody)) as cursor:
            await cursor.execute(_SQL.read_bodies, {"part_on": part_on, "after": after})
            found = await cursor.fetchall()
        for body in found:
            yield body
        if not found:
            return
        after = found[-1].sha256
