-- name: create_scratch
-- Beside the live history: the same columns, checks and keys, one watch at a time, gone with the connection.
CREATE TEMP TABLE IF NOT EXISTS replayed_version
    (LIKE ledger.holding_version INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES);
CREATE TEMP TABLE IF NOT EXISTS replayed_span
    (LIKE ledger.carried_span INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES);
CREATE TEMP TABLE IF NOT EXISTS replayed_missing
    (LIKE ledger.missing_holding INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES);
CREATE TEMP TABLE IF NOT EXISTS replayed_snapshot (
    snapshot_id bigint NOT NULL PRIMARY KEY,
    holdings integer NOT NULL,
    unreadable integer NOT NULL,
    missing integer NOT NULL,
    proves_absence boolean NOT NULL,
    digest bytea NOT NULL
);

-- name: clear_scratch
-- The watch before, or an attempt that lost its connection, may have left rows.
TRUNCATE replayed_version, replayed_span, replayed_missing, replayed_snapshot

-- name: keep_facts
-- What the pages say of a list now, where it is not what its snapshot says.
INSERT INTO replayed_snapshot (snapshot_id, holdings, unreadable, missing, proves_absence, digest)
VALUES (%(snapshot)s, %(holdings)s, %(unreadable)s, %(missing)s, %(proves)s, %(digest)s)

-- name: analyze_scratch
-- A temporary table has no statistics until asked.
ANALYZE replayed_version, replayed_span

-- name: select_watches
-- Every watch that was ever judged, watched today or not.
SELECT w.watch_id, w.source_id AS source, a.address, w.scope
FROM ledger.watch AS w
JOIN ledger.address AS a ON a.address_id = w.address_id
WHERE (%(source)s::text IS NULL OR w.source_id = %(source)s)
  AND (%(addresses)s::text[] IS NULL OR a.address = ANY(%(addresses)s))
  AND EXISTS (SELECT FROM ledger.watch_period AS p WHERE p.watch_id = w.watch_id)
ORDER BY w.source_id, a.address, w.scope

-- name: read_judgements
-- What was judged of one watch, in order, with the crawl whose pages it was folded from and the witness it confirmed.
SELECT s.snapshot_id, s.crawl_id, s.state, s.judged_at, s.resolution, s.first_page_at, s.last_page_at, s.pages,
       s.holdings, s.unreadable, s.missing, s.proves_absence, s.digest, s.reason,
       c.part_on, c.facts, c.scope, c.drift_restarts, c.moved, c.reported_total, c.height_from, c.height_to,
       c.part_on IS NOT NULL AND to_regclass('ledger.raw_page' || to_char(c.part_on, '_YYYYMM')) IS NOT NULL AS kept,
       asked.addresses,
       (SELECT w.snapshot_id
        FROM ledger.snapshot AS w
        WHERE w.watch_id = s.watch_id AND w.state = 'quarantined' AND w.resolved_at = s.judged_at
          AND w.resolution IN ('confirmed', 'released') AND s.state = 'published'
        LIMIT 1) AS witness
FROM ledger.snapshot AS s
LEFT JOIN ledger.crawl AS c ON c.crawl_id = s.crawl_id
LEFT JOIN LATERAL (
    SELECT array_agg(a.address ORDER BY cw.place) AS addresses
    FROM ledger.crawl_watch AS cw
    JOIN ledger.watch AS w ON w.watch_id = cw.watch_id
    JOIN ledger.address AS a ON a.address_id = w.address_id
    WHERE cw.crawl_id = c.crawl_id
) AS asked ON true
WHERE s.watch_id = %(watch)s
ORDER BY s.judged_at, s.snapshot_id

-- name: read_periods
-- When one watch was on the watchlist.
SELECT watched_from, watched_to FROM ledger.watch_period
WHERE watch_id = %(watch)s
ORDER BY watched_from

-- name: seed_versions
-- Where earlier pages are gone: the last version of each holding as it stood at that instant, later ends not known yet.
INSERT INTO replayed_version
    (watch_id, asset_id, sub_key, version_no, valid_from, valid_to, previous_no, previous_to, amount, decimals, locked,
     frozen, delegate, details, observed_at, open_reason, close_reason, opened_by, opened_page, closed_by)
SELECT DISTINCT ON (v.asset_id, v.sub_key)
       v.watch_id, v.asset_id, v.sub_key, v.version_no, v.valid_from,
       CASE WHEN v.valid_to <= %(since)s THEN v.valid_to END, v.previous_no, v.previous_to,
       v.amount, v.decimals, v.locked, v.frozen, v.delegate, v.details, v.observed_at, v.open_reason,
       CASE WHEN v.valid_to <= %(since)s THEN v.close_reason END, v.opened_by, v.opened_page,
       CASE WHEN v.valid_to <= %(since)s THEN v.closed_by END
FROM ledger.holding_version AS v
WHERE v.watch_id = %(watch)s AND v.valid_from <= %(since)s
ORDER BY v.asset_id, v.sub_key, v.version_no DESC

