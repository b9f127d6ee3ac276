"""Random lives: a few with every test run, five hundred of fifty steps with `pytest -m model_full`.

The same number gives the same lives. INDEXER_TEST_MODEL_SEED moves all numbers: other lives than last time.
"""

import os
from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.machine import RandomLife
from tests.model.rig import Rig

#: Fifty lives each: a failure is found again by its number alone.
SHARDS = range(10)

_OFFSET = int(os.environ.get("INDEXER_TEST_MODEL_SEED", "0")) * 1_000


def live(rig: Rig, number: int, lives: int, steps: int, *, shrink: bool = True) -> Counter[str]:
    """Random lives, the same for the same number; returns what happened in them."""
    tally: Counter[str] = Counter()

    @seed(_OFFSET + number)
    def begin() -> RandomLife:
        return RandomLife(rig, tally)

    run_state_machine_as_test(
        begin,  # type: ignore[arg-type]  # a factory will do: its own documentation says so
        settings=settings(
            max_examples=lives,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            print_blob=True,
            report_multiple_bugs=False,
            phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )
    return tally


def test_reports_answer_as_the_oracle_does(rig: Rig) -> None:
    """Whatever happens to a few watches, no report ever says anything but what the promises say."""
    live(rig, 900, lives=20, steps=25)


@pytest.mark.model_full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("number", SHARDS)
def test_fifty_lives_of_fifty_steps(rig: Rig, number: int) -> None:
    """The same for five hundred lives, rich enough for everything the reports can say."""
    tally = live(rig, number, lives=50, steps=50)

    never_came_up = WHAT_HAPPENS - tally.keys()
    assert len(never_came_up) <= 3, never_came_up


#: Lives in which much of this never comes up prove less than they claim; each rule is left out of some lives.
WHAT_HAPPENS = frozenset(
    {
        "published",
        "unchanged",
        "quarantined",
        "released",
        "rejected",
        "silent failed",
        "ClockWentBack",
        "folded",
        "of the past",
        "drifted",
    }
    | {"fresh", "stale", "carried", "not_watched", "never_observed", "future"}
    | {"held None", "absent None", "unknown unreadable", "unknown not_watched"}
    | {"first_seen", "seen_again", "appeared", "increased", "decreased", "changed", "disappeared"}
    | {"knowledge_ended", "ServerTrouble", "BadPage"}
)
