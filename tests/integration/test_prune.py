"""`indexer prune`: old pages and ended crawls go, and no answer changes."""

import itertools
import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from indexer.errors import UsageError
from indexer.prune import Pruned
from indexer.store import prune as store
from indexer.store.database import Connection
from indexer.store.prune import Limits
from tests.acceptance.cli_program import run_program
from tests.integration.keeping import (
    Fault,
    Stage,
    age_crawls,
    cloned,
    crawl_rounds,
    decide,
    finish_passes,
    fold_stage,
    last_crawl,
    open_stage,
    prune_stage,
    read_answers,
    replay_stage,
    rules,
    sample_instants,
    verify_stage,
)

_NUMBERS = itertools.count(1)

_CRAWLS = "SELECT count(*) FROM ledger.crawl"


@pytest.fixture(scope="module")
def aged(server_url: str, template_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Three rounds that are a hundred days old, a disbelieved list among them, and two of today."""
    folder = tmp_path_factory.mktemp("aged")
    with cloned(server_url, template_url, 0) as url, open_stage(url, folder) as opened:
        crawl_rounds(opened, 2)
        opened.sim.faults.add(Fault("hedera", "empty_200", address=opened.only_address("hedera"), times=1))
        crawl_rounds(opened, 1)
        age_crawls(opened)
        crawl_rounds(opened, 2)
        finish_passes(opened)
        # A prune folds first; done here, what it tells is what it took away with the months.
        fold_stage(opened)
        yield opened


@pytest.fixture
def stage(server_url: str, aged: Stage, tmp_path: Path) -> Iterator[Stage]:
    """That history, for one test alone."""
    with cloned(server_url, aged.url, next(_NUMBERS)) as url:
        yield Stage(aged.sim, url, tmp_path, aged.settings)


def _old_pages(stage: Stage) -> int:
    """Raw pages of months that are over."""
    return int(stage.value("SELECT count(*) FROM ledger.raw_page WHERE part_on < now() - interval '60 days'"))


def test_no_answer_changes(stage: Stage) -> None:
    """As of any instant and in every record, reports say the same as before."""
    instants = sample_instants(stage)
    before = read_answers(stage, instants)

    pruned = prune_stage(stage)

    assert pruned.pages > 0
    assert pruned.crawls > 0
    assert read_answers(stage, instants) == before
    assert sum(len(lines) for lines in before.values()) > 1_000


def test_whole_months_and_what_ended_in_them_go(stage: Stage) -> None:
    """Pages, bodies, crawls with their verdicts, and passes: what is told is what went."""
    old_pages, crawls = _old_pages(stage), stage.value(_CRAWLS)
    passes = stage.value("SELECT count(*) FROM ledger.crawl_pass")

    pruned = prune_stage(stage)

    assert pruned.pages == old_pages > 0
    assert _old_pages(stage) == 0
    assert {month.name[:9] for month in pruned.months} == {"raw_body_", "raw_page_"}
    assert pruned.bytes == sum(month.bytes for month in pruned.months) > 0
    assert stage.value(_CRAWLS) == crawls - pruned.crawls
    assert stage.value("SELECT count(*) FROM ledger.crawl_pass") == passes - pruned.passes == 2
    assert stage.value("SELECT count(*) FROM ledger.crawl WHERE created_at < now() - interval '60 days'") == 0
    assert rules(verify_stage(stage)) == set()


def test_a_dry_run_tells_the_same_and_removes_nothing(stage: Stage) -> None:
    """Then the real one does exactly that, and a second one finds nothing."""
    crawls, pages = stage.value(_CRAWLS), _old_pages(stage)

    told = prune_stage(stage, dry_run=True)

    assert (stage.value(_CRAWLS), _old_pages(stage)) == (crawls, pages)
    assert prune_stage(stage) == told
    assert _without_bytes(prune_stage(stage)) == Pruned(told.kept_from, (), 0, 0, 0, 0, 0)


def test_a_dry_run_counts_what_folding_takes_away_first(stage: Stage) -> None:
    """Crawls that are folded are not removed a second time with their month."""
    for _ in range(4):
        stage.crawl()
    age_crawls(stage)
    finish_passes(stage)

    told = prune_stage(stage, dry_run=True)
    would_fold = json.loads(_prune_command(stage, "--dry-run", "--json").stdout)["pruned"]["folded"]

    assert told.folded == would_fold > 0
    assert _without_bytes(prune_stage(stage)) == _without_bytes(told)


def _without_bytes(pruned: Pruned) -> Pruned:
    """Folding vacuums, and tables that are vacuumed differ in size."""
    return replace(pruned, months=tuple(replace(month, bytes=0) for month in pruned.months))


def _prune_command(stage: Stage, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_program(stage.folder, "prune", *arguments, environment={"INDEXER_DATABASE__URL": stage.url})


@pytest.mark.parametrize("keep", [timedelta(seconds=1), timedelta(days=6), timedelta(days=3650)])
def test_the_youngest_week_stays_and_so_does_what_is_kept(stage: Stage, keep: timedelta) -> None:
    """Whatever retention says, this week's pages stay; and ten years keep everything."""
    today = "SELECT count(*) FROM ledger.raw_page WHERE part_on > now() - interval '60 days'"
    young, old = stage.value(today), _old_pages(stage)

    pruned = prune_stage(stage, keep)

    assert stage.value(today) == young > 0
    assert pruned.pages == (0 if keep.days > 1000 else old)
    assert stage.value("SELECT count(*) FROM ledger.crawl WHERE created_at > now() - interval '7 days'") > 0


def test_an_unfinished_crawl_keeps_its_month(stage: Stage) -> None:
    """It needs its pages to publish."""
    stage.execute(
        "UPDATE ledger.crawl SET state = 'pending', finished_at = NULL"
        " WHERE crawl_id = (SELECT min(crawl_id) FROM ledger.crawl)"
    )
    pages = _old_pages(stage)

    pruned = prune_stage(stage)

    assert (pruned.pages, pruned.crawls, pruned.months) == (0, 0, ())
    assert _old_pages(stage) == pages


def test_a_watch_keeps_its_last_crawl(stage: Stage) -> None:
    """Its schedule goes on from there; what nobody watches keeps none."""
    stage.execute("DELETE FROM ledger.pass_watch")
    everything = stage.world.watched
    stage.world.watched = everything[:1]
    stage.crawl()
    stage.world.watched = everything
    age_crawls(stage)

    prune_stage(stage)

    (row,) = everything[:1]
    kept = stage.rows(
        "SELECT w.source_id, count(*) AS crawls FROM ledger.crawl_watch AS cw"
        " JOIN ledger.watch AS w USING (watch_id) GROUP BY w.source_id"
    )
    assert [entry["source_id"] for entry in kept] == [row.source]
    assert stage.value(_CRAWLS) == stage.value(
        "SELECT count(*) FROM ledger.crawl WHERE source_id = %(s)s", s=row.source
    )


def test_an_unfinished_pass_keeps_its_crawls(stage: Stage) -> None:
    """Whoever joins it must find the outcomes."""
    stage.execute("UPDATE ledger.crawl_pass SET finished_at = NULL WHERE pass_id = 1")
    awaited = stage.value("SELECT count(DISTINCT crawl_id) FROM ledger.pass_watch WHERE pass_id = 1")

    prune_stage(stage)

    kept = stage.value(
        "SELECT count(DISTINCT c.crawl_id) FROM ledger.crawl AS c"
        " JOIN ledger.pass_watch AS p USING (crawl_id) WHERE p.pass_id = 1"
    )
    assert kept == awaited > 0


def test_crawling_goes_on_after_a_prune(stage: Stage) -> None:
    """When every page is gone, the next pass still tells what is unchanged from what is new."""
    age_crawls(stage)
    prune_stage(stage)
    assert stage.value("SELECT count(*) FROM ledger.raw_page") == 0
    stage.world.change(77)

    found = stage.crawl()

    assert {outcome.outcome for outcome in found} <= {"published", "unchanged"}
    assert stage.differences(carried=False) == {}
    assert rules(verify_stage(stage)) == set()
    assert replay_stage(stage).differences == []


def test_a_list_whose_pages_are_gone_cannot_be_released(stage: Stage) -> None:
    """An empty list must never become history because its pages were pruned."""
    stage.sim.faults.add(Fault("algorand", "empty_200", address=stage.only_address("algorand"), times=None))
    stage.crawl("algorand")
    stage.sim.faults.clear()
    held = stage.held()
    age_crawls(stage)
    prune_stage(stage)

    with pytest.raises(UsageError, match="pruned"):
        decide(stage, "release")

    assert stage.held() == held


def test_pages_that_are_kept_keep_their_crawl(stage: Stage) -> None:
    """A crawl that ended long ago stays while any page of it does."""
    stage.execute(
        "UPDATE ledger.crawl SET finished_at = finished_at - interval '90 days'"
        " WHERE part_on > now() - interval '60 days'"
    )
    last = last_crawl(stage)

    prune_stage(stage)

    strays = stage.rows("SELECT crawl_id FROM ledger.raw_page EXCEPT SELECT crawl_id FROM ledger.crawl")
    assert strays == []
    assert last_crawl(stage) == last


def test_the_command_tells_what_went(stage: Stage) -> None:
    """Nothing by default; with a retention, what went as JSON."""
    forever = _prune_command(stage)
    retained = {"INDEXER_DATABASE__URL": stage.url, "INDEXER_RETENTION__RAW": "30d"}
    dry = run_program(stage.folder, "prune", "--dry-run", environment=retained)
    real = run_program(stage.folder, "prune", "--json", environment=retained)

    assert (forever.returncode, dry.returncode, real.returncode) == (0, 0, 0), real.stderr
    assert "forever" in forever.stdout
    assert dry.stdout.startswith("Would remove ")
    assert json.loads(real.stdout)["pruned"]["raw_pages"] > 0
    assert _old_pages(stage) == 0


def test_each_month_goes_in_a_transaction_of_its_own(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Years of months at once would take more locks than a server has."""
    stage.execute("SELECT ledger.ensure_raw_partitions('2020-01-01', 3)")
    transactions: list[int] = []
    plain = store.drop_raw

    async def drop_raw(connection: Connection, limits: Limits) -> int:
        row = await (await connection.execute("SELECT pg_current_xact_id()::text::bigint")).fetchone()
        assert row is not None
        transactions.append(row[0])
        return await plain(connection, limits)

    monkeypatch.setattr(store, "drop_raw", drop_raw)

    pruned = prune_stage(stage, timedelta(days=30))

    assert {"raw_page_202001", "raw_body_202003"} <= {month.name for month in pruned.months}
    assert len(set(transactions)) == len({month.end for month in pruned.months})
