"""Whether a pass under a fault kept the promises: no wrong word in history, the outcome as declared."""

from dataclasses import dataclass

from indexer.simulator.desk import LogEntry
from indexer.simulator.positions import Position
from indexer.sources.reactions import Reaction
from indexer.store.passes import Outcome
from tests.faults.kinds import Kind
from tests.faults.stand import NOTHING, PUBLISHED, Known, Stand, Watch


@dataclass(frozen=True)
class Before:
    """How things stood when the faults were put in force."""

    known: dict[Watch, Known]
    log: int
    last_crawl: int

    @classmethod
    def of(cls, stand: Stand) -> "Before":
        """Now."""
        last = stand.rows("SELECT coalesce(max(crawl_id), 0) FROM ledger.crawl")[0][0]
        return cls(stand.known(), len(stand.simulator.log), int(str(last)))


@dataclass(frozen=True)
class Pass:
    """What one pass came to, and what it was asked to do."""

    stand: Stand
    before: Before
    outcomes: dict[Watch, Outcome]

    def log(self, watch: Watch) -> list[LogEntry]:
        """The requests made for a watch."""
        return [
            entry
            for entry in self.stand.simulator.log[self.before.log :]
            if entry.source == watch[0]
            and entry.scope == watch[2]
            and watch[1].lower() in entry.address.lower().split(",")
        ]

    def struck(self) -> set[Watch]:
        """The watches whose crawls met a fault."""
        return {watch for watch in self.outcomes if any(entry.fault for entry in self.log(watch))}

    def restarts(self, source: str) -> int:
        """Crawls of a source that were abandoned for another one."""
        statement = """
            SELECT count(*) FROM ledger.crawl
            WHERE source_id = %s AND crawl_id > %s AND state = 'abandoned' AND restarted_as IS NOT NULL
        """
        return int(str(self.stand.rows(statement, source, self.before.last_crawl)[0][0]))


def find_lies(done: Pass) -> list[str]:
    """What history says that is not true, watch by watch; empty is what must be.

    A published list says nothing that is not so, and doubts are about things known before. A pass that did
    not publish leaves what was known exactly as it was.
    """
    known, truth, lies = done.stand.known(), done.stand.truth(), []
    for watch, outcome in done.outcomes.items():
        now, before = known.get(watch, NOTHING), done.before.known.get(watch, NOTHING)
        if outcome.outcome not in PUBLISHED:
            if now != before:
                lies.append(f"{watch}: {outcome.outcome}, but history changed: {now.all ^ before.all}")
            continue
        if wrong := [position for position in now.certain if not _is_so(position, truth[watch])]:
            lies.append(f"{watch}: says what is not so: {wrong}")
        if invented := now.carried - before.all:
            lies.append(f"{watch}: carries what was never known: {invented}")
    return [*lies, *(f"invariant: {row}" for row in done.stand.violations())]


def _is_so(position: Position, truth: frozenset[Position]) -> bool:
    """Held as stated; or held, without a word on how much."""
    if position.amount is not None:
        return position in truth
    return any((one.asset_ref, one.sub_key) == (position.asset_ref, position.sub_key) for one in truth)


def find_deviations(done: Pass, source: str, kind: Kind) -> list[str]:
    """How what came of a source's struck watches differs from what is declared; empty when it does not.

    Where one request asks for several addresses, damage to one row is one watch's: the others just go on.
    """
    declared = kind.condition.declared(source)
    struck = [watch for watch in done.struck() if watch[0] == source]
    declared_found = [_differs(done, watch, declared) for watch in struck]
    if all(not found for found in declared_found):
        return [] if struck else [f"{source}: the fault met nobody"]
    spared = [_differs(done, watch, (*declared, kind.condition.spared)) for watch in struck]
    if any(not found for found in declared_found) and not any(spared) and len(struck) > 1:
        return []
    return [text for found in declared_found for text in found]


def _differs(done: Pass, watch: Watch, declared: tuple[Reaction, ...]) -> list[str]:
    found = [_deviation(done, watch, reaction) for reaction in declared]
    return [] if "" in found else [f"{watch[0]}: {text}" for text in found]


def _deviation(done: Pass, watch: Watch, reaction: Reaction) -> str:
    outcome = done.outcomes[watch]
    told = f"{reaction.name}: {outcome.outcome}, {outcome.error}"
    if reaction in _UNPUBLISHED:
        expected = "quarantined" if reaction is Reaction.QUARANTINED else "failed"
        return "" if outcome.outcome == expected and _leaves_a_trace(done, watch, reaction) else told
    if outcome.outcome not in PUBLISHED:
        return told
    return "" if _shows(done, watch, reaction) else f"{told}, but not so"


_UNPUBLISHED = frozenset({Reaction.QUARANTINED, Reaction.FAILED, Reaction.PAUSED})


def _leaves_a_trace(done: Pass, watch: Watch, reaction: Reaction) -> bool:
    if reaction is Reaction.PAUSED:
        statement = """
            SELECT state, paused_reason, paused_until <= clock_timestamp() + interval '1 day'
            FROM ledger.source WHERE source_id = %s
        """
        ((state, reason, within_reason),) = done.stand.rows(statement, watch[0])
        return state == "paused" and bool(reason) and bool(within_reason)
    return bool(done.outcomes[watch].error)


def _shows(done: Pass, watch: Watch, reaction: Reaction) -> bool:
    known, truth = done.stand.known().get(watch, NOTHING), done.stand.truth()[watch]
    if reaction is Reaction.UNSEEN:
        return known.certain < truth
    if reaction is Reaction.DRIFTED:
        return _last_snapshot(done, watch)[1] == "drifted"
    if reaction is Reaction.CARRIED:
        return bool(known.carried) or int(str(_last_snapshot(done, watch)[0])) > 0
    if known.certain != truth:
        return False
    if reaction is Reaction.RESTARTED:
        return done.restarts(watch[0]) > 0
    repeats = _repeats(done, watch)
    return repeats > 0 if reaction is Reaction.RETRIED else repeats == 0 and done.restarts(watch[0]) == 0


def _repeats(done: Pass, watch: Watch) -> int:
    asked = [entry.cursor for entry in done.log(watch) if entry.page]
    return len(asked) - len(set(asked))


def _last_snapshot(done: Pass, watch: Watch) -> tuple[object, ...]:
    """Unreadable items and consistency of the watch's last list."""
    statement = """
        SELECT s.unreadable, s.consistency FROM report.snapshots AS s
        WHERE s.source = %s AND s.address = %s AND s.scope = %s
        ORDER BY s.judged_at DESC LIMIT 1
    """
    return done.stand.rows(statement, *watch)[0]
