"""What must be believed, worked out from the promises alone: plain Python, no SQL, no row of the ledger.

One `Story` is one watch. It is told what the API listed and when the program spoke its verdict; it says what
that verdict must be and what is held from then on. A belief once formed is never changed, only followed by
another: that is the whole of "answers as of the past do not change".
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from tests.model.lists import Content, FullList, Key


@dataclass(frozen=True, slots=True)
class Guard:
    """How surprising a list may be (promises 5 and 6)."""

    min_holdings: int
    max_shrink: float
    confirm_after: timedelta
    max_unreadable: float


#: What a list that may leave rows out does not show is carried for so long.
CARRIED_FOR = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why the last list does not tell a holding."""

    #: unreadable, missing or unkeyed
    reason: str
    since: datetime

    def may_be_hidden(self, at: datetime) -> bool:
        """Whether a list read then may have left it out, as far as lists before it say."""
        # What was unreadable was listed until now.
        lately = self.reason == "unreadable" or at - self.since <= CARRIED_FOR
        return self.reason != "missing" and lately


@dataclass(frozen=True, slots=True)
class Held:
    """One holding as it is believed."""

    content: Content
    since: datetime
    #: When the page that showed it like this was fetched.
    seen_at: datetime
    #: Its last known content stands in. None: seen by the last list.
    doubt: Doubt | None = None

    def doubted(self, reason: str, at: datetime) -> "Held":
        """The same, not told by a list that is believed from this instant on."""
        if self.doubt and self.doubt.reason == reason:
            return self
        return replace(self, doubt=Doubt(reason, at))


@dataclass(frozen=True, slots=True)
class Belief:
    """Everything one believed list leaves behind."""

    at: datetime
    fresh_until: datetime
    source_list: FullList
    held: Mapping[Key, Held]
    #: Listed but never read, so nobody knows its amount; and why: unreadable, or missing once since.
    unknown: Mapping[Key, Doubt]


@dataclass(frozen=True, slots=True)
class Change:
    """One line of what happened."""

    changed_at: datetime
    key: Key
    change: str
    old_amount: int | None
    new_amount: int | None
    #: It happened between these two looks, as far as anybody looked.
    bounds: tuple[datetime | None, datetime | None]


@dataclass(slots=True)
class Review:
    """A list that was not believed."""

    judged_at: datetime
    full_list: FullList
    missing: frozenset[Key]
    #: It was of the past, and testifies to nothing.
    lags: bool = False
    settled_at: datetime | None = None


@dataclass(slots=True)
class Period:
    """A span in which the watch was on the watchlist, and what was believed in it."""

    start: datetime
    end: datetime | None = None
    beliefs: list[Belief] = field(default_factory=list)
    reviews: list[Review] = field(default_factory=list)

    @property
    def last(self) -> Belief | None:
        """The belief of now."""
        return self.beliefs[-1] if self.beliefs else None

    @property
    def witness(self) -> Review | None:
        """The surprising list that waits for a second one."""
        return next((review for review in self.reviews if review.settled_at is None), None)

    @property
    def height(self) -> int | None:
        """Chain height of the latest list, the one that waits included."""
        lists = [belief.source_list for belief in self.beliefs[-1:]]
        lists += [self.witness.full_list] if self.witness else []
        return max((one.heights[1] for one in lists if one.heights), default=None)


