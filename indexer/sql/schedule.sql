-- What is due: which watches to look at, what is known of them, the crawls made for them, and where work waits.

-- name: has_looks
-- The one question of an idle tick; one index probe.
SELECT EXISTS (SELECT FROM ledger.schedule WHERE look_at <= statement_timestamp())

-- name: read_clock
-- By which everything here is planned.
SELECT clock_timestamp()

-- name: lock_schedule
-- One process at a time makes due crawls, so that watches of one rune share them. Nobody waits for it.
SELECT pg_try_advisory_xact_lock(7201964006)

-- name: lock_against_changes
-- Applying a watchlist and placing a pass both decide about open crawls: their locks, in one order.
SELECT pg_advisory_xact_lock(7201964003), pg_advisory_xact_lock(7201964004)

-- name: add_watches
-- Watches that are watched and not looked at yet.
INSERT INTO ledger.schedule (watch_id, look_at)
SELECT p.watch_id, clock_timestamp()
FROM ledger.watch_period AS p
WHERE p.watched_to IS NULL
  AND NOT EXISTS (SELECT FROM ledger.schedule AS s WHERE s.watch_id = p.watch_id)
ORDER BY p.watch_id
ON CONFLICT (watch_id) DO NOTHING

-- name: look_at_all
-- After a start or a change of intervals nothing is remembered: every watch is looked at again.
UPDATE ledger.schedule SET look_at = clock_timestamp() WHERE look_at > statement_timestamp()

-- name: let_crawls_go
-- No crawl waits for so long: these were queued or handed back by a clock that was set back since.
UPDATE ledger.crawl SET next_attempt_at = clock_timestamp()
WHERE state = 'pending' AND next_attempt_at > statement_timestamp() + interval '1 hour'

-- name: remove_watches
-- Watches that nobody watches any more.
DELETE FROM ledger.schedule AS s
WHERE NOT EXISTS (SELECT FROM ledger.watch_period AS p WHERE p.watch_id = s.watch_id AND p.watched_to IS NULL)

-- name: read_looks
-- What is known of the watches to look at: the open crawl, how the last ones of this watch period ended, and
-- whether a disbelieved list waits. Restarts are no outcomes; a refusal is the source's failure, not the watch's.
-- The last outcome is the newest crawl's, whatever instants a clock that was ahead gave to those before it, or to the
-- beginning of the period.
-- One clock for all: at two, watches due at the same instant would part, and no longer share a crawl.
SELECT n.watch_id, w.source_id AS source, a.address, w.scope, w.every, p.watched_from,
       open.created_at AS open_since, last.ended_at, last.failures, last.last_due,
       witness.judged_at AS witness_at, statement_timestamp() AS now
FROM (
    SELECT s.watch_id, s.look_at
    FROM ledger.schedule AS s
    WHERE s.look_at <= statement_timestamp()
    ORDER BY s.look_at
    LIMIT %(most)s
) AS n
-- Every LIMIT 1 makes an index probe of what the planner, with yesterday's statistics, might read whole.
CROSS JOIN LATERAL (
    SELECT x.source_id, x.address_id, x.scope, x.every FROM ledger.watch AS x WHERE x.watch_id = n.watch_id LIMIT 1
) AS w
CROSS JOIN LATERAL (SELECT x.address FROM ledger.address AS x WHERE x.address_id = w.address_id LIMIT 1) AS a
LEFT JOIN LATERAL (
    SELECT x.watched_from FROM ledger.watch_period AS x
    WHERE x.watch_id = n.watch_id AND x.watched_to IS NULL
    LIMIT 1
) AS p ON true
LEFT JOIN LATERAL (
    SELECT x.crawl_id FROM ledger.crawl_watch AS x WHERE x.watch_id = n.watch_id AND x.open LIMIT 1
) AS mine ON true
LEFT JOIN LATERAL (
    SELECT x.created_at FROM ledger.crawl AS x WHERE x.crawl_id = mine.crawl_id LIMIT 1
) AS open ON true
LEFT JOIN LATERAL (
    SELECT x.judged_at FROM ledger.snapshot AS x
    WHERE x.watch_id = n.watch_id AND x.state = 'quarantined' AND x.resolution IS NULL
    LIMIT 1
) AS witness ON true
CROSS JOIN LATERAL (
    SELECT max(t.finished_at) FILTER (WHERE t.nth = 1) AS ended_at,
           max(t.due_at) AS last_due,
           greatest(
               count(*) FILTER (WHERE t.failed AND t.successes = 0 AND t.error_class IS DISTINCT FROM 'Refused'),
               count(*) FILTER (WHERE t.failed AND t.nth = 1)
           )::integer AS failures
    FROM (
        SELECT e.due_at, e.finished_at, e.error_class, e.failed,
               row_number() OVER (PARTITION BY e.finished_at IS NULL ORDER BY e.crawl_id DESC) AS nth,
               count(*) FILTER (WHERE NOT e.failed) OVER (ORDER BY e.crawl_id DESC) AS successes
        FROM (
            SELECT cw.crawl_id, cw.due_at, c.error_class,
                   CASE WHEN (c.created_at >= p.watched_from OR p.watched_from > statement_timestamp())
                             AND c.restarted_as IS NULL AND cw.verdict <> 'skipped'
                        THEN c.finished_at END AS finished_at,
                   CASE WHEN (c.created_at >= p.watched_from OR p.watched_from > statement_timestamp())
                             AND c.restarted_as IS NULL
                        THEN cw.verdict IN ('failed', 'abandoned') END AS failed
            FROM ledger.crawl_watch AS cw
            JOIN ledger.crawl AS c ON c.crawl_id = cw.crawl_id
            WHERE cw.watch_id = n.watch_id
            ORDER BY cw.crawl_id DESC
            LIMIT 24
        ) AS e
    ) AS t
) AS last
ORDER BY w.source_id, w.scope, n.watch_id

