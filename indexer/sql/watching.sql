-- name: lock_watchlist
-- Two programs applying watchlists at once would both find the same address missing.
SELECT pg_advisory_xact_lock(7201964003)

-- name: may_be_applied
-- Nearly always nothing has changed: two questions instead of ten statements.
SELECT %(watches)s = (SELECT count(*) FROM ledger.watch_period AS p WHERE p.watched_to IS NULL)
   AND NOT EXISTS (
           SELECT FROM unnest(%(sources)s::text[], %(origins)s::text[]) AS s (source_id, origin)
           LEFT JOIN ledger.source AS k ON k.source_id = s.source_id
           WHERE k.source_id IS NULL OR k.origin IS DISTINCT FROM s.origin
              OR (k.state = 'retired') <> (s.origin IS NULL)
       ) AS applied

-- name: count_applied
-- Those of these watches that are watched already, just as they are wanted. No tag holds the character 31.
-- Every LIMIT 1 makes an index probe of what the planner, before any statistics, compares each with each.
SELECT count(*)
FROM unnest(
    %(watch_sources)s::text[], %(watch_networks)s::text[], %(addresses)s::text[], %(scopes)s::text[],
    %(labels)s::text[], %(tags)s::text[], %(everies)s::interval[]
) AS n (source_id, network, address, scope, label, tags, every)
CROSS JOIN LATERAL (
    SELECT x.address_id FROM ledger.address AS x WHERE x.network = n.network AND x.address = n.address LIMIT 1
) AS a
CROSS JOIN LATERAL (
    SELECT x.watch_id, x.label, x.tags, x.every FROM ledger.watch AS x
    WHERE x.source_id = n.source_id AND x.address_id = a.address_id AND x.scope = n.scope
    LIMIT 1
) AS w
CROSS JOIN LATERAL (
    SELECT x.watch_id FROM ledger.watch_period AS x WHERE x.watch_id = w.watch_id AND x.watched_to IS NULL LIMIT 1
) AS p
WHERE w.label IS NOT DISTINCT FROM n.label
  AND array_to_string(w.tags, chr(31)) = n.tags
  AND w.every IS NOT DISTINCT FROM n.every

-- name: write_sources
-- The sources as configured; a paused one stays paused until it answers again.
INSERT INTO ledger.source (source_id, network, origin, state)
SELECT n.source_id, n.network, n.origin, CASE WHEN n.origin IS NULL THEN 'retired' ELSE 'active' END
FROM unnest(%(sources)s::text[], %(networks)s::text[], %(origins)s::text[]) AS n (source_id, network, origin)
ORDER BY n.source_id
ON CONFLICT (source_id) DO UPDATE
SET origin = excluded.origin,
    state = CASE
        WHEN excluded.origin IS NULL THEN 'retired'
        WHEN source.state = 'paused' THEN 'paused'
        ELSE 'active' END,
    paused_reason = CASE WHEN excluded.origin IS NOT NULL THEN source.paused_reason END,
    paused_until = CASE WHEN excluded.origin IS NOT NULL THEN source.paused_until END
WHERE source.origin IS DISTINCT FROM excluded.origin OR (source.state = 'retired') <> (excluded.origin IS NULL)

-- name: create_wanted
-- The watchlist as it should be, for the statements of this transaction.
CREATE TEMP TABLE IF NOT EXISTS wanted (
    source_id text NOT NULL,
    network text NOT NULL,
    address text NOT NULL,
    scope text NOT NULL,
    label text,
    tags text[] NOT NULL,
    every interval
) ON COMMIT DELETE ROWS

-- name: copy_wanted
-- One row per watch.
COPY wanted (source_id, network, address, scope, label, tags, every) FROM STDIN

-- name: insert_addresses
-- New addresses only.
INSERT INTO ledger.address (network, address)
SELECT DISTINCT n.network, n.address
FROM wanted AS n
WHERE NOT EXISTS (SELECT FROM ledger.address AS a WHERE a.network = n.network AND a.address = n.address)
ORDER BY n.network, n.address

