"""Raw pages: the log that history is a fold over. Nothing here commits.

A page's exact bytes, the cursor after it and the fenced progress of its crawl go into one transaction.
"""

import json
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from operator import itemgetter
from typing import Literal

import msgspec

from indexer.errors import LeaseLost
from indexer.recognition import KnownList, KnownPage
from indexer.records import NO_FACTS, Cursor, Facts
from indexer.sources import READER
from indexer.store import statements
from indexer.store.bodies import Body, StoredBody, apply_splice, stored_body
from indexer.store.database import Connection

_SQL = statements.load("pages")


class RawPage(msgspec.Struct, frozen=True, gc=False):
    """One believed answer on its way into the log."""

    crawl_id: int
    part_on: date
    lease_epoch: int
    kind: Literal["page", "lookup"]
    #: 1, 2, 3 … within its kind; the compare-and-set refuses any other.
    page_no: int
    status: int
    template: str
    cursor_in: Cursor | None
    cursor_out: Cursor | None
    items: int
    body: Body
    #: HTTP requests it took.
    requests: int
    #: When its request was sent, on this process's monotonic clock.
    sent_at: float
    #: All facts of the crawl from now on; None: unchanged.
    facts: Facts | None = None
    #: Facts for later crawls too.
    lasting: Facts = NO_FACTS
    reported_total: int | None = None
    height: int | None = None
    moved: bool = False
    #: SHA-256 without what changes by itself, where something does.
    steady_sha256: bytes | None = None


class Advanced(msgspec.Struct, frozen=True):
    """A crawl after its page was committed."""

    crawl_id: int
    first_page_at: datetime | None
    last_page_at: datetime | None
    height_from: int | None
    height_to: int | None
    pages: int
    moved: bool
    source: str
    #: The API's own count of the list, where it gives one.
    reported_total: int | None = None


async def append(connection: Connection, pages: Sequence[RawPage], lease: timedelta) -> dict[int, Advanced]:
    """Advance the crawls of these pages and store them. At most one page per crawl.

    Raises LeaseLost when any of them belongs to a crawl that another worker has now: roll back.
    """
    crawls = [page.crawl_id for page in pages]
    await connection.execute(_SQL.lock_crawls, {"crawls": crawls})
    cursor = await connection.execute(_SQL.advance_crawls, _progress(pages) | {"lease": lease})
    advanced = {row[0]: Advanced(*row) for row in await cursor.fetchall()}
    if lost := sorted(set(crawls) - set(advanced)):
        raise LeaseLost(f"crawl {lost[0]} is in other hands")
    await _store_bodies(connection, [(page.part_on, page.body) for page in pages])
    await connection.execute(_SQL.insert_pages, _log(pages, advanced))
    await _learn(connection, pages, advanced)
    return advanced


def _progress(pages: Sequence[RawPage]) -> dict[str, object]:
    return {
        "crawls": [page.crawl_id for page in pages],
        "epochs": [page.lease_epoch for page in pages],
        "kinds": [page.kind for page in pages],
        "page_nos": [page.page_no for page in pages],
        "requests": [page.requests for page in pages],
        "items": [page.items for page in pages],
        "cursors_out": [page.cursor_out for page in pages],
        "facts": [None if page.facts is None else json.dumps(dict(page.facts)) for page in pages],
        "reported_totals": [page.reported_total for page in pages],
        "heights": [page.height for page in pages],
        "moved": [page.moved for page in pages],
        # Told at the last moment: a process that sleeps or waits here must not make its pages look younger.
        "seconds": [time.monotonic() - page.sent_at for page in pages],
        "readers": [READER for _ in pages],
    }


async def _store_bodies(connection: Connection, bodies: Sequence[tuple[date, Body]]) -> None:
    """Store those that are not stored yet; there are none where every page repeats one."""
    new = [(part_on, body) for part_on, body in bodies if body.stored is not None]
    if not new:
        return
    bind = {
        "part_ons": [part_on for part_on, _ in new],
        "sha256s": [body.sha256 for _, body in new],
        "codecs": [body.codec for _, body in new],
        "lengths": [body.length for _, body in new],
        "bodies": [body.stored for _, body in new],
        "bases": [body.base_sha256 for _, body in new],
        "depths": [body.depth for _, body in new],
    }
    await connection.execute(_SQL.insert_bodies, bind)


def _log(pages: Sequence[RawPage], advanced: Mapping[int, Advanced]) -> dict[str, object]:
    return {
        "part_ons": [page.part_on for page in pages],
        "crawls": [page.crawl_id for page in pages],
        "kinds": [page.kind for page in pages],
        "page_nos": [page.page_no for page in pages],
        "epochs": [page.lease_epoch for page in pages],
        "fetched_at": [
            advanced[page.crawl_id].last_page_at if page.kind == "page" else None for page in pages
        ],
        "statuses": [page.status for page in pages],
        "templates": [page.template for page in pages],
        "cursors_in": [page.cursor_in for page in pages],
        "cursors_out": [page.cursor_out for page in pages],
        "items": [page.items for page in pages],
        "sha256s": [page.body.sha256 for page in pages],
        "splices": [page.body.splice for page in pages],
        "exact": [page.body.exact_sha256 for page in pages],
        "steady": [page.steady_sha256 for page in pages],
    }


