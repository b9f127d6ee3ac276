"""An adoption: all of a watch or nothing, by its owner alone, recorded, and never of what cannot be read."""

import asyncio
import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from indexer import adoption, jobs
from indexer.errors import BadPage, DatabaseUnavailable
from indexer.jobs import Engine, Selection
from indexer.records import Page
from indexer.replay import replay
from indexer.store import replay as scratch
from tests.acceptance.cli_program import run_program
from tests.integration.engine.test_roles import as_daemon
from tests.integration.keeping import (
    Stage,
    age_crawls,
    cloned,
    open_stage,
    prune_stage,
    read_answers,
    replay_stage,
    rules,
    verify_stage,
)
from tests.integration.misreading import adopt_with, crawl_with, halve, upgrade

_NUMBERS = itertools.count(1)

_TABLES = ("holding_version", "carried_span", "snapshot", "missing_holding", "asset", "adopted_row")
_DIGEST = "SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM ledger.{} AS t"


def digest(stage: Stage) -> list[str]:
    """All that an adoption may touch."""
    return [stage.value(_DIGEST.format(table)) for table in _TABLES]


@pytest.fixture(scope="module")
def lived(server_url: str, template_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Four rounds of a program that halves every amount, and the program is corrected: tests have copies."""
    sizes = dict.fromkeys(("hedera", "algorand", "loopring"), (12, 4))
    with (
        cloned(server_url, template_url, 300) as url,
        open_stage(url, tmp_path_factory.mktemp("lived"), sizes) as opened,
    ):
        for step in range(4):
            crawl_with(opened, halve)
            opened.world.change(step + 1)
        upgrade(opened)
        yield opened


@pytest.fixture
def stage(server_url: str, lived: Stage, tmp_path: Path) -> Iterator[Stage]:
    """That history, for one test alone."""
    with cloned(server_url, lived.url, 300 + next(_NUMBERS)) as url:
        yield Stage(lived.sim, url, tmp_path, lived.settings)


def test_both_sides_of_every_row_that_differs_are_kept(stage: Stage) -> None:
    """What was there before is there to be read for ever, and so is what took its place."""
    rows = "SELECT to_jsonb(v) AS row FROM ledger.holding_version AS v ORDER BY v"
    heads = "SELECT to_jsonb(s) AS row FROM ledger.snapshot AS s ORDER BY s.snapshot_id"
    before = [row["row"] for query in (rows, heads) for row in stage.rows(query)]

    report = adopt_with(stage)

    after = [row["row"] for query in (rows, heads) for row in stage.rows(query)]
    kept = stage.rows("SELECT live, replayed FROM ledger.adopted_row")
    live = [row["live"] for row in kept if row["live"] is not None]
    replayed = [row["replayed"] for row in kept if row["replayed"] is not None]
    assert live
    assert [row for row in before if row not in after] == [row for row in before if row in live]
    assert [row for row in after if row not in before] == [row for row in after if row in replayed]
    assert len(kept) == sum(one.versions + one.carried_spans + one.snapshots for one in report.adopted)


def test_an_adoption_is_reported(stage: Stage) -> None:
    """Analysts see when answers changed, where, and how much of them."""
    (adopted, *_) = adopt_with(stage, source="hedera").adopted

    (told, *_) = stage.rows("SELECT * FROM report.adoptions ORDER BY adoption_id")

    assert told["adoption_id"] == adopted.adoption
    assert (told["source"], told["address"], told["scope"]) == ("hedera", adopted.address, "")
    assert told["versions_replaced"] == told["versions_written"] == adopted.versions > 0
    assert told["snapshots_corrected"] == adopted.snapshots > 0
    assert told["unchanged_until"] is None
    assert told["program"]
    assert told["adopted_at"] <= stage.now()


def test_the_second_time_there_is_nothing_to_adopt(stage: Stage) -> None:
    """What was adopted is what the pages say."""
    first = adopt_with(stage)

    second = adopt_with(stage)

    assert first.adopted
    assert (second.found, second.adopted, second.left_alone) == (0, [], [])
    assert stage.value("SELECT count(*) FROM ledger.adoption") == len(first.adopted)


def test_without_the_option_nothing_is_replaced(stage: Stage) -> None:
    """A replay tells what would be adopted, and leaves everything as it is."""
    before = digest(stage)

    assert replay_stage(stage).found > 0
    assert digest(stage) == before


def test_a_watch_with_a_page_that_cannot_be_read_is_left_alone_whole(stage: Stage) -> None:
    """Half of a history would be none: the others are adopted, this one is told."""
    address = stage.only_address("hedera")
    history = (
        "SELECT to_jsonb(h) AS h FROM report.holding_history AS h WHERE address = %(address)s ORDER BY 1"
    )
    before = stage.rows(history, address=address)

    def refuse(page: Page) -> Page:
        if any(one.address == address for one in page.holdings) and page.next_cursor is None:
            raise BadPage("a field is missing")
        return page

    report = adopt_with(stage, refuse)

    assert [left.address for left in report.left_alone] == [address]
    assert address not in {adopted.address for adopted in report.adopted}
    assert len(report.adopted) == 5
    assert "page" in {difference.kind for difference in report.differences}
    assert stage.rows(history, address=address) == before


def test_what_happens_meanwhile_is_seen(stage: Stage) -> None:
    """A copy that was built before the latest list, or before a verdict, is not put in its place."""

    async def be_late(engine: Engine) -> list[object]:
        async with engine.database.connection() as connection:
            (watch, *_) = await scratch.select_watches(connection, "hedera", None)
            story = await scratch.read_story(connection, watch.watch_id)
        await jobs.run_pass(engine, Selection(None, None), lambda _progress: None)
        async with engine.database.publisher() as connection:
            await scratch.prepare(connection)
            return [await adoption.adopt(connection, watch, story)]

    assert stage.run(be_late) == [None]
    assert stage.value("SELECT count(*) FROM ledger.adoption") == 0
    assert stage.versions() > 0


def test_passes_go_on_beside_it(stage: Stage) -> None:
    """Whatever is published while history is replaced, in the end it is what the pages say."""

    async def crawl_and_adopt(engine: Engine) -> int:
        async def crawl() -> None:
            for _ in range(3):
                await jobs.run_pass(engine, Selection(None, None), lambda _progress: None)

        crawling, adoptions = asyncio.create_task(crawl()), 0
        while not crawling.done():
            report = await replay(engine.database, engine.config, engine.sources, (None, None), adopts=True)
            adoptions += len(report.adopted)
        await crawling
        return adoptions

    assert stage.run(crawl_and_adopt) >= 6
    assert replay_stage(stage).differences == []
    assert rules(verify_stage(stage)) == set()
    assert {outcome.outcome for outcome in stage.crawl()} == {"unchanged"}


def test_nobody_but_the_owner_adopts(stage: Stage) -> None:
    """The daemon's role is told who may; it cannot write what would let it either."""
    before = digest(stage)
    environment = {"INDEXER_DATABASE__URL": as_daemon_url(stage)}

    refused = run_program(stage.folder, "replay", "--adopt", environment=environment)

    assert refused.returncode == 4
    assert "Only the owner of the tables may adopt" in refused.stderr
    with pytest.raises(DatabaseUnavailable, match="Only the owner"):
        adopt_with(replace(stage, settings={**stage.settings, "DATABASE__URL": as_daemon_url(stage)}))
    with psycopg.connect(as_daemon_url(stage)) as daemon, pytest.raises(psycopg.errors.InsufficientPrivilege):
        daemon.execute(_ADOPTION, {"watch": 1})
    assert digest(stage) == before


def as_daemon_url(stage: Stage) -> str:
    """Where the daemon logs in."""
    other = replace(stage, settings=dict(stage.settings))
    as_daemon(other)
    return other.settings["DATABASE__URL"]


_ADOPTION = """
INSERT INTO ledger.adoption (watch_id, adopted_at, program, reader, written_by)
VALUES (%(watch)s, now(), 'by hand', '', pg_current_xact_id()::text::bigint)
"""
_KEEP = """
INSERT INTO ledger.adopted_row (adoption_id, kind, ref, live)
SELECT a.adoption_id, 'holding_version', concat_ws('/', v.asset_id, v.sub_key, v.version_no), to_jsonb(v)
FROM ledger.adoption AS a JOIN ledger.holding_version AS v USING (watch_id)
"""
_DELETE = "DELETE FROM ledger.holding_version WHERE watch_id = %(watch)s"


def test_the_owner_too_deletes_only_what_is_kept(stage: Stage) -> None:
    """Not without an adoption, not of another transaction, not a row that is not kept as it is."""
    watch = stage.value("SELECT min(watch_id) FROM ledger.holding_version")
    with psycopg.connect(stage.url, autocommit=True) as owner:

        def run(*statements: str) -> None:
            with owner.transaction():
                for statement in statements:
                    owner.execute(statement.encode(), {"watch": watch})

        def is_refused(*statements: str) -> bool:
            try:
                run(*statements)
            except psycopg.errors.IntegrityConstraintViolation:
                return True
            return False

        assert is_refused(_DELETE)
        assert is_refused(_ADOPTION, _DELETE)
        assert is_refused(_ADOPTION, _KEEP + " WHERE v.valid_to IS NOT NULL", _DELETE)
        assert is_refused(
            _ADOPTION, _KEEP.replace("to_jsonb(v)", "to_jsonb(v) || '{\"amount\": 1}'"), _DELETE
        )
        assert stage.value("SELECT count(*) FROM ledger.adoption") == 0
        run(_ADOPTION, _KEEP)
        assert is_refused(_DELETE)
        assert not is_refused("UPDATE ledger.watch SET label = 'still here' WHERE watch_id = %(watch)s")
    assert stage.value("SELECT count(*) FROM ledger.holding_version WHERE watch_id = %(w)s", w=watch) > 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger.adoption SET program = 'another'",
        "DELETE FROM ledger.adopted_row",
        "UPDATE ledger.adopted_row SET live = NULL",
        "TRUNCATE ledger.adopted_row",
        "TRUNCATE ledger.adoption CASCADE",
        "DELETE FROM ledger.holding_version",
        "UPDATE ledger.snapshot SET digest = sha256('x')",
        "UPDATE ledger.holding_version SET amount = 1",
    ],
)
def test_the_record_stays(stage: Stage, statement: str) -> None:
    """What was adopted is write-once like all history; that history is so still."""
    adopt_with(stage)

    with pytest.raises(psycopg.errors.IntegrityConstraintViolation):
        stage.execute(statement)


