"""What can be wrong with the APIs of a life: lies, trouble, nodes that lag, lists that move while paged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tests.model.lists import Row


@dataclass(frozen=True, slots=True)
class Lie:
    """How an API lists something else than the truth. Numbers are places in ``KEYS``."""

    hidden: frozenset[int] = frozenset()
    unreadable: frozenset[int] = frozenset()
    nameless: int = 0


@dataclass(frozen=True, slots=True)
class Trouble:
    """An answer that is no page: at which request of a list, and what comes instead."""

    request: int
    #: unavailable, nonsense or cursor_lost.
    kind: str


#: How the lists of a source can move while they are paged. Where an API sorts by key, nothing can come twice.
DRIFTS: Mapping[str, Sequence[str]] = {
    "algorand": ("heights",),
    "hedera": ("again", "changed", "blurred"),
    "solana_das": (),
    "okx_runes": ("again", "changed", "blurred", "first", "page"),
    "loopring": ("newest", "oldest", "both", "again", "changed", "blurred"),
}


@dataclass(frozen=True, slots=True)
class Drift:
    """A list that moves while it is paged."""

    #: Which of its source's ways.
    kind: int
    #: Two nodes that know different things take turns for so many requests.
    turns: int


@dataclass(frozen=True, slots=True)
class Weather:
    """What befalls everybody who asks."""

    trouble: Trouble | None = None
    #: The chain goes on while a list is paged.
    moving: bool = False
    #: How many blocks behind the node is that answers.
    lag: int = 0
    drift: Drift | None = None


FAIR = Weather()


def shift(kind: str, rows: list[Row], *, other: bool) -> list[Row]:
    """The list as a node sees it: it lacks the newest row, or the oldest."""
    if kind == "newest":
        return rows if other else rows[1:]
    if kind == "oldest":
        return rows[:-1] if other else rows
    if kind == "both":
        return rows[:-1] if other else rows[1:]
    return rows


def repeat(kind: str, before: Sequence[Row]) -> list[Row]:
    """Rows of earlier pages that come again at the top of the next one."""
    match kind:
        case "again":
            return list(before[-1:])
        case "first":
            return list(before[:1])
        case "changed":
            return [_change(row) for row in before[-1:]]
        case "blurred":
            return [replace(row, content=None) for row in before[-1:]]
    return []


def repeat_at_edges(kind: str, rows: Sequence[Row], page_size: int) -> list[Row]:
    """The same in a list that is paged by offset, where what comes again counts."""
    listed: list[Row] = []
    for number, row in enumerate(rows):
        if number and number % (page_size - 1) == 0:
            listed += repeat(kind, rows[:number])
        listed.append(row)
    return listed


def _change(row: Row) -> Row:
    """The same holding a moment later."""
    if row.content is None or row.key is None:
        return row
    if row.content.amount is None or row.key[0].startswith("0.0."):
        return replace(row, content=replace(row.content, delegate="0.0.78"))
    return replace(row, content=replace(row.content, amount=row.content.amount + 1))
