"""Upkeep: done by one, told when it finds something, and room on the disk."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from structlog.testing import capture_logs

from indexer import bootstrap
from indexer.jobs import Engine
from indexer.prune import Repeats
from indexer.store import upkeep
from indexer.upkeep import NoticeBoard, SpaceGuard, do_upkeep
from tests.integration.engine.conftest import OpenStage
from tests.integration.engine.stage import Fault

TASKS = "SELECT task, found FROM ledger.upkeep WHERE ended_at IS NOT NULL ORDER BY task"
NOTICES = "SELECT kind, message FROM ledger.notice ORDER BY kind"


def test_each_task_is_done_once_however_many_processes_run(open_stage: OpenStage) -> None:
    """Two daemons look at the same moment; an hour or a day later it is due again."""
    stage = open_stage({"hedera": (1,)})

    async def twice(engine: Engine) -> None:
        async with bootstrap.engine(stage.config()) as other:
            await asyncio.gather(*(do_upkeep(one.database, one.config, Repeats()) for one in (engine, other)))

    stage.run(twice)
    first = stage.rows("SELECT task, begun_at FROM ledger.upkeep ORDER BY task")
    stage.run(twice)
    second = stage.rows("SELECT task, begun_at FROM ledger.upkeep ORDER BY task")
    stage.execute("UPDATE ledger.upkeep SET begun_at = begun_at - interval '61 minutes'")
    stage.run(twice)
    third = stage.rows(
        "SELECT task FROM ledger.upkeep WHERE begun_at > now() - interval '1 minute' ORDER BY task"
    )

    assert [row["task"] for row in first] == ["folding", "invariants", "partitions"]
    assert first == second
    assert [row["task"] for row in third] == ["folding", "partitions"]


def test_a_task_that_was_begun_in_the_future_is_due(open_stage: OpenStage) -> None:
    """The clock was a year ahead, and set right: nobody waits a year for partitions."""
    stage = open_stage({"hedera": (1,)})
    stage.run(lambda engine: do_upkeep(engine.database, engine.config, Repeats()))
    later = ", ".join(f"{column} = {column} + interval '1 year'" for column in ("begun_at", "ended_at"))
    stage.execute(f"UPDATE ledger.upkeep SET {later}")

    stage.run(lambda engine: do_upkeep(engine.database, engine.config, Repeats()))

    assert stage.value("SELECT count(*) FROM ledger.upkeep WHERE ended_at > clock_timestamp()") == 0


def test_partitions_are_made_months_ahead(open_stage: OpenStage) -> None:
    """A daemon that lives over the end of a month finds room for its pages."""
    stage = open_stage({"hedera": (1,)})
    month = stage.value("SELECT to_char(now() + interval '2 months', 'YYYYMM')")
    stage.execute(f"DROP TABLE ledger.raw_page_{month}, ledger.raw_body_{month} CASCADE")

    stage.run(lambda engine: do_upkeep(engine.database, engine.config, Repeats()))

    done = {row["task"]: row["found"] for row in stage.rows(TASKS)}
    assert done == {"folding": 0, "invariants": 0, "partitions": 2}


def test_raw_pages_are_dropped_by_the_month_after_their_retention(open_stage: OpenStage) -> None:
    """History answers as before; without a retention nothing is ever dropped."""
    stage = open_stage({"hedera": (1,)})
    stage.execute("SELECT ledger.ensure_raw_partitions('2025-01-01', 2)")
    old = "SELECT count(*) FROM pg_class WHERE relname ~ '^raw_(page|body)_2025(01|02)$'"

    stage.run(lambda engine: do_upkeep(engine.database, engine.config, Repeats()))
    kept = stage.value(old)
    stage.run(lambda engine: do_upkeep(engine.database, engine.config, Repeats()), RETENTION__RAW="90d")

    assert (kept, stage.value(old)) == (4, 0)


def test_a_retention_that_is_held_back_is_told(open_stage: OpenStage) -> None:
    """Once a run, by source: a crawl nobody goes on with keeps its month and every later one."""
    stage = open_stage({"hedera": (25,), "algorand": (1,)}, pages=10)
    stage.sim.faults.add(Fault("hedera", "status", page=2, status=502, times=None))
    stage.crawl(DEFAULTS__TIMEOUT="200ms")
    stage.execute("UPDATE ledger.crawl SET part_on = '2025-01-01' WHERE pages = 1 AND state = 'pending'")

    with capture_logs() as logs:
        stage.run(lambda engine: do_upkeep(engine.database, engine.config, Repeats()), RETENTION__RAW="90d")

    (told,) = [entry for entry in logs if entry["log_level"] == "warning"]
    assert (told["source"], told["crawls"]) == ("hedera", 1)
    assert "watchlist" in told["advice"]


def test_broken_rules_are_found_and_told(open_stage: OpenStage) -> None:
    """The daily check says which, and stops saying so when they are mended."""
    stage = open_stage({"hedera": (3,)})
    stage.crawl()
    stage.execute("UPDATE ledger.crawl SET pages = pages + 1")

    stage.run(lambda engine: do_upkeep(engine.database, engine.config, Repeats()))
    told = stage.rows(NOTICES)
    found = stage.value("SELECT found FROM ledger.upkeep WHERE task = 'invariants'")
    stage.execute("UPDATE ledger.crawl SET pages = pages - 1")
    stage.execute("UPDATE ledger.upkeep SET begun_at = begun_at - interval '2 days'")
    stage.run(lambda engine: do_upkeep(engine.database, engine.config, Repeats()))

    assert [row["kind"] for row in told] == ["invariants"]
    assert "page_missing" in told[0]["message"]
    assert found > 0
    assert stage.rows(NOTICES) == []


def test_a_full_disk_is_noticed_and_so_is_its_end(open_stage: OpenStage, tmp_path: Path) -> None:
    """The floor is the configuration's; the notice goes away by itself."""
    stage = open_stage({"hedera": (1,)})

    async def check(engine: Engine) -> list[tuple[bool, list[dict[str, object]]]]:
        board = NoticeBoard(engine.database, "here", ("space",))
        guard = SpaceGuard(engine.database, board)
        seen = []
        for floor in (0, 2**62, 0):
            retention = replace(engine.config.retention, min_free_space_bytes=floor)
            has_room = await guard.check(replace(engine.config, retention=retention))
            await board.sync()
            seen.append((has_room, stage.rows(NOTICES)))
        assert guard.free_bytes is not None
        return seen

    (first, full, last) = stage.run(check)

    assert first == last == (True, [])
    assert full[0] is False
    assert "min_free_space" in str(full[1][0]["message"])


