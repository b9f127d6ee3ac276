"""The reports and the oracle, asked the same: every difference is a bug in one of them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from tests.model import answers
from tests.model.apis import WatchKey
from tests.model.oracle import Story
from tests.model.rig import Rig

_HOLDINGS = b"""
SELECT t.at, h.source, h.address, h.scope, h.asset_ref, h.sub_key, h.amount, h.decimals, h.quantity, h.frozen,
       h.delegate, h.status, h.snapshot_at, h.observed_at, h.valid_from, h.pending_review
FROM unnest(%(ats)s::timestamptz[]) AS t (at)
CROSS JOIN LATERAL report.holdings_as_of(t.at) AS h
WHERE h.address = ANY(%(addresses)s)
"""

_COVERAGE = b"""
SELECT t.at, c.source, c.address, c.scope, c.status, c.snapshot_at, c.holdings, c.unreadable, c.consistency,
       c.pending_review
FROM unnest(%(ats)s::timestamptz[]) AS t (at)
CROSS JOIN LATERAL report.coverage_as_of(t.at) AS c
WHERE c.address = ANY(%(addresses)s)
"""

_BALANCES = b"""
SELECT q.at, q.source, q.address, q.asset_ref, b.amount, b.quantity, b.answer, b.reason, b.status,
       b.snapshot_at
FROM unnest(%(ats)s::timestamptz[], %(sources)s::text[], %(addresses)s::text[], %(refs)s::text[])
    AS q (at, source, address, asset_ref)
CROSS JOIN LATERAL report.balance_as_of(q.source, q.address, q.asset_ref, q.at) AS b
"""

#: The same asked in two ways.
_SUMS = b"""
SELECT t.at, b.source, b.address, b.asset_ref, b.amount, b.quantity, b.status, o.amount, o.quantity, o.status
FROM unnest(%(ats)s::timestamptz[]) AS t (at)
CROSS JOIN LATERAL report.balances_as_of(t.at) AS b
CROSS JOIN LATERAL report.balance_as_of(b.source, b.address, b.asset_ref, t.at) AS o
WHERE b.address = ANY(%(addresses)s)
  AND ('held', b.amount, b.quantity, b.status) IS DISTINCT FROM (o.answer, o.amount, o.quantity, o.status)
"""

_CHANGES = b"""
SELECT c.source, c.address, c.scope, c.changed_at, c.asset_ref, c.sub_key, c.change, c.old_amount,
       c.new_amount, c.not_before, c.not_after
FROM report.holding_changes AS c
WHERE c.address = ANY(%(addresses)s)
"""

#: Rows without an order.
Rows = frozenset[tuple[Any, ...]]

#: source, address, asset_ref, instant
BalanceQuestion = tuple[str, str, str, datetime]


def read_holdings(rig: Rig, addresses: Sequence[str], ats: Sequence[datetime]) -> Rows:
    """What the report says was held at these instants."""
    return _as_set(rig.ask(_HOLDINGS, ats=list(ats), addresses=list(addresses)))


def read_coverage(rig: Rig, addresses: Sequence[str], ats: Sequence[datetime]) -> Rows:
    """What the report says was known at these instants."""
    return _as_set(rig.ask(_COVERAGE, ats=list(ats), addresses=list(addresses)))


def read_balances(rig: Rig, questions: Sequence[BalanceQuestion]) -> Rows:
    """What the report says about single balances."""
    sources, addresses, refs, ats = (list(column) for column in zip(*questions, strict=True))
    return _as_set(rig.ask(_BALANCES, ats=ats, sources=sources, addresses=addresses, refs=refs))


def find_other_sums(rig: Rig, addresses: Sequence[str], ats: Sequence[datetime]) -> Rows:
    """Sums that are not what is said of the same balance alone."""
    return _as_set(rig.ask(_SUMS, ats=list(ats), addresses=list(addresses)))


def read_changes(rig: Rig, addresses: Sequence[str]) -> Rows:
    """Everything the report says has happened."""
    return _as_set(rig.ask(_CHANGES, addresses=list(addresses)))


def _as_set(rows: Sequence[tuple[Any, ...]]) -> Rows:
    found = frozenset(rows)
    assert len(found) == len(rows), "a row came twice"
    return found


def expect_holdings(stories: Mapping[WatchKey, Story], ats: Sequence[datetime], now: datetime) -> Rows:
    """What must have been held at these instants."""
    return frozenset(
        (at, *watch, *row)
        for at in set(ats)
        for watch, story in stories.items()
        for row in answers.list_holdings(story, at, now)
    )


def expect_coverage(stories: Mapping[WatchKey, Story], ats: Sequence[datetime], now: datetime) -> Rows:
    """What must have been known at these instants."""
    return frozenset(
        (at, *watch, *answers.cover(story, at, now)) for at in set(ats) for watch, story in stories.items()
    )


def expect_balances(
    stories: Mapping[WatchKey, Story], questions: Sequence[BalanceQuestion], now: datetime
) -> Rows:
    """What single balances must be. OKX proves only what it was asked: the watch of that very rune."""
    expected = set()
    for source, address, asset_ref, at in questions:
        scope = asset_ref if source == "okx_runes" else ""
        story = stories.get((source, address, scope))
        row = answers.balance(story, asset_ref, at, now)
        expected.add((at, source, address, asset_ref, *row))
    return frozenset(expected)


def expect_changes(stories: Mapping[WatchKey, Story]) -> Rows:
    """Everything that must be told to have happened."""
    return frozenset(
        (*watch, row.changed_at, *row.key, row.change, row.old_amount, row.new_amount, *row.bounds)
        for watch, story in stories.items()
        for row in story.changes
    )


def about(at: datetime, rows: Rows) -> Rows:
    """The rows that answer for this instant."""
    return frozenset(row for row in rows if row[0] == at)


def compare(what: str, reported: Rows, expected: Rows) -> None:
    """Fail with the difference."""
    assert reported == expected, _explain(what, reported, expected)


def _explain(what: str, reported: Rows, expected: Rows) -> str:
    """The difference, short enough to be read."""
    extra, lacking = sorted(map(str, reported - expected)), sorted(map(str, expected - reported))
    lines = [f"{what}: {len(extra)} rows too many, {len(lacking)} missing"]
    lines += [f"  reported: {row}" for row in extra[:5]] + [f"  expected: {row}" for row in lacking[:5]]
    return "\n".join(lines)
