"""The verdict alone: evidence in, one of three answers out, for every evidence there can be."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.config import GuardConfig
from indexer.verdict import Evidence, Place, Verdict, Witness, is_outage, judge, may_be_strange

GUARD = GuardConfig(min_holdings=5, max_shrink=0.5, confirm_after=timedelta(minutes=10), max_unreadable=0.2)

LATE = Witness(7, 600.0)
EARLY = Witness(7, 599.9)


def _evidence(
    known: int,
    readable: int,
    witness: Witness | None = None,
    places: Sequence[Place] = (),
    **more: int | bool,
) -> Evidence:
    """A list of ``readable`` items where ``known`` are held, all of them missing that can be."""
    missing = int(more.get("missing", max(0, known - readable)))
    return Evidence(
        known=known,
        readable=readable,
        unreadable=int(more.get("unreadable", 0)),
        missing=missing,
        witnessed=int(more.get("witnessed", missing if witness else 0)),
        witness=witness,
        outage=bool(more.get("outage", False)),
        lag=int(more.get("lag", 0)),
        anonymous=bool(more.get("anonymous", False)),
        places=places,
    )


@pytest.mark.parametrize(
    ("known", "listed", "kind"),
    [
        (0, 0, "publish"),
        (0, 9, "publish"),
        (1, 0, "quarantine"),
        (1, 1, "publish"),
        (4, 1, "publish"),
        (5, 2, "quarantine"),
        (5, 3, "publish"),
        (6, 3, "publish"),
        (6, 2, "quarantine"),
        (100, 49, "quarantine"),
        (100, 50, "publish"),
        (9, 4, "quarantine"),
    ],
)
def test_what_is_surprising(known: int, listed: int, kind: str) -> None:
    """Empty after anything; fewer than half, from five up."""
    assert judge(_evidence(known, listed), GUARD).kind == kind


@pytest.mark.parametrize(
    ("known", "missing", "anonymous", "kind"),
    [
        (25, 25, True, "quarantine"),
        (25, 25, False, "publish"),
        (25, 13, True, "quarantine"),
        (25, 12, True, "publish"),
        (5, 3, True, "quarantine"),
        (4, 4, True, "publish"),
    ],
)
def test_other_holdings_are_surprising_where_rows_name_no_owner(
    known: int, missing: int, anonymous: bool, kind: str
) -> None:
    """As many items as ever: only what they are tells that they are of this account."""
    verdict = judge(_evidence(known, known, missing=missing, anonymous=anonymous), GUARD)

    assert verdict.kind == kind
    assert ("another account" in verdict.reason) is (kind == "quarantine")


@pytest.mark.parametrize(
    ("listed", "known", "familiar", "kind"),
    [
        (10, 10, 0, "quarantine"),
        (10, 10, 4, "quarantine"),
        (10, 10, 5, "publish"),  # as many as a whole list may lose
        (4, 10, 0, "publish"),  # too few others: most of these were sold
        (5, 5, 0, "quarantine"),
        (900, 4, 0, "publish"),  # few were known there: most of these were bought
        (900, 0, 0, "publish"),
    ],
)
def test_one_page_of_other_holdings_is_surprising(listed: int, known: int, familiar: int, kind: str) -> None:
    """Between pages that list what is known, a page of another account must not pass for trade."""
    places = [Place(1000, 990, 980), Place(listed, known, familiar), Place(70, 80, 70)]
    known_in_all = sum(place.known for place in places)
    missing = sum(place.known - place.familiar for place in places)

    nameless, named = (
        judge(_evidence(known_in_all, 1500, missing=missing, anonymous=anonymous, places=places), GUARD)
        for anonymous in (True, False)
    )

    assert nameless.kind == kind
    assert ("has a page with" in nameless.reason) is (kind == "quarantine")
    assert named.kind == "publish"


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30), st.floats(0, 1)), max_size=6))
def test_pages_are_looked_at_where_one_may_be_of_another_account(
    counted: list[tuple[int, int, float]],
) -> None:
    """The numbers of the whole list never rule out what its pages would show."""
    places = [Place(listed, known, int(min(listed, known) * share)) for listed, known, share in counted]
    missing = sum(place.known - place.familiar for place in places)
    appeared = sum(place.listed - place.familiar for place in places)
    verdict = judge(_evidence(1000, 1000, missing=missing, anonymous=True, places=places), GUARD)

    assert verdict.kind == "publish" or may_be_strange(missing, appeared, GUARD)


def test_unreadable_items_are_listed() -> None:
    """Two that cannot be read beside eight that can are ten listed: no loss of anything."""
    assert judge(_evidence(20, 8, unreadable=2, missing=10), GUARD).kind == "publish"


@pytest.mark.parametrize(("unreadable", "kind"), [(20, "publish"), (21, "fail")])
def test_too_much_unreadable_fails(unreadable: int, kind: str) -> None:
    """Exactly a fifth is allowed, one more is not, and the reason gives both numbers."""
    verdict = judge(_evidence(100, 100 - unreadable, unreadable=unreadable, missing=0), GUARD)

    assert verdict.kind == kind
    assert verdict.reason == ("" if kind == "publish" else "21 of 100 listed items could not be read")


def test_nothing_but_unreadable_items_fails() -> None:
    """A list of one item nobody can read is not an empty list."""
    assert judge(_evidence(3, 0, unreadable=1, missing=3), GUARD).kind == "fail"


@pytest.mark.parametrize(
    ("witness", "outage", "verdict"),
    [
        (None, False, Verdict("quarantine", "lists nothing where 8 holdings are known")),
        (EARLY, False, Verdict("quarantine", "lists nothing where 8 holdings are known", repeats=True)),
        (LATE, True, Verdict("quarantine", "lists nothing where 8 holdings are known", repeats=True)),
        (LATE, False, Verdict("publish", witness_becomes="confirmed")),
    ],
)
def test_empty_waits_for_a_second_witness(witness: Witness | None, outage: bool, verdict: Verdict) -> None:
    """The first, one too early, one in an outage, and at last the second witness."""
    assert judge(_evidence(8, 0, witness, outage=outage), GUARD) == verdict


@pytest.mark.parametrize(("witnessed", "becomes"), [(90, "confirmed"), (89, "replaced")])
def test_a_witness_must_have_missed_the_same(witnessed: int, becomes: str) -> None:
    """Nine tenths of what is missing now must have been missing then; else this is the new first witness."""
    verdict = judge(_evidence(150, 50, LATE, missing=100, witnessed=witnessed), GUARD)

    assert verdict.witness_becomes == becomes
    assert verdict.kind == ("publish" if becomes == "confirmed" else "quarantine")
    assert not verdict.repeats


def test_a_list_that_is_no_surprise_supersedes_the_witness() -> None:
    """Whatever the age of the witness and whatever else is in doubt: this list agrees with history."""
    assert judge(_evidence(8, 8, EARLY, outage=True), GUARD) == Verdict(
        "publish", witness_becomes="superseded"
    )


@pytest.mark.parametrize("witness", [None, EARLY, LATE])
@pytest.mark.parametrize(("known", "readable"), [(0, 0), (8, 8), (8, 9), (8, 0)])
def test_a_list_of_the_past_is_not_believed(known: int, readable: int, witness: Witness | None) -> None:
    """Whatever it lists and whoever has seen the same: the witness, if there is one, goes on waiting."""
    verdict = judge(_evidence(known, readable, witness, lag=3), GUARD)

    reason = "is 3 blocks older than a list that is known already"
    assert verdict == Verdict("quarantine", reason, repeats=witness is not None)


@pytest.mark.parametrize(
    ("watched", "quarantined", "outage"),
    [
        (3, 3, True),
        (2, 2, False),
        (14, 3, True),
        (15, 3, False),
        (16, 3, False),
        (100, 20, False),
        (100, 21, True),
    ],
)
def test_what_an_outage_is(watched: int, quarantined: int, outage: bool) -> None:
    """At least three watches, and more than a fifth of the source's."""
    assert is_outage(watched, quarantined) is outage


