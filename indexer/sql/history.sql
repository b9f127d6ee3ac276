-- name: create_fold
-- One per connection, emptied at commit: the folded lists of the crawls that are being published.
CREATE TEMP TABLE IF NOT EXISTS fold (
    watch_id bigint NOT NULL,
    asset_id bigint NOT NULL,
    sub_key text NOT NULL,
    ordinal bigint NOT NULL,
    page_no integer NOT NULL,
    readable boolean NOT NULL,
    amount numeric,
    decimals smallint,
    locked numeric,
    frozen boolean,
    delegate text,
    details jsonb,
    reason text
) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS fold_price (
    watch_id bigint NOT NULL,
    asset_id bigint NOT NULL,
    sub_key text NOT NULL,
    kind text NOT NULL,
    currency text NOT NULL,
    price numeric NOT NULL,
    page_no integer NOT NULL
) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS fold_watch (
    watch_id bigint NOT NULL,
    crawl_id bigint NOT NULL,
    part_on date NOT NULL,
    baseline boolean NOT NULL,
    unproved_before boolean NOT NULL,
    proves boolean NOT NULL,
    absences_needed smallint NOT NULL,
    witness bigint
) ON COMMIT DELETE ROWS;

-- name: copy_fold
-- Rows of one list, as the pages stated them.
COPY fold (watch_id, asset_id, sub_key, ordinal, page_no, readable, amount, decimals, locked, frozen, delegate,
           details, reason) FROM STDIN

-- name: copy_prices
-- Prices the same pages mentioned.
COPY fold_price (watch_id, asset_id, sub_key, kind, currency, price, page_no) FROM STDIN

-- name: analyze_fold
-- A temporary table has no statistics until asked; a large one needs them.
ANALYZE fold

-- name: lock_watches
-- In ascending order, after the crawls: publishing, unwatching and releasing never wait in a circle.
SELECT watch_id FROM ledger.watch
WHERE watch_id = ANY(%(watches)s)
ORDER BY watch_id
FOR NO KEY UPDATE

-- name: read_watches
-- What is known of each watch before this publish, looked up one by one (LIMIT keeps it so): history is long. No row: it is
-- not watched any more. Whether there is a row at all is asked in the order of an index: where few accounts have nearly
-- all rows, the planner would else look at one after the other until it is one of this watch, which may have none.
SELECT p.watch_id,
       p.watched_from::timestamptz AS watched_from,
       greatest(p.watched_from, last.snapshot_at, last.judged_at) AS latest,
       last.snapshot_id IS NULL AS baseline,
       coalesce(last.proves_absence, true) AS proved_before,
       last.digest,
       coalesce(last.unreadable, 0) AS unreadable,
       last.holdings,
       last.crawl_id,
       greatest(last.height_to, witness.height_to) AS height,
       (SELECT true FROM ledger.holding_version AS h WHERE h.watch_id = p.watch_id
        ORDER BY h.asset_id, h.sub_key, h.version_no LIMIT 1) IS NULL AS unheard_of,
       (SELECT true FROM ledger.carried_span AS s WHERE s.watch_id = p.watch_id AND s.valid_to IS NULL
        ORDER BY s.asset_id, s.sub_key LIMIT 1) IS NOT NULL AS carries,
       witness.snapshot_id AS witness,
       extract(epoch FROM clock_timestamp() - witness.judged_at)::float8 AS witness_age,
       coalesce(least(witness.height_from, witness.height_to) < last.height_to, false) AS witness_lags,
       coalesce(last.consistency = 'drifted', false) AS drifted
FROM ledger.watch_period AS p
LEFT JOIN LATERAL (
    SELECT s.snapshot_id, s.snapshot_at, s.judged_at, s.proves_absence, s.digest, s.unreadable, s.holdings,
           s.crawl_id, s.height_to, s.consistency
    FROM ledger.snapshot AS s
    WHERE s.watch_id = p.watch_id AND s.state = 'published' AND s.snapshot_at >= p.watched_from
    ORDER BY s.snapshot_at DESC
    LIMIT 1
) AS last ON true
LEFT JOIN LATERAL (
    SELECT s.snapshot_id, s.judged_at, s.height_from, s.height_to
    FROM ledger.snapshot AS s
    WHERE s.watch_id = p.watch_id AND s.state = 'quarantined' AND s.resolution IS NULL
    LIMIT 1
) AS witness ON true
WHERE p.watch_id = ANY(%(watches)s) AND p.watched_to IS NULL

