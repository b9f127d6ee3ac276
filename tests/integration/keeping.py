"""What tests of verify, replay and prune share: a stage with a past, and hands in its tables.

History defends itself, so whoever tampers here first switches the defences off, as only an owner can.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from indexer import bootstrap, review
from indexer.jobs import Engine
from indexer.prune import Pruned, prune
from indexer.replay import Report, replay
from indexer.simulator.positions import SOURCES
from indexer.simulator.server import Simulator
from indexer.simulator.world import World
from indexer.sources.base import Source
from indexer.store import runs
from indexer.store.verify import Violation
from indexer.verify import Findings, verify
from tests.conftest import _create, _drop, _with_database
from tests.integration.engine.stage import Fault, Stage

__all__ = ["Fault", "Stage"]

#: Two pages and more per account, one account of each size, on every source.
SIZES: Mapping[str, Sequence[int]] = dict.fromkeys(SOURCES, (12, 5, 0))

#: Pages this old go when a month is kept.
LONG_AGO = timedelta(days=100)
A_MONTH = timedelta(days=30)


@contextmanager
def open_stage(url: str, folder: Path, sizes: Mapping[str, Sequence[int]] = SIZES) -> Iterator[Stage]:
    """A world on pages of five rows; lists that surprise may be confirmed at once."""
    limits = dict.fromkeys(SOURCES, None)
    with Simulator(World.build(5, sizes), limits=limits, max_page=dict.fromkeys(SOURCES, 5)) as simulator:
        yield Stage(simulator, url, folder, settings={"GUARD__CONFIRM_AFTER": "0s"})


@contextmanager
def cloned(server_url: str, url: str, number: int) -> Iterator[str]:
    """A database of its own with everything that is in another one, to which nobody is connected."""
    original = str(conninfo_to_dict(url)["dbname"])
    name = f"{original}_{number}"
    _create(server_url, name, original)
    yield _with_database(server_url, name)
    _drop(server_url, name)


def crawl_rounds(stage: Stage, rounds: int) -> None:
    """A pass, and the world changes; so many times."""
    for step in range(rounds):
        stage.crawl()
        stage.world.change(step + 1)


def hold_still(stage: Stage, rounds: int, *, moves: int = 0) -> None:
    """Passes that find nothing new, though Algorand's round and Solana's prices may move on."""
    for _ in range(rounds):
        stage.crawl()
        stage.world.advance(moves)


def live_eventfully(stage: Stage) -> None:
    """All that can become of a list: carried, confirmed, superseded, released, rejected, unwatched."""
    crawl_rounds(stage, 2)
    for source, kind in (("hedera", "item_error"), ("solana_das", "item_key_unreadable")):
        stage.sim.faults.add(Fault(source, kind, address=stage.only_address(source)))
    crawl_rounds(stage, 1)
    stage.sim.faults.add(Fault("algorand", "empty_200", address=stage.only_address("algorand"), times=None))
    crawl_rounds(stage, 2)
    stage.sim.faults.clear()
    for word in ("release", "reject"):
        stage.sim.faults.add(
            Fault("loopring", "empty_200", address=stage.only_address("loopring"), times=None)
        )
        stage.crawl("loopring")
        decide(stage, word)
        stage.sim.faults.clear()
        crawl_rounds(stage, 1)
    stage.sim.faults.add(Fault("hedera", "empty_200", times=None))
    stage.crawl("hedera")
    stage.sim.faults.clear()
    look_away(stage)
    crawl_rounds(stage, 1)


def look_away(stage: Stage) -> None:
    """Some addresses are not watched for the time of one pass."""
    everything = stage.world.watched
    stage.world.watched = everything[::2]
    stage.crawl()
    stage.world.watched = everything


def decide(stage: Stage, word: str) -> None:
    """A person releases or rejects the newest list that waits."""
    snapshot = stage.value(
        "SELECT max(snapshot_id) FROM ledger.snapshot WHERE state = 'quarantined' AND resolution IS NULL"
    )

    async def release(engine: Engine) -> str:
        return await review.release(engine.database, engine.config, engine.sources, snapshot)

    async def reject(engine: Engine) -> str:
        return await review.reject(engine.database, snapshot)

    stage.run({"release": release, "reject": reject}[word])


def tamper(stage: Stage, table: str, statement: str, **values: object) -> None:
    """Change a table behind its triggers; the change must meet at least one row."""
    with psycopg.connect(stage.url) as connection:
        connection.execute(f"ALTER TABLE ledger.{table} DISABLE TRIGGER USER".encode())
        assert connection.execute(statement.encode(), values).rowcount > 0
        connection.execute(f"ALTER TABLE ledger.{table} ENABLE TRIGGER USER".encode())


def verify_stage(stage: Stage, *, quick: bool = False) -> Findings:
    """`indexer verify` on this stage."""

    async def go() -> Findings:
        settings = stage.config()
        async with bootstrap.database(settings) as database:
            return await verify(database, bootstrap.build_sources(settings), quick=quick)

    return asyncio.run(go())


def rules(findings: Findings) -> set[str]:
    """The rules that are broken."""
    assert {violation.rule for violation in findings.violations} == set(findings.found)
    return set(findings.found)


def refs(findings: Findings, rule: str) -> list[str]:
    """What breaks a rule."""
    return [found.ref for found in findings.violations if found == Violation(rule, found.ref)]


def replay_stage(
    stage: Stage,
    source: str | None = None,
    addresses: Sequence[str] | None = None,
    sources: Mapping[str, Source] | None = None,
) -> Report:
    """`indexer replay` on this stage, with other parsers where ``sources`` has some."""

    async def go() -> Report:
        settings = stage.config()
        parsers = {**bootstrap.build_sources(settings), **(sources or {})}
        async with bootstrap.database(settings) as database:
            return await replay(database, settings, parsers, (source, addresses))

    return asyncio.run(go())


def prune_stage(stage: Stage, keep: timedelta = A_MONTH, *, dry_run: bool = False) -> Pruned:
    """`indexer prune` on this stage."""

    async def go() -> Pruned:
        async with bootstrap.database(stage.config()) as database:
            return await prune(database, keep, dry_run=dry_run)

    return asyncio.run(go())


def finish_passes(stage: Stage) -> None:
    """What a pass waited for a moment ago is not folded; make that moment long ago."""
    stage.execute(
        "UPDATE ledger.crawl_pass SET started_at = started_at - interval '1 hour',"
        " touched_at = touched_at - interval '1 hour', finished_at = finished_at - interval '1 hour'"
    )


def fold_stage(stage: Stage) -> int:
    """Fold whatever can be folded; returns how many snapshots."""

    async def go() -> int:
        async with bootstrap.database(stage.config()) as database:
            folded = await runs.fold_unchanged(database)
            await runs.give_space_back(database)
            return folded

    return asyncio.run(go())


def fold_all(stage: Stage) -> int:
    """Fold all that can be, whoever waited for it."""
    finish_passes(stage)
    return fold_stage(stage)


_AGE_BODIES = """
WITH RECURSIVE needed AS (
    SELECT b.part_on, b.sha256, b.codec, b.base_sha256, b.depth, b.length, b.body
    FROM ledger.raw_page AS p
    JOIN ledger.raw_body AS b ON b.part_on = p.part_on AND b.sha256 = p.sha256
    WHERE p.crawl_id <= %(last)s AND p.part_on <> %(day)s
    UNION
    SELECT b.part_on, b.sha256, b.codec, b.base_sha256, b.depth, b.length, b.body
    FROM needed AS n
    JOIN ledger.raw_body AS b ON b.part_on = n.part_on AND b.sha256 = n.base_sha256
)
INSERT INTO ledger.raw_body (part_on, sha256, codec, base_sha256, depth, length, body)
SELECT DISTINCT ON (sha256) %(day)s, sha256, codec, base_sha256, depth, length, body
FROM needed
ON CONFLICT DO NOTHING
"""

_AGE_PAGES = """
WITH taken AS (
    DELETE FROM ledger.raw_page WHERE crawl_id <= %(last)s AND part_on <> %(day)s RETURNING *
)
INSERT INTO ledger.raw_page
    (part_on, crawl_id, kind, page_no, lease_epoch, fetched_at, http_status, request, cursor_in, cursor_out,
     items, sha256, splice, exact_sha256, steady_sha256)