@pytest.mark.parametrize("point", ["adoption_begun:2", "adoption_written:1"])
def test_a_kill_in_the_middle_leaves_all_as_it_was(stage: Stage, point: str) -> None:
    """All of a watch or nothing; started again it is finished."""
    environment = {"INDEXER_DATABASE__URL": stage.url}
    killed = run_program(
        stage.folder, "replay", "--adopt", environment={**environment, "INDEXER_TEST_CRASH_AT": point}
    )

    assert killed.returncode == -9
    done = stage.value("SELECT count(*) FROM ledger.adoption")
    assert done == int(point[-1]) - 1
    assert len(adopt_with(stage).adopted) == 6 - done
    assert replay_stage(stage).differences == []
    assert rules(verify_stage(stage)) == set()


def test_the_command_says_what_it_did(stage: Stage) -> None:
    """0 and every adoption when all was adopted, and when there was nothing to; 3 without the option."""
    environment = {"INDEXER_DATABASE__URL": stage.url}

    def run(*arguments: str) -> tuple[int, str]:
        ended = run_program(stage.folder, "replay", *arguments, environment=environment)
        return ended.returncode, ended.stdout

    assert run("--source", "hedera")[0] == 3
    code, text = run("--source", "hedera", "--adopt")
    assert code == 0
    assert "Adoption 1: hedera 0.0." in text
    code, text = run("--adopt", "--json")
    assert code == 0
    told = json.loads(text)
    assert set(told) == {"identical", "found", "differences", "replayed", "adopted", "left_alone"}
    assert {one["source"] for one in told["adopted"]} == {"algorand", "loopring"}
    assert set(told["adopted"][0]) == {
        "adoption", "source", "address", "scope", "versions", "carried_spans", "snapshots",
    }  # fmt: skip
    assert told["left_alone"] == []
    assert run("--adopt")[0] == 0
    code, text = run("--json")
    assert code == 0
    assert set(json.loads(text)) == {"identical", "found", "differences", "replayed"}


def test_where_pages_are_gone_answers_stay(stage: Stage) -> None:
    """What was over when the last of them was pruned is not touched, and the adoption says so."""
    age_crawls(stage)
    until = stage.now()
    crawl_with(stage, halve)
    stage.world.change(9)
    crawl_with(stage, halve)
    stage.world.change(10)
    upgrade(stage)
    prune_stage(stage)
    before = read_answers(stage, [until])
    as_of_then = [question for question in before if question[1]]

    report = adopt_with(stage)
    after = read_answers(stage, [until])

    assert report.adopted
    assert report.left_alone == []
    assert [after[question] for question in as_of_then] == [before[question] for question in as_of_then]
    assert stage.value("SELECT bool_and(unchanged_until < %(until)s) FROM report.adoptions", until=until)
    assert replay_stage(stage).differences == []
    assert rules(verify_stage(stage)) == set()
    stage.crawl()
    assert stage.differences() == {}
