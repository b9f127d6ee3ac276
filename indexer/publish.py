"""Publishing: finished crawls are folded, judged and merged into history, all or nothing (promises 1 to 7).

Everything happens inside the transaction of the connection that is passed in. Replay is the same fold.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain
from typing import Final

import psycopg

from indexer.baseline import first_versions, versions_of_lines
from indexer.crashpoints import reached
from indexer.errors import PublishTooSlow
from indexer.judging import judge_lists
from indexer.lists import FinishedCrawl, FoldedList, NeedsWholeList, gather
from indexer.packed import PackedRows
from indexer.store import crawls, history, instants
from indexer.store.crawls import WatchVerdict
from indexer.store.database import Connection
from indexer.store.history import Believed, DeltaRow, Known, SnapshotRow
from indexer.store.pages import Advanced

#: From the instant of a publish to its commit. `report.settled_until` promises it: later, and answers that
#: were given meanwhile would change.
LONGEST = timedelta(seconds=30)

#: A publish that takes longer is given up. Others wait for it.
GIVEN_UP_SECONDS: Final = 600


async def publish(
    connection: Connection,
    finished: Sequence[FinishedCrawl],
    advanced: Mapping[int, Advanced],
) -> list[WatchVerdict]:
    """Publish these crawls and end them.

    Raises WalkMoved for a list that moved, ClockWentBack, PublishTooSlow: roll back then.
    """
    verdicts = await publish_lists(connection, finished, advanced, forced=frozenset())
    reached("snapshot_written")
    claims = [crawl.claim for crawl in finished]
    await crawls.complete(connection, claims, [*verdicts, *_tell_unheard(finished, verdicts)])
    reached("crawl_completed")
    return verdicts


def _tell_unheard(finished: Sequence[FinishedCrawl], told: Sequence[WatchVerdict]) -> Iterator[WatchVerdict]:
    """Lists that say nothing about this watch period: without a verdict their watches would stay open.

    Only a clock that stepped back gets here; a watch that was taken off meanwhile has its verdict.
    """
    heard = {(verdict.crawl_id, verdict.watch_id) for verdict in told}
    for crawl in finished:
        for watch in crawl.covered.values():
            if (crawl.claim.crawl_id, watch) not in heard:
                error = "its pages seem older than its place on the watchlist: did the clock step back?"
                yield WatchVerdict(crawl.claim.crawl_id, watch, "failed", error)


async def publish_lists(
    connection: Connection,
    finished: Sequence[FinishedCrawl],
    advanced: Mapping[int, Advanced],
    forced: frozenset[int],
) -> list[WatchVerdict]:
    """Fold, judge and merge. Watches in ``forced`` are believed: an operator released them."""
    if any(crawl.lead for crawl in finished):
        await instants.allow_time(connection)
    watches = [watch for crawl in finished for watch in crawl.covered.values()]
    known = await history.begin(connection, watches)
    lists = await gather(connection, finished, advanced, known)
    changing = [item for item in lists if not item.same_as_before]
    await judge_lists(connection, changing, forced)
    await _merge(connection, lists, changing)
    return [*map(_tell, lists), *_tell_unwatched(finished, known)]


def _tell_unwatched(finished: Sequence[FinishedCrawl], known: Mapping[int, Known]) -> Iterator[WatchVerdict]:
    """What was taken off the watchlist while it was queued; mostly it has its verdict already."""
    for crawl in finished:
        for watch in crawl.covered.values():
            if watch not in known:
                yield WatchVerdict(crawl.claim.crawl_id, watch, "skipped", "removed from the watchlist")


async def _merge(connection: Connection, lists: Sequence[FoldedList], changing: Sequence[FoldedList]) -> None:
    """Write what was judged, at one instant."""
    judged = [item for item in lists if item.verdict.kind != "fail"]
    if not judged:
        return
    lead = max(item.crawl.lead for item in judged)
    instant = await instants.choose_instant(connection, max(_latest(item) for item in judged), lead)
    await _change_history(connection, [item for item in changing if item.verdict.kind == "publish"], instant)
    reached("history_changed")
    await _write_prices(connection, [item for item in lists if item.verdict.kind == "publish"])
    resolved = [item for item in changing if item.verdict.witness_becomes and item.known.witness]
    if resolved:
        await history.resolve_witnesses(
            connection,
            [(item.known.witness or 0, item.verdict.witness_becomes or "") for item in resolved],
            instant,
        )
    numbers = await history.insert_snapshots(connection, [to_snapshot(item) for item in judged], instant)
    new = [item for item in judged if item.verdict.kind == "quarantine" and not item.verdict.repeats]
    if new:
        await history.insert_testimony(
            connection, [(numbers[item.known.watch_id], item.known.watch_id) for item in new]
        )
    if resolved:
        await history.drop_testimony(connection, [item.known.witness or 0 for item in resolved])
    await end_in_time(connection, instant, lead)


async def end_in_time(
    connection: Connection, instant: datetime, lead: timedelta, what: str = "publishing"
) -> None:
    """Let the instant come, if it was ahead of the clock; refuse to commit long after it.

    The last statement of a publish, and of a removal. Raises PublishTooSlow.
    """
    age = await instants.measure_age(connection, instant)
    if age > LONGEST:
        seconds = (lead + age).total_seconds()
        raise PublishTooSlow(f"{what} took {seconds:.0f} s and was rolled back", seconds)
    if lead:
        await instants.await_instant(connection, instant)


def _latest(item: FoldedList) -> datetime:
    """Nothing about this list is later: its pages may be, where the clock stepped back while they came."""
    assert item.advanced.last_page_at is not None
    return max(item.known.latest, item.advanced.last_page_at)


async def _change_history(connection: Connection, believed: Sequence[FoldedList], instant: datetime) -> None:
    await _begin_histories(connection, [item for item in believed if item.first_rows is not None], instant)
    await _change_by_deltas(connection, [item for item in believed if item.delta is not None], instant)
    believed = [item for item in believed if item.first_rows is None and item.delta is None]
    if not believed:
        return
    doubts = any(_has_doubts(item) for item in believed)
    changed = await history.merge(connection, [believe(item) for item in believed], instant, doubts=doubts)
    for item in believed:
        item.changed = item.known.watch_id in changed


async def _begin_histories(connection: Connection, firsts: Sequence[FoldedList], instant: datetime) -> None:
    short = [
        first_versions(item.first_rows, item.advanced.crawl_id, _page_times(item), instant)
        for item in sorted(firsts, key=lambda item: item.known.watch_id)
        if item.first_rows is not None and not isinstance(item.first_rows, PackedRows)
    ]
    if short:
        await history.copy_versions(connection, chain.from_iterable(short))
    for item in firsts:
        if isinstance(item.first_rows, PackedRows):
            await _begin_long_history(connection, item, item.first_rows, instant)
        item.changed = True


async def _begin_long_history(
    connection: Connection, item: FoldedList, rows: PackedRows, instant: datetime
) -> None:
    lines = versions_of_lines(rows.lines(), item.advanced.crawl_id, _page_times(item), instant)
    try:
        await history.copy_versions(connection, lines)
    except psycopg.errors.UniqueViolation:
        # A holding came twice. That is judged like any list that moved, from the fold.
        raise NeedsWholeList([item.advanced.crawl_id]) from None


async def _change_by_deltas(connection: Connection, lists: Sequence[FoldedList], instant: datetime) -> None:
    rows = [row for item in lists for row in delta_rows(item)]
    if not rows:
        return
    found = await history.merge_deltas(connection, rows, instant)
    mistaken = {watch for watch, told in found.items() if told.is_mistaken}
    if mistaken:
        raise NeedsWholeList([item.advanced.crawl_id for item in lists if item.known.watch_id in mistaken])
    for item in lists:
        item.changed = item.known.watch_id in found and found[item.known.watch_id].changed


def delta_rows(item: FoldedList) -> Iterator[DeltaRow]:
    """What is new in a list and what is gone from it, one row for each holding."""
    delta, crawl_id = item.delta, item.advanced.crawl_id
    assert delta is not None
    gone, times = delta.keys_gone, _page_times(item)
    for row in delta.fresh:
        key = (row.asset_id, row.sub_key)
        yield DeltaRow(
            row.watch_id, crawl_id, *key, True, key in gone, row.amount, row.decimals, row.locked, row.frozen,
            row.delegate, row.details, row.page_no, times[row.page_no],
        )  # fmt: skip
        gone.discard(key)
    for asset_id, sub_key in gone:
        yield DeltaRow(item.known.watch_id, crawl_id, asset_id, sub_key, listed=False, held=True)


def _page_times(item: FoldedList) -> dict[int, datetime]:
    """Database time of each page of the crawl, the one that is being committed too."""
    advanced = item.advanced
    assert advanced.last_page_at is not None
    return {**item.crawl.page_times, advanced.pages: advanced.last_page_at}


async def _write_prices(connection: Connection, published: Sequence[FoldedList]) -> None:
    """Crawls that were read again may have put prices beside the fold; others say so themselves."""
    priced = [item for item in published if item.crawl.prices or item.crawl.pages_read]
    if priced:
        await history.write_prices(
            connection,
            [(item.known.watch_id, item.crawl.claim.crawl_id, item.crawl.claim.part_on) for item in priced],
        )


def _has_doubts(item: FoldedList) -> bool:
    measured = item.measured
    return (
        item.known.carries
        or not item.proves
        or (measured is not None and measured.unreadable > 0)
        or (item.absences_needed > 1 and measured is not None and measured.missing > 0)
    )


def believe(item: FoldedList) -> Believed:
    """How a list that is believed goes into history."""
    return Believed(
        watch_id=item.known.watch_id,
        crawl_id=item.crawl.claim.crawl_id,
        part_on=item.crawl.claim.part_on,
        baseline=item.known.baseline,
        unproved_before=not item.known.proved_before,
        proves=item.proves,
        absences_needed=item.absences_needed,
        witness=item.known.witness if item.verdict.witness_becomes in ("confirmed", "released") else None,
    )


def to_snapshot(item: FoldedList) -> SnapshotRow:
    """The verdict about a list as it is stored."""
    advanced, measured = item.advanced, item.measured
    assert advanced.first_page_at is not None
    assert advanced.last_page_at is not None
    quarantined = item.verdict.kind == "quarantine"
    return SnapshotRow(
        watch_id=item.known.watch_id,
        crawl_id=item.crawl.claim.crawl_id,
        state="quarantined" if quarantined else "published",
        fresh_for=item.crawl.config.fresh_for,
        first_page_at=advanced.first_page_at,
        last_page_at=advanced.last_page_at,
        height_from=advanced.height_from,
        height_to=advanced.height_to,
        pages=advanced.pages,
        holdings=measured.readable if measured else item.known.holdings or 0,
        unreadable=(measured.unreadable if measured else 0) + item.summary.unkeyed,
        missing=measured.missing if measured else 0,
        proves=item.proves_absence,
        consistency=_consistency(item),
        digest=item.summary.digest,
        reason=item.verdict.reason if quarantined else None,
        resolution="repeated" if item.verdict.repeats else None,
    )


def _consistency(item: FoldedList) -> str:
    advanced = item.advanced
    if item.drifted:
        return "drifted"
    same_height = advanced.height_from is not None and advanced.height_from == advanced.height_to
    return "point" if advanced.pages == 1 or same_height else "window"


def _tell(item: FoldedList) -> WatchVerdict:
    crawl_id, watch_id, verdict = item.crawl.claim.crawl_id, item.known.watch_id, item.verdict
    if verdict.kind == "publish":
        outcome = "published" if item.changed or item.known.baseline else "unchanged"
        return WatchVerdict(crawl_id, watch_id, outcome)
    if verdict.kind == "fail":
        first = f": {item.summary.first_reason}" if item.summary.first_reason else ""
        return WatchVerdict(crawl_id, watch_id, "failed", verdict.reason + first)
    return WatchVerdict(crawl_id, watch_id, "quarantined", verdict.reason)
