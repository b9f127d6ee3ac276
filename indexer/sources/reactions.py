"""What can go wrong with an answer, and what we do about it: the failure table, decided in one place.

`FAMILIES` are the rows an operator reads in the README; `CONDITIONS` names every kind of fault we know, with
its reaction, source by source where they differ. The fault tests take their expectations from here, and the
sources ask `react_to_status` where an answer has no words of its own. Pure.
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final

import msgspec

from indexer import errors
from indexer.errors import ApiError


class Reaction(Enum):
    """What becomes of a watch's crawl when a fault strikes it once."""

    READ = "published, as if nothing had been wrong"
    RETRIED = "published, after asking for the same page again"
    RESTARTED = "published, after starting again from page 1"
    CARRIED = "published, with what could not be read carried forward as doubtful"
    DRIFTED = "published after all, marked as a list that kept moving"
    UNSEEN = "published without rows that were left out; no number is wrong"
    QUARANTINED = "not believed: history stays"
    FAILED = "the crawl ends: history stays"
    PAUSED = "the source is left alone: history stays"


class Family(msgspec.Struct, frozen=True):
    """One row of the README's table."""

    failure: str
    reaction: str


LIMIT: Final = Family("429, 503 with Retry-After", "everybody on that key waits as told")
TROUBLE: Final = Family(
    "5xx, 408, 421, 425, time-out, reset, cut body",
    "back off with jitter under a deadline, then hand the crawl back with its cursor",
)
REFUSAL: Final = Family("401, 402, 403, quota", "the source is paused with the reason, the others go on")
LOST_PLACE: Final = Family("the API forgot our cursor", "start again from page 1, twice at most")
WRONG: Final = Family(
    "HTML, wrong shape, another account's rows, a cursor that leads back or too far, any other status",
    "the crawl fails, the bytes are kept (`indexer raw`), history stays",
)
MOVING: Final = Family(
    "a list that moves while it is read",
    "start again from page 1; the third time it is published as `drifted` and one list proves no absence",
)
SURPRISE: Final = Family(
    "a list that is suddenly empty or halved, "
    "or has a page of other holdings where rows name no owner (Algorand)",
    "quarantined: `indexer status` says what to type",
)
LAG: Final = Family(
    "a node that lags behind a list known already",
    "start again, twice, when it can have caught up; then quarantined (a reset network: `indexer release`)",
)
DOUBT: Final = Family(
    "an item listed but unreadable", "carried forward as doubtful; above `max_unreadable` the crawl fails"
)
HARMLESS: Final = Family(
    "fields, words, names and headers nobody knows", "read as ever; text is cleaned for display"
)
SILENCE: Final = Family(
    "rows an API leaves out without a trace",
    "no reader can know: what is told stays true, and the guard notices when it is half of the list",
)
FAMILIES: Final = (
    *(LIMIT, TROUBLE, REFUSAL, LOST_PLACE, WRONG),
    *(MOVING, SURPRISE, LAG, DOUBT, HARMLESS, SILENCE),
)

#: What an HTTP status means by itself. An API's own words, where it has some, come first.
_STATUSES: Final[Mapping[int, type[ApiError]]] = MappingProxyType(
    {
        429: errors.RateLimited,
        **dict.fromkeys((401, 402, 403), errors.Refused),
        # Too slow, the wrong connection, too early: asking again, perhaps on another connection, is the cure.
        **dict.fromkeys((408, 421, 425), errors.ServerTrouble),
    }
)


def react_to_status(status: int, *, resumed: bool) -> type[ApiError]:
    """The class that says what to do about a status that is not 200.

    Page 1 was accepted with the same parameters, so what a 4xx rejects on a ``resumed`` list is our cursor.
    """
    if status >= 500:
        return errors.ServerTrouble
    known = _STATUSES.get(status)
    if known is not None:
        return known
    return errors.CursorRejected if resumed and status >= 400 else errors.RequestRejected


_Exceptions = Mapping[str, tuple[Reaction, ...]]
_NO_EXCEPTIONS: Final[_Exceptions] = MappingProxyType({})


class Condition(msgspec.Struct, frozen=True):
    """One kind of fault, struck once on page 2 of a list known before, and what is declared to happen."""

    name: str
    family: Family
    reaction: Reaction
    #: Where it differs by source; several where the clock decides which comes first. "*": everywhere.
    others: _Exceptions = msgspec.field(default_factory=lambda: _NO_EXCEPTIONS)
    #: What happens to other addresses of the same request.
    spared: Reaction = Reaction.READ

    def declared(self, source: str) -> tuple[Reaction, ...]:
        """The reactions that keep the promise at this source."""
        return self.others.get(source, self.others.get("*", (self.reaction,)))


def _all(family: Family, reaction: Reaction, *names: str) -> tuple[Condition, ...]:
    return tuple(Condition(name, family, reaction) for name in names)


def _but(
    name: str, family: Family, reaction: Reaction, spared: Reaction = Reaction.READ, **others: Reaction
) -> Condition:
    return Condition(name, family, reaction, {source: (found,) for source, found in others.items()}, spared)


#: The byte cap or the deadline, whichever comes first on this machine.
_CAP_OR_DEADLINE: Final = {"*": (Reaction.FAILED, Reaction.RETRIED)}

