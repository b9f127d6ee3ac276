"""Crawls that wait: one that got no page yet, of a source that was switched off, stops no retention."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from tests.integration.keeping import (
    Stage,
    age_crawls,
    crawl_rounds,
    finish_passes,
    fold_stage,
    open_stage,
    prune_stage,
    rules,
    verify_stage,
)

_QUEUE = """
WITH queued AS (INSERT INTO ledger.crawl (source_id) VALUES ('hedera') RETURNING crawl_id)
INSERT INTO ledger.crawl_watch (crawl_id, watch_id, place, open)
SELECT crawl_id, (SELECT min(watch_id) FROM ledger.watch WHERE source_id = 'hedera'), 0, true FROM queued
"""

_WAITING = "SELECT crawl_id, part_on, lease_epoch FROM ledger.crawl WHERE state IN ('pending', 'running')"

_REJECTED = """
INSERT INTO ledger.raw_page
    (part_on, crawl_id, kind, page_no, lease_epoch, http_status, request, items, sha256)
SELECT part_on, %(crawl)s, 'rejected', 1, 1, 200, 'GET', 0, sha256
FROM ledger.raw_body
WHERE part_on = %(day)s
LIMIT 1
"""

_OLD_PAGES = "SELECT count(*) FROM ledger.raw_page WHERE part_on < now() - interval '60 days'"


@pytest.fixture
def stage(database_url: str, tmp_path: Path) -> Iterator[Stage]:
    """Two rounds that are a hundred days old, and a crawl that was queued then and never claimed."""
    with open_stage(database_url, tmp_path, {"hedera": (12,), "algorand": (5,)}) as opened:
        crawl_rounds(opened, 2)
        opened.execute(_QUEUE)
        age_crawls(opened)
        finish_passes(opened)
        fold_stage(opened)
        assert opened.value(_OLD_PAGES) > 0
        yield opened


def test_a_crawl_without_pages_keeps_no_month(stage: Stage) -> None:
    """Months go as if it were not there; when its source is switched on, its pages go into today's month."""
    (crawl,) = stage.rows(_WAITING)

    told = prune_stage(stage, dry_run=True)
    pruned = prune_stage(stage)

    assert pruned == told
    assert pruned.held_back == {}
    assert stage.value(_OLD_PAGES) == 0
    found = stage.crawl("hedera")
    assert {outcome.outcome for outcome in found} <= {"published", "unchanged"}
    for table in ("ledger.crawl", "ledger.raw_page"):
        assert stage.value(
            "SELECT bool_and(part_on = date_trunc('month', now() AT TIME ZONE 'UTC')::date)"
            f" FROM {table} WHERE crawl_id = %(crawl)s",
            crawl=crawl["crawl_id"],
        )
    assert rules(verify_stage(stage)) == set()


def test_a_crawl_that_is_moved_finds_room(stage: Stage) -> None:
    """Nobody may have crawled this month, and whoever crawls in a later one makes room for that only."""
    month = stage.value("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYYMM')")
    stage.execute(f"DROP TABLE ledger.raw_page_{month}, ledger.raw_body_{month} CASCADE")

    prune_stage(stage)

    for table in ("raw_page", "raw_body"):
        assert stage.value(f"SELECT to_regclass('ledger.{table}_{month}') IS NOT NULL")
    assert stage.value("SELECT to_char(part_on, 'YYYYMM') FROM ledger.crawl WHERE state = 'pending'") == month


def test_evidence_keeps_its_month(stage: Stage) -> None:
    """An answer that was not believed stays where its crawl finds it; who holds months back is told."""
    (crawl,) = stage.rows(_WAITING)
    stage.execute(_REJECTED, crawl=crawl["crawl_id"], day=crawl["part_on"])

    pruned = prune_stage(stage)

    assert pruned.months == ()
    assert pruned.held_back == {"hedera": 1}
    assert stage.rows(_WAITING) == [crawl]


@pytest.mark.parametrize("is_late", [False, True])
def test_a_running_crawl_keeps_its_month_for_its_lease(stage: Stage, is_late: bool) -> None:
    """It may write its first page any moment; when its lease has run out, its worker writes nothing more."""
    stage.execute(
        "UPDATE ledger.crawl SET state = 'running', lease_owner = 1,"
        " lease_until = clock_timestamp() + %(lease)s WHERE state = 'pending'",
        lease=timedelta(minutes=-1 if is_late else 1),
    )
    (before,) = stage.rows(_WAITING)

    told = prune_stage(stage, dry_run=True)
    pruned = prune_stage(stage)

    (after,) = stage.rows(_WAITING)
    assert pruned == told
    assert (pruned.months != ()) is is_late
    assert (after["part_on"] > before["part_on"]) is is_late
    assert (after["lease_epoch"] > before["lease_epoch"]) is is_late
    assert pruned.held_back == ({} if is_late else {"hedera": 1})


def test_what_is_being_claimed_keeps_its_month(stage: Stage) -> None:
    """A prune beside a claim waits for nobody, and drops no month that the claim goes on with."""
    with psycopg.connect(stage.url) as worker:
        worker.execute("SELECT crawl_id FROM ledger.crawl WHERE state = 'pending' FOR UPDATE")

        pruned = prune_stage(stage)

        assert stage.value(_OLD_PAGES) > 0
        # Nor the crawls whose pages they are; nor does it say that anything went.
        assert (pruned.months, pruned.pages, pruned.bodies, pruned.crawls) == ((), 0, 0, 0)
        assert rules(verify_stage(stage)) == set()
    prune_stage(stage)
    assert stage.value(_OLD_PAGES) == 0