-- name: write_looks
-- When to look again.
UPDATE ledger.schedule AS s SET look_at = n.look_at
FROM unnest(%(watches)s::bigint[], %(look_ats)s::timestamptz[]) AS n (watch_id, look_at)
WHERE s.watch_id = n.watch_id

-- name: find_work
-- Which sources have a free crawl, and whether they may be asked. A worker that is gone holds no lock.
WITH live AS (
    SELECT objid::bigint AS worker
    FROM pg_locks
    WHERE locktype = 'advisory' AND classid = %(lock_class)s AND objsubid = 2 AND granted
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
)
SELECT s.source_id AS source, s.state,
       coalesce(s.paused_until <= clock_timestamp(), false) AS may_be_tried,
       EXISTS (
           SELECT FROM ledger.crawl AS c
           WHERE c.source_id = s.source_id
             AND c.state IN ('pending', 'running')
             AND c.next_attempt_at <= statement_timestamp()
             AND (c.state = 'pending' OR c.lease_until < clock_timestamp()
                  OR c.lease_owner NOT IN (SELECT worker FROM live))
       ) AS has_work
FROM ledger.source AS s

-- name: count_workers
-- How many processes can claim crawls now: each holds its number as long as it lives.
SELECT count(*)
FROM pg_locks
WHERE locktype = 'advisory' AND classid = %(lock_class)s AND objsubid = 2 AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())

-- name: read_outlook
-- When each source is looked at next. What is being crawled is not due again.
SELECT w.source_id AS source, count(*) AS watches, min(s.look_at) AS next_at,
       count(*) FILTER (WHERE s.look_at < statement_timestamp() - interval '1 minute') AS forgotten
FROM ledger.schedule AS s
JOIN ledger.watch AS w ON w.watch_id = s.watch_id
WHERE NOT EXISTS (SELECT FROM ledger.crawl_watch AS x WHERE x.watch_id = s.watch_id AND x.open)
GROUP BY w.source_id
ORDER BY w.source_id

-- name: read_queue
-- How many crawls wait and run.
SELECT count(*) FILTER (WHERE state = 'pending') AS pending, count(*) FILTER (WHERE state = 'running') AS running
FROM ledger.crawl
WHERE state IN ('pending', 'running')

-- name: list_retries
-- When these failed watches are asked again.
SELECT c.crawl_id, s.look_at
FROM unnest(%(crawls)s::bigint[]) AS c (crawl_id)
JOIN ledger.crawl_watch AS cw ON cw.crawl_id = c.crawl_id
JOIN ledger.schedule AS s ON s.watch_id = cw.watch_id

-- name: list_troubles
-- Why these open crawls wait.
SELECT crawl_id, concat_ws(': ', error_class, error) AS trouble
FROM ledger.crawl
WHERE crawl_id = ANY(%(crawls)s) AND error_class IS NOT NULL

-- name: try_paused_source
-- One process tries a paused source with one crawl; for the others the pause goes on meanwhile.
UPDATE ledger.source SET paused_until = clock_timestamp() + %(pause)s
WHERE source_id = %(source)s AND state = 'paused' AND paused_until <= clock_timestamp()
RETURNING source_id
