"""Tables that were filled a moment ago have no statistics; a pass asks them by index all the same."""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

import psycopg
import pytest

from indexer.store import crawls, statements

#: Watches with one page each, of which every round repeats the body.
_WATCHES = 200

_BODIES = """
INSERT INTO ledger.raw_body (part_on, sha256, codec, length, body)
SELECT %(month)s, sha256(n::text::bytea), 'none', 3, 'abc' FROM generate_series(1, %(watches)s) AS n
"""

_PAGES = """
INSERT INTO ledger.raw_page
    (part_on, crawl_id, kind, page_no, lease_epoch, http_status, request, items, sha256, steady_sha256)
SELECT %(month)s, %(watches)s * round + n, 'page', 1, 1, 200, '/v2/accounts/{address}/assets', 1000,
       sha256(n::text::bytea), sha256(n::text::bytea)
FROM generate_series(1, %(rounds)s) AS round, generate_series(1, %(watches)s) AS n
"""


#: Watches of one pass, none of them crawled so far but with a history each.
_QUEUE = """
INSERT INTO ledger.source (source_id, network) VALUES ('hedera', 'hedera');
INSERT INTO ledger.address (network, address)
SELECT 'hedera', '0.0.' || n FROM generate_series(1, {watches}) AS n;
INSERT INTO ledger.watch (source_id, address_id)
SELECT 'hedera', address_id FROM ledger.address ORDER BY address_id;
INSERT INTO ledger.watch_period (watch_id, watched_from) SELECT watch_id, '2025-01-01' FROM ledger.watch;
INSERT INTO ledger.asset (network, asset_ref) VALUES ('hedera', '0.0.9');
INSERT INTO ledger.snapshot (watch_id, crawl_id, state, judged_at, snapshot_at, fresh_until, first_page_at,
    last_page_at, pages, holdings, unreadable, missing, proves_absence, consistency, digest)
SELECT watch_id, 0, 'published', t, t, t + interval '3 hours', t, t, 1, 1, 0, 0, true, 'point', sha256('')
FROM ledger.watch, (SELECT '2025-01-02'::timestamptz AS t) AS x;
INSERT INTO ledger.holding_version (watch_id, asset_id, sub_key, version_no, valid_from, amount, decimals,
    observed_at, open_reason, opened_by, opened_page)
SELECT watch_id, asset_id, '', 1, '2025-01-02', 1, 0, '2025-01-02', 'baseline', 0, 1
FROM ledger.watch, ledger.asset;
INSERT INTO ledger.crawl (source_id) SELECT 'hedera' FROM generate_series(1, {watches});
INSERT INTO ledger.crawl_watch (crawl_id, watch_id, place, open)
SELECT c.crawl_id, w.watch_id, 0, true
FROM (SELECT crawl_id, row_number() OVER (ORDER BY crawl_id) AS n FROM ledger.crawl) AS c
JOIN (SELECT watch_id, row_number() OVER (ORDER BY watch_id) AS n FROM ledger.watch) AS w USING (n);
INSERT INTO ledger.crawl_pass (selection) VALUES ('all');
INSERT INTO ledger.pass_watch (pass_id, watch_id, crawl_id)
SELECT (SELECT pass_id FROM ledger.crawl_pass), watch_id, crawl_id FROM ledger.crawl_watch;
"""

_UNANALYZED = ("watch", "address", "snapshot", "holding_version", "crawl", "crawl_watch", "pass_watch")

_EXPLAIN = b"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "

#: Sizes of a table between which a planner without statistics changes its mind.
_SIZES = [50, 300, 1000, 5000]


