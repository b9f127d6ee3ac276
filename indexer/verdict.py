"""Whether a new list may be believed (promises 5 and 6). Pure: evidence in, verdict out.

A list is surprising when it is empty after holdings, shorter than the guard allows, or, where rows do not
say whose they are, of other holdings than those that are known. A surprising list
waits for a second witness: a later list that misses the same. One from a node that lags behind is of the
past: it is not believed, however often it comes, and is no witness. Nothing here knows a database.
"""

from dataclasses import dataclass
from typing import Literal

from indexer.config import GuardConfig

#: How much of what a list misses the first witness must have missed too.
_AGREEMENT = 0.9

#: From this many quarantined watches, and this share of a source's watches, it is an outage.
_OUTAGE_WATCHES = 3
_OUTAGE_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Witness:
    """An earlier surprising list of the same watch that is still unresolved."""

    snapshot_id: int
    age_seconds: float


@dataclass(frozen=True, slots=True)
class Evidence:
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


Resolution = Literal["confirmed", "superseded", "replaced", "released"]


@dataclass(frozen=True, slots=True)
class Verdict:
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
    least, familiar = known * (1 - guard.max_shrink), known - evidence.missing
    if listed < least:
        return f"lists {listed} holdings where {known} are known"
    if evidence.anonymous and familiar < least:
        return f"lists {familiar} of the {known} holdings known, and others: is it of another account?"
    return ""