-- name: seed_spans
-- The same for holdings in doubt.
INSERT INTO replayed_span
    (watch_id, asset_id, sub_key, valid_from, valid_to, previous_to, reason, detail, opened_by, closed_by)
SELECT DISTINCT ON (s.asset_id, s.sub_key)
       s.watch_id, s.asset_id, s.sub_key, s.valid_from, CASE WHEN s.valid_to <= %(since)s THEN s.valid_to END,
       s.previous_to, s.reason, s.detail, s.opened_by, CASE WHEN s.valid_to <= %(since)s THEN s.closed_by END
FROM ledger.carried_span AS s
WHERE s.watch_id = %(watch)s AND s.valid_from <= %(since)s
ORDER BY s.asset_id, s.sub_key, s.valid_from DESC

-- name: count_replayed
-- How much was rebuilt.
SELECT (SELECT count(*) FROM replayed_version) AS versions, (SELECT count(*) FROM replayed_span) AS spans

-- name: compare_versions
-- Row by row. History is write-once: what was written after `until` can be taken away again.
WITH live AS (
    SELECT v.asset_id, v.sub_key, v.valid_from,
           jsonb_build_object(
               'valid_to', CASE WHEN v.valid_to <= %(until)s THEN v.valid_to END,
               'version_no', v.version_no, 'previous_no', v.previous_no, 'previous_to', v.previous_to,
               'amount', v.amount, 'decimals', v.decimals, 'locked', v.locked, 'frozen', v.frozen,
               'delegate', v.delegate, 'details', v.details, 'observed_at', v.observed_at,
               'open_reason', v.open_reason,
               'close_reason', CASE WHEN v.valid_to <= %(until)s THEN v.close_reason END, 'opened_by', v.opened_by,
               'opened_page', v.opened_page, 'closed_by', CASE WHEN v.valid_to <= %(until)s THEN v.closed_by END
           ) AS facts
    FROM ledger.holding_version AS v
    WHERE v.watch_id = %(watch)s AND v.valid_from <= %(until)s
      AND (%(since)s::timestamptz IS NULL OR v.valid_to IS NULL OR v.valid_to > %(since)s)
), replayed AS (
    SELECT v.asset_id, v.sub_key, v.valid_from,
           jsonb_build_object(
               'valid_to', v.valid_to, 'version_no', v.version_no, 'previous_no', v.previous_no,
               'previous_to', v.previous_to, 'amount', v.amount, 'decimals', v.decimals,
               'locked', v.locked, 'frozen', v.frozen, 'delegate', v.delegate, 'details', v.details,
               'observed_at', v.observed_at, 'open_reason', v.open_reason, 'close_reason', v.close_reason,
               'opened_by', v.opened_by, 'opened_page', v.opened_page, 'closed_by', v.closed_by
           ) AS facts
    FROM replayed_version AS v
    WHERE %(since)s::timestamptz IS NULL OR v.valid_to IS NULL OR v.valid_to > %(since)s
)
SELECT asset_id, a.asset_ref, sub_key, valid_from, live.facts::text AS live, replayed.facts::text AS replayed
FROM live
FULL JOIN replayed USING (asset_id, sub_key, valid_from)
LEFT JOIN ledger.asset AS a USING (asset_id)
WHERE live.facts IS DISTINCT FROM replayed.facts
ORDER BY valid_from, asset_id, sub_key

-- name: compare_spans
-- The same for holdings in doubt.
WITH live AS (
    SELECT s.asset_id, s.sub_key, s.valid_from,
           jsonb_build_object(
               'valid_to', CASE WHEN s.valid_to <= %(until)s THEN s.valid_to END, 'previous_to', s.previous_to,
               'reason', s.reason, 'detail', s.detail, 'opened_by', s.opened_by,
               'closed_by', CASE WHEN s.valid_to <= %(until)s THEN s.closed_by END
           ) AS facts
    FROM ledger.carried_span AS s
    WHERE s.watch_id = %(watch)s AND s.valid_from <= %(until)s
      AND (%(since)s::timestamptz IS NULL OR s.valid_to IS NULL OR s.valid_to > %(since)s)
), replayed AS (
    SELECT s.asset_id, s.sub_key, s.valid_from,
           jsonb_build_object(
               'valid_to', s.valid_to, 'previous_to', s.previous_to, 'reason', s.reason, 'detail', s.detail,
               'opened_by', s.opened_by, 'closed_by', s.closed_by
           ) AS facts
    FROM replayed_span AS s
    WHERE %(since)s::timestamptz IS NULL OR s.valid_to IS NULL OR s.valid_to > %(since)s
)
SELECT asset_id, a.asset_ref, sub_key, valid_from, live.facts::text AS live, replayed.facts::text AS replayed
FROM live
FULL JOIN replayed USING (asset_id, sub_key, valid_from)
LEFT JOIN ledger.asset AS a USING (asset_id)
WHERE live.facts IS DISTINCT FROM replayed.facts
ORDER BY valid_from, asset_id, sub_key

-- name: allow_time
-- One account may be a million holdings: the ordinary limit of a statement is too short for comparing it.
SET LOCAL statement_timeout = 0

-- name: freeze
-- What was judged and when it was watched belong together: both are read as of one moment.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY
