-- name: choose_instant
-- After all locks are held: the database clock, strictly later than anything known of these watches.
SELECT greatest(clock_timestamp() + %(lead)s, %(latest)s::timestamptz + interval '1 microsecond') AS instant,
       %(latest)s::timestamptz > clock_timestamp() + interval '1 minute' AS went_back

-- name: measure_age
-- Last statement of a publish: answers older than a minute are final only if commits follow their instant soon.
SELECT clock_timestamp() - %(instant)s::timestamptz AS age

-- name: await_instant
-- An instant that was named ahead of the clock has to come. Asleep here, because a client that sleeps looks lost.
SELECT pg_sleep(greatest(extract(epoch FROM %(instant)s::timestamptz - clock_timestamp())::float8, 0))

-- name: allow_time
-- A list of a million rows takes longer than statements usually may; a publish that takes longer is given up.
SET LOCAL statement_timeout = '11min'
