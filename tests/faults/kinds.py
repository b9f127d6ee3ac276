"""Every kind of fault with the reaction that is declared for it, source by source where they differ.

This table is the failure table of the design in a form that can be run. A row that says `UNSEEN` admits what
no reader can know from one crawl: rows that an API leaves out without a trace.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from enum import Enum
from typing import Any, Final

from indexer.simulator import Fault
from indexer.simulator.answer_faults import BAD_AMOUNTS
from indexer.simulator.odd_faults import ENUMS
from indexer.simulator.positions import SOURCES


class Reaction(Enum):
    """What a watch's pass comes to when the fault strikes its crawl."""

    READ = "published, as if nothing had been wrong"
    RETRIED = "published, after asking for the same page again"
    RESTARTED = "published, after starting again from page 1"
    CARRIED = "published, with what could not be read carried forward as doubtful"
    DRIFTED = "published after all, marked as a list that kept moving"
    UNSEEN = "published without rows that were left out; no number is wrong"
    QUARANTINED = "not believed: history stays"
    FAILED = "the crawl ends: history stays"
    PAUSED = "the source is left alone: history stays"


@dataclass(frozen=True)
class Kind:
    """One kind of fault, and what is declared to happen."""

    name: str
    #: The simulator's name for it.
    fault: str
    reaction: Reaction
    #: Where it differs by source; several where the clock decides which comes first.
    others: Mapping[str, Reaction | tuple[Reaction, ...]] = field(default_factory=dict)
    page: int | None = 2
    times: int | None = 1
    options: Mapping[str, Any] = field(default_factory=dict)
    #: Options that are known only when the fault is put in force.
    late: Callable[[str], Mapping[str, Any]] | None = None
    sources: tuple[str, ...] = SOURCES
    #: What happens to other addresses of the same request.
    spared: Reaction = Reaction.READ

    def declared(self, source: str) -> tuple[Reaction, ...]:
        """The reactions that keep the promise at this source."""
        found = self.others.get(source, self.others.get("*", self.reaction))
        return found if isinstance(found, tuple) else (found,)

    def strike(self, source: str, address: str, host: str, page: int | None = None) -> Fault:
        """The fault that strikes this address. ``host`` is another host's origin."""
        options = dict(self.options) | (dict(self.late(host)) if self.late else {})
        chosen = self.page if page is None else page
        return Fault(source, self.fault, address=address, page=chosen, times=self.times, **options)


def _soon(_host: str) -> Mapping[str, Any]:
    moment = datetime.now(UTC) + timedelta(seconds=1)
    return {"headers": (("Retry-After", format_datetime(moment, usegmt=True)),)}


def _status(code: int, reaction: Reaction, name: str = "", **options: Any) -> Kind:
    return Kind(name or f"status_{code}", "status", reaction, options={"status": code, **options})


_HTML: Final = b"<!DOCTYPE html><html><title>Attention required</title></html>"
_EITHER: Final = {"*": (Reaction.FAILED, Reaction.RETRIED)}
_NEVER_RISES: Final = dict.fromkeys(("okx_runes", "loopring"), Reaction.RESTARTED)
_NO_ORDER: Final = dict.fromkeys(("okx_runes", "loopring"), Reaction.READ)

