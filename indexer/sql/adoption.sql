-- name: is_owner
-- Whether this role owns history, directly or as a member; no other may let rows go.
SELECT pg_has_role(c.relowner, 'USAGE')
FROM pg_catalog.pg_class AS c
WHERE c.oid = 'ledger.holding_version'::regclass

-- name: lock_watch
-- As a publish does: nobody publishes, unwatches or releases anything of it until this transaction ends.
SELECT watch_id FROM ledger.watch WHERE watch_id = %(watch)s FOR NO KEY UPDATE

-- name: lock_witness
-- A person may reject it without a lock on the watch.
SELECT snapshot_id FROM ledger.snapshot
WHERE watch_id = %(watch)s AND state = 'quarantined' AND resolution IS NULL
FOR NO KEY UPDATE

-- name: begin_adoption
-- The key to the rows it keeps, in this transaction alone.
INSERT INTO ledger.adoption (watch_id, adopted_at, since, program, reader, written_by)
VALUES (%(watch)s, clock_timestamp(), %(since)s, %(program)s, %(reader)s, pg_current_xact_id()::text::bigint)
RETURNING adoption_id

-- name: keep_versions
-- Both sides of every version that differs.
INSERT INTO ledger.adopted_row (adoption_id, kind, ref, live, replayed)
SELECT %(adoption)s, 'holding_version', concat_ws('/', asset_id, sub_key, version_no), live.facts, replayed.facts
FROM (
    SELECT v.asset_id, v.sub_key, v.version_no, to_jsonb(v) AS facts
    FROM ledger.holding_version AS v
    WHERE v.watch_id = %(watch)s
      AND (%(since)s::timestamptz IS NULL OR v.valid_to IS NULL OR v.valid_to > %(since)s)
) AS live
FULL JOIN (
    SELECT v.asset_id, v.sub_key, v.version_no, to_jsonb(v) AS facts
    FROM replayed_version AS v
    WHERE %(since)s::timestamptz IS NULL OR v.valid_to IS NULL OR v.valid_to > %(since)s
) AS replayed USING (asset_id, sub_key, version_no)
WHERE live.facts IS DISTINCT FROM replayed.facts

-- name: replace_versions
-- Out with those, in with these, in one statement: the chain of numbers and ends is checked when it is done. The rows
-- are written as they are kept.
WITH gone AS (
    DELETE FROM ledger.holding_version AS v
    USING ledger.adopted_row AS a
    WHERE a.adoption_id = %(adoption)s AND a.kind = 'holding_version' AND a.live IS NOT NULL
      AND v.watch_id = %(watch)s AND v.asset_id = (a.live ->> 'asset_id')::bigint
      AND v.sub_key = a.live ->> 'sub_key' AND v.version_no = (a.live ->> 'version_no')::integer
    RETURNING v.watch_id
)
INSERT INTO ledger.holding_version
    (watch_id, asset_id, sub_key, version_no, valid_from, valid_to, previous_no, previous_to, amount, decimals, locked,
     frozen, delegate, details, observed_at, open_reason, close_reason, opened_by, opened_page, closed_by)
SELECT r.watch_id, r.asset_id, r.sub_key, r.version_no, r.valid_from, r.valid_to, r.previous_no, r.previous_to,
       r.amount, r.decimals, r.locked, r.frozen, r.delegate, r.details, r.observed_at, r.open_reason, r.close_reason,
       r.opened_by, r.opened_page, r.closed_by
FROM ledger.adopted_row AS a
CROSS JOIN LATERAL jsonb_populate_record(NULL::ledger.holding_version, a.replayed) AS r
WHERE a.adoption_id = %(adoption)s AND a.kind = 'holding_version' AND a.replayed IS NOT NULL
  -- Counted before the first row is written, so all of the old ones are gone by then.
  AND (SELECT count(*) FROM gone) >= 0

-- name: keep_spans
-- The same for holdings in doubt.
INSERT INTO ledger.adopted_row (adoption_id, kind, ref, live, replayed)
SELECT %(adoption)s, 'carried_span',
       concat_ws('/', asset_id, sub_key, coalesce(live.facts, replayed.facts) ->> 'valid_from'),
       live.facts, replayed.facts
FROM (
    SELECT s.asset_id, s.sub_key, s.valid_from, to_jsonb(s) AS facts
    FROM ledger.carried_span AS s
    WHERE s.watch_id = %(watch)s
      AND (%(since)s::timestamptz IS NULL OR s.valid_to IS NULL OR s.valid_to > %(since)s)
) AS live
FULL JOIN (
    SELECT s.asset_id, s.sub_key, s.valid_from, to_jsonb(s) AS facts
    FROM replayed_span AS s
    WHERE %(since)s::timestamptz IS NULL OR s.valid_to IS NULL OR s.valid_to > %(since)s
) AS replayed USING (asset_id, sub_key, valid_from)
WHERE live.facts IS DISTINCT FROM replayed.facts

