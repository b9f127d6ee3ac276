"""A database that lost what was committed last: a standby that took over, a backup, a crash without a log."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import TupleRow

from indexer import jobs, walk
from indexer.jobs import Engine, Selection
from indexer.store import crawls, pages, statements
from indexer.store.passes import Outcome
from tests.conftest import _create, _drop
from tests.integration.engine.conftest import OpenStage
from tests.integration.engine.stage import Stage

_NEWEST = "SELECT asset_id, asset_ref FROM ledger.asset ORDER BY asset_id DESC LIMIT 1"

_END_SESSIONS = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = {}"

_QUEUE = """
WITH queued AS (INSERT INTO ledger.crawl (source_id) VALUES ('algorand') RETURNING crawl_id)
INSERT INTO ledger.crawl_watch (crawl_id, watch_id, place, open)
SELECT crawl_id, %(watch)s, 0, true FROM queued
"""


@pytest.fixture
def earlier(server_url: str, database_url: str) -> Iterator[str]:
    """The name for a copy of the database, dropped in the end."""
    name = f"{conninfo_to_dict(database_url)['dbname']}_earlier"
    yield name
    _drop(server_url, name)


def _copy(server_url: str, name: str, earlier: str) -> None:
    """The database as it is now, under another name; whoever is connected is not any more."""
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL(_END_SESSIONS).format(sql.Literal(name)))
    _create(server_url, earlier, name)


def _swap(server_url: str, name: str, earlier: str) -> None:
    """The copy takes the place of the database, under whoever is connected."""
    spare = f"{earlier}_spare"
    with psycopg.connect(server_url, autocommit=True) as connection:
        statement = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
        connection.execute(statement.format(sql.Identifier(name), sql.SQL("false")))
        connection.execute(sql.SQL(_END_SESSIONS).format(sql.Literal(name)))
        for old, new in ((name, spare), (earlier, name), (spare, earlier)):
            rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
            connection.execute(rename.format(sql.Identifier(old), sql.Identifier(new)))


async def _apply(engine: Engine) -> None:
    await jobs.apply_watchlist(engine.database, engine.config, engine.sources, engine.entries)
    async with engine.database.transaction() as connection:
        await pages.ensure_partitions(connection)


async def _crawl(engine: Engine) -> list[str]:
    found: tuple[Outcome, ...] = await jobs.run_pass(engine, Selection(None, None), lambda _progress: None)
    return [outcome.outcome for outcome in found]


async def _learn_something(stage: Stage, engine: Engine) -> str:
    """Crawl a changing world until it names an asset nobody knew; its reference."""
    (before,) = stage.rows(_NEWEST)
    for step in range(1, 40):
        stage.world.change(step)
        await _crawl(engine)
        (newest,) = stage.rows(_NEWEST)
        if newest != before:
            return str(newest["asset_ref"])
    raise AssertionError("the world has no new assets")


def test_numbers_of_another_life_are_forgotten(
    open_stage: OpenStage, server_url: str, earlier: str, database_url: str
) -> None:
    """Another process gave the lost number to another asset: nobody is said to hold that one."""
    stage = open_stage({"algorand": (4,)}, pages=100)
    stage.crawl()
    name = str(conninfo_to_dict(database_url)["dbname"])
    _copy(server_url, name, earlier)

    async def go(engine: Engine) -> tuple[int, list[str]]:
        await _learn_something(stage, engine)
        _swap(server_url, name, earlier)
        stage.execute("INSERT INTO ledger.asset (network, asset_ref) VALUES ('algorand', '999999999')")
        outcomes = await _crawl(engine)
        return engine.database.life, outcomes

    assert stage.run(go) == (1, ["published"])

    assert stage.differences() == {}
    assert stage.value("SELECT count(*) FROM report.holdings WHERE asset_ref = '999999999'") == 0
    assert stage.value("SELECT count(*) FROM report.assets WHERE asset_ref = '999999999' AND name <> ''") == 0


def test_a_list_in_hand_is_read_again_in_another_life(
    open_stage: OpenStage,
    server_url: str,
    earlier: str,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What its second page taught is lost before that page is committed: its numbers are not used."""
    stage = open_stage({"algorand": (12,)}, pages=5)
    name = str(conninfo_to_dict(database_url)["dbname"])
    seen: Counter[str] = Counter()

    def pull_the_plug(point: str) -> None:
        seen[point] += 1
        if (point, seen[point]) == ("answered", 2):
            _copy(server_url, name, earlier)
        elif (point, seen[point]) == ("assets_learned", 2):
            _swap(server_url, name, earlier)
            stage.execute("INSERT INTO ledger.asset (network, asset_ref) VALUES ('algorand', '999999999')")

    monkeypatch.setattr(walk, "reached", pull_the_plug)

    assert [outcome.outcome for outcome in stage.crawl()] == ["published"]

    assert seen["assets_learned"] == 3
    assert stage.differences() == {}
    assert stage.value("SELECT count(*) FROM report.holdings WHERE asset_ref = '999999999'") == 0