@st.composite
def evidences(draw: st.DrawFn) -> Evidence:
    """Any evidence that can occur: what is missing is known, what is witnessed is missing."""
    known = draw(st.integers(0, 50))
    missing = draw(st.integers(0, known))
    witness = draw(st.none() | st.builds(Witness, st.integers(1, 9), st.floats(0, 2_000)))
    return Evidence(
        known=known,
        readable=known - missing + draw(st.integers(0, 5)),
        unreadable=draw(st.integers(0, 5)),
        missing=missing,
        witnessed=draw(st.integers(0, missing)) if witness else 0,
        witness=witness,
        outage=draw(st.booleans()),
        lag=draw(st.sampled_from([0, 0, 0, 7])),
    )


@given(evidences())
def test_no_loss_is_believed_at_first_sight(evidence: Evidence) -> None:
    """Without a late witness, outside an outage, nothing that lost more than allowed is published."""
    listed = evidence.readable + evidence.unreadable
    lost = (evidence.known and not listed) or (evidence.known >= 5 and listed < evidence.known / 2)
    late = evidence.witness is not None and evidence.witness.age_seconds >= 600 and not evidence.outage

    verdict = judge(evidence, GUARD)

    if evidence.lag or (lost and not late):
        assert verdict.kind != "publish"


@given(evidences())
def test_a_verdict_makes_sense(evidence: Evidence) -> None:
    """A reason wherever it is not believed; nothing becomes of a witness that is not there."""
    verdict = judge(evidence, GUARD)

    assert (verdict.reason == "") == (verdict.kind == "publish")
    assert evidence.witness is not None or verdict.witness_becomes is None
    assert evidence.witness is not None or not verdict.repeats
    assert not (verdict.repeats and verdict.witness_becomes)
    assert not verdict.repeats or verdict.kind == "quarantine"
    if verdict.kind == "fail":
        assert verdict.witness_becomes is None
