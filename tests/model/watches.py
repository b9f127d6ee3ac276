"""Who is watched in a life, and what can be held there. No address comes twice in a process."""

from collections.abc import Sequence
from datetime import datetime

from indexer.simulator.addresses import make_address
from tests.model.apis import WatchKey
from tests.model.lists import Content
from tests.model.rows import DIVISIBILITY, RUNES

#: Which watches a life has: sources, and how many of each.
Layout = Sequence[tuple[str, int]]

#: Lives so far in this process.
_born = 0


def next_month(moment: datetime) -> datetime:
    """The second day of the month after the next: nothing that happened before is near."""
    months = moment.year * 12 + moment.month + 1
    return datetime(months // 12, months % 12 + 1, 2, tzinfo=moment.tzinfo)


def name_watches(layout: Sequence[tuple[str, int]]) -> list[WatchKey]:
    global _born  # noqa: PLW0603  one counter per process names the addresses
    _born += 1
    watches: list[WatchKey] = []
    for source, count in layout:
        for place in range(count):
            address = make_address(source, 7, _born * 4 + (place // 2 if source == "okx_runes" else place))
            address = address.lower() if source == "loopring" else address
            scope = RUNES[place % 2] if source == "okx_runes" else ""
            watches.append((source, address, scope))
    return watches


def make_content(watch: WatchKey, amount: int, *, fact: bool) -> Content:
    """What a source can say of a holding: not every API has every field."""
    source, _, scope = watch
    if source == "hedera":
        return Content(1, 0, delegate="0.0.77" if fact else None)
    if source == "loopring":
        return Content(amount, 0)
    if source == "okx_runes":
        return Content(amount, DIVISIBILITY[scope])
    if source == "algorand":
        return Content(amount, 6 if amount % 2 == 0 else None, frozen=fact)
    return Content(None if amount == 250 else amount, None if amount == 5 else 9, frozen=fact)
