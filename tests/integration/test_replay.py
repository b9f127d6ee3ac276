"""`indexer replay`: history built again from the raw pages is the live one, and every difference is told."""

import asyncio
import itertools
import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from indexer import jobs
from indexer.jobs import Engine, Selection
from indexer.records import Holding, Page, Question
from indexer.replay import Report, replay
from indexer.sources import build
from indexer.sources.base import Source
from tests.acceptance.cli_program import run_program
from tests.integration.keeping import (
    Fault,
    Stage,
    age_crawls,
    cloned,
    crawl_rounds,
    last_crawl,
    live_eventfully,
    look_away,
    open_stage,
    prune_stage,
    replay_stage,
    tamper,
)

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def lived(server_url: str, template_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A history in which everything has happened: tests tamper with copies of it."""
    with (
        cloned(server_url, template_url, 0) as url,
        open_stage(url, tmp_path_factory.mktemp("lived")) as opened,
    ):
        live_eventfully(opened)
        yield opened


@pytest.fixture
def stage(server_url: str, lived: Stage, tmp_path: Path) -> Iterator[Stage]:
    """That history, for one test alone."""
    with cloned(server_url, lived.url, next(_NUMBERS)) as url:
        yield Stage(lived.sim, url, tmp_path, lived.settings)


def _kinds(report: Report) -> set[str]:
    """What kinds of rows differ."""
    return {difference.kind for difference in report.differences}


def test_an_eventful_history_is_built_again_exactly(stage: Stage) -> None:
    """Every verdict is folded again, every version and span comes out as it is, and nothing is left out."""
    report = replay_stage(stage)

    assert report.differences == []
    assert report.found == 0
    assert report.without_pages == 0
    assert report.watches == stage.value("SELECT count(*) FROM ledger.watch")
    assert report.snapshots == stage.value("SELECT count(*) FROM ledger.snapshot")
    assert report.versions == stage.versions()
    assert report.carried_spans == stage.value("SELECT count(*) FROM ledger.carried_span") > 0


def test_the_history_it_is_tried_on_has_everything(stage: Stage) -> None:
    """Otherwise an exact replay would prove little."""
    reasons = stage.rows("SELECT DISTINCT open_reason, close_reason FROM ledger.holding_version")
    resolutions = stage.rows("SELECT DISTINCT resolution FROM ledger.snapshot WHERE resolution IS NOT NULL")
    doubts = stage.rows("SELECT DISTINCT reason FROM ledger.carried_span")

    assert {row["open_reason"] for row in reasons} == {"baseline", "appeared", "changed", "first_read"}
    assert {row["close_reason"] for row in reasons} == {None, "changed", "absent", "unwatched"}
    assert {row["resolution"] for row in resolutions} >= {"confirmed", "superseded", "released", "rejected"}
    assert {row["reason"] for row in doubts} == {"unreadable", "missing", "unkeyed"}


@pytest.mark.parametrize("seed", range(3))
def test_any_history_is_built_again_exactly(database_url: str, tmp_path: Path, seed: int) -> None:
    """Whatever the APIs do in whatever order: the fold has one result."""
    chance = random.Random(seed)
    kinds = ("item_error", "item_key_unreadable", "half_gone", "empty_200", "duplicate_page", "repeated_edge")
    sources = ("hedera", "algorand", "solana_das", "loopring", "okx_runes")
    with open_stage(database_url, tmp_path, dict.fromkeys(sources, (11, 4))) as stage:
        for _ in range(7):
            for source in chance.sample(sources, 2):
                stage.sim.faults.add(Fault(source, chance.choice(kinds), times=chance.choice((1, 3, None))))
            crawl_rounds(stage, 1)
            if chance.random() < 0.5:
                stage.sim.faults.clear()
            if chance.random() < 0.2:
                look_away(stage)

        report = replay_stage(stage)

        assert report.differences == []
        assert report.snapshots == stage.value("SELECT count(*) FROM ledger.snapshot") > 0
        assert report.versions == stage.versions()


@pytest.mark.parametrize(
    ("table", "statement", "kind"),
    [
        (
            "holding_version",
            "UPDATE ledger.holding_version SET amount = amount + 1 WHERE amount > 5",
            "version",
        ),
        ("holding_version", "UPDATE ledger.holding_version SET details = '{\"a\": 1}'", "version"),
        ("holding_version", "UPDATE ledger.holding_version SET opened_page = opened_page + 1", "version"),
        (
            "holding_version",
            "UPDATE ledger.holding_version SET close_reason = 'absent' WHERE close_reason = 'changed'",
            "version",
        ),
        (
            "holding_version",
            "UPDATE ledger.holding_version SET observed_at = observed_at + interval '1 microsecond'",
            "version",
        ),
        (
            "carried_span",
            "UPDATE ledger.carried_span SET reason = 'missing' WHERE reason = 'unkeyed'",
            "carried_span",
        ),
        ("carried_span", "DELETE FROM ledger.carried_span WHERE valid_to IS NOT NULL", "carried_span"),
        ("snapshot", "UPDATE ledger.snapshot SET missing = missing + 1", "snapshot"),
        ("snapshot", "UPDATE ledger.snapshot SET digest = sha256('another list')", "snapshot"),
        ("raw_body", "UPDATE ledger.raw_body SET body = substr(body, 1, 30) WHERE codec = 'zstd'", "page"),
        ("raw_page", "DELETE FROM ledger.raw_page WHERE page_no = 2 AND kind = 'page'", "page"),
    ],
)
def test_a_hand_in_the_tables_is_told(stage: Stage, table: str, statement: str, kind: str) -> None:
    """No column of history can be changed without replay saying where."""
    tamper(stage, table, statement)

    assert kind in _kinds(replay_stage(stage, "solana_das"))


def test_a_difference_names_the_row_and_only_what_differs(stage: Stage) -> None:
    """Asset, position and instant; the live fact beside the one the pages give."""
    (row,) = stage.rows(
        "SELECT v.watch_id, v.asset_id, v.sub_key, v.version_no, a.asset_ref, v.amount"
        " FROM ledger.holding_version AS v JOIN ledger.asset AS a USING (asset_id)"
        " WHERE v.amount > 5 AND a.network = 'algorand' ORDER BY 1, 2, 3, 4 LIMIT 1"
    )
    tamper(
        stage,
        "holding_version",
        "UPDATE ledger.holding_version SET amount = 5 WHERE (watch_id, asset_id, sub_key, version_no)"
        " = (%(watch_id)s, %(asset_id)s, %(sub_key)s, %(version_no)s)",
        **{name: row[name] for name in ("watch_id", "asset_id", "sub_key", "version_no")},
    )

    (difference,) = replay_stage(stage, "algorand").differences

    assert difference.ref.startswith(f"{row['asset_ref']}/{row['sub_key']}/")
    assert json.loads(difference.live or "") == {"amount": 5}
    assert json.loads(difference.replayed or "") == {"amount": int(row["amount"])}


def test_rows_too_many_and_rows_too_few_are_told_apart(stage: Stage) -> None:
    """A version that is gone has no live side; one that nobody listed has no replayed side."""
    tamper(
        stage,
        "holding_version",
        "UPDATE ledger.holding_version SET sub_key = sub_key || '!'"
        " WHERE version_no = 1 AND valid_to IS NULL",
    )

    differences = replay_stage(stage, "hedera").differences

    assert {(found.live is None, found.replayed is None) for found in differences} == {
        (True, False),
        (False, True),
    }
    assert all(found.ref.split("/")[1].endswith("!") == (found.replayed is None) for found in differences)


class _OtherParser:
    """A source that reads every amount one higher, and every asset under another name."""

    def __init__(self, source: Source, suffix: str) -> None:
        self._source = source
        self._suffix = suffix

    def __getattr__(self, name: str) -> object:
        return getattr(self._source, name)

    def parse(self, question: Question, body: bytes) -> Page:
        """The page, read otherwise."""
        page = self._source.parse(question, body)
        holdings = tuple(
            Holding(
                address=holding.address,
                asset_ref=holding.asset_ref + self._suffix,
                sub_key=holding.sub_key,
                amount=None if holding.amount is None else holding.amount + 1,
                decimals=holding.decimals,
                frozen=holding.frozen,
            )
            for holding in page.holdings
        )
        return replace(page, holdings=holdings)


@pytest.mark.parametrize("suffix", ["", "-renamed"])
def test_another_parser_is_a_difference_of_its_source_only(stage: Stage, suffix: str) -> None:
    """What a fixed parser would have written can be seen beforehand; assets it names anew are named."""
    other = _OtherParser(build("algorand", "", {}), suffix)

    report = replay_stage(stage, sources={"algorand": other})  # type: ignore[dict-item]  # it has all of Source

    assert {difference.source for difference in report.differences} == {"algorand"}
    assert _kinds(report) >= {"version", "snapshot"}
    assert (
        any(suffix in difference.ref for difference in report.differences if difference.live is None)
        or not suffix
    )
    assert stage.value("SELECT count(*) FROM ledger.asset WHERE asset_ref LIKE '%%-renamed'") == 0


def test_a_working_daemon_makes_no_difference(database_url: str, tmp_path: Path) -> None:
    """While passes publish, what was written meanwhile is left out on both sides."""
    with open_stage(database_url, tmp_path, dict.fromkeys(("hedera", "algorand"), (12, 5))) as stage:
        crawl_rounds(stage, 1)

        async def crawl_and_replay(engine: Engine) -> list[Report]:
            crawling = asyncio.create_task(_crawl_often(stage, engine))
            found = []
            while not crawling.done():
                found.append(await replay(engine.database, engine.config, engine.sources, (None, None)))
            await crawling
            return found

        found = stage.run(crawl_and_replay)

        assert found
        assert [report.differences for report in found] == [[]] * len(found)


async def _crawl_often(stage: Stage, engine: Engine) -> None:
    for step in range(4):
        await jobs.run_pass(engine, Selection(None, None), lambda _progress: None)
        await asyncio.to_thread(stage.world.change, step + 7)


def test_nothing_is_written(stage: Stage) -> None:
    """Not even where the two differ."""
    tables = (
        "holding_version",
        "carried_span",
        "snapshot",
        "asset",
        "crawl",
        "crawl_watch",
        "price",
        "watch_period",
    )
    tamper(stage, "holding_version", "UPDATE ledger.holding_version SET amount = amount + 1")
    digest = "SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM ledger.{} AS t"
    before = [stage.value(digest.format(table)) for table in tables]

    assert replay_stage(stage, "algorand").found > 0

    assert [stage.value(digest.format(table)) for table in tables] == before


def test_a_selection_replays_only_its_watches(stage: Stage) -> None:
    """By source, by address, or by nothing that exists."""
    address = stage.only_address("hedera")

    assert replay_stage(stage, "hedera").watches == 3
    assert replay_stage(stage, "hedera", [address]).watches == 1
    assert replay_stage(stage, "hedera", ["0.0.404"]).watches == 0


def test_replay_begins_where_the_pages_do(stage: Stage) -> None:
    """Older pages were pruned: what was open then is the start, and later rows are compared as ever."""
    aged = last_crawl(stage)
    age_crawls(stage)
    crawl_rounds(stage, 2)
    prune_stage(stage)

    report = replay_stage(stage)

    assert report.differences == []
    assert report.without_pages == stage.value(
        "SELECT count(*) FROM ledger.snapshot WHERE crawl_id <= %(aged)s", aged=aged
    )
    assert report.snapshots == stage.value(
        "SELECT count(*) FROM ledger.snapshot WHERE crawl_id > %(aged)s", aged=aged
    )


@pytest.mark.parametrize("column", ["amount = amount + 1", "closed_by = closed_by + 1", "opened_page = 7"])
def test_after_a_prune_later_rows_are_still_compared(stage: Stage, column: str) -> None:
    """A version opened or closed by a crawl whose pages are kept cannot be changed unnoticed."""
    aged = last_crawl(stage)
    age_crawls(stage)
    crawl_rounds(stage, 2)
    prune_stage(stage)
    tamper(
        stage,
        "holding_version",
        f"UPDATE ledger.holding_version SET {column}"
        " WHERE opened_by > %(aged)s AND valid_to IS NOT NULL AND previous_no IS NOT NULL",
        aged=aged,
    )

    assert "version" in _kinds(replay_stage(stage))


def test_the_command_says_so_in_its_exit_code(stage: Stage) -> None:
    """0 when both are identical; 3 and the differences as JSON when they are not; 2 for an unknown source."""
    environment = {"INDEXER_DATABASE__URL": stage.url}
    same = run_program(stage.folder, "replay", "--source", "algorand", environment=environment)
    tamper(stage, "holding_version", "UPDATE ledger.holding_version SET amount = 5 WHERE amount > 5")
    other = run_program(stage.folder, "replay", "--json", "--source", "algorand", environment=environment)
    unknown = run_program(stage.folder, "replay", "--source", "nowhere", environment=environment)

    assert same.returncode == 0, same.stderr
    assert "identical" in same.stdout
    assert other.returncode == 3, other.stderr
    told = json.loads(other.stdout)
    assert told["identical"] is False
    assert told["differences"][0]["live"] == {"amount": 5}
    assert unknown.returncode == 2