_STATUSES: Final = (
    _status(429, Reaction.RETRIED, "status_429_seconds", headers=(("Retry-After", "1"),)),
    Kind("status_429_date", "status", Reaction.RETRIED, options={"status": 429}, late=_soon),
    _status(429, Reaction.RETRIED, "status_429_bare"),
    _status(401, Reaction.PAUSED),
    _status(402, Reaction.PAUSED),
    _status(403, Reaction.PAUSED, "status_403_html", body=_HTML),
    _status(404, Reaction.RESTARTED, "status_404_on_resume"),
    _status(500, Reaction.RETRIED),
    _status(502, Reaction.RETRIED, "status_502_html", body=_HTML),
    _status(503, Reaction.RETRIED, "status_503_empty", body=b""),
    Kind("redirect", "redirect", Reaction.FAILED, late=lambda host: {"value": f"{host}/elsewhere"}),
    Kind("api_error", "api_error", Reaction.RETRIED),
)
_CONNECTIONS: Final = (
    Kind("hang", "hang", Reaction.RETRIED),
    Kind("slow_drip", "slow_drip", Reaction.RETRIED),
    Kind("reset_mid_body", "reset_mid_body", Reaction.RETRIED),
    Kind("short_body", "short_body", Reaction.RETRIED),
    Kind("no_answer", "no_answer", Reaction.RETRIED),
    Kind("corrupt_gzip", "corrupt_gzip", Reaction.RETRIED),
    Kind("gzip_bomb", "gzip_bomb", Reaction.FAILED, _EITHER),
    Kind("endless_body", "endless_body", Reaction.FAILED, _EITHER),
    Kind("huge_headers", "huge_headers", Reaction.RETRIED),
    Kind("stacked_encodings", "stacked_encodings", Reaction.FAILED),
    Kind("wrong_content_type", "wrong_content_type", Reaction.READ),
)
_BODIES: Final = (
    Kind("truncated_json", "truncated_json", Reaction.FAILED),
    Kind("html_200", "html_200", Reaction.FAILED),
    Kind("invalid_utf8", "invalid_utf8", Reaction.FAILED),
    Kind("deep_nesting", "deep_nesting", Reaction.FAILED),
    Kind("not_an_object", "not_an_object", Reaction.FAILED),
    Kind("wrong_type", "wrong_type", Reaction.FAILED),
    Kind("missing_field", "missing_field", Reaction.FAILED),
    Kind("null_envelope", "null_envelope", Reaction.FAILED),
    Kind("wrong_id", "wrong_id", Reaction.FAILED, sources=("solana_das",)),
    Kind("nul_names", "nul_names", Reaction.READ),
    Kind("lone_surrogates", "lone_surrogates", Reaction.READ),
    Kind("extra_fields", "extra_fields", Reaction.READ),
    Kind("duplicate_keys", "duplicate_keys", Reaction.READ),
    Kind("unknown_enum", "unknown_enum", Reaction.READ, sources=tuple(ENUMS)),
)
_LISTS: Final = (
    Kind(
        "repeated_cursor", "repeated_cursor", Reaction.FAILED, {"loopring": Reaction.RESTARTED}
    ),  # Loopring gives no cursor of its own: the same rows again are a list that moved.
    Kind(
        "alternating_cursors",
        "alternating_cursors",
        Reaction.FAILED,
        {"loopring": Reaction.DRIFTED},
        page=3,
        times=None,
    ),
    Kind("expired_cursor", "expired_cursor", Reaction.RESTARTED),
    Kind("duplicate_page", "duplicate_page", Reaction.FAILED, _NEVER_RISES),
    Kind(
        "repeated_edge",
        "repeated_edge",
        Reaction.FAILED,
        # The same row twice at an edge is no lie where cursors say the place; Loopring's rows are counted.
        {"okx_runes": Reaction.READ, "hedera": Reaction.READ, "loopring": Reaction.RESTARTED},
    ),
    Kind("out_of_order", "out_of_order", Reaction.FAILED, _NO_ORDER),
    Kind(
        "skipped_rows",
        "skipped_rows",
        Reaction.UNSEEN,
        {"solana_das": Reaction.CARRIED, "loopring": Reaction.RESTARTED},
    ),
    Kind(
        "totals_disagree",
        "totals_disagree",
        Reaction.RESTARTED,
        {"solana_das": Reaction.READ},  # its total counts the rows of the page
        sources=("solana_das", "loopring"),
    ),
    Kind("empty_200", "empty_200", Reaction.QUARANTINED, page=1, times=None),
    Kind("half_gone", "half_gone", Reaction.QUARANTINED, page=None, times=None, spared=Reaction.UNSEEN),
    Kind(
        "absolute_next",
        "absolute_next",
        Reaction.READ,
        {"algorand": Reaction.FAILED, "okx_runes": Reaction.RESTARTED},
        late=lambda host: {"value": host},
    ),
)
_ITEMS: Final = (
    *(
        Kind(f"amount_{bad}", "item_error", Reaction.CARRIED, options={"value": bad})
        for bad in sorted(BAD_AMOUNTS)
    ),
    Kind("item_key_unreadable", "item_key_unreadable", Reaction.CARRIED),
    Kind("null_item", "null_item", Reaction.CARRIED),
)

KINDS: Final = (*_STATUSES, *_CONNECTIONS, *_BODIES, *_LISTS, *_ITEMS)
