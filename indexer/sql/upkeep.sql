-- What the daemon looks after beside crawling: notices, upkeep tasks, and the figures of the status door.

-- name: write_notice
-- A notice keeps the time it was first given, as long as it says the same.
INSERT INTO ledger.notice AS n (kind, place, noticed_at, told_at, message)
VALUES (%(kind)s, %(place)s, clock_timestamp(), clock_timestamp(), %(message)s)
ON CONFLICT (kind, place) DO UPDATE
SET message = excluded.message, told_at = excluded.told_at,
    noticed_at = CASE WHEN n.message = excluded.message THEN n.noticed_at ELSE excluded.noticed_at END

-- name: clear_notice
-- Its cause is gone.
DELETE FROM ledger.notice WHERE kind = %(kind)s AND place = %(place)s

-- name: read_notices
-- What an operator must know. What a process said of itself is true for as long as it repeats it: a machine that
-- was taken away takes nothing back.
SELECT kind, place, noticed_at, message
FROM ledger.notice
WHERE place = '' OR told_at > clock_timestamp() - %(silence)s::interval
ORDER BY noticed_at, kind, place

-- name: clear_silent_notices
-- Of processes that are gone for good.
DELETE FROM ledger.notice WHERE place <> '' AND told_at < clock_timestamp() - %(silence)s::interval

-- name: take_task
-- Take up a task that is due, before anybody else does. One that a killed process left is taken up an hour later, one
-- that was begun in the future, by a clock that was set back since, at once.
INSERT INTO ledger.upkeep AS u (task, begun_at) VALUES (%(task)s, clock_timestamp())
ON CONFLICT (task) DO UPDATE SET begun_at = clock_timestamp()
WHERE u.begun_at < clock_timestamp() - %(every)s::interval
   OR u.begun_at > clock_timestamp() + interval '1 minute'
   OR (u.ended_at IS NULL OR u.ended_at < u.begun_at) AND u.begun_at < clock_timestamp() - interval '1 hour'
RETURNING task

-- name: end_task
-- It is done.
UPDATE ledger.upkeep SET ended_at = clock_timestamp(), found = %(found)s WHERE task = %(task)s

-- name: read_tasks
-- What upkeep was done, when, and what it counted.
SELECT task, ended_at, found FROM ledger.upkeep WHERE ended_at IS NOT NULL ORDER BY task

-- name: ensure_partitions
-- This month's and the next two: a daemon that cannot make them for weeks still has room for its pages.
SELECT ledger.ensure_raw_partitions((now() AT TIME ZONE 'UTC')::date, 3)

-- name: allow_half_an_hour
-- Reading all of history takes longer than any other statement may.
SET LOCAL statement_timeout = '30min'

-- name: count_violations
-- Every row is a bug. One statement sees one moment, so a working daemon gives no false alarm.
SELECT rule, count(*) AS violations FROM ledger.invariant_violation GROUP BY rule ORDER BY rule

-- name: read_data_folder
-- Where the server keeps its data; only some roles may know.
SELECT current_setting('data_directory')

-- name: read_source_figures
-- What the status door says of each source. The age is that of the watch which waited longest for an answer. Answers
-- given by a clock that was ahead are not here yet, as in report.coverage: they would keep everything fresh till then.
SELECT s.source_id AS source, s.state = 'paused' AS is_paused,
       coalesce(w.watches, 0) AS watches, coalesce(w.never_observed, 0) AS never_observed,
       coalesce(w.stale, 0) AS stale,
       w.oldest_seconds, coalesce(q.quarantined, 0) AS quarantined,
       coalesce(c.pending, 0) AS pending, coalesce(c.running, 0) AS running, c.waiting_seconds
FROM ledger.source AS s
LEFT JOIN (
    SELECT watch.source_id, count(*) AS watches,
           count(*) FILTER (WHERE last.snapshot_at IS NULL) AS never_observed,
           count(*) FILTER (WHERE last.fresh_until <= clock_timestamp()) AS stale,
           extract(epoch FROM clock_timestamp() - min(last.snapshot_at))::float8 AS oldest_seconds
    FROM ledger.watch_period AS p
    JOIN ledger.watch AS watch ON watch.watch_id = p.watch_id
    LEFT JOIN LATERAL (
        SELECT x.snapshot_at, x.fresh_until
        FROM ledger.snapshot AS x
        WHERE x.watch_id = p.watch_id AND x.state = 'published' AND x.snapshot_at >= p.watched_from
          AND x.snapshot_at <= statement_timestamp()
        ORDER BY x.snapshot_at DESC
        LIMIT 1
    ) AS last ON true
    WHERE p.watched_to IS NULL
    GROUP BY watch.source_id
) AS w ON w.source_id = s.source_id
LEFT JOIN (
    SELECT watch.source_id, count(*) AS quarantined
    FROM ledger.snapshot AS x
    JOIN ledger.watch AS watch ON watch.watch_id = x.watch_id
    WHERE x.state = 'quarantined' AND x.resolution IS NULL
    GROUP BY watch.source_id
) AS q ON q.source_id = s.source_id
LEFT JOIN (
    SELECT source_id, count(*) FILTER (WHERE state = 'pending') AS pending,
           count(*) FILTER (WHERE state = 'running') AS running,
           extract(epoch FROM clock_timestamp() - min(created_at) FILTER (WHERE state = 'pending'))::float8
               AS waiting_seconds
    FROM ledger.crawl
    WHERE state IN ('pending', 'running')
    GROUP BY source_id
) AS c ON c.source_id = s.source_id
ORDER BY s.source_id

-- name: read_violations
-- What the last check of the invariants found; NULL: it was never finished.
SELECT found FROM ledger.upkeep WHERE task = 'invariants'

-- name: read_revision
-- Which program the schema is for; a cheap question for the status door.
SELECT version_num FROM ledger.alembic_version
