"""As-of reads stay index look-ups: functions are inlined, an address narrows before versions are read."""

import pytest

from tests.integration.report.world import World

#: 500 accounts of 20 holdings, each with 4 versions: 40 000 versions, of which one account has 80.
LOAD = """
INSERT INTO ledger.source (source_id, network) VALUES ('hedera', 'hedera');
INSERT INTO ledger.address (network, address) SELECT 'hedera', '0.0.' || n FROM generate_series(1, 500) n;
INSERT INTO ledger.watch (source_id, address_id) SELECT 'hedera', address_id FROM ledger.address;
INSERT INTO ledger.watch_period (watch_id, watched_from)
SELECT watch_id, '2025-01-01' FROM ledger.watch;
INSERT INTO ledger.asset (network, asset_ref) SELECT 'hedera', '0.0.9' || n FROM generate_series(1, 20) n;
INSERT INTO ledger.snapshot (watch_id, crawl_id, state, judged_at, snapshot_at, fresh_until, first_page_at,
    last_page_at, pages, holdings, unreadable, missing, proves_absence, consistency, digest)
SELECT w.watch_id, 1, 'published', t, t, t + interval '3 hours', t, t, 1, 20, 0, 0, true, 'point', sha256('')
FROM ledger.watch w, generate_series('2025-01-02'::timestamptz, '2025-01-05', '1 day') t;
INSERT INTO ledger.snapshot_run (watch_id, first_at, last_at, head_id, fresh_for, instants, snapshots, crawls,
    first_lags, last_lags)
SELECT s.watch_id, min(t), max(t), s.snapshot_id, '3 hours', array_agg(t ORDER BY t),
    array_agg(s.snapshot_id * 100000 + h), array_agg(1::bigint), array_agg(1), array_agg(1)
FROM ledger.snapshot s, generate_series(1, 22) h,
    LATERAL (SELECT s.snapshot_at + h * interval '1 hour' AS t) x
WHERE s.snapshot_at < '2025-01-04'
GROUP BY s.watch_id, s.snapshot_id;
INSERT INTO ledger.holding_version (watch_id, asset_id, sub_key, version_no, valid_from, valid_to,
    previous_no, previous_to, amount, decimals, observed_at, open_reason, close_reason, opened_by,
    opened_page, closed_by)
SELECT w.watch_id, a.asset_id, '', n, d, CASE WHEN n < 4 THEN d + interval '1 day' END, nullif(n - 1, 0),
    CASE WHEN n > 1 THEN d END, n, 0, d, CASE n WHEN 1 THEN 'baseline' ELSE 'changed' END,
    CASE WHEN n < 4 THEN 'changed' END, 1, 1, CASE WHEN n < 4 THEN 1 END
FROM ledger.watch w, ledger.asset a, generate_series(1, 4) n,
    LATERAL (SELECT '2025-01-01'::timestamptz + n * interval '1 day' AS d) x
ORDER BY n;
"""


@pytest.fixture
def loaded(world: World) -> World:
    """Enough rows that the planner prefers an index where it can use one."""
    world.connection.execute(LOAD)
    world.connection.execute("ANALYZE")
    return world


#: Relations asked for one address; balance_as_of takes it as an argument.
RELATIONS = [
    "holdings",
    "holding_changes",
    "holding_history",
    "holdings_as_of('2025-01-03 12:00Z')",
    "balances_as_of('2025-01-03 12:00Z')",
    "balances_daily('2025-01-03', '2025-01-04')",
    "diff('2025-01-03', '2025-01-04 12:00Z')",
    "balance_as_of('hedera', '0.0.7', '0.0.93', '2025-01-03 12:00Z')",
]


@pytest.mark.parametrize("relation", RELATIONS)
def test_one_address_reads_only_its_own_versions(loaded: World, relation: str) -> None:
    """Neither versions nor snapshots are scanned, and no function is left as a black box."""
    narrowed = "" if "'0.0.7'" in relation else " WHERE source = 'hedera' AND address = '0.0.7'"
    query = f"SELECT * FROM report.{relation}{narrowed}"

    answer = loaded.rows(query)
    plan = "\n".join(str(row["QUERY PLAN"]) for row in loaded.rows(f"EXPLAIN {query}"))

    assert answer
    assert "Seq Scan on holding_version" not in plan
    assert "Seq Scan on snapshot" not in plan
    assert "_as_of" not in plan


def test_the_lists_of_one_address_are_found_by_index(loaded: World) -> None:
    """Folded ones too: each kind is joined to the watches by itself."""
    loaded.connection.execute("SET enable_seqscan = off")  # the tables are too small for the planner to mind
    query = "SELECT * FROM report.snapshots WHERE source = 'hedera' AND address = '0.0.7'"

    answer = loaded.rows(query)
    plan = "\n".join(str(row["QUERY PLAN"]) for row in loaded.rows(f"EXPLAIN {query}"))

    assert len(answer) == 4 + 2 * 22
    assert "Seq Scan on snapshot" not in plan
