"""Whether a new list may be believed (promises 5 and 6). Pure: evidence in, verdict out.

A list is surprising when it is empty after holdings, shorter than the guard allows, or, where rows do not
say whose they are, of other holdings than those that are known, as a whole or on one of its pages. Such a
list waits for a second witness: a later list that misses the same. One from a node that lags behind is of
the past: it is not believed, however often it comes, and is no witness. Nothing here knows a database.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from indexer.config import GuardConfig

#: How much of what a list misses the first witness must have missed too.
_AGREEMENT = 0.9

#: From this many quarantined watches, and this share of a source's watches, it is an outage.
_OUTAGE_WATCHES = 3
_OUTAGE_SHARE = 0.2


class Witness(msgspec.Struct, frozen=True):
    """An earlier surprising list of the same watch that is still unresolved."""

    snapshot_id: int
    age_seconds: float


class Place(msgspec.Struct, frozen=True):
    """Where one page of a list stands: what it lists, what is known there, and what of that it lists."""

    listed: int
    known: int
    familiar: int


class Evidence(msgspec.Struct, frozen=True):
    """What a new list says, beside what is known."""

    #: Open versions before this list.
    known: int
    #: Listed items that could be read.
    readable: int
    #: Listed items that could not be read, those without a readable key included.
    unreadable: int
    #: Known holdings it does not list, and how many of those the witness missed too.
    missing: int
    witnessed: int
    witness: Witness | None
    #: Too much of the source is in doubt for anything to confirm itself.
    outage: bool
    #: How many blocks it is older than a list that is known already.
    lag: int = 0
    #: Whether its rows do not say whose they are: then what it lists must be what this account is known for.
    anonymous: bool = False
    #: Page by page, where that may tell more; empty: it was not looked at.
    places: Sequence[Place] = ()


Resolution = Literal["confirmed", "superseded", "replaced", "released"]


class Verdict(msgspec.Struct, frozen=True):
    """What to do with a list."""

    kind: Literal["publish", "quarantine", "fail"]
    #: Why it is quarantined or failed; ``''`` when it is published.
    reason: str = ""
    #: What becomes of the witness; None leaves it as it is.
    witness_becomes: Resolution | None = None
    #: A surprising list that agrees with its witness, but too early, or lagging: noted, and no new witness.
    repeats: bool = False


def is_outage(watched: int, quarantined: int) -> bool:
    """Whether so many watches of a source are quarantined that the API itself is in doubt."""
    return quarantined >= _OUTAGE_WATCHES and quarantined > watched * _OUTAGE_SHARE


def judge(evidence: Evidence, guard: GuardConfig) -> Verdict:
    """The verdict on one list of one watch."""
    listed = evidence.readable + evidence.unreadable
    if evidence.unreadable > listed * guard.max_unreadable:
        return Verdict("fail", f"{evidence.unreadable} of {listed} listed items could not be read")
    surprise = _surprise(evidence, listed, guard)
    if not surprise:
        return Verdict("publish", witness_becomes="superseded" if evidence.witness else None)
    if evidence.witness is None:
        return Verdict("quarantine", surprise)
    if evidence.witnessed < evidence.missing * _AGREEMENT and not evidence.lag:
        return Verdict("quarantine", surprise, witness_becomes="replaced")
    is_early = evidence.witness.age_seconds < guard.confirm_after.total_seconds()
    if evidence.lag or evidence.outage or is_early:
        return Verdict("quarantine", surprise, repeats=True)
    return Verdict("publish", witness_becomes="confirmed")


def _surprise(evidence: Evidence, listed: int, guard: GuardConfig) -> str:
    """Why this list is surprising, ``''`` if it is not."""
    known = evidence.known
    if evidence.lag:
        return f"is {evidence.lag} blocks older than a list that is known already"
    if known and not listed:
        return f"lists nothing where {known} holdings are known"
    if known < guard.min_holdings:
        return ""
    if listed < known * (1 - guard.max_shrink):
        return f"lists {listed} holdings where {known} are known"
    return _strangeness(evidence, guard) if evidence.anonymous else ""


def _strangeness(evidence: Evidence, guard: GuardConfig) -> str:
    """Why a list, or a page of it, may be of another account, ``''`` if nothing says so."""
    known, familiar = evidence.known, evidence.known - evidence.missing
    if familiar < known * (1 - guard.max_shrink):
        return f"lists {familiar} of the {known} holdings known, and others: is it of another account?"
    for place in evidence.places:
        if _is_strange(place, guard):
            found = f"{place.familiar} of the {place.known} holdings known there"
            return f"has a page with {found}, and others: is that of another account?"
    return ""


def _is_strange(place: Place, guard: GuardConfig) -> bool:
    """Whether others took the place of most that are known. Where none came, or few were, it is trade."""
    least = place.known * (1 - guard.max_shrink)
    is_enough = min(place.known, place.listed - place.familiar) >= guard.min_holdings
    return is_enough and place.familiar < least


def may_be_strange(missing: int, appeared: int, guard: GuardConfig) -> bool:
    """Whether a list that misses so many and shows so many that were not known can have a page like that."""
    return appeared >= guard.min_holdings and missing > guard.min_holdings * guard.max_shrink