-- name: insert_watches
-- New watches only.
INSERT INTO ledger.watch (source_id, address_id, scope, label, tags, every)
SELECT n.source_id, a.address_id, n.scope, n.label, n.tags, n.every
FROM wanted AS n
JOIN ledger.address AS a ON a.network = n.network AND a.address = n.address
WHERE NOT EXISTS (
    SELECT FROM ledger.watch AS w
    WHERE w.source_id = n.source_id AND w.address_id = a.address_id AND w.scope = n.scope
)
ORDER BY n.source_id, a.address_id, n.scope

-- name: update_watches
-- Labels, tags and intervals are today's. With another interval, when to look at a watch again is no longer true.
WITH changed AS (
    UPDATE ledger.watch AS w
    SET label = n.label, tags = n.tags, every = n.every
    FROM wanted AS n
    JOIN ledger.address AS a ON a.network = n.network AND a.address = n.address
    JOIN ledger.watch AS old ON old.source_id = n.source_id AND old.address_id = a.address_id AND old.scope = n.scope
    WHERE w.watch_id = old.watch_id
      AND (old.label, old.tags, old.every) IS DISTINCT FROM (n.label, n.tags, n.every)
    RETURNING w.watch_id, old.every IS DISTINCT FROM n.every AS has_another_pace
), looks AS (
    UPDATE ledger.schedule AS s
    SET look_at = clock_timestamp()
    FROM changed AS c
    WHERE s.watch_id = c.watch_id AND c.has_another_pace
)
SELECT c.watch_id FROM changed AS c

-- name: open_periods
-- Watched from now on; after an earlier period the gap stays a gap.
INSERT INTO ledger.watch_period (watch_id, watched_from, previous_to)
SELECT w.watch_id, greatest(clock_timestamp(), before.watched_to), before.watched_to
FROM wanted AS n
JOIN ledger.address AS a ON a.network = n.network AND a.address = n.address
JOIN ledger.watch AS w ON w.source_id = n.source_id AND w.address_id = a.address_id AND w.scope = n.scope
LEFT JOIN LATERAL (
    SELECT p.watched_from, p.watched_to
    FROM ledger.watch_period AS p
    WHERE p.watch_id = w.watch_id
    ORDER BY p.watched_from DESC
    LIMIT 1
) AS before ON true
WHERE before.watched_from IS NULL OR before.watched_to IS NOT NULL
RETURNING watch_id

-- name: find_unwanted
-- Watched, but not on the watchlist any more; and what the last list held, to know what ending it takes.
SELECT p.watch_id, p.watched_from::timestamptz AS watched_from,
       concat_ws(' ', w.source_id, a.address, nullif(w.scope, '')) AS name,
       coalesce(last.holdings, 0) AS holdings
FROM ledger.watch_period AS p
JOIN ledger.watch AS w ON w.watch_id = p.watch_id
JOIN ledger.address AS a ON a.address_id = w.address_id
LEFT JOIN LATERAL (
    SELECT s.holdings FROM ledger.snapshot AS s
    WHERE s.watch_id = p.watch_id AND s.state = 'published'
    ORDER BY s.snapshot_at DESC
    LIMIT 1
) AS last ON true
WHERE p.watched_to IS NULL
  AND NOT EXISTS (
      SELECT FROM wanted AS n
      WHERE n.source_id = w.source_id AND n.network = a.network AND n.address = a.address AND n.scope = w.scope
  )
ORDER BY w.watch_id

-- name: name_watches
-- As people know them.
SELECT concat_ws(' ', w.source_id, a.address, nullif(w.scope, ''))
FROM ledger.watch AS w
JOIN ledger.address AS a ON a.address_id = w.address_id
WHERE w.watch_id = ANY(%(watches)s)
ORDER BY w.watch_id

-- name: find_still_watched
-- Another process may have ended these periods meanwhile, and even begun others.
SELECT p.watch_id
FROM unnest(%(watches)s::bigint[], %(watched_froms)s::timestamptz[]) AS n (watch_id, watched_from)
JOIN ledger.watch_period AS p ON p.watch_id = n.watch_id AND p.watched_from = n.watched_from
WHERE p.watched_to IS NULL

