"""Due watches become crawls: once, together where they can, and from what the database says alone."""

import asyncio
from datetime import datetime, timedelta
from itertools import pairwise

import psycopg

from indexer import bootstrap, due, jobs
from indexer.jobs import Engine
from indexer.store import schedule, statements
from tests.integration.daemon.working import begin, make_due, work_until
from tests.integration.engine.conftest import OpenStage
from tests.integration.engine.stage import Fault, Stage

OPEN = "SELECT count(*) FROM ledger.crawl WHERE state IN ('pending', 'running')"
OUTCOMES = "SELECT count(*) FROM ledger.crawl_watch WHERE verdict IS NOT NULL"


def be_late(stage: Stage, by: str) -> None:
    """As if everything so far had happened earlier, and every watch were to be looked at now."""
    changes = {
        "crawl": ("created_at", "finished_at", "first_page_at", "last_page_at"),
        "crawl_watch": ("due_at",),
        "watch_period": ("watched_from",),
    }
    with psycopg.connect(stage.url, autocommit=True) as connection:
        # History is write-once, except for the hand of a test.
        connection.execute("SET session_replication_role = replica")
        for table, columns in changes.items():
            earlier = ", ".join(f"{column} = {column} - interval '{by}'" for column in columns)
            connection.execute(f"UPDATE ledger.{table} SET {earlier}".encode())
        connection.execute("UPDATE ledger.schedule SET look_at = now()")


def test_never_crawled_watches_are_due_at_once_and_only_once(open_stage: OpenStage) -> None:
    """A second tick, and a second daemon that starts, find nothing to do."""
    stage = open_stage({"hedera": (1, 2), "algorand": (3,)})

    async def tick_twice(engine: Engine) -> list[dict[str, int]]:
        await begin(engine)
        first = await make_due(engine)
        await due.follow_watchlist(engine.database, everything=True)
        return [first, await make_due(engine)]

    assert stage.run(tick_twice) == [{"algorand": 1, "hedera": 2}, {}]


def test_two_daemons_at_once_make_each_crawl_once(open_stage: OpenStage) -> None:
    """Both tick at the same moment, over and over; the database has the last word."""
    stage = open_stage({"hedera": (1,) * 30})

    async def race(engine: Engine) -> list[dict[str, int]]:
        await begin(engine)
        async with bootstrap.engine(stage.config()) as other:
            made = await asyncio.gather(*(make_due(one) for _ in range(5) for one in (engine, other)))
        return list(made)

    made = stage.run(race)

    assert sum(count for one in made for count in one.values()) == 30
    assert stage.value("SELECT count(*) FROM ledger.crawl_watch") == 30


def test_a_tick_and_a_pass_at_once_make_each_crawl_once(open_stage: OpenStage) -> None:
    """`indexer crawl` beside the daemon joins its crawls, or the daemon finds the pass's open."""
    stage = open_stage({"hedera": (1,) * 20})

    async def race(engine: Engine) -> None:
        await begin(engine)
        async with bootstrap.engine(stage.config()) as other:
            one_pass = jobs.run_pass(other, jobs.Selection(None, None), lambda _progress: None)
            await asyncio.gather(one_pass, make_due(engine), make_due(engine))

    stage.run(race)

    assert (
        stage.value(
            "SELECT max(n) FROM (SELECT count(*) AS n FROM ledger.crawl_watch GROUP BY watch_id) AS x"
        )
        <= 2
    )
    assert stage.value("SELECT count(*) FROM ledger.crawl_watch WHERE open") <= 20


def test_watches_looked_at_together_are_judged_at_one_instant(open_stage: OpenStage) -> None:
    """Two that are due at the same second are due together, and share a crawl."""
    stage = open_stage({"hedera": (1,) * 30})

    async def look(engine: Engine) -> list[datetime]:
        await begin(engine)
        async with engine.database.connection() as connection:
            return [found.now for found in await schedule.read_looks(connection, 100)]

    seen = stage.run(look)

    assert (len(seen), len(set(seen))) == (30, 1)


