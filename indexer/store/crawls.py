"""Crawls as a queue: claiming, leases, handing back, ending, starting again. Nothing here commits.

Whoever holds a lease writes only through its (crawl, lease_epoch): a zombie's writes find no row.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final, Literal

import msgspec
from psycopg.rows import class_row

from indexer.errors import LeaseLost
from indexer.recognition import KnownList
from indexer.store import statements
from indexer.store.database import Connection

_SQL = statements.load("crawls")

#: First key of the advisory locks that say which workers are alive.
WORKER_LOCK_CLASS: Final = 720_196


class Claim(msgspec.Struct, frozen=True):
    """A crawl this worker holds, as it stood when it was claimed."""

    crawl_id: int
    part_on: date
    lease_epoch: int
    scope: str
    cursor: str | None
    pages: int
    lookups: int
    #: None: no page yet, so lasting facts are still to be looked up.
    facts: dict[str, str] | None
    first_page_age: float | None
    last_page_age: float | None
    window_restarts: int
    drift_restarts: int
    cursor_restarts: int
    #: All watches and addresses of the request, in request order; some may not be covered any more.
    watches: list[int]
    addresses: list[str]
    open: list[bool]
    #: Seconds a walk may take here after the ordinary window proved too short, None: the ordinary one.
    grown_window: float | None
    #: Another worker held it and is gone, or was too slow.
    taken_over: bool = False
    #: What its first watch's list was when it was last published.
    earlier: KnownList | None = None

    @property
    def covered(self) -> dict[str, int]:
        """Watch number of each address that is still covered."""
        return {
            address: watch
            for address, watch, is_open in zip(self.addresses, self.watches, self.open, strict=True)
            if is_open
        }


class Worker(msgspec.Struct, frozen=True):
    """One process that claims crawls."""

    #: Random; unique among living workers because each holds an advisory lock on it.
    number: int
    lease: timedelta


async def hold_worker_number(connection: Connection, number: int) -> bool:
    """Take the advisory lock that says this worker lives. False: the number is taken."""
    cursor = await connection.execute(
        _SQL.hold_worker_number, {"lock_class": WORKER_LOCK_CLASS, "worker": number}
    )
    row = await cursor.fetchone()
    return bool(row and row[0])


async def claim(
    connection: Connection,
    worker: Worker,
    source: str,
    most: int,
    pass_id: int | None,
    shorter_than: int | None = None,
) -> list[Claim]:
    """Take up to ``most`` free crawls of a source; of one pass, or (None) whatever is due.

    ``shorter_than``: only crawls with fewer pages so far.
    """
    async with connection.cursor(row_factory=class_row(Claim)) as cursor:
        await cursor.execute(
            _SQL.claim_crawls,
            {
                "lock_class": WORKER_LOCK_CLASS,
                "source": source,
                "pass": pass_id,
                "most": most,
                "shorter_than": shorter_than,
                "worker": worker.number,
                "lease": worker.lease,
            },
        )
        return await cursor.fetchall()


async def renew(connection: Connection, worker: Worker, crawls: Sequence[int]) -> None:
    """Heartbeat for the crawls this worker holds."""
    await connection.execute(
        _SQL.renew_leases, {"crawls": list(crawls), "worker": worker.number, "lease": worker.lease}
    )


class Ending(msgspec.Struct, frozen=True):
    """How a crawl leaves this worker without being published."""

    #: Class of the error and what happened, redacted; None: nothing went wrong.
    error_class: str | None = None
    error: str | None = None
    #: HTTP requests not counted with any page.
    requests: int = 0


async def release(connection: Connection, held: Claim, ending: Ending, delay: timedelta) -> None:
    """Hand a crawl back with its cursor. Raises LeaseLost."""
    cursor = await connection.execute(_SQL.release_crawl, _fenced(held) | _told(ending) | {"delay": delay})
    if cursor.rowcount != 1:
        raise LeaseLost(f"crawl {held.crawl_id} is in other hands")


async def end(
    connection: Connection,
    held: Claim,
    state: Literal["failed", "abandoned"],
    ending: Ending,
    restarted_as: int | None = None,
) -> None:
    """End a crawl without publishing; all watches it covers get the same verdict. Raises LeaseLost."""
    cursor = await connection.execute(
        _SQL.end_crawl, _fenced(held) | _told(ending) | {"state": state, "restarted_as": restarted_as}
    )
    if cursor.rowcount != 1:
        raise LeaseLost(f"crawl {held.crawl_id} is in other hands")
    await connection.execute(
        _SQL.end_crawl_watches, {"crawl": held.crawl_id, "verdict": state, "error": _told(ending)["error"]}
    )


class Restarts(msgspec.Struct, frozen=True):
    """How often a walk was begun again, by cause."""

    window: int = 0
    drift: int = 0
    cursor: int = 0
    #: How long to wait before the next one.
    delay: timedelta = timedelta(0)


async def restart(
    connection: Connection, held: Claim, ending: Ending, restarts: Restarts, parts: int = 1
) -> None:
    """Abandon a crawl and queue what begins at page 1 in its place, in so many parts. Raises LeaseLost."""
    cursor = await connection.execute(_SQL.read_open_watches, {"crawl": held.crawl_id})
    watches = [row[0] for row in await cursor.fetchall()]
    size = -(-len(watches) // parts) if watches else 1
    shares = [watches[start : start + size] for start in range(0, len(watches), size)]
    successors = [await _create_successor(connection, held, restarts) for _ in shares]
    await end(connection, held, "abandoned", ending, successors[0] if successors else None)
    for successor, share in zip(successors, shares, strict=True):
        bind = {"crawl": held.crawl_id, "successor": successor, "watches": share}
        await connection.execute(_SQL.create_successor_watches, bind)
        await connection.execute(_SQL.move_passes, bind)


async def _create_successor(connection: Connection, held: Claim, restarts: Restarts) -> int:
    cursor = await connection.execute(
        _SQL.create_successor,
        {
            "crawl": held.crawl_id,
            "window_restarts": restarts.window,
            "drift_restarts": restarts.drift,
            "cursor_restarts": restarts.cursor,
            "delay": restarts.delay,
        },
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


async def count_pages(connection: Connection, held: Claim) -> int:
    """Pages a crawl has committed by now."""
    cursor = await connection.execute(_SQL.count_pages, {"crawl": held.crawl_id})
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def grow_windows(connection: Connection, watches: Sequence[int], window: timedelta) -> None:
    """Allow these watches a longer walk from now on."""
    await connection.execute(_SQL.grow_windows, {"watches": list(watches), "window": window})


def _fenced(held: Claim) -> dict[str, object]:
    return {"crawl": held.crawl_id, "epoch": held.lease_epoch}


def _told(ending: Ending) -> dict[str, object]:
    error = None if ending.error is None else ending.error.replace("\x00", "")[:2000]
    return {"error_class": ending.error_class, "error": error, "requests": ending.requests}


class WatchVerdict(msgspec.Struct, frozen=True):
    """How a published crawl ended for one watch."""

    crawl_id: int
    watch_id: int
    verdict: str
    error: str | None = None


async def complete(connection: Connection, held: Sequence[Claim], verdicts: Sequence[WatchVerdict]) -> None:
    """End crawls whose watches all have their verdict, in the transaction of their last page."""
    cursor = await connection.execute(
        _SQL.complete_crawls,
        {"crawls": [claim.crawl_id for claim in held], "epochs": [claim.lease_epoch for claim in held]},
    )
    assert cursor.rowcount == len(held), (
        "their leases were checked with the page, and the rows are locked since"
    )
    await connection.execute(
        _SQL.give_verdicts,
        {
            "crawls": [verdict.crawl_id for verdict in verdicts],
            "watches": [verdict.watch_id for verdict in verdicts],
            "verdicts": [verdict.verdict for verdict in verdicts],
            "errors": [verdict.error for verdict in verdicts],
        },
    )