def test_a_notice_lasts_as_long_as_its_process(open_stage: OpenStage) -> None:
    """It is repeated while it is true; of a machine that was taken away it goes by itself, row and all."""
    stage = open_stage({"hedera": (1,)})
    silent = "UPDATE ledger.notice SET told_at = told_at - interval '1 hour'"

    async def live(engine: Engine) -> list[list[str]]:
        time = [1000.0]
        board = NoticeBoard(engine.database, "there", ("space",), lambda: time[0])
        board.set("space", "too little")
        seen = []
        for seconds in (0.0, 1.0, 600.0):
            time[0] += seconds
            await board.sync()
            async with engine.database.connection() as connection:
                seen.append([notice.message for notice in await upkeep.read_notices(connection)])
            stage.execute(silent)
        async with engine.database.connection() as connection:
            seen.append([notice.message for notice in await upkeep.read_notices(connection)])
        return seen

    seen = stage.run(live)
    kept = len(stage.rows(NOTICES))
    stage.run(lambda engine: do_upkeep(engine.database, engine.config, Repeats()))

    assert seen == [["too little"], [], ["too little"], []]
    assert (kept, stage.rows(NOTICES)) == (1, [])


def test_a_notice_keeps_the_time_it_was_first_given(open_stage: OpenStage) -> None:
    """Saying the same again is no news; a process that starts clears what its forerunner left."""
    stage = open_stage({"hedera": (1,)})

    async def tell(engine: Engine, message: str | None) -> None:
        board = NoticeBoard(engine.database, "here", ("configuration",))
        board.set("configuration", message)
        await board.sync()

    stage.run(lambda engine: tell(engine, "broken"))
    stage.execute("UPDATE ledger.notice SET noticed_at = noticed_at - interval '1 hour'")
    stage.run(lambda engine: tell(engine, "broken"))
    age = stage.value("SELECT now() - noticed_at FROM ledger.notice")
    stage.run(lambda engine: tell(engine, None))

    assert age > timedelta(minutes=59)
    assert stage.rows(NOTICES) == []


def test_the_connection_that_publishes_is_counted_too(open_stage: OpenStage) -> None:
    """An operator who limits connections must see all that a process holds."""
    stage = open_stage({"hedera": (1,)})

    async def count(engine: Engine) -> tuple[int, int]:
        before = engine.database.read_pool()["pool_size"]
        async with engine.database.publisher():
            return before, engine.database.read_pool()["pool_size"]

    before, publishing = stage.run(count)

    assert publishing == before + 1