def test_addresses_of_one_rune_share_crawls_of_twenty(open_stage: OpenStage) -> None:
    """The fewest requests the API allows."""
    stage = open_stage({"okx_runes": (1,) * 45})

    async def tick(engine: Engine) -> dict[str, int]:
        await begin(engine)
        return await make_due(engine)

    assert stage.run(tick) == {"okx_runes": 3}
    sizes = stage.rows("SELECT count(*) AS n FROM ledger.crawl_watch GROUP BY crawl_id ORDER BY n")
    assert [row["n"] for row in sizes] == [5, 20, 20]


def test_missed_due_times_are_crawled_once_after_a_pause(open_stage: OpenStage) -> None:
    """A night without power: one crawl per watch, for the latest due time, whoever starts."""
    stage = open_stage({"hedera": (1, 2)})

    async def one_round(engine: Engine) -> dict[str, int]:
        await begin(engine)
        made = await make_due(engine)
        await work_until(engine, lambda: stage.value(OPEN) == 0, "all ended")
        return made | await make_due(engine)

    assert stage.run(one_round) == {"hedera": 2}
    be_late(stage, "9 hours 13 minutes")
    assert stage.run(one_round) == {"hedera": 2}
    latest = stage.rows("SELECT max(due_at) AS due_at, clock_timestamp() AS now FROM ledger.crawl_watch")[0]
    assert latest["now"] - latest["due_at"] < timedelta(hours=1, minutes=1)


def test_a_clock_that_was_set_back_keeps_nobody_waiting(open_stage: OpenStage) -> None:
    """It was a year ahead: what it planned is looked at now, and one outcome by the right clock is enough."""
    stage = open_stage({"hedera": (1, 2)})
    ahead = timedelta(days=365)
    later = "UPDATE ledger.{0} SET {1} = {1} + interval '1 year'"

    async def live(engine: Engine) -> list[dict[str, int]]:
        await begin(engine)
        made = [await make_due(engine)]
        stage.execute(later.format("crawl", "next_attempt_at"))
        clock = await due.follow_clock(engine.database, await due.follow_clock(engine.database, None) + ahead)
        await work_until(engine, lambda: stage.value(OPEN) == 0, "crawls that waited a year have ended")
        stage.execute(later.format("crawl", "finished_at"))
        stage.execute(later.format("crawl_watch", "due_at"))
        stage.execute(later.format("schedule", "look_at"))
        assert await due.follow_clock(engine.database, clock) >= clock
        made.append(await make_due(engine))
        await due.follow_clock(engine.database, clock + ahead)
        made.append(await make_due(engine))
        await work_until(engine, lambda: stage.value(OPEN) == 0, "crawls by the right clock have ended")
        await due.follow_watchlist(engine.database, everything=True)
        return [*made, await make_due(engine)]

    assert stage.run(live) == [{"hedera": 2}, {}, {"hedera": 2}, {}]


def test_a_failing_watch_is_asked_less_and_less(open_stage: OpenStage) -> None:
    """Each retry waits about twice as long as the one before; a success ends it."""
    stage = open_stage({"hedera": (1,)})
    fault = stage.sim.faults.add(Fault("hedera", "html_200", times=None))
    waits: list[float] = []

    async def one_round(engine: Engine) -> None:
        await begin(engine)
        before = stage.value(OUTCOMES)
        assert await make_due(engine) == {"hedera": 1}
        await work_until(engine, lambda: stage.value(OUTCOMES) > before, "it failed")
        await due.follow_watchlist(engine.database, everything=True)
        assert await make_due(engine) == {}

    for _ in range(4):
        stage.run(one_round)
        wait = stage.value(
            "SELECT extract(epoch FROM s.look_at - max(c.finished_at))::float8 "
            "FROM ledger.schedule AS s CROSS JOIN ledger.crawl AS c GROUP BY s.look_at"
        )
        waits.append(wait)
        be_late(stage, f"{wait + 1} seconds")
    stage.sim.faults.remove(fault)
    stage.run(one_round)
    healed = stage.value("SELECT look_at - clock_timestamp() FROM ledger.schedule")

    assert waits[0] < 65
    assert all(later > 1.3 * earlier for earlier, later in pairwise(waits))
    assert healed <= timedelta(hours=1)
    assert stage.value("SELECT verdict FROM ledger.crawl_watch ORDER BY crawl_id DESC LIMIT 1") == "published"


