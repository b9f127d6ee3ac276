-- One beat per source, shared by every worker on every machine. `share` is the part of a second's requests that is
-- asked for; the arithmetic is that of indexer/pacing.py.

-- name: take_turns
-- The next turns, if the first is near; else how long it is until then. A turn that was missed is moved to now, if
-- nobody took one after it. A wait is told in seconds, so that the workers' own clocks do not matter. Further ahead
-- than any pause, the beat is of a clock that was set back since, or of another server's: it begins anew.
WITH taken AS (
    -- Nothing is known of the way yet: the longest lag is assumed until answers say otherwise.
    INSERT INTO ledger.rate_limit AS r (source_id, next_at, lag)
    VALUES (%(source)s, clock_timestamp() + (%(second)s::interval + %(most_lag)s) * %(share)s::float8, %(most_lag)s)
    ON CONFLICT (source_id) DO UPDATE
    SET lag = greatest(r.lag - %(decay)s::interval * %(share)s::float8, interval '0'),
        next_at = CASE WHEN r.next_at = %(missed)s::timestamptz
                            OR r.next_at > clock_timestamp() + %(farthest)s::interval THEN clock_timestamp()
                       ELSE greatest(r.next_at, clock_timestamp()) END
            + (%(second)s::interval + greatest(r.lag - %(decay)s::interval * %(share)s::float8, interval '0'))
            * %(share)s::float8
    WHERE r.next_at <= clock_timestamp() + %(ahead)s::interval OR r.next_at = %(missed)s::timestamptz
       OR r.next_at > clock_timestamp() + %(farthest)s::interval
    RETURNING next_at - (%(second)s::interval + lag) * %(share)s::float8 AS turn_at, lag, next_at
)
SELECT true AS taken, extract(epoch FROM turn_at - clock_timestamp())::float8 AS wait_seconds,
       extract(epoch FROM lag)::float8 AS lag_seconds, next_at AS mark
FROM taken
UNION ALL
SELECT false, extract(epoch FROM next_at - clock_timestamp())::float8, extract(epoch FROM lag)::float8, NULL
FROM ledger.rate_limit
WHERE source_id = %(source)s AND NOT EXISTS (SELECT FROM taken)

-- name: widen_beat
-- Requests take longer to arrive than was thought: the next ones make room for those on their way.
UPDATE ledger.rate_limit SET next_at = next_at + (%(lag)s::interval - lag), lag = %(lag)s::interval
WHERE source_id = %(source)s AND lag < %(lag)s::interval

-- name: hold_beat
-- The API asked for a pause: nobody sends before it is over.
INSERT INTO ledger.rate_limit AS r (source_id, next_at)
VALUES (%(source)s, clock_timestamp() + %(pause)s)
ON CONFLICT (source_id) DO UPDATE
SET next_at = greatest(r.next_at, clock_timestamp() + %(pause)s)
