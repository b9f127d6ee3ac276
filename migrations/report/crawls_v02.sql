-- How knowledge was gathered: every crawl that has not been pruned, folded or not. Never a cursor, a lease or facts.

CREATE OR REPLACE VIEW report.crawls AS
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
) x
UNION ALL
SELECT
    f.crawl_id,
    f.source_id,
    f.network,
    f.addresses,
    f.scope,
    'complete',
    f.created_at,
    f.first_page_at,
    f.last_page_at,
    f.finished_at,
    f.finished_at - f.created_at,
    f.attempts,
    f.pages,
    0,
    f.requests,
    f.listed,
    NULL,
    NULL,
    f.verdicts
FROM ledger.folded_crawl f;

COMMENT ON VIEW report.crawls IS 'Every crawl that was not pruned. One that repeats the one before it to the byte is kept as a part of a run soon after the next: of such a one created_at is known to the millisecond, and finished_at is the instant of its snapshot. Of those that became a part of a run before revision 0007, created_at, attempts and requests were not kept.';
COMMENT ON COLUMN report.crawls.created_at IS 'When it was queued; NULL: not kept.';
COMMENT ON COLUMN report.crawls.duration IS 'From queueing to its end, waiting included; NULL: it has not ended, or when it was queued was not kept.';
COMMENT ON COLUMN report.crawls.attempts IS 'How often a worker took it up; NULL: not kept.';
COMMENT ON COLUMN report.crawls.requests IS 'HTTP requests sent, retries too; NULL: not kept.';