SELECT %(day)s, crawl_id, kind, page_no, lease_epoch, fetched_at, http_status, request, cursor_in, cursor_out,
       items, sha256, splice, exact_sha256, steady_sha256
FROM taken
"""

_AGE_CRAWLS = """
UPDATE ledger.crawl
SET part_on = %(day)s, created_at = created_at - %(age)s,
    finished_at = CASE WHEN finished_at IS NOT NULL THEN finished_at - %(age)s END
WHERE crawl_id <= %(last)s AND part_on <> %(day)s
"""

_AGE_PASSES = """
UPDATE ledger.crawl_pass
SET started_at = started_at - %(age)s, touched_at = touched_at - %(age)s, finished_at = finished_at - %(age)s
WHERE finished_at <= %(at)s
"""


def age_crawls(stage: Stage, age: timedelta = LONG_AGO) -> date:
    """Make every crawl so far, its pages and its pass this much older. What it proved keeps its instants."""
    day = (stage.now() - age).date().replace(day=1)
    bind = {"day": day, "age": age, "last": last_crawl(stage), "at": stage.now()}
    stage.execute("SELECT ledger.ensure_raw_partitions(%(day)s, 1)", **bind)
    with psycopg.connect(stage.url) as connection:
        for statement in (_AGE_BODIES, _AGE_PAGES, _AGE_CRAWLS, _AGE_PASSES):
            connection.execute(statement.encode(), bind)
    return day


def last_crawl(stage: Stage) -> int:
    """Number of the newest crawl."""
    return int(stage.value("SELECT coalesce(max(crawl_id), 0) FROM ledger.crawl"))


_ANSWERS = (
    "SELECT to_jsonb(r)::text AS line FROM report.holdings_as_of(%(at)s) AS r ORDER BY 1",
    "SELECT to_jsonb(r)::text AS line FROM report.balances_as_of(%(at)s) AS r ORDER BY 1",
    "SELECT to_jsonb(r)::text AS line FROM report.coverage_as_of(%(at)s) AS r ORDER BY 1",
    """
    SELECT to_jsonb(r)::text AS line
    FROM (SELECT DISTINCT source, address, asset_ref FROM report.holding_history) AS h
    CROSS JOIN LATERAL report.balance_as_of(h.source, h.address, h.asset_ref, %(at)s) AS r
    ORDER BY h.source, h.address, h.asset_ref
    """,
)

_RECORDS = tuple(
    f"SELECT to_jsonb(r)::text AS line FROM report.{view} AS r ORDER BY 1"
    for view in ("holding_changes", "holding_history", "snapshots", "prices", "quarantine")
)


def read_answers(stage: Stage, instants: Sequence[datetime]) -> dict[tuple[str, str], list[str]]:
    """What every report says as of these instants, and what the records say."""
    answers = {
        (query, at.isoformat()): [row["line"] for row in stage.rows(query, at=at)]
        for query in _ANSWERS
        for at in instants
    }
    return answers | {(query, ""): [row["line"] for row in stage.rows(query)] for query in _RECORDS}


def sample_instants(stage: Stage) -> list[datetime]:
    """Just before, at and after some snapshots, and before the beginning."""
    found = stage.rows("SELECT snapshot_at FROM ledger.snapshot WHERE state = 'published' ORDER BY 1")
    chosen = [row["snapshot_at"] for row in found[:: max(1, len(found) // 6)]]
    tick = timedelta(microseconds=1)
    around = [at + shift for at in chosen for shift in (-tick, timedelta(0), tick)]
    return [chosen[0] - timedelta(days=1), *around, found[-1]["snapshot_at"]]
