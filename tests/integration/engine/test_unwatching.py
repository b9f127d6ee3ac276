"""Taking watches off, however many and however large: in portions, and never at an instant long ago."""

from collections.abc import Sequence
from datetime import timedelta

import psycopg
import pytest
from structlog.testing import capture_logs

from indexer import jobs, publish, unwatching
from indexer.errors import PublishTooSlow
from indexer.jobs import Engine
from tests.integration.engine.conftest import OpenStage
from tests.integration.engine.stage import Stage
from tests.integration.engine.test_clock import lose_time

#: The last statement of a removal.
_LAST_WRITE = "UPDATE ON ledger.watch_period"

_ENDED = """
SELECT p.watch_id, p.watched_to, p.watched_to <= clock_timestamp() AS has_come,
       clock_timestamp() - p.watched_to <= interval '30 s' AS is_recent,
       (SELECT count(*) FROM ledger.holding_version AS v
        WHERE v.watch_id = p.watch_id AND v.valid_to IS DISTINCT FROM p.watched_to) AS others
FROM ledger.watch_period AS p
WHERE p.watched_to IS NOT NULL
ORDER BY p.watched_to
"""

_REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN RAISE EXCEPTION ''not this one''; END';
CREATE TRIGGER refuse BEFORE UPDATE ON ledger.watch_period FOR EACH ROW
    WHEN (OLD.watch_id = {watch}) EXECUTE FUNCTION refuse()
"""

_REFUSE_TIMEOUT = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN
         IF current_setting(''statement_timeout'')::interval < ''10 min'' THEN
             RAISE EXCEPTION ''stopped'';
         END IF;
         RETURN NULL;
     END';
CREATE TRIGGER refuse AFTER UPDATE ON ledger.holding_version FOR EACH STATEMENT EXECUTE FUNCTION refuse()
"""


def _crawled(open_stage: OpenStage, *sizes: int) -> Stage:
    stage = open_stage({"hedera": sizes})
    stage.crawl()
    return stage


def _keep(stage: Stage, *places: int) -> None:
    """Apply the watchlist with only these of the addresses."""
    stage.world.watched = [stage.world.watched[place] for place in places]
    stage.run(_apply)


async def _apply(engine: Engine) -> None:
    await jobs.apply_watchlist(engine.database, engine.config, engine.sources, engine.entries)


def _ended(stage: Stage) -> Sequence[dict[str, object]]:
    """The watch periods that ended; every version of theirs ends with them."""
    found = stage.rows(_ENDED)
    assert [row["others"] for row in found] == [0] * len(found)
    return found


def test_a_removal_that_takes_long_names_a_later_instant(open_stage: OpenStage) -> None:
    """Answers given meanwhile would change: it is done again, with an instant that lies ahead."""
    stage = _crawled(open_stage, 6, 4)
    lose_time(stage, 31, writes=_LAST_WRITE)

    _keep(stage, 1)

    assert [row["is_recent"] for row in _ended(stage)] == [True]


def test_nothing_ends_before_its_instant(open_stage: OpenStage, monkeypatch: pytest.MonkeyPatch) -> None:
    """It took two seconds once and hardly any the second time: the instant it named is waited for."""
    monkeypatch.setattr(publish, "LONGEST", timedelta(seconds=1))
    stage = _crawled(open_stage, 6, 4)
    lose_time(stage, 2, times=1, writes=_LAST_WRITE)
    before = stage.now()

    _keep(stage, 1)

    (ended,) = _ended(stage)
    assert ended["has_come"]
    # Lost in vain, and named ahead.
    assert ended["watched_to"] > before + timedelta(seconds=4)  # type: ignore[operator]


def test_watches_that_take_long_together_end_one_by_one(open_stage: OpenStage) -> None:
    """None of them takes long by itself: each ends at an instant of its own, and none has to wait for it."""
    stage = _crawled(open_stage, 6, 4, 5)
    lose_time(stage, 31, times=1, writes=_LAST_WRITE)

    _keep(stage, 2)

    ended = _ended(stage)
    assert [row["is_recent"] for row in ended] == [True, True]
    assert len({row["watched_to"] for row in ended}) == 2


