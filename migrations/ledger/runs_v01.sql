-- Runs read as the snapshots they were folded from, and all snapshots together.
CREATE VIEW ledger.folded_snapshot AS
SELECT e.snapshot_id, r.watch_id, e.crawl_id, h.state, e.snapshot_at AS judged_at, e.snapshot_at,
       e.snapshot_at + r.fresh_for AS fresh_until,
       e.snapshot_at - e.first_lag * interval '1 microsecond' AS first_page_at,
       e.snapshot_at - e.last_lag * interval '1 microsecond' AS last_page_at,
       e.height AS height_from, e.height AS height_to, h.pages, h.holdings, h.unreadable, h.missing, h.proves_absence,
       h.consistency, h.digest, h.reason, h.resolution, NULL::timestamptz AS resolved_at,
       r.head_id, r.first_at, r.last_at
FROM ledger.snapshot_run AS r
JOIN ledger.snapshot AS h ON h.snapshot_id = r.head_id AND h.state = 'published'
CROSS JOIN LATERAL unnest(r.instants, r.snapshots, r.crawls, r.first_lags, r.last_lags, r.heights)
    AS e (snapshot_at, snapshot_id, crawl_id, first_lag, last_lag, height);

COMMENT ON VIEW ledger.folded_snapshot IS 'The snapshots of all runs, as they were before they were folded.';

CREATE VIEW ledger.any_snapshot AS
SELECT s.snapshot_id, s.watch_id, s.crawl_id, s.state, s.judged_at::timestamptz AS judged_at,
       s.snapshot_at::timestamptz AS snapshot_at, s.fresh_until::timestamptz AS fresh_until,
       s.first_page_at::timestamptz AS first_page_at, s.last_page_at::timestamptz AS last_page_at, s.height_from,
       s.height_to, s.pages, s.holdings, s.unreadable, s.missing, s.proves_absence, s.consistency, s.digest,
       s.reason, s.resolution, s.resolved_at::timestamptz AS resolved_at
FROM ledger.snapshot AS s
UNION ALL
SELECT f.snapshot_id, f.watch_id, f.crawl_id, f.state, f.judged_at, f.snapshot_at, f.fresh_until, f.first_page_at,
       f.last_page_at, f.height_from, f.height_to, f.pages, f.holdings, f.unreadable, f.missing, f.proves_absence,
       f.consistency, f.digest, f.reason, f.resolution, f.resolved_at
FROM ledger.folded_snapshot AS f;

COMMENT ON VIEW ledger.any_snapshot IS 'Every snapshot there ever was, folded or not.';

-- The pages of a folded crawl are those of the crawl it repeats; where a number differs, it is the height.
-- One folded crawl is found by reading all runs, about a second for three million crawls: evidence is asked for
-- rarely, and an index on their numbers would take more room (56 bytes a crawl) than the runs themselves (39).
CREATE VIEW ledger.kept_page AS
SELECT p.part_on, c.crawl_id, p.kind, p.page_no, p.fetched_at::timestamptz AS fetched_at, p.http_status, p.request,
       p.items, p.sha256, p.splice, coalesce(p.exact_sha256, p.sha256) AS exact_sha256, p.steady_sha256
FROM ledger.crawl AS c
JOIN ledger.raw_page AS p ON p.part_on = c.part_on AND p.crawl_id = c.crawl_id
UNION ALL
SELECT p.part_on, e.crawl_id, p.kind, p.page_no, e.last_page_at, p.http_status, p.request, p.items, p.sha256, e.splice,
       CASE WHEN e.splice IS NULL THEN p.sha256 END, p.steady_sha256
FROM (
    SELECT DISTINCT h.crawl_id AS head_crawl, x.crawl_id,
           r.splice_head || convert_to(x.height::text, 'UTF8') AS splice,
           x.snapshot_at - x.last_lag * interval '1 microsecond' AS last_page_at
    FROM ledger.snapshot_run AS r
    JOIN ledger.snapshot AS h ON h.snapshot_id = r.head_id
    CROSS JOIN LATERAL unnest(r.instants, r.crawls, r.last_lags, r.heights) AS x (snapshot_at, crawl_id, last_lag, height)
) AS e
JOIN ledger.crawl AS c ON c.crawl_id = e.head_crawl
JOIN ledger.raw_page AS p ON p.part_on = c.part_on AND p.crawl_id = c.crawl_id AND p.kind = 'page';

COMMENT ON VIEW ledger.kept_page IS 'Every answer that can be given back, those of folded crawls included.';