def test_a_disbelieved_list_is_asked_about_again_alone(open_stage: OpenStage) -> None:
    """When confirm_after has passed, long before its next due time, in a crawl that covers only its watch."""
    stage = open_stage({"okx_runes": (6, 6, 6)})
    stage.settings |= {"GUARD__CONFIRM_AFTER": "1s", "SOURCES__OKX_RUNES__EVERY": "2s"}
    victim = stage.world.watched[1].address
    stage.crawl()
    stage.sim.faults.add(Fault("okx_runes", "half_gone", address=victim, times=None, value=1.0))
    stage.crawl()
    stage.settings["SOURCES__OKX_RUNES__EVERY"] = "30d"
    waiting = "SELECT count(*) FROM ledger.snapshot WHERE state = 'quarantined' AND resolution IS NULL"
    quarantined = stage.value(waiting)

    async def confirm(engine: Engine) -> None:
        await begin(engine)
        async with asyncio.timeout(30):
            while not await make_due(engine):
                await due.follow_watchlist(engine.database, everything=True)
        await work_until(engine, lambda: stage.value(OPEN) == 0, "confirmed")

    stage.run(confirm)

    last = "SELECT count(*) AS n FROM ledger.crawl_watch GROUP BY crawl_id ORDER BY crawl_id DESC LIMIT 3"
    assert quarantined == 3
    assert [row["n"] for row in stage.rows(last)] == [1, 1, 1]
    assert stage.value(waiting) == 1


def test_sources_that_are_switched_off_make_no_crawls(open_stage: OpenStage) -> None:
    """Disabled, or retired for want of a base_url."""
    stage = open_stage({"hedera": (1,), "algorand": (1,), "loopring": (1,)})

    async def tick(engine: Engine) -> dict[str, int]:
        await begin(engine)
        return await make_due(engine)

    off = {"SOURCES__HEDERA__ENABLED": "false", "SOURCES__LOOPRING__BASE_URL": ""}
    assert stage.run(tick, **off) == {"algorand": 1}
    assert stage.run(tick) == {"hedera": 1, "loopring": 1}


def test_a_watch_that_left_is_not_crawled_and_one_that_came_back_is(open_stage: OpenStage) -> None:
    """At once, although its due time had been answered before."""
    stage = open_stage({"hedera": (1, 2)})
    everybody = stage.world.watchlist_yaml()

    async def one_round(engine: Engine) -> dict[str, int]:
        await begin(engine)
        made = await make_due(engine)
        await work_until(engine, lambda: stage.value(OPEN) == 0, "all ended")
        return made

    rounds = [stage.run(one_round)]
    gone = stage.world.watched.pop()
    stage.watchlist = stage.world.watchlist_yaml()
    rounds.append(stage.run(one_round))
    stage.world.watched.append(gone)
    stage.watchlist = everybody
    rounds.append(stage.run(one_round))

    assert rounds == [{"hedera": 2}, {}, {"hedera": 1}]


def test_an_idle_tick_reads_one_row_of_an_index(open_stage: OpenStage) -> None:
    """However many watches there are: no table is scanned for nothing."""
    stage = open_stage({"hedera": (1,)})
    stage.run(begin)
    stage.execute(
        "INSERT INTO ledger.address (network, address) "
        "SELECT 'hedera', '0.0.' || n FROM generate_series(5000000, 5030000) AS n"
    )
    stage.execute(
        "INSERT INTO ledger.watch (source_id, address_id) SELECT 'hedera', address_id FROM ledger.address "
        "WHERE address LIKE '0.0.50_____'"
    )
    stage.execute(
        "INSERT INTO ledger.schedule (watch_id, look_at) "
        "SELECT watch_id, now() + interval '1 hour' FROM ledger.watch "
        "ON CONFLICT (watch_id) DO UPDATE SET look_at = excluded.look_at"
    )
    stage.execute("ANALYZE ledger.schedule")

    plan = stage.rows("EXPLAIN " + statements.load("schedule").has_looks.decode())

    text = "\n".join(str(value) for row in plan for value in row.values())
    assert "Index" in text
    assert "schedule_look_at_idx" in text
