"""The model bites: a program or a report that is wrong in one place does not live long.

Each mutant is made in the scratch database or by one changed attribute; random lives must die of it by a
wrong answer, not by a crash.
"""

from collections.abc import Callable
from typing import cast

import pytest

from indexer.lists import FoldedList
from indexer.sources.solana_das import SolanaDas
from tests.model import machine
from tests.model.life import Life
from tests.model.rig import Rig
from tests.model.test_model import live
from tests.model.weather import Drift, Weather

_TRIGGER = """
CREATE FUNCTION model.mutate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$;
CREATE TRIGGER a_mutant BEFORE {event} ON ledger.{table}
    FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION model.mutate();
"""

#: A report function, a piece of its definition, and what stands there instead.
_REPORTS = {
    "stale is called fresh": ("ledger.r_coverage_as_of", "'stale'", "'fresh'"),
    "the end of a version belongs to it": ("report.holdings_as_of", "v.valid_to > ", "v.valid_to >= "),
    "a new version counts one instant late": ("report.holdings_as_of", "v.valid_from <= ", "v.valid_from < "),
    "unknown is absent": ("report.balance_as_of", "'unknown'", "'absent'"),
    "an old period answers for a new one": (
        "ledger.r_coverage_as_of",
        "x.snapshot_at >= p.watched_from",
        "true",
    ),
}

#: What a trigger does: to which table, when, in which case, how.
_WRITES = {
    "nothing is ever closed as absent": (
        "holding_version",
        "UPDATE",
        "NEW.close_reason = 'absent'",
        "RETURN NULL;",
    ),
    "an absence comes a second late": (
        "holding_version",
        "UPDATE",
        "NEW.close_reason = 'absent'",
        "NEW.valid_to := NEW.valid_to + interval '1 second'; RETURN NEW;",
    ),
    "unwatching is told as a sale": (
        "holding_version",
        "UPDATE",
        "NEW.close_reason = 'unwatched'",
        "NEW.close_reason := 'absent'; NEW.closed_by := 1; RETURN NEW;",
    ),
    "unwatching leaves doubts and holdings open": (
        "holding_version",
        "UPDATE",
        "NEW.close_reason = 'unwatched'",
        "RETURN NULL;",
    ),
    "what cannot be read is not noted": ("carried_span", "INSERT", "true", "RETURN NULL;"),
}


class WrongAnswer(BaseException):
    """No exception: those hypothesis catches, to live the life again, which may then go otherwise."""


class LastLife:
    """A life that ends everything with its first wrong answer."""

    def __init__(self, life: Life) -> None:
        self._life = life

    def __getattr__(self, name: str) -> object:
        found = getattr(self._life, name)
        return self._watched(found) if callable(found) else found

    @staticmethod
    def _watched(step: Callable[..., object]) -> Callable[..., object]:
        def take(*arguments: object, **named: object) -> object:
            try:
                return step(*arguments, **named)
            except AssertionError as wrong:
                raise WrongAnswer from wrong

        return take


def _die(rig: Rig) -> None:
    """Random lives until one gives a wrong answer. A mutant that crashes the program proves nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "Life", lambda *given: cast("Life", LastLife(Life(*given))))
        with pytest.raises(WrongAnswer):
            live(rig, 700, lives=50, steps=40, shrink=False)


@pytest.mark.model_full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("mutant", _REPORTS)
def test_a_wrong_report_is_found(rig: Rig, mutant: str) -> None:
    """One comparison or one word of a report is another one."""
    name, piece, instead = _REPORTS[mutant]
    ((definition,),) = rig.ask(b"SELECT pg_get_functiondef(%(name)s::regproc)", name=name)
    assert piece in definition
    rig.reading.execute(definition.replace(piece, instead).encode(), prepare=False)

    _die(rig)


@pytest.mark.model_full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("mutant", _WRITES)
def test_a_wrong_history_is_found(rig: Rig, mutant: str) -> None:
    """History is written a little differently than the program meant."""
    table, event, condition, body = _WRITES[mutant]
    statement = _TRIGGER.format(table=table, event=event, condition=condition, body=body)
    rig.reading.execute(statement.encode(), prepare=False)

    _die(rig)


@pytest.mark.model_full
@pytest.mark.timeout(1800)
def test_a_hasty_absence_is_found(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that needs two lists to prove an absence is content with one."""
    monkeypatch.setattr(SolanaDas, "absences_needed", 1)

    _die(rig)


def test_a_credulous_guard_is_found(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every list is believed at once, an empty one too."""
    monkeypatch.setattr("indexer.verdict._surprise", lambda *_: "")

    _die(rig)


@pytest.mark.model_full
@pytest.mark.timeout(1800)
def test_a_list_of_the_past_that_is_believed_is_found(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody minds a node that has not seen the last blocks."""
    monkeypatch.setattr("indexer.lists.FoldedList.lag", 0)

    _die(rig)


def test_an_absence_that_one_drifted_list_proves_is_found(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that moved while it was paged is trusted like one that stood still."""
    hasty = property(lambda item: item.crawl.source.absences_needed)
    monkeypatch.setattr(FoldedList, "absences_needed", hasty)

    _die(rig)


def test_a_row_that_stands_in_the_place_of_another_is_found(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody minds that a counted list repeats a row, and so lacks one: one life, as chance brings few."""
    monkeypatch.setattr(FoldedList, "_falls_short", False)
    life = Life(rig, [("loopring", 1)], full=5, page_size=3)
    life.edit([(0, place, 0, False) for place in (3, 4)])

    def look() -> None:
        life.crawl([0], Weather(drift=Drift(kind=3, turns=100)))
        life.ask()

    with pytest.raises(AssertionError):
        look()


@pytest.mark.model_full
@pytest.mark.timeout(1800)
def test_a_list_that_is_not_asked_for_again_is_found(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """What moved while it was paged is published at once."""
    monkeypatch.setattr("indexer.judging.DRIFT_RESTARTS", 0)

    _die(rig)


@pytest.mark.model_full
@pytest.mark.timeout(1800)
def test_a_witness_that_is_never_too_early_is_found(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same lie a moment later confirms itself; neither an outage nor the clock holds it back."""
    monkeypatch.setattr("indexer.judging.is_outage", lambda *_: False)

    _die(rig)
