"""One life of a few watches, told step by step: the program and the oracle hear the same.

A test or a random machine says what happens; after that `ask` puts the same questions to both.
"""

import random
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import groupby

from indexer.errors import ClockWentBack, UsageError
from indexer.folding import ROWS_IN_MEMORY
from indexer.store.crawls import Claim
from indexer.store.passes import Selected
from tests.model import questions
from tests.model.apis import WatchKey
from tests.model.oracle import Guard, Period, Story
from tests.model.questions import Rows
from tests.model.rig import Ended, Rig, Spoken
from tests.model.rows import KEYS
from tests.model.watches import Layout, make_content, name_watches, next_month
from tests.model.weather import FAIR, Lie, Weather

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)

#: What a life begins with unless it says otherwise.
FRESH_FOR = timedelta(hours=3)
CAREFUL = Guard(min_holdings=5, max_shrink=0.5, confirm_after=timedelta(minutes=10), max_unreadable=0.2)

#: A list that moved, or is of the past, is asked for so often once more before anything is made of it.
ASKED_AGAIN = 2

#: Lives whose lists come in such pages remember only a few rows as they are: what is long is cheap here.
SHORT_PAGES = 3

#: (watch, place, amount or None to remove, a second fact)
Edit = tuple[int, int, int | None, bool]


