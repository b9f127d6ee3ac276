-- The lists that wait for a second witness or an operator, with what to type: first, to look at what the API said.

CREATE OR REPLACE VIEW report.quarantine AS
SELECT
    s.snapshot_id,
    w.source,
    w.network,
    w.address,
    w.scope,
    w.label,
    s.judged_at,
    s.reason,
    s.holdings,
    (
        SELECT count(*)
        FROM ledger.r_version v
        WHERE v.watch_id = s.watch_id
            AND v.valid_to IS NULL
    ) AS held,
    s.missing,
    'indexer release ' || s.snapshot_id AS release_command,
    'indexer reject ' || s.snapshot_id AS reject_command,
    s.crawl_id,
    'indexer raw ' || s.crawl_id AS raw_command
FROM ledger.r_snapshot s
JOIN ledger.r_watch w ON w.watch_id = s.watch_id
WHERE s.state = 'quarantined'
    AND s.resolution IS NULL;

COMMENT ON VIEW report.quarantine IS 'Lists too surprising to believe, not yet resolved. History stays as it was until a later crawl confirms one or an operator decides.';
COMMENT ON COLUMN report.quarantine.snapshot_id IS 'Number of the snapshot.';
COMMENT ON COLUMN report.quarantine.source IS 'Name of the API.';
COMMENT ON COLUMN report.quarantine.network IS 'Network of the address.';
COMMENT ON COLUMN report.quarantine.address IS 'Address in canonical form.';
COMMENT ON COLUMN report.quarantine.scope IS 'Rune id for okx_runes; else empty.';
COMMENT ON COLUMN report.quarantine.label IS 'Label from the watchlist; today''s.';
COMMENT ON COLUMN report.quarantine.judged_at IS 'Since when it waits.';
COMMENT ON COLUMN report.quarantine.reason IS 'What is surprising about it.';
COMMENT ON COLUMN report.quarantine.holdings IS 'Holdings it lists.';
COMMENT ON COLUMN report.quarantine.held IS 'Holdings history still shows.';
COMMENT ON COLUMN report.quarantine.missing IS 'Holdings of history it does not list.';
COMMENT ON COLUMN report.quarantine.release_command IS 'Type this to believe it.';
COMMENT ON COLUMN report.quarantine.reject_command IS 'Type this to discard it.';
COMMENT ON COLUMN report.quarantine.crawl_id IS 'Crawl that read it.';
COMMENT ON COLUMN report.quarantine.raw_command IS 'Type this to see the answers it was read from.';