-- name: lock_their_crawls
-- Crawls before watches, ascending: the order in which publishing locks.
SELECT c.crawl_id
FROM ledger.crawl AS c
WHERE c.crawl_id IN (SELECT cw.crawl_id FROM ledger.crawl_watch AS cw WHERE cw.watch_id = ANY(%(watches)s) AND cw.open)
ORDER BY c.crawl_id
FOR NO KEY UPDATE

-- name: skip_their_crawls
-- Their crawls cover them no longer.
UPDATE ledger.crawl_watch
SET open = NULL, verdict = 'skipped', error = 'removed from the watchlist'
WHERE watch_id = ANY(%(watches)s) AND open
RETURNING crawl_id

-- name: abandon_empty_crawls
-- A crawl that covers nobody ends; its worker notices by the epoch.
UPDATE ledger.crawl AS c
SET state = 'abandoned', lease_owner = NULL, lease_until = NULL, lease_epoch = c.lease_epoch + 1,
    finished_at = clock_timestamp(), error_class = 'Unwatched', error = 'removed from the watchlist'
WHERE c.crawl_id = ANY(%(crawls)s) AND c.state IN ('pending', 'running')
  AND NOT EXISTS (SELECT FROM ledger.crawl_watch AS cw WHERE cw.crawl_id = c.crawl_id AND cw.open)

-- name: choose_end
-- When knowledge of these watches ends: now, or so much later, and after everything known of them.
SELECT n.wanted_at,
       greatest(
           n.wanted_at,
           (SELECT max(s.snapshot_at) FROM ledger.snapshot AS s
            WHERE s.watch_id = ANY(%(watches)s) AND s.state = 'published') + interval '1 microsecond',
           (SELECT max(p.watched_from) FROM ledger.watch_period AS p
            WHERE p.watch_id = ANY(%(watches)s)) + interval '1 microsecond'
       ) AS instant
FROM (SELECT clock_timestamp() + %(lead)s::interval AS wanted_at) AS n

-- name: close_periods
-- Taking an address off the watchlist ends knowledge; it sells nothing.
UPDATE ledger.watch_period SET watched_to = %(instant)s
WHERE watch_id = ANY(%(watches)s) AND watched_to IS NULL

-- name: close_versions
-- Closed as unwatched, never as absent.
UPDATE ledger.holding_version SET valid_to = %(instant)s, close_reason = 'unwatched'
WHERE watch_id = ANY(%(watches)s) AND valid_to IS NULL

-- name: close_spans
-- Doubts end with the watching.
UPDATE ledger.carried_span SET valid_to = %(instant)s
WHERE watch_id = ANY(%(watches)s) AND valid_to IS NULL

-- name: close_witnesses
-- Nobody will confirm these any more.
UPDATE ledger.snapshot SET resolution = 'unwatched', resolved_at = %(instant)s
WHERE watch_id = ANY(%(watches)s) AND state = 'quarantined' AND resolution IS NULL
RETURNING snapshot_id

-- name: count_watched
-- How many watches are open now.
SELECT count(*) FROM ledger.watch_period WHERE watched_to IS NULL

-- name: pause_source
-- It refuses us: asking again at once cannot help.
UPDATE ledger.source
SET state = 'paused', paused_reason = %(reason)s, paused_until = clock_timestamp() + %(pause)s
WHERE source_id = %(source)s AND state <> 'retired'

-- name: unpause_source
-- It answered.
UPDATE ledger.source SET state = 'active', paused_reason = NULL, paused_until = NULL
WHERE source_id = %(source)s AND state = 'paused'

-- name: read_sources
-- State of every source.
SELECT source_id, state, paused_reason, extract(epoch FROM paused_until - clock_timestamp())::float8 AS seconds
FROM ledger.source

-- name: lock_watches
-- In ascending order, after their crawls.
SELECT watch_id FROM ledger.watch
WHERE watch_id = ANY(%(watches)s)
ORDER BY watch_id
FOR NO KEY UPDATE

-- name: drop_testimony
-- What unresolved lists missed is of no more use.
DELETE FROM ledger.missing_holding
WHERE snapshot_id = ANY(%(snapshots)s)
