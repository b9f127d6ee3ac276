"""A list that was judged earlier, and its crawl as a worker held it: its pages can be folded again."""

from dataclasses import dataclass
from datetime import date, datetime

from indexer.store.crawls import Claim
from indexer.store.pages import Advanced


@dataclass(frozen=True, slots=True)
class PastList:
    """One recorded verdict on a list of one watch, and where its pages are."""

    snapshot_id: int
    crawl_id: int
    state: str
    resolution: str | None
    first_page_at: datetime
    last_page_at: datetime
    height_from: int | None
    height_to: int | None
    pages: int
    #: None when the crawl was pruned, like all facts about it.
    part_on: date | None
    facts: dict[str, str] | None
    scope: str | None
    drift_restarts: int | None
    moved: bool | None
    reported_total: int | None
    addresses: list[str] | None

    def as_claimed(self, watch_id: int, address: str) -> Claim:
        """Its crawl as a worker held it, for one watch alone."""
        assert self.part_on is not None
        return Claim(
            crawl_id=self.crawl_id,
            part_on=self.part_on,
            lease_epoch=0,
            scope=self.scope or "",
            cursor=None,
            pages=self.pages,
            lookups=0,
            facts=self.facts,
            first_page_age=None,
            last_page_age=None,
            window_restarts=0,
            drift_restarts=self.drift_restarts or 0,
            cursor_restarts=0,
            watches=[watch_id],
            addresses=self.addresses or [address],
            open=[True],
            grown_window=None,
        )

    def as_advanced(self, source: str) -> Advanced:
        """Its crawl as the last page left it."""
        return Advanced(
            crawl_id=self.crawl_id,
            first_page_at=self.first_page_at,
            last_page_at=self.last_page_at,
            height_from=self.height_from,
            height_to=self.height_to,
            pages=self.pages,
            moved=bool(self.moved),
            source=source,
            reported_total=self.reported_total,
        )