async def _learn(connection: Connection, pages: Sequence[RawPage], advanced: Mapping[int, Advanced]) -> None:
    taught = [
        (advanced[page.crawl_id].source, name, value, page.crawl_id)
        for page in pages
        for name, value in page.lasting.items()
    ]
    if taught:
        sources, names, values, crawls = zip(*taught, strict=True)
        await connection.execute(
            _SQL.learn_facts,
            {"sources": list(sources), "names": list(names), "values": list(values), "crawls": list(crawls)},
        )


class Rejected(msgspec.Struct, frozen=True):
    """An answer that was not believed."""

    crawl_id: int
    part_on: date
    lease_epoch: int
    status: int
    template: str
    cursor: Cursor | None
    body: Body


async def keep_rejected(connection: Connection, page: Rejected) -> None:
    """Keep the bytes of an answer that was not believed. Raises LeaseLost."""
    held = await connection.execute(_SQL.hold_crawl, {"crawl": page.crawl_id, "epoch": page.lease_epoch})
    if held.rowcount != 1:
        raise LeaseLost(f"crawl {page.crawl_id} is in other hands")
    await _store_bodies(connection, [(page.part_on, page.body)])
    await connection.execute(
        _SQL.keep_rejected,
        {
            "part_on": page.part_on,
            "crawl": page.crawl_id,
            "epoch": page.lease_epoch,
            "status": page.status,
            "template": page.template,
            "cursor": page.cursor,
            "sha256": page.body.sha256,
        },
    )


class StoredPage(msgspec.Struct, frozen=True):
    """A page as it comes back from the log."""

    page_no: int
    cursor_in: Cursor | None
    cursor_out: Cursor | None
    body: bytes


async def read(connection: Connection, part_on: date, crawl_id: int) -> AsyncIterator[StoredPage]:
    """The pages of a crawl in order, a few in memory at a time."""
    after = 0
    while True:
        cursor = await connection.execute(
            _SQL.read_pages, {"part_on": part_on, "crawl": crawl_id, "after": after}
        )
        rows = await cursor.fetchall()
        for page_no, cursor_in, cursor_out, splice, *chain in rows:
            body = stored_body(*chain)
            assert body is not None
            yield StoredPage(page_no, cursor_in, cursor_out, apply_splice(body.unpack(), splice))
            after = page_no
        if not rows:
            return


async def read_facts(
    connection: Connection, source: str, names: Sequence[str]
) -> tuple[dict[str, str], bool]:
    """Lasting facts that were told lately enough to be believed, and whether one is more than a day old."""
    cursor = await connection.execute(_SQL.read_facts, {"source": source, "names": list(names)})
    rows = await cursor.fetchall()
    return {name: value for name, value, _ in rows}, any(is_old for *_, is_old in rows)


async def ensure_partitions(connection: Connection) -> None:
    """Make this month's and next month's partitions."""
    await connection.execute(_SQL.ensure_partitions)


async def read_known_lists(
    connection: Connection, watches: Collection[int], most: int
) -> dict[int, KnownList]:
    """The pages of the lists that were published last, by watch; ``most``: no list of more pages."""
    cursor = await connection.execute(
        _SQL.find_known_lists, {"watches": list(watches), "reader": READER, "most": most}
    )
    found = await cursor.fetchall()
    if not found:
        return {}
    bind = {"crawls": [row[1] for row in found], "part_ons": [row[2] for row in found], "most": most}
    by_crawl: dict[int, list[KnownPage]] = {row[1]: [] for row in found}
    cursor = await connection.execute(_SQL.read_known_pages, bind, binary=True)
    for crawl_id, *page in await cursor.fetchall():
        by_crawl[crawl_id].append(KnownPage(*page))
    return {
        watch: KnownList(crawl_id, part_on, facts, by_crawl[crawl_id], recognisable)
        for watch, crawl_id, part_on, facts, recognisable in found
    }


async def read_body(connection: Connection, part_on: date, sha256: bytes) -> StoredBody | None:
    """One stored body with what stands behind it."""
    cursor = await connection.execute(_SQL.read_body, {"part_on": part_on, "sha256": sha256})
    row = await cursor.fetchone()
    return None if row is None else stored_body(*row)


class EarlierBody(msgspec.Struct, frozen=True):
    """The body of a page of the last published list: the page, but for the number that changes by itself."""

    stored: StoredBody
    #: Unpacked.
    body: bytes


async def read_earlier(connection: Connection, lists: Sequence[KnownList]) -> dict[int, list[EarlierBody]]:
    """The bodies of all pages of these lists by crawl, in order; none where they were pruned."""
    bind = {
        "part_ons": [known.part_on for known in lists],
        "crawls": [known.crawl_id for known in lists],
        "most": max(len(known.pages) for known in lists),
    }
    cursor = await connection.execute(_SQL.read_earlier, bind, binary=True)
    found: dict[int, list[EarlierBody]] = {known.crawl_id: [] for known in lists}
    # In order here: the database would sort all that is in the rows.
    for crawl_id, _, *chain in sorted(await cursor.fetchall(), key=itemgetter(0, 1)):
        stored = stored_body(*chain)
        assert stored is not None  # no page without its body: a foreign key says so
        found[crawl_id].append(EarlierBody(stored, stored.unpack()))
    return found