-- name: replace_spans
-- The same for holdings in doubt.
WITH gone AS (
    DELETE FROM ledger.carried_span AS s
    USING ledger.adopted_row AS a
    WHERE a.adoption_id = %(adoption)s AND a.kind = 'carried_span' AND a.live IS NOT NULL
      AND s.watch_id = %(watch)s AND s.asset_id = (a.live ->> 'asset_id')::bigint
      AND s.sub_key = a.live ->> 'sub_key' AND s.valid_from = (a.live ->> 'valid_from')::timestamptz
    RETURNING s.watch_id
)
INSERT INTO ledger.carried_span
    (watch_id, asset_id, sub_key, valid_from, valid_to, previous_to, reason, detail, opened_by, closed_by)
SELECT r.watch_id, r.asset_id, r.sub_key, r.valid_from, r.valid_to, r.previous_to, r.reason, r.detail, r.opened_by,
       r.closed_by
FROM ledger.adopted_row AS a
CROSS JOIN LATERAL jsonb_populate_record(NULL::ledger.carried_span, a.replayed) AS r
WHERE a.adoption_id = %(adoption)s AND a.kind = 'carried_span' AND a.replayed IS NOT NULL
  AND (SELECT count(*) FROM gone) >= 0

-- name: keep_snapshots
-- What a verdict says about its list; the verdict itself and its instant stay.
INSERT INTO ledger.adopted_row (adoption_id, kind, ref, live, replayed)
SELECT %(adoption)s, 'snapshot', s.snapshot_id::text, to_jsonb(s),
       to_jsonb(s) || jsonb_build_object('holdings', r.holdings, 'unreadable', r.unreadable, 'missing', r.missing,
                                         'proves_absence', r.proves_absence, 'digest', r.digest)
FROM replayed_snapshot AS r
JOIN ledger.snapshot AS s ON s.snapshot_id = r.snapshot_id AND s.watch_id = %(watch)s

-- name: correct_snapshots
-- The snapshots of a run repeat the bytes of their head, so what is said of its list holds for theirs. Two things are
-- told later or larger than they were: `missing` repeats what the head alone missed, and where absence takes two lists
-- the whole run counts as one, so that such a holding is carried until the first list after it.
UPDATE ledger.snapshot AS s
SET holdings = r.holdings, unreadable = r.unreadable, missing = r.missing, proves_absence = r.proves_absence,
    digest = r.digest
FROM replayed_snapshot AS r
WHERE s.snapshot_id = r.snapshot_id AND s.watch_id = %(watch)s

-- name: drop_testimony
-- What the list that waits for a second witness misses, as the pages were read before.
DELETE FROM ledger.missing_holding AS m
USING ledger.snapshot AS s
WHERE s.snapshot_id = m.snapshot_id AND s.watch_id = %(watch)s AND s.state = 'quarantined' AND s.resolution IS NULL
  AND (%(since)s::timestamptz IS NULL OR s.judged_at > %(since)s)

-- name: insert_testimony
-- And as they are read now.
INSERT INTO ledger.missing_holding (snapshot_id, asset_id, sub_key)
SELECT m.snapshot_id, m.asset_id, m.sub_key
FROM replayed_missing AS m
JOIN ledger.snapshot AS s ON s.snapshot_id = m.snapshot_id
WHERE s.watch_id = %(watch)s AND s.state = 'quarantined' AND s.resolution IS NULL

-- name: mark_crawls
-- A crawl that changed nothing as it was read then, and changes something now, must not be folded away.
UPDATE ledger.crawl_watch AS w
SET verdict = 'published'
WHERE w.watch_id = %(watch)s AND w.verdict = 'unchanged' AND w.crawl_id IN (
    SELECT unnest(ARRAY[(a.replayed ->> 'opened_by')::bigint, (a.replayed ->> 'closed_by')::bigint])
    FROM ledger.adopted_row AS a
    WHERE a.adoption_id = %(adoption)s AND a.kind IN ('holding_version', 'carried_span')
)

-- name: count_rows
-- What differed, by table.
SELECT count(*) FILTER (WHERE kind = 'holding_version') AS versions,
       count(*) FILTER (WHERE kind = 'carried_span') AS carried_spans,
       count(*) FILTER (WHERE kind = 'snapshot') AS snapshots
FROM ledger.adopted_row
WHERE adoption_id = %(adoption)s