@pytest.fixture
def queue(database_url: str, request: pytest.FixtureRequest) -> Iterator[psycopg.Connection]:
    """A pass over so many watches that was begun a moment ago."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        for table in _UNANALYZED:
            connection.execute(f"ALTER TABLE ledger.{table} SET (autovacuum_enabled = false)".encode())
        connection.execute(_QUEUE.format(watches=request.param).encode())
        yield connection


@pytest.mark.parametrize("queue", _SIZES, indirect=True)
def test_a_claim_reads_the_beginning_of_the_queue(queue: psycopg.Connection) -> None:
    """Of a pass whose crawls are all due at once: five of them cost as much however many there are."""
    (pass_id,) = _one(queue, b"SELECT pass_id FROM ledger.crawl_pass")
    values = {
        "lock_class": crawls.WORKER_LOCK_CLASS, "source": "hedera", "pass": pass_id, "most": 5,
        "shorter_than": None, "worker": 1, "lease": timedelta(minutes=1),
    }  # fmt: skip
    # Whoever is not known to live is given nothing.
    queue.execute("SELECT pg_advisory_lock(%s, 1)", [crawls.WORKER_LOCK_CLASS])
    for _ in range(3):
        (plan,) = _one(queue, _EXPLAIN + statements.load("crawls").claim_crawls, values)

        assert plan[0]["Plan"]["Actual Rows"] == 5
        assert _blocks(plan) <= 250


@pytest.mark.parametrize("queue", _SIZES, indirect=True)
def test_what_is_known_of_a_watch_is_looked_up(queue: psycopg.Connection) -> None:
    """Sixteen watches that are published together, however many have a history."""
    watches = [watch for (watch,) in queue.execute("SELECT watch_id FROM ledger.watch LIMIT 16")]

    (plan,) = _one(queue, _EXPLAIN + statements.load("history").read_watches, {"watches": watches})

    assert plan[0]["Plan"]["Actual Rows"] == 16
    assert _blocks(plan) <= 16 * 20


#: More watches, and then the lists of some of them.
_MORE_WATCHES = """
INSERT INTO ledger.address (network, address)
SELECT 'hedera', '0.0.100' || n FROM generate_series(1, 80) AS n;
INSERT INTO ledger.watch (source_id, address_id)
SELECT 'hedera', address_id FROM ledger.address WHERE address LIKE '0.0.100%' ORDER BY address_id;
INSERT INTO ledger.watch_period (watch_id, watched_from)
SELECT watch_id, '2025-01-01' FROM ledger.watch
WHERE watch_id NOT IN (SELECT watch_id FROM ledger.watch_period);
INSERT INTO ledger.asset (network, asset_ref)
SELECT 'hedera', '0.0.10' || n FROM generate_series(1, 500) AS n;
"""

_LISTS = """
INSERT INTO ledger.holding_version (watch_id, asset_id, sub_key, version_no, valid_from, amount, decimals,
    observed_at, open_reason, opened_by, opened_page)
SELECT w.watch_id, a.asset_id, '7', 1, '2025-01-02', 1, 0, '2025-01-02', 'baseline', 0, 1
FROM (SELECT watch_id FROM ledger.watch ORDER BY watch_id OFFSET {first} LIMIT {count}) AS w,
     ledger.asset AS a
"""


@pytest.mark.parametrize("queue", [2], indirect=True)
def test_what_is_known_of_a_watch_is_looked_up_whatever_is_known_of_others(queue: psycopg.Connection) -> None:
    """Statistics saw two accounts: one that knows no better reads rows until one is of a third, if any is."""
    queue.execute(_MORE_WATCHES)
    queue.execute(_LISTS.format(first=0, count=2).encode())
    queue.execute("ANALYZE ledger.holding_version")
    queue.execute(_LISTS.format(first=2, count=60).encode())
    watches = queue.execute("SELECT watch_id FROM ledger.watch ORDER BY watch_id DESC LIMIT 16").fetchall()

    values = {"watches": [watch for (watch,) in watches]}
    (plan,) = _one(queue, _EXPLAIN + statements.load("history").read_watches, values)

    assert plan[0]["Plan"]["Actual Rows"] == 16
    assert _blocks(plan) <= 16 * 20


@pytest.mark.parametrize("rounds", [1, 5, 10, 20, 50])
def test_known_pages_are_looked_up_however_little_is_known_of_their_month(
    database_url: str, rounds: int
) -> None:
    """Five crawls of one page touch some blocks of indexes; a join of the whole month touches thousands."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        (month,) = _one(connection, b"SELECT date_trunc('month', now() AT TIME ZONE 'UTC')::date")
        _leave_unanalyzed(connection, month)
        values = {"month": month, "watches": _WATCHES, "rounds": rounds}
        connection.execute(_BODIES, values)
        connection.execute(_PAGES, values)

        crawls = [_WATCHES * rounds + n for n in range(1, 6)]
        statement = _EXPLAIN + statements.load("pages").read_known_pages
        (plan,) = _one(connection, statement, {"part_ons": [month] * 5, "crawls": crawls, "most": 100})

    assert plan[0]["Plan"]["Actual Rows"] == 5
    assert _blocks(plan) <= 100


def _leave_unanalyzed(connection: psycopg.Connection, month: date) -> None:
    connection.execute("SELECT ledger.ensure_raw_partitions(%s, 2)", [month])
    for table in ("raw_page", "raw_body"):
        connection.execute(
            f"ALTER TABLE ledger.{table}_{month:%Y%m} SET (autovacuum_enabled = false)".encode()
        )


def _blocks(plan: Any) -> int:
    found = plan[0]["Plan"]
    return int(found["Shared Hit Blocks"] + found["Shared Read Blocks"])


def _one(connection: psycopg.Connection, query: bytes, values: Mapping[str, Any] | None = None) -> Any:
    (row,) = connection.execute(query, values).fetchall()
    return row
