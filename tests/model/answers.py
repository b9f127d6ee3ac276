"""What the reports must answer about a story at an instant: the three-valued truth in plain Python."""

from datetime import datetime
from decimal import Decimal, localcontext
from typing import NamedTuple

from tests.model.lists import Key
from tests.model.oracle import Belief, Held, Period, Story


class CoverageAnswer(NamedTuple):
    """One row of `report.coverage_as_of`."""

    status: str
    snapshot_at: datetime | None = None
    holdings: int | None = None
    unreadable: int | None = None
    consistency: str | None = None
    pending_review: bool = False


class HoldingAnswer(NamedTuple):
    """One row of `report.holdings_as_of`."""

    asset_ref: str
    sub_key: str
    amount: int | None
    decimals: int | None
    quantity: Decimal | None
    frozen: bool | None
    delegate: str | None
    status: str
    snapshot_at: datetime
    observed_at: datetime
    valid_from: datetime
    pending_review: bool


class BalanceAnswer(NamedTuple):
    """The row of `report.balance_as_of`."""

    amount: int | None
    quantity: Decimal | None
    answer: str
    reason: str | None
    status: str | None
    snapshot_at: datetime | None


def cover(story: Story, at: datetime, now: datetime) -> CoverageAnswer:
    """What is known about the watch."""
    period, belief = _find(story, at, now)
    if at > now:
        return CoverageAnswer("future")
    if period is None:
        return CoverageAnswer("not_watched")
    pending = any(
        review.judged_at <= at and (review.settled_at is None or review.settled_at > at)
        for review in period.reviews
    )
    if belief is None:
        return CoverageAnswer("never_observed", pending_review=pending)
    found = belief.source_list
    return CoverageAnswer(
        status="fresh" if at < belief.fresh_until else "stale",
        snapshot_at=belief.at,
        holdings=sum(content is not None for content in found.listed.values()),
        unreadable=found.unread,
        consistency=found.consistency,
        pending_review=pending,
    )


def list_holdings(story: Story, at: datetime, now: datetime) -> frozenset[HoldingAnswer]:
    """What is held, as far as known: nothing at all when the watch has no answer."""
    covered = cover(story, at, now)
    _, belief = _find(story, at, now)
    if belief is None:
        return frozenset()
    return frozenset(_describe(key, held, belief, covered) for key, held in belief.held.items())


def _describe(key: Key, held: Held, belief: Belief, covered: CoverageAnswer) -> HoldingAnswer:
    content = held.content
    return HoldingAnswer(
        asset_ref=key[0],
        sub_key=key[1],
        amount=content.amount,
        decimals=content.decimals,
        quantity=scale(content.amount, content.decimals),
        frozen=content.frozen,
        delegate=content.delegate,
        status=covered.status if held.doubt is None else "carried",
        snapshot_at=belief.at,
        observed_at=belief.source_list.last_page_at if held.doubt is None else held.seen_at,
        valid_from=held.since,
        pending_review=covered.pending_review,
    )


def balance(story: Story | None, asset_ref: str, at: datetime, now: datetime) -> BalanceAnswer:
    """The balance of one asset: held, absent only when that is proved, else unknown with the reason."""
    if story is None:
        return _unknown("future" if at > now else "not_watched")
    covered = cover(story, at, now)
    _, belief = _find(story, at, now)
    if belief is None:
        return _unknown(covered.status)
    positions = [held for key, held in belief.held.items() if key[0] == asset_ref]
    unread = any(key[0] == asset_ref for key in belief.unknown)
    if positions:
        return _sum_up(positions, covered, unread=unread)
    if unread or not belief.source_list.proves_absence:
        reason = "drifted" if belief.source_list.drifted and not unread else "unreadable"
        return BalanceAnswer(None, None, "unknown", reason, covered.status, belief.at)
    return BalanceAnswer(0, Decimal(0), "absent", None, covered.status, belief.at)


def _unknown(reason: str) -> BalanceAnswer:
    return BalanceAnswer(None, None, "unknown", reason, None, None)


def _sum_up(positions: list[Held], covered: CoverageAnswer, *, unread: bool) -> BalanceAnswer:
    amounts = [held.content.amount for held in positions]
    total: int | None = None
    if not unread and None not in amounts:
        total = sum(amount for amount in amounts if amount is not None)
    scales = {held.content.decimals for held in positions}
    decimals = scales.pop() if len(scales) == 1 else None
    carried = unread or any(held.doubt is not None for held in positions)
    return BalanceAnswer(
        amount=total,
        quantity=scale(total, decimals),
        answer="held",
        reason="unreadable" if unread else None,
        status="carried" if carried else covered.status,
        snapshot_at=covered.snapshot_at,
    )


def scale(amount: int | None, decimals: int | None) -> Decimal | None:
    """The exact quantity, None where either part is unknown."""
    if amount is None or decimals is None:
        return None
    with localcontext() as context:
        context.prec = 400
        return Decimal(amount).scaleb(-decimals)


def _find(story: Story, at: datetime, now: datetime) -> tuple[Period | None, Belief | None]:
    """The period and the belief that speak for an instant."""
    if at > now:
        return None, None
    for period in story.periods:
        if period.start <= at and (period.end is None or at < period.end):
            formed = [belief for belief in period.beliefs if belief.at <= at]
            return period, formed[-1] if formed else None
    return None, None