-- name: find_repeats
-- Rows listed twice. Different contents, far pages or a whole page again: the list moved while we paged.
SELECT r.watch_id,
       bool_or(r.contents > 1) AS conflicting,
       bool_or(r.last_page - r.first_page > 1) AS far,
       bool_or(r.repeats >= r.page_rows AND r.last_page > r.first_page) AS whole_page
FROM (
    SELECT k.watch_id, k.contents, k.first_page, k.last_page,
           count(*) OVER (PARTITION BY k.watch_id, k.last_page) AS repeats,
           (SELECT count(*) FROM fold AS f WHERE f.watch_id = k.watch_id AND f.page_no = k.last_page) AS page_rows
    FROM (
        SELECT watch_id, min(page_no) AS first_page, max(page_no) AS last_page,
               count(DISTINCT (readable, amount, decimals, locked, frozen, delegate, details)) AS contents
        FROM fold
        GROUP BY watch_id, asset_id, sub_key
        HAVING count(*) > 1
    ) AS k
) AS r
GROUP BY r.watch_id

-- name: drop_repeats
-- A list that moves while we page shows one holding twice: the later page wins, a readable row before an unreadable.
DELETE FROM fold AS a
USING fold AS b
WHERE a.watch_id = b.watch_id AND a.asset_id = b.asset_id AND a.sub_key = b.sub_key
  AND (a.readable, a.ordinal) < (b.readable, b.ordinal)

-- name: measure_lists
-- The new list of each watch beside what is held: the evidence a verdict is made from.
SELECT w.watch_id,
       count(*) FILTER (WHERE both_lists.known) AS known,
       count(*) FILTER (WHERE both_lists.listed AND both_lists.readable) AS readable,
       count(*) FILTER (WHERE both_lists.listed AND NOT both_lists.readable) AS unreadable,
       count(*) FILTER (WHERE both_lists.known AND NOT both_lists.listed) AS missing,
       count(*) FILTER (WHERE both_lists.known AND NOT both_lists.listed AND m.snapshot_id IS NOT NULL) AS witnessed
FROM unnest(%(watches)s::bigint[], %(witnesses)s::bigint[]) AS w (watch_id, witness)
LEFT JOIN (
    SELECT watch_id, asset_id, sub_key, v.open_reason IS NOT NULL AS known, f.page_no IS NOT NULL AS listed, f.readable
    FROM (
        SELECT h.watch_id, h.asset_id, h.sub_key, h.open_reason
        FROM ledger.holding_version AS h
        WHERE h.watch_id = ANY(%(watches)s) AND h.valid_to IS NULL
    ) AS v
    FULL JOIN fold AS f USING (watch_id, asset_id, sub_key)
) AS both_lists ON both_lists.watch_id = w.watch_id
LEFT JOIN ledger.missing_holding AS m
    ON m.snapshot_id = w.witness AND m.asset_id = both_lists.asset_id AND m.sub_key = both_lists.sub_key
GROUP BY w.watch_id

-- name: find_hidden
-- Lists that may leave out what lies in token accounts, and miss some: what was never one whole thing, names its
-- account, or was never read. What has been missing for a week, or was missed by a list that leaves nothing out, is
-- believed to be gone; what was unreadable was listed until now, however long ago that began.
SELECT w.watch_id
FROM unnest(%(watches)s::bigint[], %(read_at)s::timestamptz[]) AS w (watch_id, read_at)
WHERE EXISTS (
    SELECT FROM ledger.holding_version AS v
    WHERE v.watch_id = w.watch_id AND v.valid_to IS NULL
      AND (v.amount IS DISTINCT FROM 1 OR v.details ? 'associated_token_address')
      AND NOT EXISTS (
          SELECT FROM fold AS f
          WHERE f.watch_id = v.watch_id AND f.asset_id = v.asset_id AND f.sub_key = v.sub_key
      )
      AND NOT EXISTS (
          SELECT FROM ledger.carried_span AS s
          WHERE s.watch_id = v.watch_id AND s.asset_id = v.asset_id AND s.sub_key = v.sub_key AND s.valid_to IS NULL
            AND (s.reason = 'missing' OR s.reason = 'unkeyed' AND s.valid_from < w.read_at - interval '7 days')
      )
) OR EXISTS (
    SELECT FROM ledger.carried_span AS s
    WHERE s.watch_id = w.watch_id AND s.valid_to IS NULL
      AND (s.reason = 'unreadable' OR s.reason = 'unkeyed' AND s.valid_from >= w.read_at - interval '7 days')
      AND NOT EXISTS (
          SELECT FROM ledger.holding_version AS v
          WHERE v.watch_id = s.watch_id AND v.asset_id = s.asset_id AND v.sub_key = s.sub_key AND v.valid_to IS NULL
      )
      AND NOT EXISTS (
          SELECT FROM fold AS f
          WHERE f.watch_id = s.watch_id AND f.asset_id = s.asset_id AND f.sub_key = s.sub_key
      )
)

