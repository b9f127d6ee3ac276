-- name: lock_watch
-- As a publish does: what is read after this nobody decides meanwhile.
SELECT watch_id FROM ledger.watch
WHERE watch_id = (SELECT s.watch_id FROM ledger.snapshot AS s WHERE s.snapshot_id = %(snapshot)s)
FOR NO KEY UPDATE

-- name: read_quarantined
-- The list a person speaks about, with the crawl whose pages it was folded from.
SELECT s.snapshot_id, s.state, s.resolution, s.watch_id, s.crawl_id, s.first_page_at, s.last_page_at, s.height_from,
       s.height_to, s.pages,
       -- Its crawl may outlive its pages: without all of them there is nothing to fold.
       CASE WHEN c.pages = (
           SELECT count(*) FROM ledger.raw_page AS p
           WHERE p.part_on = c.part_on AND p.crawl_id = c.crawl_id AND p.kind = 'page'
       ) THEN c.part_on END AS part_on,
       c.facts, c.scope, c.drift_restarts, c.source_id, c.moved, c.reported_total,
       (SELECT array_agg(a.address ORDER BY cw.place)
        FROM ledger.crawl_watch AS cw
        JOIN ledger.watch AS w ON w.watch_id = cw.watch_id
        JOIN ledger.address AS a ON a.address_id = w.address_id
        WHERE cw.crawl_id = s.crawl_id) AS addresses,
       (SELECT a.address FROM ledger.watch AS w JOIN ledger.address AS a ON a.address_id = w.address_id
        WHERE w.watch_id = s.watch_id) AS address,
       EXISTS (
           SELECT FROM ledger.snapshot AS later
           WHERE later.watch_id = s.watch_id AND later.state = 'published' AND later.snapshot_at > s.judged_at
       ) AS superseded
FROM ledger.snapshot AS s
LEFT JOIN ledger.crawl AS c ON c.crawl_id = s.crawl_id
WHERE s.snapshot_id = %(snapshot)s

-- name: reject_snapshot
-- History stays as it is; the next surprising list is a first witness again.
UPDATE ledger.snapshot SET resolution = 'rejected', resolved_at = clock_timestamp()
WHERE snapshot_id = %(snapshot)s AND state = 'quarantined' AND resolution IS NULL
