"""A person's word on lists that were not believed: release makes one history now, reject dismisses it.

A release folds the same raw pages again, so what becomes history is exactly what the API said then.
"""

from collections.abc import Mapping
from datetime import timedelta

from indexer.config import Config
from indexer.errors import BadPage, PublishTooSlow, UsageError
from indexer.lists import FinishedCrawl
from indexer.publish import publish_lists
from indexer.sources.base import Source
from indexer.store import review, watching
from indexer.store.database import Connection, Database
from indexer.store.review import Quarantined


async def release(database: Database, config: Config, sources: Mapping[str, Source], snapshot_id: int) -> str:
    """Believe a quarantined list after all. Returns what happened; raises UsageError when it cannot be."""
    lead = timedelta(0)

    async def write() -> str:
        async with database.publishing() as connection:
            found = await _unresolved(connection, snapshot_id)
            if found.superseded:
                raise UsageError(
                    f"Snapshot {snapshot_id} is older than what is published: reject it instead."
                )
            await _publish(connection, found, config, sources, lead)
            return (
                f"Snapshot {snapshot_id} of {found.address} is history now: {found.pages} pages folded again."
            )

    try:
        return await database.steadily(write)
    except PublishTooSlow as slow:
        # A list that takes so long names a later instant.
        lead = timedelta(seconds=slow.seconds)
    return await database.steadily(write)


async def reject(database: Database, snapshot_id: int) -> str:
    """Dismiss a quarantined list. Returns what happened; raises UsageError when it cannot be."""

    async def write() -> str:
        async with database.transaction() as connection:
            found = await _unresolved(connection, snapshot_id)
            await review.reject(connection, snapshot_id)
            await watching.drop_testimony(connection, [snapshot_id])
            return f"Snapshot {snapshot_id} of {found.address} is rejected: history stays as it is."

    return await database.steadily(write)


async def _unresolved(connection: Connection, snapshot_id: int) -> Quarantined:
    await review.lock(connection, snapshot_id)
    found = await review.read(connection, snapshot_id)
    if found is None:
        raise UsageError(f"There is no snapshot {snapshot_id}: `indexer status` lists what is quarantined.")
    if found.state != "quarantined" or found.resolution is not None:
        state = found.resolution or found.state
        raise UsageError(f"Snapshot {snapshot_id} is not waiting for anybody: it is {state}.")
    return found


async def _publish(
    connection: Connection,
    found: Quarantined,
    config: Config,
    sources: Mapping[str, Source],
    lead: timedelta,
) -> None:
    if found.part_on is None or found.source_id is None:
        raise UsageError(
            f"The raw pages of snapshot {found.snapshot_id} were pruned: crawl the address again."
        )
    source = sources[found.source_id]
    crawl = FinishedCrawl(
        claim=found.as_claimed(found.watch_id, found.address),
        source=source,
        config=config.sources[source.name],
        facts=found.facts or {},
        covered={found.address: found.watch_id},
        rows=None,
        lead=lead,
    )
    advanced = found.as_advanced(source.name)
    try:
        verdicts = await publish_lists(
            connection, [crawl], {found.crawl_id: advanced}, forced=frozenset({found.watch_id})
        )
    except BadPage as error:
        raise UsageError(f"Snapshot {found.snapshot_id} cannot be folded again: {error}") from None
    if all(verdict.verdict == "skipped" for verdict in verdicts):
        raise UsageError(
            f"{found.address} is not watched any more: put it on the watchlist and crawl it again."
        )