-- name: measure_places
-- What is held where each page of the new list stands, for lists in the order of their asset numbers: a page ends at
-- its last one, the last page ends with the list.
WITH pages AS (
    SELECT f.watch_id, array_agg(f.last ORDER BY f.last) AS ends, array_agg(f.listed ORDER BY f.last) AS listed
    FROM (
        SELECT f.watch_id, f.page_no, max(a.asset_ref::numeric) AS last, count(*) AS listed
        FROM fold AS f
        JOIN ledger.asset AS a ON a.asset_id = f.asset_id
        WHERE f.watch_id = ANY(%(watches)s)
        GROUP BY f.watch_id, f.page_no
    ) AS f
    GROUP BY f.watch_id
), held AS (
    SELECT v.watch_id, least(width_bucket(a.asset_ref::numeric - 0.5, p.ends) + 1, cardinality(p.ends)) AS place,
           EXISTS (
               SELECT FROM fold AS f
               WHERE f.watch_id = v.watch_id AND f.asset_id = v.asset_id AND f.sub_key = v.sub_key
           ) AS listed
    FROM pages AS p
    JOIN ledger.holding_version AS v ON v.watch_id = p.watch_id AND v.valid_to IS NULL
    JOIN ledger.asset AS a ON a.asset_id = v.asset_id
)
SELECT h.watch_id, p.listed[h.place] AS listed, count(*) AS known, count(*) FILTER (WHERE h.listed) AS familiar
FROM held AS h
JOIN pages AS p ON p.watch_id = h.watch_id
GROUP BY h.watch_id, h.place, p.listed[h.place]
ORDER BY h.watch_id, h.place

-- name: count_quarantined
-- How much of a source is in doubt: many at once is an outage, not many owners selling.
SELECT count(*) AS watched, count(s.snapshot_id) AS quarantined
FROM ledger.watch AS w
JOIN ledger.watch_period AS p ON p.watch_id = w.watch_id AND p.watched_to IS NULL
LEFT JOIN ledger.snapshot AS s ON s.watch_id = w.watch_id AND s.state = 'quarantined' AND s.resolution IS NULL
WHERE w.source_id = (SELECT source_id FROM ledger.watch WHERE watch_id = %(watch)s)

-- name: prepare_watches
-- The watches whose list is believed, and how to read absence in each.
INSERT INTO fold_watch (watch_id, crawl_id, part_on, baseline, unproved_before, proves, absences_needed, witness)
SELECT n.watch_id, n.crawl_id, n.part_on, n.baseline, n.unproved_before, n.proves, n.absences_needed, n.witness
FROM unnest(
    %(watches)s::bigint[], %(crawls)s::bigint[], %(part_ons)s::date[], %(baselines)s::boolean[],
    %(unproved_before)s::boolean[], %(proves)s::boolean[], %(absences_needed)s::smallint[], %(witnesses)s::bigint[]
) AS n (watch_id, crawl_id, part_on, baseline, unproved_before, proves, absences_needed, witness)

-- name: forbid_loops
-- Right after a first load the statistics know nothing of a watch's versions, and comparing two long lists row by row
-- takes minutes. Both lists are found by index or are small, so hashing is never wrong here.
SET LOCAL enable_nestloop = off

-- name: allow_loops
-- What follows looks few rows up by key.
SET LOCAL enable_nestloop = on

