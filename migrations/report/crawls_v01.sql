-- How knowledge was gathered: every crawl that has not been pruned. Never a cursor, a lease or facts.

CREATE VIEW report.crawls AS
SELECT
    c.crawl_id,
    c.source,
    c.network,
    x.addresses,
    c.scope,
    c.state,
    c.created_at,
    c.first_page_at,
    c.last_page_at,
    c.finished_at,
    c.finished_at - c.created_at AS duration,
    c.attempts,
    c.pages,
    c.lookups,
    c.requests,
    c.listed,
    c.error_class,
    c.error,
    x.verdicts
FROM ledger.r_crawl c
CROSS JOIN LATERAL (
    SELECT
        coalesce(array_agg(w.address ORDER BY m.place, w.address), '{}') AS addresses,
        coalesce(jsonb_object_agg(w.address, m.verdict), '{}') AS verdicts
    FROM ledger.r_crawl_watch m
    JOIN ledger.r_watch w ON w.watch_id = m.watch_id
    WHERE m.crawl_id = c.crawl_id
) x;

COMMENT ON VIEW report.crawls IS 'Every crawl that was not pruned, nor folded: one that repeats the one before it to the byte becomes a part of report.snapshots after an hour.';
COMMENT ON COLUMN report.crawls.crawl_id IS 'Number of the crawl (indexer raw shows its bytes).';
COMMENT ON COLUMN report.crawls.source IS 'Name of the API.';
COMMENT ON COLUMN report.crawls.network IS 'Network of its addresses.';
COMMENT ON COLUMN report.crawls.addresses IS 'Addresses it covers, in the order of the request.';
COMMENT ON COLUMN report.crawls.scope IS 'Rune id for okx_runes; else empty.';
COMMENT ON COLUMN report.crawls.state IS 'pending, running; ended: complete, failed, abandoned.';
COMMENT ON COLUMN report.crawls.created_at IS 'When it was queued.';
COMMENT ON COLUMN report.crawls.first_page_at IS 'When its first page was committed.';
COMMENT ON COLUMN report.crawls.last_page_at IS 'When its last page so far was committed.';
COMMENT ON COLUMN report.crawls.finished_at IS 'When it ended; NULL: it has not.';
COMMENT ON COLUMN report.crawls.duration IS 'From queueing to its end, waiting included; NULL: it has not ended.';
COMMENT ON COLUMN report.crawls.attempts IS 'How often a worker took it up.';
COMMENT ON COLUMN report.crawls.pages IS 'Pages committed.';
COMMENT ON COLUMN report.crawls.lookups IS 'Look-ups committed.';
COMMENT ON COLUMN report.crawls.requests IS 'HTTP requests sent, retries too.';
COMMENT ON COLUMN report.crawls.listed IS 'Rows listed, held or not.';
COMMENT ON COLUMN report.crawls.error_class IS 'Class of the error that ended it.';
COMMENT ON COLUMN report.crawls.error IS 'What happened, redacted.';
COMMENT ON COLUMN report.crawls.verdicts IS 'How it ended for each address: published, unchanged, quarantined, failed, abandoned or skipped; null: still open.';
