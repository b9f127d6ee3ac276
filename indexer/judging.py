"""Judging lists: what is known of them besides is put before `verdict`. Nothing here changes anything."""

from collections.abc import Sequence
from typing import Final

from indexer.errors import WalkMoved
from indexer.lists import FoldedList, NeedsWholeList
from indexer.store import history
from indexer.store.database import Connection
from indexer.store.history import Measured
from indexer.store.statements import Statements
from indexer.verdict import Evidence, Place, Verdict, Witness, is_outage, judge, may_be_strange

#: A node that lags so few blocks behind may just be slower than the one before: it is asked again when it can
#: have caught up. Only Algorand states its height; a block takes about three seconds there.
_FEW_BLOCKS: Final = 5
_BLOCK_SECONDS: Final = 3.0

#: Ends by drift after which a list that still moves is published as `drifted`.
DRIFT_RESTARTS: Final = 2


async def judge_lists(connection: Connection, lists: Sequence[FoldedList], forced: frozenset[int]) -> None:
    """Give every list its verdict; watches in ``forced`` are believed.

    Raises WalkMoved for a list to be asked for again, NeedsWholeList where a comparison is not enough.
    """
    if not lists:
        return
    if not forced:
        _begin_again(lists)
    measured = await _measure(connection, lists)
    for item in lists:
        item.measured = measured[item.known.watch_id]
        evidence = await _evidence(connection, item, item.measured)
        if item.known.watch_id in forced:
            item.verdict = Verdict("publish", witness_becomes="released")
        else:
            item.verdict = judge(evidence, item.crawl.config.guard)
    await find_hiding(connection, lists)
    # What a surprising list misses is found in the fold, and what its pages list.
    surprising = [
        item
        for item in lists
        if item.delta is not None and (item.verdict.kind != "publish" or _may_have_strange_page(item))
    ]
    if surprising:
        raise NeedsWholeList([item.advanced.crawl_id for item in surprising])


async def find_hiding(
    connection: Connection, lists: Sequence[FoldedList], sql: Statements = history.LIVE
) -> None:
    """Note which measured lists may leave out what they miss. ``sql``: the same on other tables (replay).

    One that confirms a surprising list, or that a person released, is believed all the same.
    """
    suspects = {
        item.known.watch_id: item
        for item in lists
        if item.measured is not None
        and item.delta is None
        and item.verdict.witness_becomes not in ("confirmed", "released")
        and item.summary.may_hide(item.crawl.facts)
    }
    read_at = {watch: item.advanced.last_page_at for watch, item in suspects.items()}
    for watch in await history.find_hidden(connection, read_at, sql) if suspects else ():
        suspects[watch].hides = True


def _begin_again(lists: Sequence[FoldedList]) -> None:
    """Lists that moved, or came from a node that lags behind, are asked for again while that may help."""
    for item in lists:
        if item.crawl.claim.drift_restarts >= DRIFT_RESTARTS:
            continue
        if item.lag:
            pause = item.lag * _BLOCK_SECONDS if item.lag <= _FEW_BLOCKS else 0.0
            raise WalkMoved(f"the node lags {item.lag} blocks behind", "drift", pause)
        if item.drifted:
            raise WalkMoved("the list moved while it was paged", "drift")


async def _measure(connection: Connection, lists: Sequence[FoldedList]) -> dict[int, Measured]:
    measured = {item.known.watch_id: _count(item) for item in lists}
    others = [item.known for item in lists if measured[item.known.watch_id] is None]
    found = await history.measure(connection, others) if others else {}
    return found | {watch: counted for watch, counted in measured.items() if counted is not None}


def _count(item: FoldedList) -> Measured | None:
    """What the database need not be asked: a first list, or one that was compared with the last."""
    watch, first, delta = item.known.watch_id, item.first_rows, item.delta
    if first is not None:
        return Measured(watch, known=0, readable=len(first), unreadable=0, missing=0, witnessed=0)
    if delta is not None:
        return Measured(watch, delta.listed_before, delta.listed, 0, missing=delta.missing, witnessed=0)
    return None


def _may_have_strange_page(item: FoldedList) -> bool:
    """Whether one of several pages may be of another account, as far as numbers alone tell."""
    if item.crawl.source.names_owner or item.advanced.pages == 1 or item.measured is None:
        return False
    if item.delta is not None:
        appeared = item.delta.appeared
    else:
        counted = item.measured
        appeared = counted.readable + counted.unreadable - (counted.known - counted.missing)
    return may_be_strange(item.measured.missing, appeared, item.crawl.config.guard)


async def _places(connection: Connection, item: FoldedList) -> list[Place]:
    if item.delta is not None or not _may_have_strange_page(item):
        return []
    found = await history.measure_places(connection, item.known.watch_id)
    return [Place(page.listed, page.known, page.familiar) for page in found]


async def _evidence(connection: Connection, item: FoldedList, measured: Measured) -> Evidence:
    known = item.known
    witness = None if known.witness is None else Witness(known.witness, known.witness_age or 0.0)
    outage = False
    if witness is not None:
        outage = is_outage(*await history.count_quarantined(connection, known.watch_id))
    return Evidence(
        known=measured.known,
        readable=measured.readable,
        unreadable=measured.unreadable + item.summary.unkeyed,
        missing=measured.missing,
        witnessed=0 if known.witness_lags else measured.witnessed,
        witness=witness,
        outage=outage,
        lag=item.lag,
        anonymous=not item.crawl.source.names_owner,
        places=await _places(connection, item),
    )
