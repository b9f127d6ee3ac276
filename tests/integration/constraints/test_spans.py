"""Spans never overlap, whoever writes: versions, carried spans, watch periods, every false claim."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql

from tests.integration.constraints.ledger import START, Ledger, at, is_accepted, many_examples


def test_a_version_after_another_is_accepted(ledger: Ledger) -> None:
    """Touching it or after a gap: the rules refuse nothing that is true."""
    watch = ledger.watch()

    ledger.version(watch, at(1), at(2))
    ledger.version(watch, at(2), at(3), version_no=2, previous_no=1, previous_to=at(2))
    ledger.version(watch, at(5), None, version_no=3, previous_no=2, previous_to=at(3))

    assert ledger.value("SELECT count(*) FROM ledger.holding_version") == 3


@pytest.mark.parametrize(
    "span",
    [
        (2, 4),
        (2, 3),
        (3, 4),
        (2.5, 3.5),
        (1, 3),
        (3, 5),
        (1, 6),
        (1, 2),
        (1, None),
        (3, None),
        (4, 4),
        (6, 5),
    ],
    ids=lambda span: f"{span[0]}-{span[1]}",
)
def test_an_overlap_is_refused_in_every_form(ledger: Ledger, span: tuple[float, float | None]) -> None:
    """Same start, inside, spanning, before, empty, backwards: whatever it claims, [2, 4) stays alone."""
    watch = ledger.watch()
    ledger.version(watch, at(2), at(4))
    start, end = at(span[0]), None if span[1] is None else at(span[1])
    previous = [(None, None), (1, at(4)), (1, at(2)), (2, at(4)), (1, None), (None, at(4))]
    claims = [
        {"version_no": number, "previous_no": before, "previous_to": moment}
        for number in (1, 2, 3)
        for before, moment in previous
    ]

    taken = [claim for claim in claims if is_accepted(ledger.version, watch, start, end, **claim)]

    assert taken == []


def test_one_version_is_open(ledger: Ledger) -> None:
    """While a version is open no other exists after it, open or closed, whatever it claims."""
    watch = ledger.watch()
    ledger.version(watch, at(1))
    claims: list[dict[str, object]] = [
        {},
        {"version_no": 2},
        {"version_no": 2, "previous_no": 1},
        {"version_no": 2, "previous_no": 1, "previous_to": at(1)},
        {"version_no": 2, "previous_no": 1, "previous_to": at(2)},
        {"version_no": 2, "previous_no": 2, "previous_to": at(2)},
    ]

    for claim in claims:
        for end in (None, at(5)):
            assert not is_accepted(ledger.version, watch, at(3), end, **claim)


def test_an_end_has_one_successor(ledger: Ledger) -> None:
    """The version that ended at 2 was followed already."""
    watch = ledger.watch()
    ledger.version(watch, at(1), at(2))
    ledger.version(watch, at(3), at(4), version_no=2, previous_no=1, previous_to=at(2))

    for number in (1, 2, 3):
        claim = {"version_no": number, "previous_no": 1, "previous_to": at(2)}
        assert not is_accepted(ledger.version, watch, at(6), None, **claim)


Steps = list[tuple[str, int, int | None]]
steps: st.SearchStrategy[Steps] = st.lists(
    st.tuples(
        st.sampled_from(["insert", "insert", "close"]), st.integers(0, 9), st.none() | st.integers(0, 9)
    ),
    max_size=8,
)


@dataclass
class Oracle:
    """What a history of one holding may do: grow at its end, and close what is open."""

    spans: list[tuple[int, int | None]] = field(default_factory=list)

    def insert(self, start: int, end: int | None) -> bool:
        """Accepted after the last end, with a length."""
        last = self.spans[-1] if self.spans else None
        fits = last is None or (last[1] is not None and start >= last[1])
        if fits and (end is None or end > start):
            self.spans.append((start, end))
            return True
        return False

    def close(self, end: int) -> bool:
        """Accepted where the last span is open and begins earlier."""
        if not self.spans or self.spans[-1][1] is not None or end <= self.spans[-1][0]:
            return False
        self.spans[-1] = (self.spans[-1][0], end)
        return True


@many_examples
@given(steps)
def test_versions_never_overlap(ledger: Ledger, told: Steps) -> None:
    """Any spans, each tried with every possible claim, are accepted exactly as far as they are a history."""
    watch, oracle = ledger.watch(), Oracle()
    for action, start, end in told:
        if action == "close":
            closed = is_accepted(ledger.close, "holding_version", "valid_to", watch, at(start))
            assert closed is oracle.close(start)
            continue
        claims: list[dict[str, object]] = [{"version_no": number} for number in (1, 2, 3)]
        for number, (_, previous) in enumerate(oracle.spans, start=1):
            moment = at(start if previous is None else previous)
            claims += [
                {"version_no": n, "previous_no": number, "previous_to": moment} for n in (number, number + 1)
            ]
        took = sum(
            is_accepted(ledger.version, watch, at(start), None if end is None else at(end), **claim)
            for claim in claims
        )
        assert took == (1 if oracle.insert(start, end) else 0)
    assert _spans(ledger, "holding_version", "valid_from", "valid_to", watch) == oracle.spans


def _spans(ledger: Ledger, table: str, start: str, end: str, watch: int) -> list[tuple[int, int | None]]:
    """The spans of a watch in order, in hours."""
    query = sql.SQL("SELECT {}, {} FROM ledger.{} WHERE watch_id = %s ORDER BY 1").format(
        *map(sql.Identifier, (start, end, table))
    )
    rows = ledger.connection.execute(query, (watch,)).fetchall()
    return [(_hours(a), None if b is None else _hours(b)) for a, b in rows]


def _hours(instant: datetime) -> int:
    return round((instant - START) / timedelta(hours=1))


@pytest.mark.parametrize(
    ("table", "start_name", "end_name"),
    [("carried_span", "valid_from", "valid_to"), ("watch_period", "watched_from", "watched_to")],
)
@many_examples
@given(told=steps)
def test_other_spans_never_overlap(
    ledger: Ledger, table: str, start_name: str, end_name: str, told: Steps
) -> None:
    """Carried spans and watch periods obey the same rules."""
    watch, oracle = ledger.watch(), Oracle()
    write = ledger.carried if table == "carried_span" else ledger.period
    for action, start, end in told:
        if action == "close":
            closed = is_accepted(ledger.close, table, end_name, watch, at(start))
            assert closed is oracle.close(start)
            continue
        ends = [None, at(start), *(at(previous) for _, previous in oracle.spans if previous is not None)]
        took = sum(
            is_accepted(write, watch, at(start), None if end is None else at(end), previous_to=claim)
            for claim in dict.fromkeys(ends)
        )
        assert took == (1 if oracle.insert(start, end) else 0)
    assert _spans(ledger, table, start_name, end_name, watch) == oracle.spans
