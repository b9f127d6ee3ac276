-- Every finished list and what was made of it. A branch for each index, each with its own watches: those of one address
-- are then found by it, and not only filtered out of all there are.
CREATE OR REPLACE VIEW report.snapshots AS
SELECT
    s.snapshot_id,
    w.source,
    w.network,
    w.address,
    w.scope,
    s.state,
    s.snapshot_at::timestamptz AS snapshot_at,
    s.judged_at::timestamptz AS judged_at,
    s.first_page_at::timestamptz AS first_page_at,
    s.last_page_at::timestamptz AS last_page_at,
    s.height_from,
    s.height_to,
    s.pages,
    s.holdings,
    s.unreadable,
    s.missing,
    s.proves_absence,
    s.consistency,
    s.reason,
    s.resolution,
    s.resolved_at::timestamptz AS resolved_at,
    s.crawl_id,
    encode(s.digest, 'hex') AS digest
FROM ledger.snapshot s
JOIN ledger.r_watch w ON w.watch_id = s.watch_id
WHERE s.state = 'published'
UNION ALL
SELECT
    s.snapshot_id,
    w.source,
    w.network,
    w.address,
    w.scope,
    s.state,
    s.snapshot_at::timestamptz AS snapshot_at,
    s.judged_at::timestamptz AS judged_at,
    s.first_page_at::timestamptz AS first_page_at,
    s.last_page_at::timestamptz AS last_page_at,
    s.height_from,
    s.height_to,
    s.pages,
    s.holdings,
    s.unreadable,
    s.missing,
    s.proves_absence,
    s.consistency,
    s.reason,
    s.resolution,
    s.resolved_at::timestamptz AS resolved_at,
    s.crawl_id,
    encode(s.digest, 'hex') AS digest
FROM ledger.snapshot s
JOIN ledger.r_watch w ON w.watch_id = s.watch_id
WHERE s.state = 'quarantined'
UNION ALL
SELECT
    s.snapshot_id,
    w.source,
    w.network,
    w.address,
    w.scope,
    s.state,
    s.snapshot_at,
    s.judged_at,
    s.first_page_at,
    s.last_page_at,
    s.height_from,
    s.height_to,
    s.pages,
    s.holdings,
    s.unreadable,
    s.missing,
    s.proves_absence,
    s.consistency,
    s.reason,
    s.resolution,
    s.resolved_at,
    s.crawl_id,
    encode(s.digest, 'hex') AS digest
FROM ledger.folded_snapshot s
JOIN ledger.r_watch w ON w.watch_id = s.watch_id;
