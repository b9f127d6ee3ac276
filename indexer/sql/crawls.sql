-- name: claim_crawls
-- Take up to `most` crawls that nobody works on. A lease is over when its time is up or its worker is gone:
-- a worker holds an advisory lock for life, so a killed one is noticed at once. One that lost it takes nothing: to
-- itself its own crawls would look free.
-- The fencing number is the microsecond: a database that lost what was committed last (failover, restore) gives the
-- numbers of lost crawls to others, and whoever still walks a lost one must not write into those.
-- However long the queue is, only its beginning is read, in the order of its index, and what belongs to a crawl is looked
-- up for that crawl alone (aggregate and LIMIT keep it so, whatever is known of the tables): all of a pass is begun at
-- once, and what a claim costs must not grow with it.
WITH live AS (
    SELECT objid::bigint AS worker
    FROM pg_locks
    WHERE locktype = 'advisory' AND classid = %(lock_class)s AND objsubid = 2 AND granted
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
), free AS (
    SELECT c.crawl_id, c.state = 'running' AS taken_over
    FROM ledger.crawl AS c
    WHERE c.source_id = %(source)s
      AND %(worker)s IN (SELECT worker FROM live)
      AND c.state IN ('pending', 'running')
      AND c.next_attempt_at <= clock_timestamp()
      AND (c.state = 'pending' OR c.lease_until < clock_timestamp() OR c.lease_owner NOT IN (SELECT worker FROM live))
      AND (%(pass)s::bigint IS NULL
           OR (c.error_class IS NULL OR c.state = 'running')
              AND (SELECT bool_or(p.pass_id = %(pass)s) FROM ledger.pass_watch AS p WHERE p.crawl_id = c.crawl_id))
      AND (%(shorter_than)s::integer IS NULL OR c.pages < %(shorter_than)s)
    ORDER BY c.next_attempt_at
    LIMIT %(most)s
    FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE ledger.crawl AS c
    SET state = 'running',
        lease_owner = %(worker)s,
        lease_until = clock_timestamp() + %(lease)s,
        lease_epoch = greatest(c.lease_epoch + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint),
        attempts = c.attempts + 1,
        error_class = NULL,
        error = NULL
    FROM free
    WHERE c.crawl_id = free.crawl_id
    RETURNING c.*, free.taken_over
)
SELECT t.crawl_id, t.part_on, t.lease_epoch, t.scope, t.cursor, t.pages, t.lookups, t.facts,
       extract(epoch FROM clock_timestamp() - t.first_page_at)::float8 AS first_page_age,
       extract(epoch FROM clock_timestamp() - t.last_page_at)::float8 AS last_page_age,
       t.window_restarts, t.drift_restarts, t.cursor_restarts,
       w.watches, w.addresses, w.open, w.grown_window, t.taken_over
FROM taken AS t
CROSS JOIN LATERAL (
    SELECT array_agg(cw.watch_id ORDER BY cw.place) AS watches,
           array_agg(a.address ORDER BY cw.place) AS addresses,
           array_agg(coalesce(cw.open, false) ORDER BY cw.place) AS open,
           extract(epoch FROM max(watch.grown_window))::float8 AS grown_window
    FROM ledger.crawl_watch AS cw
    CROSS JOIN LATERAL (SELECT * FROM ledger.watch WHERE watch_id = cw.watch_id LIMIT 1) AS watch
    CROSS JOIN LATERAL (SELECT * FROM ledger.address WHERE address_id = watch.address_id LIMIT 1) AS a
    WHERE cw.crawl_id = t.crawl_id
) AS w
ORDER BY t.next_attempt_at, t.crawl_id

-- name: renew_leases
-- Heartbeat. Rows being committed right now are skipped: that commit renews them itself.
UPDATE ledger.crawl AS c
SET lease_until = clock_timestamp() + %(lease)s
FROM (
    SELECT crawl_id FROM ledger.crawl
    WHERE crawl_id = ANY(%(crawls)s) AND state = 'running' AND lease_owner = %(worker)s
    FOR UPDATE SKIP LOCKED
) AS mine
WHERE c.crawl_id = mine.crawl_id