class Life:
    """Its own addresses, in a database that other lives share."""

    def __init__(
        self, rig: Rig, layout: Layout, full: int = 0, page_size: int = 20, guard: Guard = CAREFUL
    ) -> None:
        self.rig = rig
        self.guard = guard
        #: What was seen to happen, so that a test can tell whether anything did.
        self.tally: Counter[str] = Counter()
        self.watches = name_watches(layout)
        self.addresses = sorted({address for _, address, _ in self.watches})
        self.stories = {watch: Story(2 if watch[0] == "solana_das" else 1) for watch in self.watches}
        self._remembered: list[tuple[datetime, Rows, Rows]] = []
        self._questions = 0
        self._changes_seen = 0
        self._begin(full, page_size)

    def _begin(self, full: int, page_size: int) -> None:
        """At the start of a month of its own, so that the same life passes in the same way."""
        rig = self.rig
        rig.clock.set(next_month(rig.clock.read()))
        rig.make_room()
        rig.world.begin_again(page_size)
        rig.remember(2 if page_size == SHORT_PAGES else ROWS_IN_MEMORY)
        rig.configure(self.guard, FRESH_FOR)
        self._last_snapshot = rig.fold_from = rig.last_snapshot()
        rig.apply(self.watches)
        self._numbers = rig.number_watches(self.addresses)
        for watch in self.watches:
            rig.world.holdings[watch] = {place: make_content(watch, 250, fact=False) for place in range(full)}
        self._follow_watchlist()

    def has_lived(self, steps: int) -> bool:
        """Whether this much has happened already."""
        return self._questions >= steps

    @property
    def waiting(self) -> list[int]:
        """Which watches have a list that waits for a second witness or for somebody's word."""
        periods = [self.stories[watch].watched for watch in self.watches]
        return [place for place, period in enumerate(periods) if period is not None and period.witness]

    # What happens

    def edit(self, edits: Iterable[Edit]) -> None:
        """Owners trade."""
        for which, place, amount, fact in edits:
            watch = self.watches[which % len(self.watches)]
            if amount is None:
                self.rig.world.holdings[watch].pop(place, None)
            else:
                self.rig.world.holdings[watch][place] = make_content(watch, amount, fact=fact)

    def lie(self, which: Collection[int], lie: Lie | None) -> None:
        """The API lists something else than the truth about these watches; None: about nobody any more."""
        self.rig.world.lies.clear()
        if lie is not None:
            self.rig.world.lies.update(dict.fromkeys(self._choose(which), lie))

    def crawl(self, which: Collection[int], weather: Weather = FAIR) -> None:
        """Crawl these watches, as far as they are watched; what lies there unfinished is taken up."""
        chosen = self._choose(which)
        if chosen:
            self.rig.world.weather = weather
            # Longer than a broken walk waits before it is resumed.
            self.pass_time(31 * SECOND)
            self._queue(chosen)
            self._work(chosen)
            self.rig.world.weather = FAIR

    def crawl_overtaken(self, which: int, edits: Iterable[Edit]) -> None:
        """A worker sleeps on its claim, another one takes over; then the sleeper wakes up."""
        chosen = self._choose({which})
        if chosen:
            self.pass_time(31 * SECOND)
            self._queue(chosen)
            sleepers = self.rig.claim([chosen[0][0]])
            self.edit(edits)
            self._work(chosen)
            for source, held in sleepers:
                self._wake_up(source, held)

    def pass_time(self, span: timedelta) -> None:
        """Nothing happens for a while."""
        self.rig.clock.move(span)

    def step_back(self, span: timedelta) -> None:
        """Somebody sets the host's clock. Answers about what is the future again were never final."""
        now = self.rig.clock.move(-span)
        self._remembered = [item for item in self._remembered if item[0] < now]

    def review(self, which: int, *, release: bool) -> None:
        """A person speaks about the list that waits."""
        watch = self.watches[which]
        story, found = self.stories[watch], self.rig.find_witness(self._numbers[watch])
        assert found is not None, "the oracle knows of a list that waits, the ledger does not"
        self.pass_time(SECOND)
        snapshot_id, has_pages = found
        if release:
            self._release(watch, snapshot_id, has_pages=has_pages)
        else:
            self.rig.reject(snapshot_id)
            story.reject(self.rig.read_settled(snapshot_id))
            self.tally["rejected"] += 1

    def put_on_watchlist(self, which: Collection[int]) -> None:
        """These are watched from now on, and no others. An empty list is refused before it gets here."""
        self.pass_time(SECOND)
        self.rig.apply(
            [self.watches[place] for place in sorted({place % len(self.watches) for place in which})]
        )
        self._follow_watchlist()

    def fold_repeats(self) -> None:
        """Housekeeping: what only repeats is kept as an instant. No answer may change by it."""
        self.tally["folded"] += self.rig.fold_repeats()

    def forget_old_pages(self, keep: timedelta) -> None:
        """A month goes by, and old raw pages are thrown away: no answer may depend on them."""
        self.pass_time(timedelta(days=33))
        self.rig.make_room()
        self.rig.prune(keep)

    # What must hold

    def ask(self) -> None:
        """Whatever is asked about whenever: the reports answer as the oracle does, and as they did before."""
        self._questions += 1
        chance = random.Random(self._questions)
        now = self.rig.clock.read()
        again = chance.sample(self._remembered, min(2, len(self._remembered)))
        ats = list(dict.fromkeys([now, *self._choose_instants(chance, now), *(one[0] for one in again)]))
        holdings = questions.read_holdings(self.rig, self.addresses, ats)
        coverage = questions.read_coverage(self.rig, self.addresses, ats)
        questions.compare("holdings_as_of", holdings, questions.expect_holdings(self.stories, ats, now))
        questions.compare("coverage_as_of", coverage, questions.expect_coverage(self.stories, ats, now))
        for at, old_holdings, old_coverage in again:
            questions.compare("holdings asked again", questions.about(at, holdings), old_holdings)
            questions.compare("coverage asked again", questions.about(at, coverage), old_coverage)
        self._remembered += [
            (at, questions.about(at, holdings), questions.about(at, coverage)) for at in ats if at < now
        ]
        self.tally.update(row[4] for row in coverage)
        self.tally.update(row[11] for row in holdings)
        self._ask_balances(chance, ats, now)
        self._ask_changes()

    def end(self) -> None:
        """Nothing in the ledger contradicts itself."""
        self.tally = +self.tally
        broken = self.rig.ask(b"SELECT rule, ref FROM ledger.invariant_violation")
        assert broken == [], broken

    def _ask_balances(self, chance: random.Random, ats: Sequence[datetime], now: datetime) -> None:
        asked = {(source, address, "999999", now) for source, address, _ in self.watches}
        for at in ats[:3]:
            source, address, scope = chance.choice(self.watches)
            asked.add((source, address, KEYS[source][chance.randrange(12)][0] or scope, at))
        reported = questions.read_balances(self.rig, list(asked))
        expected = questions.expect_balances(self.stories, list(asked), now)
        questions.compare("balance_as_of", reported, expected)
        others = questions.find_other_sums(self.rig, self.addresses, ats[:2])
        questions.compare("balances_as_of", others, frozenset())
        self.tally.update(f"{row[6]} {row[7]}" for row in reported)

    def _ask_changes(self) -> None:
        known = sum(len(story.changes) for story in self.stories.values())
        if known == self._changes_seen and self._questions % 5:
            return
        self._changes_seen = known
        reported = questions.read_changes(self.rig, self.addresses)
        questions.compare("holding_changes", reported, questions.expect_changes(self.stories))
        self.tally.update(row[6] for row in reported)

    def _choose_instants(self, chance: random.Random, now: datetime) -> list[datetime]:
        """Instants at which something happened, just before, just after, and between."""
        known = sorted({instant for story in self.stories.values() for instant in story.instants()})
        picked = [chance.choice(known) for _ in range(2)]
        tick = timedelta(microseconds=1)
        between = known[0] + chance.random() * (max(known[-1], now) - known[0])
        edges = [picked[0], picked[0] - tick, picked[1] + tick, between]
        return [*edges, chance.choice((known[0] - tick, now + timedelta(hours=1), now - tick))]

    # How it is done

    def _choose(self, which: Collection[int]) -> list[WatchKey]:
        chosen = {self.watches[place % len(self.watches)] for place in which}
        return [watch for watch in self.watches if watch in chosen and self.stories[watch].watched]

    def _queue(self, chosen: Sequence[WatchKey]) -> None:
        """A crawl for every watch that has none: one for all watches of a rune."""
        open_already = self.rig.find_open([self._numbers[watch] for watch in chosen])
        groups: dict[tuple[str, str], list[Selected]] = {}
        for watch in chosen:
            number = self._numbers[watch]
            if number not in open_already:
                source, address, scope = watch
                together = (source, scope) if source == "okx_runes" else (source, address)
                groups.setdefault(together, []).append(Selected(number, *watch))
        if groups:
            self.rig.queue(list(groups.values()))

    def _work(self, chosen: Sequence[WatchKey]) -> None:
        self.rig.world.begin_round()
        before = self.rig.clock.read()
        walked = self.rig.work(sorted({source for source, _, _ in chosen}))
        self._settle(walked, before)

    def _wake_up(self, source: str, held: Claim) -> None:
        outcome = self.rig.walk(source, held)
        assert outcome == "lost", outcome
        assert self.rig.last_snapshot() == self._last_snapshot

    def _settle(self, walked: Sequence[int], before: datetime) -> None:
        """Judge what was walked as the program should have, and compare."""
        endings = {(ended.crawl_id, ended.watch_id): ended for ended in self.rig.read_endings(walked)}
        spoken = self.rig.read_spoken(self._last_snapshot)
        self._last_snapshot = max([self._last_snapshot, *(one.snapshot_id for one in spoken)])
        by_number = {number: watch for watch, number in self._numbers.items()}
        # Verdicts spoken in one transaction: none of them knew of the others.
        for _, together in groupby(spoken, key=lambda one: one.judged_at):
            outages = {watch: self._is_outage(watch[0]) for watch in self.watches}
            for one in together:
                watch = by_number[one.watch_id]
                self._judge(watch, one, endings.pop((one.crawl_id, one.watch_id)), outage=outages[watch])
        for ended in endings.values():
            self._check_silent(by_number[ended.watch_id], ended, before)

    def _is_outage(self, source: str) -> bool:
        """Whether so many of a source's watches are disbelieved that the source itself is in doubt."""
        periods = [story.watched for watch, story in self.stories.items() if watch[0] == source]
        watched = [period for period in periods if period is not None]
        doubted = sum(period.witness is not None for period in watched)
        return doubted >= 3 and doubted > 0.2 * len(watched)

    def _judge(self, watch: WatchKey, one: Spoken, ended: Ended, *, outage: bool) -> None:
        story = self.stories[watch]
        found = self.rig.read_list(one.crawl_id, watch[1], watch[0])
        period = story.watched
        assert period is not None, "a list was published for a watch that is not watched"
        assert one.judged_at > _latest(period), "an instant is not later than what was known"
        assert one.judged_at >= found.last_page_at >= found.first_page_at
        lags = found.lags_behind(period.height)
        assert one.restarts == ASKED_AGAIN or not (lags or found.drifted), (
            "it should have been asked for again"
        )
        self.tally["of the past"] += lags
        self.tally["drifted"] += found.drifted
        expected = story.judge(found, one.judged_at, self.guard, FRESH_FOR, outage=outage)
        told = f"{watch}: expected {expected}, got {ended.verdict} ({one.state}) for {found}"
        assert ended.verdict == expected, told
        assert one.state == ("quarantined" if expected == "quarantined" else "published"), told
        self.tally[expected] += 1

    def _check_silent(self, watch: WatchKey, ended: Ended, before: datetime) -> None:
        """A crawl that published nothing for a watch had a reason to."""
        self.tally[ended.error_class or f"silent {ended.verdict}"] += 1
        period = self.stories[watch].watched
        if ended.verdict == "skipped":
            return  # taken off the list while the crawl waited; the others it covers are told
        if ended.state == "complete":
            assert period is not None
            assert ended.verdict is not None, f"{watch} was told nothing by a complete crawl"
            found = self.rig.read_list(ended.crawl_id, watch[1], watch[0])
            assert ended.verdict == "failed", ended
            if found.first_page_at < period.start:
                return  # the clock stepped back: as far as anybody knows the list is older than the period
            assert found.unread > found.length * self.guard.max_unreadable
        elif ended.error_class == "ClockWentBack":
            latest = max(_latest(story.watched) for story in self.stories.values() if story.watched)
            assert latest > before + MINUTE - SECOND
        else:
            assert ended.error_class is not None or ended.state == "abandoned", ended

    def _release(self, watch: WatchKey, snapshot_id: int, *, has_pages: bool) -> None:
        story = self.stories[watch]
        assert story.watched is not None
        try:
            self.rig.release(snapshot_id)
        except UsageError:
            assert not has_pages
            return
        except ClockWentBack:
            self.tally["ClockWentBack"] += 1
            assert _latest(story.watched) > self.rig.clock.read() + MINUTE - SECOND
            return
        assert has_pages
        (one,) = self.rig.read_spoken(self._last_snapshot)
        self._last_snapshot = one.snapshot_id
        story.release(one.judged_at, FRESH_FOR)
        self.tally["released"] += 1

    def _follow_watchlist(self) -> None:
        """Take over the instants at which watching began and ended."""
        periods = self.rig.read_periods(list(self._numbers.values()))
        for watch, number in self._numbers.items():
            story, (start, end) = self.stories[watch], periods[number]
            if story.watched is not None and end is not None:
                assert end > _latest(story.watched)
                story.unwatch(end)
            elif story.watched is None and end is None:
                assert not story.periods or start >= (story.periods[-1].end or start)
                story.watch(start)


def _latest(period: Period) -> datetime:
    """Nothing known of a watch is later, as far as publishing is concerned."""
    return max([period.start, *(belief.at for belief in period.beliefs)])
