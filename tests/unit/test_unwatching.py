"""Portions of a removal: as much as one transaction ends, and nothing twice or never."""

from datetime import UTC, datetime

from indexer.store.watching import Unwanted
from indexer.unwatching import MOST_HOLDINGS, MOST_WATCHES, divide

_SINCE = datetime(2026, 1, 1, tzinfo=UTC)


def _divide(*holdings: int) -> list[list[int]]:
    """Watches that hold so much, numbered from 0, as the portions in which they end."""
    unwanted = [
        Unwanted(number, _SINCE, f"hedera 0.0.{number}", held) for number, held in enumerate(holdings)
    ]
    return [[watch.watch_id for watch in portion] for portion in divide(unwanted)]


def test_what_is_small_ends_together() -> None:
    """A few watches cost one transaction."""
    assert _divide(3, 0, 7) == [[1, 0, 2]]


def test_nothing_to_remove_takes_no_portion() -> None:
    """Nearly every watchlist takes nothing off."""
    assert _divide() == []


def test_a_portion_holds_no_more_than_the_limit() -> None:
    """Exactly as much is one portion; one more holding is another."""
    half = MOST_HOLDINGS // 2

    assert _divide(half, half) == [[0, 1]]
    assert _divide(half, half, 1) == [[2, 0], [1]]


def test_a_watch_larger_than_a_portion_ends_alone_and_last() -> None:
    """What takes long keeps only itself waiting."""
    assert _divide(MOST_HOLDINGS * 3, 1, MOST_HOLDINGS * 2, 1) == [[1, 3], [2], [0]]


def test_a_portion_has_no_more_watches_than_the_limit() -> None:
    """Watches that hold nothing cost something too."""
    assert [len(portion) for portion in _divide(*[0] * (2 * MOST_WATCHES + 1))] == [
        MOST_WATCHES,
        MOST_WATCHES,
        1,
    ]
