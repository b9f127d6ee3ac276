"""What random lives brought to light, each as the shortest story that shows it."""

import asyncio
from datetime import timedelta

import psycopg
import pytest

from indexer.store import database, prune
from tests.model.life import Life
from tests.model.rig import Rig
from tests.model.weather import Drift, Lie, Weather


def test_a_prune_does_not_mind_tables_that_are_numbered(database_url: str) -> None:
    """PostgreSQL calls its own tables pg_toast_835521: their numbers are no months."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(b"CREATE TABLE public.mine_835521 (nothing integer)")
        connection.execute(b"ANALYZE pg_catalog.pg_class, pg_catalog.pg_inherits")

    async def list_months() -> list[prune.Month]:
        async with database.opened(database_url) as opened, opened.transaction() as connection:
            return await prune.list_months(connection, await prune.read_limits(connection, timedelta(days=7)))

    assert asyncio.run(list_months()) == []


def test_a_clock_that_stepped_back_costs_a_new_watch_one_crawl_only(rig: Rig) -> None:
    """The first pages seem older than the watch: that crawl fails and says why, the next one publishes."""
    life = Life(rig, [("hedera", 1)], full=3)
    life.step_back(timedelta(seconds=43))

    life.crawl([0])
    life.ask()
    life.pass_time(timedelta(minutes=1))
    life.crawl([0])

    life.ask()
    life.end()
    assert (life.tally["silent failed"], life.tally["published"]) == (1, 1)


def test_a_list_that_repeats_a_row_each_time_never_proves_an_absence(rig: Rig) -> None:
    """Where the API counts rows, another one is missing: told again it is as incomplete."""
    life = Life(rig, [("loopring", 1)], full=5, page_size=3)
    life.edit([(0, place, 0, False) for place in (3, 4)])

    for _ in range(3):
        life.crawl([0], Weather(drift=Drift(kind=3, turns=100)))
        life.ask()

    life.end()
    assert (life.tally["drifted"], life.tally["unchanged"]) == (3, 2)


def _leave_out(rig: Rig, hidden: frozenset[int]) -> Life:
    """A provider told balances; then a list leaves out a token, or what nobody could read yet."""
    life = Life(rig, [("solana_das", 1)], full=6)
    life.edit([(0, 0, 7, False)])
    life.lie([0], Lie(unreadable=frozenset({1})))
    life.crawl([0])
    life.edit([] if 0 in hidden else [(0, 0, 250, False)])
    life.lie([0], Lie(hidden=hidden))
    for _ in range(3):
        life.crawl([0])
        life.ask()
    return life


def test_what_a_list_may_leave_out_is_carried_for_a_week(rig: Rig) -> None:
    """Nothing on it shows which server answered: neither the token nor what was never read is gone."""
    life = _leave_out(rig, frozenset({0, 1}))
    assert life.tally["unknown unreadable"] > 0

    life.pass_time(timedelta(days=8))
    life.edit([(0, 3, 9, False)])
    for _ in range(3):
        life.crawl([0])
        life.ask()

    life.end()
    assert life.tally["disappeared"] == 1


@pytest.mark.parametrize("place", [0, 1], ids=["token", "never read"])
def test_a_list_that_sells_what_it_may_leave_out_is_found(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    """It is believed to list everything."""
    monkeypatch.setattr("indexer.folding.ListSummary.may_hide", lambda *_: False)

    with pytest.raises(AssertionError):
        _leave_out(rig, frozenset({place}))


def test_what_was_never_read_is_not_gone_either(rig: Rig) -> None:
    """Alone on the side of what is missing."""
    life = _leave_out(rig, frozenset({1}))

    life.end()
    assert life.tally["unknown unreadable"] > 0
