-- name: lock_passes
-- Two passes starting at once would both make the same crawls.
SELECT pg_advisory_xact_lock(7201964004)

-- name: select_watches
-- The watches a pass is about, in a steady order.
SELECT w.watch_id, w.source_id, a.address, w.scope
FROM ledger.watch AS w
JOIN ledger.watch_period AS p ON p.watch_id = w.watch_id AND p.watched_to IS NULL
JOIN ledger.address AS a ON a.address_id = w.address_id
WHERE (%(source)s::text IS NULL OR w.source_id = %(source)s)
  AND (%(addresses)s::text[] IS NULL OR a.address = ANY(%(addresses)s))
ORDER BY w.source_id, w.scope, w.watch_id

-- name: close_stale_passes
-- Passes nobody touched for longer than a window are over.
UPDATE ledger.crawl_pass SET finished_at = greatest(clock_timestamp(), started_at)
WHERE finished_at IS NULL AND touched_at < clock_timestamp() - %(window)s::interval

-- name: find_pass
-- An unfinished pass over the same selection: running elsewhere, or interrupted a moment ago.
SELECT pass_id FROM ledger.crawl_pass
WHERE selection = %(selection)s AND finished_at IS NULL
ORDER BY pass_id DESC
LIMIT 1

-- name: start_pass
-- A new one.
INSERT INTO ledger.crawl_pass (selection) VALUES (%(selection)s)
RETURNING pass_id

-- name: touch_pass
-- Sign of life.
UPDATE ledger.crawl_pass SET touched_at = clock_timestamp()
WHERE pass_id = %(pass)s AND finished_at IS NULL

-- name: finish_pass
-- Every watch has an outcome.
UPDATE ledger.crawl_pass SET finished_at = clock_timestamp(), touched_at = clock_timestamp()
WHERE pass_id = %(pass)s AND finished_at IS NULL

-- name: find_placed
-- Watches that already belong to this pass.
SELECT watch_id FROM ledger.pass_watch WHERE pass_id = %(pass)s

-- name: adopt_open_crawls
-- Crawls that are open already are joined, not started twice.
INSERT INTO ledger.pass_watch (pass_id, watch_id, crawl_id)
SELECT %(pass)s, cw.watch_id, cw.crawl_id
FROM ledger.crawl_watch AS cw
WHERE cw.watch_id = ANY(%(watches)s) AND cw.open
ON CONFLICT (pass_id, watch_id) DO NOTHING
RETURNING watch_id, crawl_id

-- name: hurry_crawls
-- A pass asks now, whatever delay an earlier failure left behind.
UPDATE ledger.crawl
SET next_attempt_at = clock_timestamp(), error_class = NULL, error = NULL
WHERE crawl_id = ANY(%(crawls)s) AND state = 'pending'

-- name: create_crawls
-- One crawl per group of watches, in one round trip.
INSERT INTO ledger.crawl (source_id, scope)
SELECT n.source_id, n.scope
FROM unnest(%(sources)s::text[], %(scopes)s::text[]) WITH ORDINALITY AS n (source_id, scope, place)
ORDER BY n.place
RETURNING crawl_id

-- name: create_crawl_watches
-- Which watches each crawl covers, in request order.
INSERT INTO ledger.crawl_watch (crawl_id, watch_id, place, due_at, open)
SELECT n.crawl_id, n.watch_id, n.place, n.due_at, true
FROM unnest(%(crawls)s::bigint[], %(watches)s::bigint[], %(places)s::smallint[], %(due_ats)s::timestamptz[])
    AS n (crawl_id, watch_id, place, due_at)

-- name: place_watches
-- The crawl each watch of the pass waits for.
INSERT INTO ledger.pass_watch (pass_id, watch_id, crawl_id)
SELECT %(pass)s, n.watch_id, n.crawl_id
FROM unnest(%(watches)s::bigint[], %(crawls)s::bigint[]) AS n (watch_id, crawl_id)