-- name: close_changed
-- What is listed with other contents. A decimals that is not stated any more changes nothing.
WITH done AS (
    UPDATE ledger.holding_version AS v
    SET valid_to = %(instant)s::timestamptz, close_reason = 'changed', closed_by = w.crawl_id
    FROM fold AS f
    JOIN fold_watch AS w ON w.watch_id = f.watch_id
    WHERE v.watch_id = ANY(%(watches)s)
      AND v.valid_to IS NULL
      AND v.watch_id = f.watch_id AND v.asset_id = f.asset_id AND v.sub_key = f.sub_key
      AND f.readable
      AND (f.amount, coalesce(f.decimals, v.decimals), f.locked, f.frozen, f.delegate, f.details)
          IS DISTINCT FROM (v.amount, v.decimals, v.locked, v.frozen, v.delegate, v.details)
    RETURNING v.watch_id
)
SELECT watch_id, count(*) FROM done GROUP BY watch_id

-- name: close_absent
-- What is proved to be gone: not listed, as often as this source needs.
WITH done AS (
    UPDATE ledger.holding_version AS v
    SET valid_to = %(instant)s::timestamptz, close_reason = 'absent', closed_by = w.crawl_id
    FROM fold_watch AS w
    WHERE v.watch_id = ANY(%(watches)s)
      AND v.valid_to IS NULL
      AND v.watch_id = w.watch_id
      AND w.proves
      AND NOT EXISTS (
          SELECT FROM fold AS f
          WHERE f.watch_id = v.watch_id AND f.asset_id = v.asset_id AND f.sub_key = v.sub_key
      )
      AND (
          w.absences_needed = 1
          OR EXISTS (
              SELECT FROM ledger.carried_span AS s
              WHERE s.watch_id = v.watch_id AND s.asset_id = v.asset_id AND s.sub_key = v.sub_key
                AND s.valid_to IS NULL AND s.reason = 'missing'
          )
          OR EXISTS (
              SELECT FROM ledger.missing_holding AS m
              WHERE m.snapshot_id = w.witness AND m.asset_id = v.asset_id AND m.sub_key = v.sub_key
          )
      )
    RETURNING v.watch_id
)
SELECT watch_id, count(*) FROM done GROUP BY watch_id

-- name: open_versions
-- What is listed and has no open version. Each names the number and the end of the version before it.
WITH fresh AS MATERIALIZED (
    SELECT f.watch_id, f.asset_id, f.sub_key, f.page_no, f.amount, f.decimals, f.locked, f.frozen, f.delegate,
           f.details
    FROM fold AS f
    WHERE f.readable AND NOT EXISTS (
        SELECT FROM ledger.holding_version AS v
        WHERE v.watch_id = ANY(%(watches)s) AND v.valid_to IS NULL
          AND v.watch_id = f.watch_id AND v.asset_id = f.asset_id AND v.sub_key = f.sub_key
    )
), done AS (
    INSERT INTO ledger.holding_version
        (watch_id, asset_id, sub_key, version_no, valid_from, previous_no, previous_to, amount, decimals, locked,
         frozen, delegate, details, observed_at, open_reason, opened_by, opened_page)
    SELECT f.watch_id, f.asset_id, f.sub_key, coalesce(before.version_no, 0) + 1, %(instant)s::timestamptz,
           before.version_no, before.valid_to, f.amount,
           coalesce(f.decimals, CASE WHEN before.valid_to = %(instant)s::timestamptz THEN before.decimals END),
           f.locked, f.frozen, f.delegate, f.details, p.fetched_at,
           CASE
               WHEN w.baseline THEN 'baseline'
               WHEN before.valid_to = %(instant)s::timestamptz THEN 'changed'
               WHEN w.unproved_before OR EXISTS (
                   SELECT FROM ledger.carried_span AS s
                   WHERE s.watch_id = f.watch_id AND s.asset_id = f.asset_id AND s.sub_key = f.sub_key
                     AND s.valid_to IS NULL
               ) THEN 'first_read'
               ELSE 'appeared'
           END,
           w.crawl_id, f.page_no
    FROM fresh AS f
    JOIN fold_watch AS w ON w.watch_id = f.watch_id
    JOIN ledger.raw_page AS p
        ON p.part_on = w.part_on AND p.crawl_id = w.crawl_id AND p.kind = 'page' AND p.page_no = f.page_no
    LEFT JOIN LATERAL (
        SELECT h.version_no, h.valid_to, h.decimals
        FROM ledger.holding_version AS h
        WHERE h.watch_id = f.watch_id AND h.asset_id = f.asset_id AND h.sub_key = f.sub_key
        ORDER BY h.version_no DESC
        LIMIT 1
    ) AS before ON true
    RETURNING watch_id
)
SELECT watch_id, count(*) FROM done GROUP BY watch_id

