-- name: freeze
-- Everything is compared as of one moment: a daemon at work gives no false alarm.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY

-- name: allow_time
-- Reading all of history takes longer than any other statement may.
SET LOCAL statement_timeout = 0

-- name: read_violations
-- Every row is a bug, or a hand in the tables.
SELECT rule, ref FROM ledger.invariant_violation

-- name: read_page_violations
-- What the view leaves out: pages nobody asked for, bytes that are gone, look-ups that are missing.
SELECT 'page_without_crawl' AS rule, p.crawl_id::text AS ref
FROM (SELECT DISTINCT part_on, crawl_id FROM ledger.raw_page) AS p
WHERE NOT EXISTS (SELECT FROM ledger.crawl AS c WHERE c.crawl_id = p.crawl_id AND c.part_on = p.part_on)
UNION ALL
SELECT 'page_without_body', concat_ws('/', p.crawl_id, p.kind, p.page_no)
FROM ledger.raw_page AS p
WHERE NOT EXISTS (SELECT FROM ledger.raw_body AS b WHERE b.part_on = p.part_on AND b.sha256 = p.sha256)
UNION ALL
SELECT 'first_page_with_cursor', p.crawl_id::text
FROM ledger.raw_page AS p
WHERE p.kind = 'page' AND p.page_no = 1 AND p.cursor_in IS NOT NULL
UNION ALL
SELECT 'lookup_missing', c.crawl_id::text
FROM ledger.crawl AS c
LEFT JOIN ledger.raw_page AS p ON p.part_on = c.part_on AND p.crawl_id = c.crawl_id AND p.kind = 'lookup'
WHERE to_regclass('ledger.raw_page' || to_char(c.part_on, '_YYYYMM')) IS NOT NULL
GROUP BY c.crawl_id, c.lookups
HAVING count(p.page_no) <> c.lookups OR coalesce(max(p.page_no), 0) <> c.lookups

-- name: count_checked
-- What the rules were held against.
SELECT (SELECT count(*) FROM ledger.snapshot) AS snapshots,
       (SELECT count(*) FROM ledger.holding_version) AS versions,
       (SELECT count(*) FROM ledger.carried_span) AS carried_spans,
       (SELECT count(*) FROM ledger.crawl) AS crawls,
       (SELECT count(*) FROM ledger.raw_page) AS pages

-- name: read_judged_crawls
-- Crawls whose lists were judged and whose pages are still there, with what was judged of each, a few at a time.
SELECT c.crawl_id, c.part_on, c.source_id AS source, c.scope, c.facts, c.pages, asked.addresses,
       judged.snapshots, judged.watches, judged.watched, judged.digests
FROM ledger.crawl AS c
CROSS JOIN LATERAL (
    SELECT array_agg(s.snapshot_id ORDER BY s.snapshot_id) AS snapshots,
           array_agg(s.watch_id ORDER BY s.snapshot_id) AS watches,
           array_agg(a.address ORDER BY s.snapshot_id) AS watched,
           array_agg(s.digest ORDER BY s.snapshot_id) AS digests
    FROM ledger.snapshot AS s
    JOIN ledger.watch AS w ON w.watch_id = s.watch_id
    JOIN ledger.address AS a ON a.address_id = w.address_id
    WHERE s.crawl_id = c.crawl_id
) AS judged
CROSS JOIN LATERAL (
    SELECT array_agg(a.address ORDER BY cw.place) AS addresses
    FROM ledger.crawl_watch AS cw
    JOIN ledger.watch AS w ON w.watch_id = cw.watch_id
    JOIN ledger.address AS a ON a.address_id = w.address_id
    WHERE cw.crawl_id = c.crawl_id
) AS asked
WHERE c.crawl_id > %(after)s AND judged.snapshots IS NOT NULL AND asked.addresses IS NOT NULL
  AND to_regclass('ledger.raw_page' || to_char(c.part_on, '_YYYYMM')) IS NOT NULL
ORDER BY c.crawl_id
LIMIT 50

-- name: find_month
-- Whether the pages of that crawl can still be there: it may have been pruned or folded meanwhile.
SELECT to_regclass('ledger.raw_page' || to_char(%(part_on)s::date, '_YYYYMM')) IS NOT NULL
   AND EXISTS (SELECT FROM ledger.crawl AS c WHERE c.crawl_id = %(crawl)s)

-- name: list_days
-- The days whose bodies are kept, from the one after another on: partitions are by month, bodies by day.
SELECT min(part_on) FROM ledger.raw_body WHERE part_on > %(after)s

-- name: read_bodies
-- The bodies of one day in key order, a few at a time: memory is bounded by bodies, not by months.
SELECT b.sha256, b.length, chain.codecs, chain.lengths, chain.bodies
FROM (
    SELECT r.part_on, r.sha256, r.length
    FROM ledger.raw_body AS r
    WHERE r.part_on = %(part_on)s AND r.sha256 > %(after)s
    ORDER BY r.sha256
    LIMIT 16
) AS b
CROSS JOIN LATERAL ledger.read_chain(b.part_on, b.sha256) AS chain
ORDER BY b.sha256
