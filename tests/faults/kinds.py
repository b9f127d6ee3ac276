"""How every condition of the product's failure table is brought about at the simulated APIs.

What is declared to happen is in `indexer/sources/reactions.py`; nothing of it is repeated here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Final

from indexer.simulator import Fault
from indexer.simulator.answer_faults import BAD_AMOUNTS
from indexer.simulator.faults import KINDS as SIMULATED
from indexer.simulator.faults import kinds_of
from indexer.simulator.positions import SOURCES
from indexer.sources.reactions import CONDITIONS, Condition, Reaction


@dataclass(frozen=True)
class Kind:
    """One kind of fault, and how it is put in force."""

    name: str
    #: The simulator's name for it.
    fault: str
    page: int | None = 2
    times: int | None = 1
    options: Mapping[str, Any] = field(default_factory=dict)
    #: Options that are known only when the fault is put in force.
    late: Callable[[str], Mapping[str, Any]] | None = None

    @property
    def condition(self) -> Condition:
        """What is declared to happen."""
        return CONDITIONS[self.name]

    @property
    def reaction(self) -> Reaction:
        """What happens at most sources."""
        return self.condition.reaction

    @property
    def sources(self) -> tuple[str, ...]:
        """Where the simulator can do it."""
        return tuple(source for source in _ONLY.get(self.name, SOURCES) if self.fault in kinds_of(source))

    def strike(self, source: str, address: str, host: str, page: int | None = None) -> Fault:
        """The fault that strikes this address. ``host`` is another host's origin."""
        options = dict(self.options) | (dict(self.late(host)) if self.late else {})
        chosen = self.page if page is None else page
        return Fault(source, self.fault, address=address, page=chosen, times=self.times, **options)


def _soon(_host: str) -> Mapping[str, Any]:
    moment = datetime.now(UTC) + timedelta(seconds=1)
    return {"headers": (("Retry-After", format_datetime(moment, usegmt=True)),)}


def _status(name: str, code: int, **options: Any) -> Kind:
    return Kind(name, "status", options={"status": code, **options})


def _wait(seconds: str) -> Mapping[str, Any]:
    return {"headers": (("Retry-After", seconds),)}


_HTML: Final = b"<!DOCTYPE html><html><title>Attention required</title></html>"
#: Where a fault says nothing elsewhere: no such total, no such parameters.
_ONLY: Final = {"totals_never_agree": ("loopring",), "parameters_refused": ("solana_das",)}
_REFUSAL: Final = b'{"jsonrpc":"2.0","error":{"code":-32602,"message":"Invalid params"},"id":1}'

_SPECIAL: Final = (
    _status("status_429_seconds", 429, **_wait("1")),
    Kind("status_429_date", "status", options={"status": 429}, late=_soon),
    _status("status_429_bare", 429),
    _status("status_429_nonsense", 429, **_wait("-7, soon")),
    _status("status_403_html", 403, body=_HTML),
    _status("status_403_for_ages", 403, **_wait("999999999999")),
    _status("status_404_on_resume", 404),
    Kind("parameters_refused", "status", page=1, options={"status": 200, "body": _REFUSAL}),
    _status("status_502_html", 502, body=_HTML),
    _status("status_503_empty", 503, body=b""),
    *(_status(f"status_{code}", code) for code in (204, 304, 401, 402, 408, 418, 421, 425, 500, 520)),
    Kind("redirect", "redirect", late=lambda host: {"value": f"{host}/elsewhere"}),
    Kind("absolute_next", "absolute_next", late=lambda host: {"value": host}),
    Kind("alternating_cursors", "alternating_cursors", page=3, times=None),
    Kind("totals_never_agree", "totals_disagree", times=None),
    Kind("circling_link", "circling_link", times=None),
    Kind("empty_200", "empty_200", page=1, times=None),
    Kind("half_gone", "half_gone", page=None, times=None),
    Kind("other_account", "other_account", page=None, times=None),
    Kind("lagging_node", "lagging_node", page=None, times=None),
    *(Kind(f"amount_{bad}", "item_error", options={"value": bad}) for bad in sorted(BAD_AMOUNTS)),
)
_NAMED: Final = {kind.name for kind in _SPECIAL}

#: Every condition of the table; most are the simulator's fault of that name, once, on page 2.
KINDS: Final = (
    *_SPECIAL,
    *(Kind(name, name) for name in CONDITIONS if name not in _NAMED),
)

assert {kind.name for kind in KINDS} == CONDITIONS.keys()
assert {kind.fault for kind in KINDS} <= SIMULATED
