"""The first list of a watch nobody knew: straight into history, because there is nothing to compare it with.

Only plain lists take this way; one with a repeated or unreadable item is folded and merged like any other.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Final

from indexer.copying import NULL, escape, field
from indexer.folding import FoldRow

_ASSET: Final = attrgetter("asset_id")


def is_plain(rows: Sequence[FoldRow]) -> bool:
    """Whether every item could be read and none came twice."""
    keys = {(row.asset_id, row.sub_key) for row in rows}
    return len(keys) == len(rows) and all(row.readable for row in rows)


def first_versions(
    rows: Sequence[FoldRow], crawl_id: int, page_times: Mapping[int, datetime], instant: datetime
) -> Iterator[str]:
    """The versions that a first list opens at ``instant``, as lines for the statement ``copy_versions``.

    In the order of the indexes that begin with the watch: so they grow at their ends, which costs less.
    """
    opened, ends = instant.isoformat(), _ends(crawl_id, page_times)
    for row in sorted(rows, key=_ASSET):
        sub_key = escape(row.sub_key) if row.sub_key else ""
        yield f"{row.watch_id}\t{row.asset_id}\t{sub_key}\t1\t{opened}\t{stated(row)}{ends[row.page_no]}"


def stated(row: FoldRow) -> str:
    """What an item says of a holding, as the fields from ``amount`` to ``details``."""
    _, _, _, _, _, _, amount, decimals, locked, frozen, delegate, details, _ = row
    # The usual values of columns that are seldom filled are not looked at twice: a million come here.
    return (
        f"{NULL if amount is None else amount}\t{NULL if decimals is None else decimals}"
        f"\t{NULL if locked is None else locked}\t{NULL if frozen is None else 't' if frozen else 'f'}"
        f"\t{NULL if delegate is None else escape(delegate)}"
        f"\t{details if details == '{}' else field(details)}"
    )


def versions_of_lines(
    lines: Iterable[str], crawl_id: int, page_times: Mapping[int, datetime], instant: datetime
) -> Iterator[str]:
    """The same of rows that are lines for ``copy_fold`` already, in their order; each of them readable."""
    opened = instant.isoformat()
    ends = {str(page_no): end for page_no, end in _ends(crawl_id, page_times).items()}
    for line in lines:
        watch_id, asset_id, sub_key, _, page_no, _, rest = line.split("\t", 6)
        # All but the reason, which ends the line and which readable rows lack.
        said = rest[: rest.rindex("\t")]
        yield f"{watch_id}\t{asset_id}\t{sub_key}\t1\t{opened}\t{said}{ends[page_no]}"


def _ends(crawl_id: int, page_times: Mapping[int, datetime]) -> dict[int, str]:
    """How the lines of each page's versions end."""
    return {
        page_no: f"\t{fetched.isoformat()}\tbaseline\t{crawl_id}\t{page_no}\n"
        for page_no, fetched in page_times.items()
    }
