"""Random lives: every rule is something that happens to a warehouse; after each the reports are asked."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.model.life import CAREFUL, MINUTE, SECOND, Edit, Life
from tests.model.rig import Rig
from tests.model.watches import Layout
from tests.model.weather import Drift, Lie, Trouble, Weather

LAYOUTS: Sequence[Layout] = (
    (("algorand", 4),),
    (("solana_das", 3), ("hedera", 1)),
    (("okx_runes", 4),),
    (("loopring", 3), ("algorand", 1)),
    (("loopring", 1), ("hedera", 1), ("algorand", 1), ("okx_runes", 1)),
)

AMOUNTS = (0, 1, 5, 250, 2**63 - 1)

#: Odd lengths, so that no sum of them is a time the program waits for.
JUMPS = (7 * SECOND, 3 * MINUTE + SECOND, 11 * MINUTE, timedelta(hours=4, seconds=13))
STEPS_BACK = (7 * SECOND, 43 * SECOND, 3 * MINUTE + 17 * SECOND)

WATCH = st.integers(0, 3)
SOME = st.frozensets(WATCH, min_size=1)
MOST = st.frozensets(WATCH, min_size=3)
PLACES = st.integers(0, 11)
NOWHERE: frozenset[int] = frozenset()
EVERYWHERE = frozenset(range(12))

EDITS = st.lists(
    st.tuples(WATCH, PLACES, st.one_of(st.none(), st.sampled_from(AMOUNTS)), st.booleans()), max_size=4
)
#: Everything or nothing hidden more often than chance would have it.
LIES = st.builds(
    Lie,
    hidden=st.one_of(st.just(NOWHERE), st.frozensets(PLACES, max_size=9), st.just(EVERYWHERE)),
    unreadable=st.one_of(st.just(NOWHERE), st.frozensets(PLACES, max_size=2)),
    nameless=st.sampled_from((0, 0, 0, 1)),
)
TROUBLES = st.builds(Trouble, st.integers(1, 3), st.sampled_from(("unavailable", "nonsense", "cursor_lost")))
#: Until the second try, or for good.
DRIFTS = st.builds(Drift, st.integers(0, 5), st.sampled_from((100, 100, 3)))


class RandomLife(RuleBasedStateMachine):
    """One random life."""

    def __init__(self, rig: Rig, tally: Counter[str]) -> None:
        super().__init__()
        self._rig = rig
        self._tally = tally
        self._life: Life | None = None

    @property
    def life(self) -> Life:
        """The life, once it has begun."""
        assert self._life is not None
        return self._life

    @initialize(
        layout=st.sampled_from(LAYOUTS),
        full=st.sampled_from((0, 2, 7, 12)),
        tolerant=st.booleans(),
        page_size=st.sampled_from((3, 4, 6, 20)),
    )
    def begin(self, layout: Layout, full: int, tolerant: bool, page_size: int) -> None:
        """New addresses that hold something, or nothing."""
        guard = replace(CAREFUL, max_unreadable=0.6) if tolerant else CAREFUL
        self._life = Life(self._rig, layout, full, page_size, guard)

    @rule(which=SOME, edits=EDITS, moving=st.booleans())
    def crawl(self, which: frozenset[int], edits: Sequence[Edit], moving: bool) -> None:
        """Owners trade, or do not; the crawl is as it should be."""
        self.life.edit(edits)
        self.life.crawl(which, Weather(moving=moving))

    @rule(which=SOME, times=st.integers(2, 4), fold=st.booleans())
    def crawl_again_and_again(self, which: frozenset[int], times: int, fold: bool) -> None:
        """Nothing happens, and it is looked at often: most of what a daemon does."""
        for _ in range(times):
            self.life.crawl(which)
        if fold:
            self.life.fold_repeats()

    @rule()
    def fold_repeats(self) -> None:
        """Housekeeping between other work."""
        self.life.fold_repeats()

    @rule(which=SOME, lie=LIES, edits=EDITS)
    def crawl_lied_to(self, which: frozenset[int], lie: Lie, edits: Sequence[Edit]) -> None:
        """The API hides or garbles some of the holdings."""
        self.life.edit(edits)
        self.life.lie(which, lie)
        self.life.crawl(which)
        self.life.lie(which, None)

    @rule(which=SOME, lie=LIES, pause=st.sampled_from(JUMPS))
    def crawl_lied_to_twice(self, which: frozenset[int], lie: Lie, pause: timedelta) -> None:
        """The same lie again after a while: a second witness, if it is late enough."""
        self.life.lie(which, lie)
        self.life.crawl(which)
        self.life.pass_time(pause)
        self.life.crawl(which)
        self.life.lie(which, None)

    @rule(which=SOME, lie=LIES, lag=st.sampled_from((50, 150, 1_000)), moving=st.booleans())
    def crawl_a_node_that_lags(self, which: frozenset[int], lie: Lie, lag: int, moving: bool) -> None:
        """It has not seen the last blocks, nor what they changed."""
        self.life.lie(which, lie)
        self.life.crawl(which, Weather(moving=moving, lag=lag))
        self.life.lie(which, None)

    @rule(
        which=SOME, drift=DRIFTS, lie=st.one_of(st.just(Lie()), LIES), sold=st.frozensets(PLACES, max_size=3)
    )
    def crawl_a_list_that_moves(
        self, which: frozenset[int], drift: Drift, lie: Lie, sold: frozenset[int]
    ) -> None:
        """Rows come, go or change places between two pages of a list that is long enough for it."""
        self.life.put_on_watchlist(range(4))
        self.life.edit([(watch, place, 5, False) for watch in which for place in range(7)])
        self.life.crawl(which)
        self.life.edit([(watch, place, None, False) for watch in which for place in sold])
        self.life.lie(which, lie)
        self.life.crawl(which, Weather(drift=drift))
        self.life.lie(which, None)

    @rule(which=SOME, trouble=TROUBLES, edits=EDITS)
    def crawl_in_trouble(self, which: frozenset[int], trouble: Trouble, edits: Sequence[Edit]) -> None:
        """The walk breaks off or begins again; what was committed waits to be resumed."""
        self.life.edit(edits)
        self.life.crawl(which, Weather(trouble))

    @rule(which=WATCH, edits=EDITS)
    def crawl_overtaken(self, which: int, edits: Sequence[Edit]) -> None:
        """Two workers on one crawl: the one without the lease writes nothing."""
        self.life.crawl_overtaken(which, edits)

    @rule(span=st.sampled_from(JUMPS))
    def time_passes(self, span: timedelta) -> None:
        """Nothing happens, but answers grow old."""
        self.life.pass_time(span)

    @rule(span=st.sampled_from(STEPS_BACK))
    def clock_steps_back(self, span: timedelta) -> None:
        """History only goes forward all the same."""
        self.life.step_back(span)

    @rule(which=MOST, pause=st.sampled_from(JUMPS))
    def crawl_during_an_outage(self, which: frozenset[int], pause: timedelta) -> None:
        """The API answers in good order that nothing is there: to so many at once that nobody believes it."""
        self.life.put_on_watchlist(range(4))
        self.life.edit([(watch, place, 5, False) for watch in which for place in range(2)])
        self.life.crawl(which)
        self.life.lie(which, Lie(hidden=EVERYWHERE))
        self.life.crawl(which)
        self.life.pass_time(pause)
        self.life.crawl(which)
        self.life.lie(which, None)

    @precondition(lambda self: self._life is not None and self.life.waiting)
    @rule(which=WATCH, release=st.booleans())
    def review(self, which: int, release: bool) -> None:
        """A person releases or rejects."""
        waiting = self.life.waiting
        self.life.review(waiting[which % len(waiting)], release=release)

    @rule(watched=SOME)
    def edit_watchlist(self, watched: frozenset[int]) -> None:
        """Addresses are taken off the list, others are put back."""
        self.life.put_on_watchlist(watched)

    @rule()
    def watch_all(self) -> None:
        """Everything is on the list again."""
        self.life.put_on_watchlist(range(4))

    @precondition(lambda self: self._life is not None and self.life.has_lived(5))
    @rule(keep=st.sampled_from((timedelta(days=7), timedelta(days=40))))
    def forget_old_pages(self, keep: timedelta) -> None:
        """Retention at work."""
        self.life.forget_old_pages(keep)

    @invariant()
    def reports_agree(self) -> None:
        """The reports answer as the oracle does."""
        if self._life is not None:
            self._life.ask()

    def teardown(self) -> None:
        """At the end of a life the ledger is sound."""
        if self._life is not None:
            self._life.end()
            self._tally.update(self._life.tally)
