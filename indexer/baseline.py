"""The first list of a watch nobody knew: straight into history, because there is nothing to compare it with.

Only plain lists take this way; one with a repeated or unreadable item is folded and merged like any other.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Final

from indexer.copying import NULL, escape
from indexer.folding import FoldRow

_ASSET: Final = attrgetter("asset_id")
_KEY: Final = attrgetter("asset_id", "sub_key")
_READABLE: Final = attrgetter("readable")


def is_plain(rows: Sequence[FoldRow]) -> bool:
    """Whether every item could be read and none came twice."""
    return len(set(map(_KEY, rows))) == len(rows) and all(map(_READABLE, rows))


def first_versions(
    rows: Sequence[FoldRow], crawl_id: int, page_times: Mapping[int, datetime], instant: datetime
) -> Iterator[str]:
    """The versions that a first list opens at ``instant``, as lines for the statement ``copy_versions``.

    In the order of the indexes that begin with the watch: so they grow at their ends, which costs less.
    """
    opened, ends = instant.isoformat(), _ends(crawl_id, page_times)
    for row in sorted(rows, key=_ASSET):
        # All at once: a million come here.
        (
            watch_id, asset_id, sub_key, _, page_no, _, amount, decimals, locked, frozen, delegate, details,
            _,
        ) = row  # fmt: skip
        if sub_key:
            sub_key = escape(sub_key)
        said = stated(amount, decimals, locked, frozen, delegate, details)
        yield f"{watch_id}\t{asset_id}\t{sub_key}\t1\t{opened}\t{said}{ends[page_no]}"


def stated(
    amount: int | None,
    decimals: int | None,
    locked: int | None,
    frozen: bool | None,
    delegate: str | None,
    details: str | None,
) -> str:
    """What an item says of a holding, as the fields from ``amount`` to ``details``."""
    # Nothing is asked for its type, and the usual details are not looked at twice.
    return (
        f"{NULL if amount is None else amount}\t{NULL if decimals is None else decimals}"
        f"\t{NULL if locked is None else locked}\t{NULL if frozen is None else 't' if frozen else 'f'}"
        f"\t{NULL if delegate is None else escape(delegate)}"
        f"\t{NULL if details is None else details if details == '{}' else escape(details)}"
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