-- name: merge_deltas
-- Lists that were compared with what is held, row by row: only what is new or gone is stated. Each holding is looked up
-- by key, its last version alone; what was open and what was not must be as the comparison took for granted.
WITH stated AS MATERIALIZED (
    SELECT n.*
    FROM unnest(
        %(watches)s::bigint[], %(crawls)s::bigint[], %(assets)s::bigint[], %(sub_keys)s::text[], %(listed)s::boolean[],
        %(held)s::boolean[], %(amounts)s::numeric[], %(decimals)s::smallint[], %(locked)s::numeric[],
        %(frozen)s::boolean[], %(delegates)s::text[], %(details)s::text[], %(pages)s::integer[],
        %(observed_at)s::timestamptz[]
    ) AS n (watch_id, crawl_id, asset_id, sub_key, listed, held, amount, decimals, locked, frozen, delegate, details,
            page_no, observed_at)
), beside AS MATERIALIZED (
    SELECT s.*, last.ctid AS row_at, last.version_no, last.valid_to, last.decimals AS known_decimals,
           last.version_no IS NOT NULL AND last.valid_to IS NULL AS is_open,
           (s.amount, coalesce(s.decimals, last.decimals), s.locked, s.frozen, s.delegate, s.details::jsonb)
               IS DISTINCT FROM
               (last.amount, last.decimals, last.locked, last.frozen, last.delegate, last.details) AS differs
    FROM stated AS s
    LEFT JOIN LATERAL (
        SELECT h.ctid, h.*
        FROM ledger.holding_version AS h
        WHERE h.watch_id = s.watch_id AND h.asset_id = s.asset_id AND h.sub_key = s.sub_key
        ORDER BY h.version_no DESC
        LIMIT 1
    ) AS last ON true
), closed AS (
    UPDATE ledger.holding_version AS v
    SET valid_to = %(instant)s::timestamptz,
        close_reason = CASE WHEN b.listed THEN 'changed' ELSE 'absent' END,
        closed_by = b.crawl_id
    FROM beside AS b
    WHERE v.ctid = b.row_at AND b.is_open AND (b.differs OR NOT b.listed)
), opened AS (
    INSERT INTO ledger.holding_version
        (watch_id, asset_id, sub_key, version_no, valid_from, previous_no, previous_to, amount, decimals, locked,
         frozen, delegate, details, observed_at, open_reason, opened_by, opened_page)
    SELECT b.watch_id, b.asset_id, b.sub_key, coalesce(b.version_no, 0) + 1, %(instant)s::timestamptz, b.version_no,
           CASE WHEN b.is_open THEN %(instant)s::timestamptz ELSE b.valid_to END, b.amount,
           coalesce(b.decimals, CASE WHEN b.is_open THEN b.known_decimals END), b.locked, b.frozen, b.delegate,
           b.details::jsonb, b.observed_at, CASE WHEN b.is_open THEN 'changed' ELSE 'appeared' END, b.crawl_id, b.page_no
    FROM beside AS b
    WHERE b.listed AND (b.differs OR NOT b.is_open)
)
SELECT watch_id, bool_or(is_open <> held) AS is_mistaken, bool_or(NOT listed OR NOT is_open OR differs) AS changed
FROM beside
GROUP BY watch_id

-- name: copy_versions
-- The first list of a watch nobody knew: straight into history.
COPY ledger.holding_version (watch_id, asset_id, sub_key, version_no, valid_from, amount, decimals, locked, frozen,
                             delegate, details, observed_at, open_reason, opened_by, opened_page) FROM STDIN

