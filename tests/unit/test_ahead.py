"""How many crawls are claimed ahead: as many as were published lately, and none where something is wrong."""

from indexer.ahead import MOST_AHEAD, Ahead


class Clock:
    """Seconds that pass when they are told to."""

    now = 100.0

    def __call__(self) -> float:
        """This moment."""
        return self.now


def test_as_many_are_taken_ahead_as_were_published_lately() -> None:
    """Half a second later they count no more: then walks are slow, and others may take what waits."""
    clock = Clock()
    ahead = Ahead(clock)
    assert ahead.count() == 0
    ahead.count_published(3)
    clock.now += 0.4
    ahead.count_published(2)
    assert ahead.count() == 5
    clock.now += 0.2
    assert ahead.count() == 2
    clock.now += 60
    assert ahead.count() == 0


def test_never_more_than_the_most() -> None:
    """However quick the walks are."""
    ahead = Ahead(Clock())
    for _ in range(10):
        ahead.count_published(MOST_AHEAD)
    assert ahead.count() == MOST_AHEAD


def test_after_a_failure_nothing_is_taken_ahead() -> None:
    """An API that begins to fail is not asked by those who would not have been claimed without haste."""
    ahead = Ahead(Clock())
    ahead.count_published(10)
    ahead.forget()
    assert ahead.count() == 0
