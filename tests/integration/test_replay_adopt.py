"""`indexer replay --adopt`: after a parser was fixed, history is what the right one would have made of it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from random import Random

import pytest

from tests.integration.engine.stage import by_watch
from tests.integration.keeping import (
    Fault,
    Stage,
    cloned,
    finish_passes,
    fold_stage,
    open_stage,
    read_answers,
    replay_stage,
    rules,
    verify_stage,
)
from tests.integration.misreading import (
    MISREADINGS,
    Misread,
    adopt_with,
    crawl_with,
    doubt,
    drop,
    halve,
    invent,
    lose_keys,
    read_story,
    release_with,
    upgrade,
)

#: What happens in one round after the other.
EVENTS = ("change", "odd", "change", "release", "away", "empty", "empty", "still")

#: Two pages, one page, nothing.
SIZES = dict.fromkeys(("hedera", "algorand", "solana_das", "loopring"), (12, 4, 0))


@contextmanager
def open_doubting(url: str, folder: Path) -> Iterator[Stage]:
    """A world of which a program with a bug publishes even what it finds hardly readable."""
    folder.mkdir(exist_ok=True)
    with open_stage(url, folder, SIZES) as stage:
        stage.settings["GUARD__MAX_UNREADABLE"] = "1"
        yield stage


@pytest.fixture
def stage(database_url: str, tmp_path: Path) -> Iterator[Stage]:
    """A world and its database."""
    with open_doubting(database_url, tmp_path) as opened:
        yield opened


@pytest.fixture
def twin(server_url: str, template_url: str, tmp_path: Path) -> Iterator[Stage]:
    """The same world, with a database that only the right program ever saw."""
    with cloned(server_url, template_url, 77) as url, open_doubting(url, tmp_path / "twin") as opened:
        yield opened


def live(stage: Stage, misread: Misread | None, events: Sequence[str]) -> list[datetime]:
    """Rounds in which this and that happens; the instant after each."""
    marks = []
    for step, event in enumerate(events):
        if event == "odd":
            for source, kind in (("hedera", "item_error"), ("solana_das", "item_key_unreadable")):
                stage.sim.faults.add(Fault(source, kind, address=stage.only_address(source)))
        if event in ("empty", "release"):
            stage.sim.faults.add(
                Fault("algorand", "empty_200", address=stage.only_address("algorand"), times=None)
            )
        if event == "away":
            stage.world.watched, everything = stage.world.watched[::2], stage.world.watched
            crawl_with(stage, misread)
            stage.world.watched = everything
        crawl_with(stage, misread)
        stage.sim.faults.clear()
        if event == "release":
            release_with(stage, misread)
        if event != "still":
            stage.world.change(step + 1)
        marks.append(stage.now())
    return marks


def assert_same_story(
    stage: Stage, marks: Sequence[datetime], twin: Stage, right: Sequence[datetime]
) -> None:
    """Every report says the same after every round, and none breaks a rule."""
    story, told = read_story(stage, marks), read_story(twin, right)
    for question, lines in told.items():
        apart = sorted(set(story[question]) ^ set(lines))
        assert (question, apart, len(story[question])) == (question, [], len(lines))
    assert rules(verify_stage(stage)) == set()


@pytest.mark.parametrize("misread", MISREADINGS, ids=lambda misread: misread.__name__)
def test_history_becomes_what_the_right_parser_would_have_made_of_it(
    stage: Stage, twin: Stage, misread: Misread
) -> None:
    """Every report says after every round what a database says that was crawled rightly from the start."""
    marks, right = live(stage, misread, EVENTS), live(twin, None, EVENTS)
    upgrade(stage)

    report = adopt_with(stage)

    assert report.found > 0
    assert len(report.adopted) > 3
    assert report.left_alone == []
    # Assets are described as of today by whoever lists them next; nothing else is new.
    assert by_watch(crawl_with(stage, None)) == by_watch(crawl_with(twin, None))
    assert_same_story(stage, [*marks, stage.now()], twin, [*right, twin.now()])
    assert replay_stage(stage).differences == []


def test_a_list_that_waits_is_a_witness_still(stage: Stage, twin: Stage) -> None:
    """What it misses as it is read now counts: the next empty list confirms it."""
    marks, right = live(stage, drop, ("change", "empty")), live(twin, None, ("change", "empty"))
    upgrade(stage)

    assert adopt_with(stage).adopted

    marks += live(stage, None, ("empty",))
    right += live(twin, None, ("empty",))
    assert stage.value("SELECT count(*) FROM ledger.snapshot WHERE resolution = 'confirmed'") == 1
    crawl_with(stage, None)
    crawl_with(twin, None)
    assert_same_story(stage, [*marks, stage.now()], twin, [*right, twin.now()])


@pytest.mark.parametrize("seed", range(2))
def test_it_does_whatever_happened(stage: Stage, twin: Stage, seed: int) -> None:
    """Rounds at random, another bug from the middle on, and the right program crawling before it adopts."""
    chance = Random(seed)
    events = chance.choices(EVENTS, k=6)
    # With all others a change of the program looks like a loss, which it would not believe.
    first, second = chance.sample((halve, invent, doubt, lose_keys), 2)
    marks, right = live(stage, first, events[:3]), live(twin, None, events[:3])
    upgrade(stage)
    marks += live(stage, second, events[3:])
    right += live(twin, None, events[3:])
    upgrade(stage)
    assert by_watch(crawl_with(twin, None))

    crawl_with(stage, None)
    adopt_with(stage)

    assert_same_story(stage, [*marks, stage.now()], twin, [*right, twin.now()])
    assert replay_stage(stage).differences == []
    assert adopt_with(stage).found == 0


@pytest.mark.parametrize("misread", [drop, doubt], ids=lambda bug: bug.__name__)
def test_folded_crawls_say_what_their_head_says(
    server_url: str, database_url: str, tmp_path: Path, misread: Misread
) -> None:
    """A run repeats its head to the byte: adopted before or after the folding, all answers are the same."""
    sizes = dict.fromkeys(("hedera", "algorand", "loopring"), (12, 4))
    with open_stage(database_url, tmp_path, sizes) as stage:
        stage.settings["GUARD__MAX_UNREADABLE"] = "1"
        for step in range(2):
            stage.world.change(step + 1)
            for _ in range(4):
                crawl_with(stage, misread)
                stage.world.advance(1)
        upgrade(stage)
        finish_passes(stage)
        instants = [
            row["snapshot_at"] for row in stage.rows("SELECT snapshot_at FROM report.snapshots ORDER BY 1")
        ]
        with cloned(server_url, database_url, 78) as url:
            other = replace(stage, url=url)
            assert fold_stage(stage) > 0

            assert adopt_with(stage).adopted
            assert adopt_with(other).adopted

            assert fold_stage(other) > 0
            told, right = read_answers(stage, instants[::5]), read_answers(other, instants[::5])
            assert {question: told[question] for question in told if question[1]} == {
                question: right[question] for question in right if question[1]
            }
        assert rules(verify_stage(stage)) == set()
        assert replay_stage(stage).differences == []
        assert {outcome.outcome for outcome in crawl_with(stage, None)} == {"unchanged"}
        finish_passes(stage)
        fold_stage(stage)
        assert rules(verify_stage(stage)) == set()