-- name: close_spans
-- Doubts this list settles: listed and readable, proved absent, or doubtful for another reason now. What was unreadable
-- and is not even listed is so too: since when it is not listed, `find_hidden` has to know.
WITH done AS (
    UPDATE ledger.carried_span AS s
    SET valid_to = %(instant)s::timestamptz, closed_by = closing.crawl_id
    FROM (
        SELECT c.watch_id, c.asset_id, c.sub_key, c.valid_from, w.crawl_id
        FROM fold_watch AS w
        JOIN ledger.carried_span AS c ON c.watch_id = w.watch_id AND c.valid_to IS NULL
        LEFT JOIN fold AS f ON f.watch_id = c.watch_id AND f.asset_id = c.asset_id AND f.sub_key = c.sub_key
        WHERE CASE
            WHEN f.readable THEN true
            WHEN f.asset_id IS NOT NULL THEN c.reason <> 'unreadable'
            ELSE w.proves OR c.reason = 'unreadable'
            END
    ) AS closing
    WHERE s.watch_id = closing.watch_id AND s.asset_id = closing.asset_id AND s.sub_key = closing.sub_key
      AND s.valid_from = closing.valid_from
    RETURNING s.watch_id
)
SELECT watch_id, count(*) FROM done GROUP BY watch_id

-- name: open_spans
-- New doubts: listed but unreadable; missing once where one absence is no proof; not listed beside a nameless item.
WITH done AS (
    INSERT INTO ledger.carried_span (watch_id, asset_id, sub_key, valid_from, previous_to, reason, detail, opened_by)
    SELECT d.watch_id, d.asset_id, d.sub_key, %(instant)s::timestamptz, before.valid_to, d.reason, d.detail, d.crawl_id
    FROM (
        SELECT f.watch_id, f.asset_id, f.sub_key, 'unreadable' AS reason, f.reason AS detail, w.crawl_id
        FROM fold AS f
        JOIN fold_watch AS w ON w.watch_id = f.watch_id
        WHERE NOT f.readable
        UNION ALL
        SELECT h.watch_id, h.asset_id, h.sub_key, CASE WHEN w.proves THEN 'missing' ELSE 'unkeyed' END, NULL, w.crawl_id
        FROM fold_watch AS w
        JOIN ledger.holding_version AS h ON h.watch_id = w.watch_id AND h.valid_to IS NULL
        LEFT JOIN fold AS f ON f.watch_id = h.watch_id AND f.asset_id = h.asset_id AND f.sub_key = h.sub_key
        WHERE f.asset_id IS NULL
        UNION ALL
        -- Never readable and now missing for the first time: one absence, or a list that proves none, is no proof for
        -- this one either.
        SELECT c.watch_id, c.asset_id, c.sub_key, CASE WHEN w.proves THEN 'missing' ELSE 'unkeyed' END, NULL, w.crawl_id
        FROM fold_watch AS w
        JOIN ledger.carried_span AS c
            ON c.watch_id = w.watch_id AND c.valid_to = %(instant)s::timestamptz AND c.reason <> 'missing'
        LEFT JOIN fold AS f ON f.watch_id = c.watch_id AND f.asset_id = c.asset_id AND f.sub_key = c.sub_key
        WHERE (w.absences_needed > 1 OR NOT w.proves) AND f.asset_id IS NULL AND NOT EXISTS (
            SELECT FROM ledger.holding_version AS h
            WHERE h.watch_id = c.watch_id AND h.asset_id = c.asset_id AND h.sub_key = c.sub_key
              AND (h.valid_to IS NULL OR h.valid_to = %(instant)s::timestamptz)
        )
    ) AS d
    LEFT JOIN LATERAL (
        SELECT c.valid_from, c.valid_to
        FROM ledger.carried_span AS c
        WHERE c.watch_id = d.watch_id AND c.asset_id = d.asset_id AND c.sub_key = d.sub_key
        ORDER BY c.valid_from DESC
        LIMIT 1
    ) AS before ON true
    WHERE before.valid_from IS NULL OR before.valid_to IS NOT NULL
    RETURNING watch_id
)
SELECT watch_id, count(*) FROM done GROUP BY watch_id

-- name: write_prices
-- Only what differs from the price last seen.
INSERT INTO ledger.price (watch_id, asset_id, sub_key, kind, currency, observed_at, price, crawl_id)
SELECT DISTINCT ON (f.watch_id, f.asset_id, f.sub_key, f.kind, f.currency)
       f.watch_id, f.asset_id, f.sub_key, f.kind, f.currency, p.fetched_at, f.price, w.crawl_id
