-- Every finished list and what was made of it.

CREATE VIEW report.snapshots AS
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
FROM ledger.r_snapshot s
JOIN ledger.r_watch w ON w.watch_id = s.watch_id;

COMMENT ON VIEW report.snapshots IS 'Every snapshot: what a complete crawl proved about one watch at one instant, or a list that was not believed.';
COMMENT ON COLUMN report.snapshots.snapshot_id IS 'Number of the snapshot.';
COMMENT ON COLUMN report.snapshots.source IS 'Name of the API.';
COMMENT ON COLUMN report.snapshots.network IS 'Network of the address.';
COMMENT ON COLUMN report.snapshots.address IS 'Address in canonical form.';
COMMENT ON COLUMN report.snapshots.scope IS 'Rune id for okx_runes; else empty.';
COMMENT ON COLUMN report.snapshots.state IS 'published: part of history; quarantined: not believed.';
COMMENT ON COLUMN report.snapshots.snapshot_at IS 'The instant it speaks for; NULL while quarantined.';
COMMENT ON COLUMN report.snapshots.judged_at IS 'Database time of the verdict.';
COMMENT ON COLUMN report.snapshots.first_page_at IS 'When its first page was fetched.';
COMMENT ON COLUMN report.snapshots.last_page_at IS 'When its last page was fetched.';
COMMENT ON COLUMN report.snapshots.height_from IS 'Chain height of the first page; NULL: not stated.';
COMMENT ON COLUMN report.snapshots.height_to IS 'Chain height of the last page; NULL: not stated.';
COMMENT ON COLUMN report.snapshots.pages IS 'Pages it was folded from.';
COMMENT ON COLUMN report.snapshots.holdings IS 'Holdings listed and readable.';
COMMENT ON COLUMN report.snapshots.unreadable IS 'Items listed but unreadable.';
COMMENT ON COLUMN report.snapshots.missing IS 'Known holdings it did not list.';
COMMENT ON COLUMN report.snapshots.proves_absence IS 'False if the list moved while it was read, or the key of an item could not be read: then it does not show alone that anything is absent.';
COMMENT ON COLUMN report.snapshots.consistency IS 'point: one moment; window: a longer span; drifted: the list moved while it was read.';
COMMENT ON COLUMN report.snapshots.reason IS 'Why it is quarantined; NULL: it is not.';
COMMENT ON COLUMN report.snapshots.resolution IS 'How the quarantine ended; NULL: it has not, or there was none.';
COMMENT ON COLUMN report.snapshots.resolved_at IS 'When the quarantine ended.';
COMMENT ON COLUMN report.snapshots.crawl_id IS 'Crawl it comes from; may have been pruned.';
COMMENT ON COLUMN report.snapshots.digest IS 'SHA-256 over the folded list, hexadecimal; replay must give the same.';