def test_a_removal_that_takes_far_too_long_is_given_up(open_stage: OpenStage) -> None:
    """Nothing of it is kept: the address is still watched, and tried again with the next look at the list."""
    stage = _crawled(open_stage, 6, 4)
    before = stage.held()
    lose_time(stage, 700, times=1, writes=_LAST_WRITE)

    with pytest.raises(PublishTooSlow, match="unwatching took 700 s and was rolled back"):
        _keep(stage, 1)
    assert _ended(stage) == []
    assert stage.held() == before

    stage.run(_apply)
    assert len(_ended(stage)) == 1


def test_a_removal_is_not_stopped_by_the_limit_of_a_statement(open_stage: OpenStage) -> None:
    """What cannot end in two minutes would be tried, and stopped, for ever."""
    stage = _crawled(open_stage, 6, 4)
    stage.execute(_REFUSE_TIMEOUT)

    _keep(stage, 1)

    assert len(_ended(stage)) == 1


def test_many_watches_end_in_portions(open_stage: OpenStage, monkeypatch: pytest.MonkeyPatch) -> None:
    """By their number and by what they hold, the smallest first; told once, all together."""
    stage = _crawled(open_stage, 6, 1, 4, 2, 3)
    numbers = [row["watch_id"] for row in stage.rows("SELECT watch_id FROM ledger.watch ORDER BY watch_id")]
    monkeypatch.setattr(unwatching, "MOST_WATCHES", 2)
    monkeypatch.setattr(unwatching, "MOST_HOLDINGS", 5)

    with capture_logs() as told:
        _keep(stage, 4)

    ended = _ended(stage)
    portions = [
        {row["watch_id"] for row in ended if row["watched_to"] == instant}
        for instant in dict.fromkeys(row["watched_to"] for row in ended)
    ]
    assert portions == [{numbers[1], numbers[3]}, {numbers[2]}, {numbers[0]}]
    assert [entry["count"] for entry in told if entry["event"] == "watches removed"] == [4]


def test_what_fails_half_way_is_done_by_the_next(
    open_stage: OpenStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was removed stays so and is told; the rest is removed, and told, when it can be."""
    stage = _crawled(open_stage, 6, 4, 5)
    monkeypatch.setattr(unwatching, "MOST_WATCHES", 1)
    large = stage.value("SELECT min(watch_id) FROM ledger.watch")
    stage.execute(_REFUSE.replace("{watch}", str(large)))

    with capture_logs() as told, pytest.raises(psycopg.errors.RaiseException):
        _keep(stage, 2)
    assert len(_ended(stage)) == 1

    stage.execute("DROP TRIGGER refuse ON ledger.watch_period")
    with capture_logs() as told_then:
        stage.run(_apply)
    assert len(_ended(stage)) == 2
    assert stage.differences() == {}
    assert [entry["count"] for entry in (*told, *told_then) if entry["event"] == "watches removed"] == [1, 1]


def test_a_watch_that_was_put_back_meanwhile_stays(open_stage: OpenStage) -> None:
    """Another process removed it and put it back: what was to end is its earlier period, and that has."""
    stage = _crawled(open_stage, 6, 4)
    everything = list(stage.world.watched)

    async def find(engine: Engine) -> object:
        return await jobs.write_watchlist(engine.database, engine.config, engine.sources, engine.entries)

    stage.world.watched = everything[1:]
    found = stage.run(find)
    stage.run(_apply)
    stage.world.watched = everything
    stage.run(_apply)

    stage.run(lambda engine: unwatching.unwatch(engine.database, found))

    assert len(found) == 1
    assert stage.value("SELECT count(*) FROM ledger.watch_period WHERE watched_to IS NULL") == 2


def test_a_wholly_other_watchlist_is_told_aloud(open_stage: OpenStage) -> None:
    """Somebody crawls from another folder with the same database. Where an address stays, it is an edit."""
    stage = open_stage({"hedera": (6, 4, 5)})
    first, second, third = stage.world.watched
    told = []

    for watched in ([first, second], [second, third], [first]):
        stage.world.watched = watched
        with capture_logs() as logs:
            stage.crawl()
        told.append([entry for entry in logs if entry["log_level"] == "warning"])

    assert told[:2] == [[], []]
    (warning,) = told[2]
    assert "nothing is left of the watchlist before" in warning["event"]
    assert (warning["watches"], warning["holdings"]) == (2, 9)