-- name: count_progress
-- How far the pass is. A crawl handed back with an error has its outcome too: failed, resumable later.
SELECT count(*) AS watches,
       count(*) FILTER (
           WHERE cw.verdict IS NOT NULL OR (c.state = 'pending' AND c.error_class IS NOT NULL)
       ) AS finished,
       coalesce(sum(c.pages), 0) AS pages
FROM ledger.pass_watch AS pw
JOIN ledger.crawl AS c ON c.crawl_id = pw.crawl_id
JOIN ledger.crawl_watch AS cw ON cw.crawl_id = pw.crawl_id AND cw.watch_id = pw.watch_id
WHERE pw.pass_id = %(pass)s

-- name: read_outcomes
-- What became of every watch of the pass.
SELECT w.source_id, a.address, w.scope,
       coalesce(cw.verdict, 'failed') AS outcome,
       s.snapshot_at, s.holdings, c.pages, c.requests,
       coalesce(cw.error, c.error) AS error
FROM ledger.pass_watch AS pw
JOIN ledger.watch AS w ON w.watch_id = pw.watch_id
JOIN ledger.address AS a ON a.address_id = w.address_id
JOIN ledger.crawl AS c ON c.crawl_id = pw.crawl_id
JOIN ledger.crawl_watch AS cw ON cw.crawl_id = pw.crawl_id AND cw.watch_id = pw.watch_id
LEFT JOIN LATERAL (
    SELECT x.snapshot_at, x.holdings
    FROM ledger.snapshot AS x
    WHERE x.watch_id = pw.watch_id AND x.crawl_id = pw.crawl_id
    ORDER BY x.snapshot_id DESC
    LIMIT 1
) AS s ON true
WHERE pw.pass_id = %(pass)s
ORDER BY w.source_id, w.scope, w.watch_id

-- name: fail_waiting
-- The source refuses us: what still waits in this pass fails with the same reason, without another request.
UPDATE ledger.crawl AS c
SET error_class = 'Refused', error = %(error)s, next_attempt_at = clock_timestamp() + %(delay)s
WHERE c.state = 'pending' AND c.source_id = %(source)s AND c.error_class IS NULL
  AND c.crawl_id IN (SELECT pw.crawl_id FROM ledger.pass_watch AS pw WHERE pw.pass_id = %(pass)s)

-- name: count_unfinished
-- What of one source this pass still waits for.
SELECT count(*)
FROM ledger.pass_watch AS pw
JOIN ledger.crawl AS c ON c.crawl_id = pw.crawl_id
JOIN ledger.crawl_watch AS cw ON cw.crawl_id = pw.crawl_id AND cw.watch_id = pw.watch_id
WHERE pw.pass_id = %(pass)s AND c.source_id = %(source)s
  AND cw.verdict IS NULL AND NOT (c.state = 'pending' AND c.error_class IS NOT NULL)

-- name: estimate_watches
-- What the last snapshot of each watch took: the estimate of --dry-run. Reads only.
SELECT n.source_id, n.scope, count(*) AS watches,
       coalesce(sum(last.pages), 0)::bigint AS pages,
       count(*) FILTER (WHERE last.pages IS NULL) AS unknown
FROM unnest(%(sources)s::text[], %(networks)s::text[], %(addresses)s::text[], %(scopes)s::text[])
    AS n (source_id, network, address, scope)
LEFT JOIN ledger.address AS a ON a.network = n.network AND a.address = n.address
LEFT JOIN ledger.watch AS w ON w.source_id = n.source_id AND w.address_id = a.address_id AND w.scope = n.scope
LEFT JOIN LATERAL (
    SELECT s.pages FROM ledger.snapshot AS s
    WHERE s.watch_id = w.watch_id AND s.state = 'published'
    ORDER BY s.snapshot_at DESC
    LIMIT 1
) AS last ON true
GROUP BY n.source_id, n.scope
ORDER BY n.source_id, n.scope