_ANSWERS: Final = (
    *_all(
        LIMIT,
        Reaction.RETRIED,
        *("status_429_seconds", "status_429_date", "status_429_bare", "status_429_nonsense"),
    ),
    *_all(REFUSAL, Reaction.PAUSED, "status_401", "status_402", "status_403_html", "status_403_for_ages"),
    *_all(LOST_PLACE, Reaction.RESTARTED, "status_404_on_resume", "status_418", "expired_cursor"),
    *_all(
        TROUBLE,
        Reaction.RETRIED,
        *("status_408", "status_421", "status_425", "status_500", "status_502_html", "status_503_empty"),
        *("status_520", "api_error"),
        # DAS: parameters that were taken before. Believed, it would cost every owner the fungible tokens.
        "parameters_refused",
    ),
    *_all(WRONG, Reaction.FAILED, "status_204", "status_206", "status_304", "redirect"),
)
_CONNECTIONS: Final = (
    *_all(
        TROUBLE,
        Reaction.RETRIED,
        *("hang", "slow_drip", "slow_headers", "reset_mid_body", "short_body", "no_answer"),
        *("corrupt_gzip", "gzip_cut", "chunked_cut", "chunked_trailer_cut"),
        *("huge_headers", "two_lengths", "not_http"),
    ),
    Condition("gzip_bomb", WRONG, Reaction.FAILED, _CAP_OR_DEADLINE),
    Condition("endless_body", WRONG, Reaction.FAILED, _CAP_OR_DEADLINE),
    *_all(WRONG, Reaction.FAILED, "stacked_encodings", "http10_cut"),
    *_all(HARMLESS, Reaction.READ, "wrong_content_type", "http10_whole", "early_hints", "answered_twice"),
)
_BODIES: Final = (
    *_all(
        WRONG,
        Reaction.FAILED,
        *("truncated_json", "html_200", "invalid_utf8", "byte_order_mark", "utf16", "empty_body"),
        *("deep_nesting", "not_an_object", "wrong_type", "missing_field", "null_envelope", "wrong_id"),
        *("other_vendor", "other_owner"),
    ),
    *_all(
        HARMLESS,
        Reaction.READ,
        *("nul_names", "lone_surrogates", "extra_fields", "duplicate_keys", "unknown_enum", "upper_hex"),
    ),
)
_LISTS: Final = (
    # Loopring gives no cursor of its own: the same rows again are a list that moved.
    _but("repeated_cursor", WRONG, Reaction.FAILED, loopring=Reaction.RESTARTED),
    _but("alternating_cursors", WRONG, Reaction.FAILED, loopring=Reaction.DRIFTED),
    _but("circling_link", WRONG, Reaction.FAILED),
    # A mirror node's link stands on the last row of its page, and is about nothing else.
    *_all(WRONG, Reaction.FAILED, "link_skips", "link_filters"),
    # Loopring's pages have no place of their own: rows that come again are seen when they are counted.
    _but("duplicate_page", WRONG, Reaction.FAILED, loopring=Reaction.RESTARTED),
    # The same row twice at an edge is no lie where cursors say the place; Loopring's rows are counted.
    _but(
        "repeated_edge",
        WRONG,
        Reaction.FAILED,
        okx_runes=Reaction.READ,
        hedera=Reaction.READ,
        loopring=Reaction.RESTARTED,
    ),
    _but("bigger_page", WRONG, Reaction.FAILED, okx_runes=Reaction.READ, loopring=Reaction.RESTARTED),
    _but("out_of_order", WRONG, Reaction.FAILED, okx_runes=Reaction.READ, loopring=Reaction.READ),
    _but("absolute_next", HARMLESS, Reaction.READ, algorand=Reaction.FAILED, okx_runes=Reaction.RESTARTED),
    # The total of DAS counts the rows of the page.
    _but("totals_disagree", MOVING, Reaction.RESTARTED, solana_das=Reaction.READ),
    _but("totals_never_agree", MOVING, Reaction.DRIFTED),
    _but("older_round", LAG, Reaction.RESTARTED),
    _but("lagging_node", LAG, Reaction.QUARANTINED),
    _but("skipped_rows", SILENCE, Reaction.UNSEEN, solana_das=Reaction.CARRIED, loopring=Reaction.RESTARTED),
    # At DAS an empty page is the end; so much of the list is cut off by it that the guard sees it.
    _but(
        "empty_middle", SILENCE, Reaction.UNSEEN, solana_das=Reaction.QUARANTINED, loopring=Reaction.RESTARTED
    ),
    # Algorand's rows do not say whose they are.
    _but("other_account", WRONG, Reaction.FAILED, algorand=Reaction.QUARANTINED),
    _but("empty_200", SURPRISE, Reaction.QUARANTINED),
    _but("half_gone", SURPRISE, Reaction.QUARANTINED, spared=Reaction.UNSEEN),
)
_ITEMS: Final = (
    *_all(
        DOUBT,
        Reaction.CARRIED,
        *("amount_missing", "amount_null", "amount_float", "amount_negative", "amount_2^256"),
        *("amount_nan", "amount_1e400", "amount_1e3000000", "amount_text"),
        *("item_key_unreadable", "null_item"),
    ),
    # No JSON number starts with a zero, and a rune id that does is another id.
    _but(
        "leading_zeros",
        DOUBT,
        Reaction.CARRIED,
        algorand=Reaction.FAILED,
        okx_runes=Reaction.FAILED,
    ),
)

CONDITIONS: Final[Mapping[str, Condition]] = MappingProxyType(
    {condition.name: condition for condition in (*_ANSWERS, *_CONNECTIONS, *_BODIES, *_LISTS, *_ITEMS)}
)
