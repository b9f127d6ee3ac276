-- When answers that had been given were replaced, and how much of them.

CREATE VIEW report.adoptions AS
SELECT
    a.adoption_id,
    w.source,
    w.network,
    w.address,
    w.scope,
    a.adopted_at::timestamptz AS adopted_at,
    a.since::timestamptz AS unchanged_until,
    a.program,
    a.reader,
    c.versions_replaced,
    c.versions_written,
    c.carried_replaced,
    c.carried_written,
    c.snapshots_corrected
FROM ledger.adoption a
JOIN ledger.r_watch w ON w.watch_id = a.watch_id
CROSS JOIN LATERAL (
    SELECT
        count(r.live) FILTER (WHERE r.kind = 'holding_version') AS versions_replaced,
        count(r.replayed) FILTER (WHERE r.kind = 'holding_version') AS versions_written,
        count(r.live) FILTER (WHERE r.kind = 'carried_span') AS carried_replaced,
        count(r.replayed) FILTER (WHERE r.kind = 'carried_span') AS carried_written,
        count(*) FILTER (WHERE r.kind = 'snapshot') AS snapshots_corrected
    FROM ledger.adopted_row r
    WHERE r.adoption_id = a.adoption_id
) c;

COMMENT ON VIEW report.adoptions IS 'Each time an operator let history that was built again by a corrected parser replace the live one (indexer replay --adopt). Answers about that watch given before adopted_at may have been others; the replaced rows are kept in ledger.adopted_row.';
COMMENT ON COLUMN report.adoptions.adoption_id IS 'Number of the adoption.';
COMMENT ON COLUMN report.adoptions.source IS 'Name of the API.';
COMMENT ON COLUMN report.adoptions.network IS 'Network of the address.';
COMMENT ON COLUMN report.adoptions.address IS 'Address in canonical form.';
COMMENT ON COLUMN report.adoptions.scope IS 'Rune id for okx_runes; else empty.';
COMMENT ON COLUMN report.adoptions.adopted_at IS 'When the answers changed.';
COMMENT ON COLUMN report.adoptions.unchanged_until IS 'Answers for earlier instants stayed, because their raw pages are gone; NULL: all were built again.';
COMMENT ON COLUMN report.adoptions.program IS 'Version of the program that read the pages again.';
COMMENT ON COLUMN report.adoptions.reader IS 'Fingerprint of the code that read them.';
COMMENT ON COLUMN report.adoptions.versions_replaced IS 'Versions of holdings that are not there any more as they were.';
COMMENT ON COLUMN report.adoptions.versions_written IS 'Versions that took their place.';
COMMENT ON COLUMN report.adoptions.carried_replaced IS 'Carried spans that are not there any more as they were.';
COMMENT ON COLUMN report.adoptions.carried_written IS 'Carried spans that took their place.';
COMMENT ON COLUMN report.adoptions.snapshots_corrected IS 'Snapshots whose counts or digest changed.';
