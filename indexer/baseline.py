"""The first list of a watch nobody knew: straight into history, because there is nothing to compare it with.

Only plain lists take this way; one with a repeated or unreadable item is folded and merged like any other.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from indexer.folding import FoldRow


class FirstVersion(NamedTuple):
    """A version in the order of the columns of the statement ``copy_versions``."""

    watch_id: int
    asset_id: int
    sub_key: str
    version_no: int
    valid_from: datetime
    amount: int | None
    decimals: int | None
    locked: int | None
    frozen: bool | None
    delegate: str | None
    details: str | None
    observed_at: datetime
    open_reason: str
    opened_by: int
    opened_page: int


def is_plain(rows: Sequence[FoldRow]) -> bool:
    """Whether every item could be read and none came twice."""
    keys = {(row.asset_id, row.sub_key) for row in rows}
    return len(keys) == len(rows) and all(row.readable for row in rows)


def first_versions(
    rows: Sequence[FoldRow], crawl_id: int, page_times: Mapping[int, datetime], instant: datetime
) -> Iterator[FirstVersion]:
    """The versions that a first list opens at ``instant``."""
    for row in rows:
        yield FirstVersion(
            row.watch_id,
            row.asset_id,
            row.sub_key,
            1,
            instant,
            row.amount,
            row.decimals,
            row.locked,
            row.frozen,
            row.delegate,
            row.details,
            page_times[row.page_no],
            "baseline",
            crawl_id,
            row.page_no,
        )