FROM fold_price AS f
JOIN unnest(%(watches)s::bigint[], %(crawls)s::bigint[], %(part_ons)s::date[]) AS w (watch_id, crawl_id, part_on)
    ON w.watch_id = f.watch_id
JOIN ledger.raw_page AS p
    ON p.part_on = w.part_on AND p.crawl_id = w.crawl_id AND p.kind = 'page' AND p.page_no = f.page_no
LEFT JOIN LATERAL (
    SELECT o.price
    FROM ledger.price AS o
    WHERE o.watch_id = f.watch_id AND o.asset_id = f.asset_id AND o.sub_key = f.sub_key AND o.kind = f.kind
      AND o.currency = f.currency
    ORDER BY o.observed_at DESC
    LIMIT 1
) AS last ON true
WHERE last.price IS DISTINCT FROM f.price
ORDER BY f.watch_id, f.asset_id, f.sub_key, f.kind, f.currency, f.page_no DESC
ON CONFLICT (watch_id, asset_id, sub_key, kind, currency, observed_at) DO NOTHING

-- name: resolve_witnesses
-- What became of lists that were not believed.
UPDATE ledger.snapshot AS s
SET resolution = n.resolution, resolved_at = %(instant)s::timestamptz
FROM unnest(%(snapshots)s::bigint[], %(resolutions)s::text[]) AS n (snapshot_id, resolution)
WHERE s.snapshot_id = n.snapshot_id AND s.resolution IS NULL

-- name: insert_snapshots
-- What this publish proved, or did not believe, about each watch.
INSERT INTO ledger.snapshot
    (watch_id, crawl_id, state, judged_at, snapshot_at, fresh_until, first_page_at, last_page_at, height_from,
     height_to, pages, holdings, unreadable, missing, proves_absence, consistency, digest, reason, resolution,
     resolved_at)
SELECT n.watch_id, n.crawl_id, n.state, %(instant)s::timestamptz,
       CASE n.state WHEN 'published' THEN %(instant)s::timestamptz END,
       CASE n.state WHEN 'published' THEN %(instant)s::timestamptz + n.fresh_for END,
       n.first_page_at, n.last_page_at, n.height_from, n.height_to, n.pages, n.holdings, n.unreadable, n.missing,
       n.proves, n.consistency, n.digest, n.reason, n.resolution, CASE WHEN n.resolution IS NOT NULL THEN %(instant)s::timestamptz END
FROM unnest(
    %(watches)s::bigint[], %(crawls)s::bigint[], %(states)s::text[], %(fresh_for)s::interval[],
    %(first_pages_at)s::timestamptz[], %(last_pages_at)s::timestamptz[], %(heights_from)s::bigint[],
    %(heights_to)s::bigint[], %(pages)s::int[], %(holdings)s::int[], %(unreadable)s::int[], %(missing)s::int[],
    %(proves)s::boolean[], %(consistencies)s::text[], %(digests)s::bytea[], %(reasons)s::text[],
    %(resolutions)s::text[]
) AS n (watch_id, crawl_id, state, fresh_for, first_page_at, last_page_at, height_from, height_to, pages, holdings,
        unreadable, missing, proves, consistency, digest, reason, resolution)
ORDER BY n.watch_id
RETURNING watch_id, snapshot_id, state

-- name: insert_testimony
-- What a list that was not believed misses: the next one must miss the same to be a second witness.
INSERT INTO ledger.missing_holding (snapshot_id, asset_id, sub_key)
SELECT n.snapshot_id, h.asset_id, h.sub_key
FROM unnest(%(snapshots)s::bigint[], %(watches)s::bigint[]) AS n (snapshot_id, watch_id)
JOIN ledger.holding_version AS h ON h.watch_id = n.watch_id AND h.valid_to IS NULL
LEFT JOIN fold AS f ON f.watch_id = h.watch_id AND f.asset_id = h.asset_id AND f.sub_key = h.sub_key
WHERE f.asset_id IS NULL

-- name: drop_testimony
-- Once resolved it is of no more use; the snapshot row keeps the count.
DELETE FROM ledger.missing_holding
WHERE snapshot_id = ANY(%(snapshots)s)