def test_a_pass_that_is_lost_is_not_done(
    open_stage: OpenStage,
    server_url: str,
    earlier: str,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is left to wait for, and nothing was published: each watch says so."""
    stage = open_stage({"algorand": (3, 4)}, pages=100)
    stage.run(_apply)
    name = str(conninfo_to_dict(database_url)["dbname"])
    _copy(server_url, name, earlier)
    seen: Counter[str] = Counter()

    def pull_the_plug(point: str) -> None:
        seen[point] += 1
        if (point, seen[point]) == ("answered", 2):
            _swap(server_url, name, earlier)

    monkeypatch.setattr(walk, "reached", pull_the_plug)

    assert [(found.outcome, found.error) for found in stage.crawl()] == [("failed", jobs.LOST)] * 2
    assert {found.outcome for found in stage.crawl()} == {"published"}


def _claim_others(connection: psycopg.Connection[TupleRow]) -> None:
    """Another worker, in a life without these crawls: their numbers are given again, the other way round."""
    connection.execute("SELECT pg_advisory_lock(%s, 77)", [crawls.WORKER_LOCK_CLASS])
    for watch in (2, 1):
        connection.execute(_QUEUE, {"watch": watch})
    bind = {"lock_class": crawls.WORKER_LOCK_CLASS, "worker": 77, "source": "algorand", "pass": None}
    bind |= {"most": 2, "shorter_than": None, "lease": timedelta(minutes=1)}
    assert len(connection.execute(statements.load("crawls").claim_crawls, bind).fetchall()) == 2


def test_a_walk_of_a_lost_crawl_writes_into_no_other(
    open_stage: OpenStage,
    server_url: str,
    earlier: str,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its number is another crawl's now, of another address, and claimed as often."""
    stage = open_stage({"algorand": (3, 4)}, pages=100)
    stage.run(_apply)
    name = str(conninfo_to_dict(database_url)["dbname"])
    _copy(server_url, name, earlier)
    seen: Counter[str] = Counter()

    with ExitStack() as stack:

        def pull_the_plug(point: str) -> None:
            seen[point] += 1
            if (point, seen[point]) == ("answered", 2):
                _swap(server_url, name, earlier)
                _claim_others(stack.enter_context(psycopg.connect(stage.url, autocommit=True)))

        monkeypatch.setattr(walk, "reached", pull_the_plug)
        found = stage.crawl()

    assert {outcome.outcome for outcome in found} == {"failed"}
    assert stage.value("SELECT count(*) FROM ledger.raw_page") == 0
    assert stage.value("SELECT count(*) FROM ledger.snapshot") == 0
    assert stage.value("SELECT count(*) FROM ledger.crawl_watch WHERE open") == 2


def test_a_new_session_is_no_other_life(open_stage: OpenStage) -> None:
    """Sessions come and go; what is remembered stays while the database does."""
    stage = open_stage({"algorand": (4,)}, pages=100)
    name = sql.Literal(str(conninfo_to_dict(stage.url)["dbname"]))

    async def go(engine: Engine) -> int:
        await _crawl(engine)
        with psycopg.connect(stage.url, autocommit=True) as connection:
            mine = sql.SQL(" AND pid <> pg_backend_pid()")
            connection.execute(sql.SQL(_END_SESSIONS).format(name) + mine)
        await _crawl(engine)
        return engine.database.life

    assert stage.run(go) == 0


def test_other_tables_under_a_process_that_runs(open_stage: OpenStage) -> None:
    """A dump was restored: what sessions prepared for other tables fails for good, so they are replaced."""
    stage = open_stage({"algorand": (4,)}, pages=100)

    async def go(engine: Engine) -> list[str]:
        await _crawl(engine)
        stage.world.change(1)
        stage.execute("ALTER TABLE ledger.crawl ALTER height_from TYPE numeric, ALTER height_to TYPE numeric")
        return await _crawl(engine)

    assert stage.run(go) == ["published"]


def test_other_tables_are_another_life(open_stage: OpenStage) -> None:
    """The numbers of assets are those of another table now."""
    stage = open_stage({"algorand": (4,)}, pages=100)
    name = sql.Literal(str(conninfo_to_dict(stage.url)["dbname"]))

    async def go(engine: Engine) -> int:
        await _crawl(engine)
        stage.execute("ALTER TABLE ledger.asset RENAME TO earlier_asset")
        stage.execute("CREATE TABLE ledger.asset (LIKE ledger.earlier_asset)")
        with psycopg.connect(stage.url, autocommit=True) as connection:
            mine = sql.SQL(" AND pid <> pg_backend_pid()")
            connection.execute(sql.SQL(_END_SESSIONS).format(name) + mine)
        await engine.database.steadily(lambda: _look(engine))
        return engine.database.life

    assert stage.run(go) == 1
    stage.execute("DROP TABLE ledger.asset")
    stage.execute("ALTER TABLE ledger.earlier_asset RENAME TO asset")


async def _look(engine: Engine) -> None:
    async with engine.database.connection() as connection:
        await connection.execute("SELECT 1")
