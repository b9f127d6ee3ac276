"""Adopting: after a parser was fixed, the history of a watch built again takes the place of the live one.

The whole watch or nothing, in one transaction, while nobody can publish it; what is replaced is kept for
ever. Verdicts and instants stay as they were, and so do prices: they are what was seen on the day.
"""

from dataclasses import dataclass

import structlog

from indexer.errors import DatabaseUnavailable
from indexer.folding import named_assets
from indexer.records import Page
from indexer.store import adoption as store
from indexer.store import assets, prune
from indexer.store import replay as scratch
from indexer.store.database import Connection, Database
from indexer.store.replay import ReplayedWatch, Story

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Adopted:
    """An adoption: how many rows of each table are others now."""

    adoption: int
    source: str
    address: str
    scope: str
    versions: int
    carried_spans: int
    snapshots: int


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """A watch whose differences were not adopted."""

    source: str
    address: str
    scope: str
    why: str


async def require_owner(database: Database) -> None:
    """Raises DatabaseUnavailable for a role that may not replace history."""
    async with database.connection() as connection:
        if not await store.is_owner(connection):
            raise DatabaseUnavailable(
                "Only the owner of the tables may adopt a history: run it with the database.url of the role"
                " that ran `indexer db upgrade`."
            )


async def adopt(connection: Connection, watch: ReplayedWatch, story: Story) -> Adopted | None:
    """Put the scratch copy of this connection in the place of the live history.

    None: something happened since the story was read, so the copy is of no use.
    """
    async with connection.transaction():
        await scratch.allow_time(connection)
        # No prune and no folding beside it; then the watch, as a publish locks it.
        await prune.lock_pruning(connection)
        await store.lock(connection, watch.watch_id)
        if await scratch.read_story(connection, watch.watch_id) != story:
            return None
        number, replaced = await store.replace(connection, watch.watch_id, story.since)
    adopted = Adopted(
        number,
        watch.source,
        watch.address,
        watch.scope,
        replaced.versions,
        replaced.carried_spans,
        replaced.snapshots,
    )
    _log.warning(
        "history adopted",
        source=watch.source,
        address=watch.address,
        adoption=number,
        versions=adopted.versions,
        carried_spans=adopted.carried_spans,
        snapshots=adopted.snapshots,
    )
    return adopted


async def learn_assets(
    database: Database, network: str, page: Page, learned: set[tuple[str, str]]
) -> dict[str, int]:
    """The numbers of all assets of a page, in a transaction of its own, as a crawl learns them.

    ``learned``: networks and references of those that got their numbers so; later pages describe them anew.
    """
    async with database.transaction() as connection:
        numbers = await assets.number(connection, network, named_assets(page))
        new = {(network, ref) for ref in numbers.inserted}
        told = {
            one.asset_ref: (one, assets.digest_of(one))
            for one in page.assets
            if (network, one.asset_ref) in new or (network, one.asset_ref) in learned
        }
        await assets.describe(connection, told, numbers)
    learned |= new
    return numbers.all
