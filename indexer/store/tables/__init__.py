"""The tables of schema `ledger`, as SQLAlchemy states them: the truth for columns and comments.

`alembic check` compares them with the migrated database. The runtime never queries through them.
"""

from indexer.store.tables.adopting import adopted_row, adoption
from indexer.store.tables.crawling import (
    crawl,
    crawl_pass,
    crawl_watch,
    fact,
    pass_watch,
    rate_limit,
    raw_body,
    raw_page,
)
from indexer.store.tables.history import (
    asset,
    asset_detail,
    carried_span,
    holding_version,
    missing_holding,
    price,
    snapshot,
)
from indexer.store.tables.metadata import metadata
from indexer.store.tables.scheduling import notice, schedule, upkeep
from indexer.store.tables.watching import address, source, watch, watch_period

__all__ = [
    "address",
    "adopted_row",
    "adoption",
    "asset",
    "asset_detail",
    "carried_span",
    "crawl",
    "crawl_pass",
    "crawl_watch",
    "fact",
    "holding_version",
    "metadata",
    "missing_holding",
    "notice",
    "pass_watch",
    "price",
    "rate_limit",
    "raw_body",
    "raw_page",
    "schedule",
    "snapshot",
    "source",
    "upkeep",
    "watch",
    "watch_period",
]
