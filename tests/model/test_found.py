"""What random lives brought to light, each as the shortest story that shows it."""

import asyncio
from datetime import timedelta

import psycopg

from indexer.store import database, prune
from tests.model.life import Life
from tests.model.rig import Rig
from tests.model.weather import Drift, Weather


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
