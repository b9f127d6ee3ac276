-- name: reserve_slots
-- The next slots of a source's key, shared by every worker on every machine. The wait is told in seconds, so that
-- the workers' own clocks do not matter.
INSERT INTO ledger.rate_limit AS r (source_id, next_at)
VALUES (%(source)s, clock_timestamp() + %(span)s)
ON CONFLICT (source_id) DO UPDATE
SET next_at = greatest(r.next_at, clock_timestamp()) + %(span)s
RETURNING extract(epoch FROM next_at - %(span)s - clock_timestamp())::float8 AS wait_seconds

-- name: hold_slots
-- The API asked for a pause: nobody sends before it is over.
INSERT INTO ledger.rate_limit AS r (source_id, next_at)
VALUES (%(source)s, clock_timestamp() + %(pause)s)
ON CONFLICT (source_id) DO UPDATE
SET next_at = greatest(r.next_at, clock_timestamp() + %(pause)s)