-- name: release_crawl
-- Hand a crawl back with its cursor: the next worker goes on where this one stopped.
UPDATE ledger.crawl
SET state = 'pending',
    lease_owner = NULL,
    lease_until = NULL,
    next_attempt_at = clock_timestamp() + %(delay)s,
    requests = requests + %(requests)s,
    error_class = %(error_class)s,
    error = %(error)s
WHERE crawl_id = %(crawl)s AND lease_epoch = %(epoch)s AND state = 'running'
RETURNING crawl_id

-- name: end_crawl
-- End a crawl without publishing. The epoch makes a zombie's later writes fail.
UPDATE ledger.crawl
SET state = %(state)s,
    lease_owner = NULL,
    lease_until = NULL,
    finished_at = clock_timestamp(),
    requests = requests + %(requests)s,
    error_class = %(error_class)s,
    error = %(error)s,
    restarted_as = %(restarted_as)s
WHERE crawl_id = %(crawl)s AND lease_epoch = %(epoch)s AND state = 'running'
RETURNING crawl_id

-- name: end_crawl_watches
-- The verdict of every watch the crawl still covered.
UPDATE ledger.crawl_watch
SET open = NULL, verdict = %(verdict)s, error = %(error)s
WHERE crawl_id = %(crawl)s AND open

-- name: create_successor
-- A crawl that starts again from page 1 in place of another, for the watches that are still open.
INSERT INTO ledger.crawl (source_id, scope, window_restarts, drift_restarts, cursor_restarts, next_attempt_at)
SELECT source_id, scope, %(window_restarts)s, %(drift_restarts)s, %(cursor_restarts)s, clock_timestamp() + %(delay)s
FROM ledger.crawl
WHERE crawl_id = %(crawl)s
RETURNING crawl_id

-- name: create_successor_watches
-- Same watches, same order.
INSERT INTO ledger.crawl_watch (crawl_id, watch_id, place, open)
SELECT %(successor)s, watch_id, row_number() OVER (ORDER BY place) - 1, true
FROM ledger.crawl_watch
WHERE crawl_id = %(crawl)s AND watch_id = ANY(%(watches)s)

-- name: read_open_watches
-- Which of its watches a crawl still covers, locked so that nobody unwatches them meanwhile.
SELECT watch_id FROM ledger.crawl_watch
WHERE crawl_id = %(crawl)s AND open
ORDER BY watch_id
FOR UPDATE

-- name: move_passes
-- Passes that waited for the old crawl wait for the new one; for a watch it does not cover any more nothing changes.
UPDATE ledger.pass_watch SET crawl_id = %(successor)s
WHERE crawl_id = %(crawl)s AND watch_id = ANY(%(watches)s) AND watch_id = ANY(%(watches)s)

-- name: complete_crawls
-- All watches of these crawls have a verdict.
UPDATE ledger.crawl AS c
SET state = 'complete', lease_owner = NULL, lease_until = NULL, cursor = NULL, finished_at = clock_timestamp()
FROM unnest(%(crawls)s::bigint[], %(epochs)s::bigint[]) AS done (crawl_id, epoch)
WHERE c.crawl_id = done.crawl_id AND c.lease_epoch = done.epoch AND c.state = 'running'
RETURNING c.crawl_id

-- name: give_verdicts
-- One verdict for each watch of a published crawl.
UPDATE ledger.crawl_watch AS cw
SET open = NULL, verdict = given.verdict, error = given.error
FROM unnest(%(crawls)s::bigint[], %(watches)s::bigint[], %(verdicts)s::text[], %(errors)s::text[])
    AS given (crawl_id, watch_id, verdict, error)
WHERE cw.crawl_id = given.crawl_id AND cw.watch_id = given.watch_id AND cw.open

-- name: grow_windows
-- A watch that proved too large for the window twice gets one that fits.
UPDATE ledger.watch SET grown_window = %(window)s
WHERE watch_id = ANY(%(watches)s) AND (grown_window IS NULL OR grown_window < %(window)s)

-- name: hold_worker_number
-- Held for the life of the connection: who does not hold it is gone.
SELECT pg_try_advisory_lock(%(lock_class)s, %(worker)s)

-- name: count_pages
-- Whether there is anything to resume.
SELECT pages FROM ledger.crawl WHERE crawl_id = %(crawl)s