@dataclass(slots=True)
class Story:
    """One watch from its first day on."""

    #: How many lists in a row must miss a holding before it is gone, when none of them moved.
    absences_needed: int
    periods: list[Period] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    ever_held: set[Key] = field(default_factory=set)

    @property
    def watched(self) -> Period | None:
        """The period that is open now."""
        return self.periods[-1] if self.periods and self.periods[-1].end is None else None

    @property
    def held(self) -> Mapping[Key, Held]:
        """What is held now, as far as known."""
        last = self.watched.last if self.watched else None
        return last.held if last else {}

    def instants(self) -> Iterator[datetime]:
        """Every instant from which an answer about this watch may be another one."""
        for period in self.periods:
            yield period.start
            if period.end is not None:
                yield period.end
            for belief in period.beliefs:
                yield from (belief.at, belief.fresh_until)
            for review in period.reviews:
                yield review.judged_at
                if review.settled_at is not None:
                    yield review.settled_at

    def watch(self, at: datetime) -> None:
        """On the watchlist from now on: nothing is known yet, whatever was known before."""
        assert self.watched is None
        self.periods.append(Period(at))

    def unwatch(self, at: datetime) -> None:
        """Off the watchlist: knowledge ends, nothing is sold."""
        period = self.watched
        assert period is not None
        for key, held in self.held.items():
            self._tell(at, key, "knowledge_ended", held.content.amount, None)
        if period.witness:
            period.witness.settled_at = at
        period.end = at

    def judge(
        self, found: FullList, at: datetime, guard: Guard, fresh_for: timedelta, *, outage: bool
    ) -> str:
        """The verdict a list must get when it is spoken at this instant, and its consequences."""
        period = self.watched
        assert period is not None
        if found.unread > found.length * guard.max_unreadable:
            return "failed"
        witness, missing = period.witness, frozenset(self.held.keys() - found.listed.keys())
        lags = found.lags_behind(period.height)
        if not lags and not self._surprises(found, guard):
            if witness:
                witness.settled_at = at
            found = replace(found, hides=found.may_hide and self._misses_what_may_be_hidden(found))
            return self._believe(found, at, at + fresh_for, frozenset())
        seconded = witness.missing if witness and not witness.lags else frozenset[Key]()
        agrees = len(missing & seconded) >= 0.9 * len(missing)
        if witness is None or not (agrees or lags):
            if witness:
                witness.settled_at = at
            period.reviews.append(Review(at, found, missing, lags))
            return "quarantined"
        if lags or outage or at - witness.judged_at < guard.confirm_after:
            return "quarantined"
        witness.settled_at = at
        return self._believe(found, at, at + fresh_for, witness.missing)

    def _surprises(self, found: FullList, guard: Guard) -> bool:
        known = len(self.held)
        if known and not found.length:
            return True
        # Algorand, which alone states heights, does not say whose its rows are.
        familiar = len(self.held.keys() & found.listed.keys()) if found.heights else found.length
        if known >= guard.min_holdings and min(familiar, found.length) < known * (1 - guard.max_shrink):
            return True
        return bool(found.heights) and any(
            min(len(there), len(page - there)) >= guard.min_holdings
            and len(there & page) < len(there) * (1 - guard.max_shrink)
            for there, page in self._places(found)
        )

    def _misses_what_may_be_hidden(self, found: FullList) -> bool:
        """Whether it does not list something that may lie in a token account."""
        last = self.watched.last if self.watched else None
        if last is None:
            return False
        tokens = [
            held.doubt
            for key, held in last.held.items()
            if key not in found.listed and held.content.amount != 1
        ]
        unread = [doubt for key, doubt in last.unknown.items() if key not in found.listed]
        return any(doubt is None or doubt.may_be_hidden(found.last_page_at) for doubt in [*tokens, *unread])

    def _places(self, found: FullList) -> Iterator[tuple[frozenset[Key], frozenset[Key]]]:
        """What is held where each page of a list stands, and the page."""
        start = -1
        for number, page in enumerate(found.pages, 1):
            end = max(int(asset) for asset, _ in page)
            is_last = number == len(found.pages)
            there = {key for key in self.held if start < int(key[0]) and (is_last or int(key[0]) <= end)}
            yield frozenset(there), page
            start = end

    def release(self, at: datetime, fresh_for: timedelta) -> None:
        """A person believes the list that waits."""
        period = self.watched
        assert period is not None
        assert period.witness is not None
        review = period.witness
        review.settled_at = at
        self._believe(review.full_list, at, at + fresh_for, review.missing)

    def reject(self, at: datetime) -> None:
        """A person dismisses the list that waits."""
        assert self.watched is not None
        assert self.watched.witness is not None
        self.watched.witness.settled_at = at

    def _believe(
        self, found: FullList, at: datetime, fresh_until: datetime, missed_before: frozenset[Key]
    ) -> str:
        """A list becomes the belief from ``at`` on. ``missed_before``: what a second witness misses too."""
        period = self.watched
        assert period is not None
        before = period.last
        held, unknown = self._take_listed(found, at, before)
        if before is not None:
            self._keep_unlisted(found, at, before, missed_before, (held, unknown))
        period.beliefs.append(Belief(at, fresh_until, found, held, unknown))
        same = before is not None and (before.held, before.unknown) == (held, unknown)
        return "unchanged" if same else "published"

    def _take_listed(
        self, found: FullList, at: datetime, before: Belief | None
    ) -> tuple[dict[Key, Held], dict[Key, Doubt]]:
        held: dict[Key, Held] = {}
        unknown: dict[Key, Doubt] = {}
        for key, content in found.listed.items():
            old = before.held.get(key) if before else None
            if content is None and old is None:
                known = before.unknown.get(key) if before else None
                still = known and known.reason == "unreadable"
                unknown[key] = known if known and still else Doubt("unreadable", at)
            elif content is None and old is not None:
                held[key] = old.doubted("unreadable", at)
            elif content is not None:
                held[key] = self._take_readable(found, at, before, (key, content))
        return held, unknown

    def _take_readable(
        self, found: FullList, at: datetime, before: Belief | None, item: tuple[Key, Content]
    ) -> Held:
        key, content = item
        old = before.held.get(key) if before else None
        if old is None:
            self._tell_new(found, at, before, item)
            return Held(content, at, found.seen_at[key])
        if content.decimals is None:
            # An API that does not repeat the decimals has not changed them.
            content = replace(content, decimals=old.content.decimals)
        if content == old.content:
            return replace(old, doubt=None)
        was, is_now = old.content.amount, content.amount
        change = "changed"
        if was is not None and is_now is not None and was != is_now:
            change = "increased" if is_now > was else "decreased"
        bounds = (self._last_sight(key), found.last_page_at)
        self._tell(at, key, change, was, is_now, bounds)
        return Held(content, at, found.seen_at[key])

    def _tell_new(
        self, found: FullList, at: datetime, before: Belief | None, item: tuple[Key, Content]
    ) -> None:
        key, content = item
        if before is None:
            change = "seen_again" if key in self.ever_held else "first_seen"
        else:
            was_absent = before.source_list.proves_absence and key not in before.unknown
            change = "appeared" if was_absent else "first_seen"
        appeared = change == "appeared"
        old = 0 if appeared else None
        looked = before.source_list.first_page_at if appeared and before else None
        self._tell(at, key, change, old, content.amount, (looked, found.last_page_at))
        self.ever_held.add(key)

    def _keep_unlisted(
        self,
        found: FullList,
        at: datetime,
        before: Belief,
        missed_before: frozenset[Key],
        now: tuple[dict[Key, Held], dict[Key, Doubt]],
    ) -> None:
        """What the list does not show: gone where that is proved often enough, else carried."""
        held, unknown = now
        once = max(self.absences_needed, 2 if found.drifted else 1) == 1
        for key in before.held.keys() - found.listed.keys():
            old = before.held[key]
            if not found.proves:
                still = old.doubt and old.doubt.reason != "unreadable"
                held[key] = old if still else old.doubted("unkeyed", at)
            elif once or (old.doubt and old.doubt.reason == "missing") or key in missed_before:
                bounds = (self._last_sight(key), found.last_page_at)
                self._tell(at, key, "disappeared", old.content.amount, 0, bounds)
            else:
                held[key] = old.doubted("missing", at)
        for key in before.unknown.keys() - found.listed.keys():
            if not found.proves:
                listed_before = before.unknown[key].reason == "unreadable"
                unknown[key] = Doubt("unkeyed", at) if listed_before else before.unknown[key]
            elif not once and before.unknown[key].reason != "missing":
                unknown[key] = Doubt("missing", at)

    def _last_sight(self, key: Key) -> datetime:
        """First page of the last list that showed this holding readable."""
        assert self.watched is not None
        sights = [
            belief.source_list.first_page_at
            for belief in self.watched.beliefs
            if key in belief.held and belief.held[key].doubt is None
        ]
        return sights[-1]

    def _tell(
        self,
        at: datetime,
        key: Key,
        change: str,
        old: int | None,
        new: int | None,
        bounds: tuple[datetime | None, datetime | None] = (None, None),
    ) -> None:
        self.changes.append(Change(at, key, change, old, new, bounds))
