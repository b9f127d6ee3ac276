-- name: lock_pruning
-- One at a time: two would drop the same table.
SELECT pg_advisory_xact_lock(7201964005)

-- name: allow_time
-- Counting takes longer than an ordinary statement may.
SET LOCAL statement_timeout = 0

-- name: read_limits
-- Whole months go, never the youngest week, and nothing an unfinished crawl still needs to publish: one with a page, a
-- look-up or evidence, or that may be writing its first page now. Any other has nothing in its month, and is moved out
-- of it by what drops the month. Told by source: crawls without which more would go.
WITH wanted AS (
    SELECT (now() AT TIME ZONE 'UTC')::date - ceil(extract(epoch FROM k.keep) / 86400)::integer AS before, k.keep
    FROM (SELECT greatest(%(keep)s::interval, interval '7 days') AS keep) AS k
), needed AS (
    SELECT c.source_id, c.part_on
    FROM ledger.crawl AS c
    JOIN wanted AS w ON c.part_on < w.before
    WHERE c.state IN ('pending', 'running')
      AND (c.pages > 0
           OR c.lookups > 0
           OR c.lease_until >= clock_timestamp()
           OR (SELECT true FROM ledger.raw_page AS p
               WHERE p.part_on = c.part_on AND p.crawl_id = c.crawl_id
               LIMIT 1))
)
SELECT n.before,
       date_trunc('month', n.before)::date AS kept_from,
       clock_timestamp() - n.keep AS finished_before,
       n.held_back
FROM (
    SELECT least(w.before, (SELECT min(part_on) FROM needed)) AS before,
           w.keep,
           (SELECT coalesce(jsonb_object_agg(h.source_id, h.crawls), '{}')
            FROM (
                SELECT source_id, count(*) AS crawls
                FROM needed
                WHERE (date_trunc('month', part_on) + interval '1 month')::date <= w.before
                GROUP BY source_id
            ) AS h) AS held_back
    FROM wanted AS w
) AS n

-- name: list_months
-- The tables that go, and their size with indexes. Toast tables end in numbers that are no months.
SELECT child.relname AS name, pg_total_relation_size(child.oid) AS bytes
FROM pg_inherits
JOIN pg_class AS child ON child.oid = inhrelid
WHERE inhparent IN ('ledger.raw_page'::regclass, 'ledger.raw_body'::regclass)
  AND CASE WHEN child.relname ~ '^raw_(page|body)_[0-9]{6}$' THEN to_date(right(child.relname, 6), 'YYYYMM') < %(kept_from)s END
ORDER BY child.relname

-- name: count_raw
-- What is in them, but for the pages of these crawls.
SELECT (SELECT count(*) FROM ledger.raw_page WHERE part_on < %(kept_from)s AND crawl_id <> ALL(%(folded)s)) AS pages,
       (SELECT count(*) FROM ledger.raw_body WHERE part_on < %(kept_from)s) AS bodies

-- name: drop_raw
-- The database refuses what must not go, whoever asks.
SELECT ledger.drop_raw_before(%(before)s)

-- name: find_crawls
-- Ended long ago, and no page of theirs is kept. What is watched keeps its last crawl, so that its schedule goes on;
-- passes that are not finished keep theirs.
SELECT c.crawl_id
FROM ledger.crawl AS c
WHERE c.crawl_id > %(after)s
  AND c.state IN ('complete', 'failed', 'abandoned')
  AND c.finished_at < %(finished_before)s
  AND NOT EXISTS (
      SELECT FROM ledger.raw_page AS p
      WHERE p.part_on = c.part_on AND p.crawl_id = c.crawl_id AND p.part_on >= %(kept_from)s
  )
  AND NOT EXISTS (
      SELECT FROM ledger.crawl_watch AS cw
      JOIN ledger.watch_period AS p ON p.watch_id = cw.watch_id AND p.watched_to IS NULL
      WHERE cw.crawl_id = c.crawl_id
        AND NOT EXISTS (
            SELECT FROM ledger.crawl_watch AS later
            WHERE later.watch_id = cw.watch_id AND later.crawl_id > cw.crawl_id
        )
  )
  AND NOT EXISTS (
      SELECT FROM ledger.pass_watch AS pw
      JOIN ledger.crawl_pass AS p ON p.pass_id = pw.pass_id
      WHERE pw.crawl_id = c.crawl_id AND p.finished_at IS NULL
  )
ORDER BY c.crawl_id
LIMIT %(most)s

-- name: delete_pass_watches
-- Which pass waited for them.
DELETE FROM ledger.pass_watch WHERE crawl_id = ANY(%(crawls)s)

-- name: delete_crawl_watches
-- Their verdicts; what they proved stays in the snapshots.
DELETE FROM ledger.crawl_watch WHERE crawl_id = ANY(%(crawls)s)

-- name: delete_crawls
-- History names them by number only.
DELETE FROM ledger.crawl WHERE crawl_id = ANY(%(crawls)s)

-- name: delete_passes
-- Passes of which nothing is left.
DELETE FROM ledger.crawl_pass AS p
WHERE p.finished_at < %(finished_before)s
  AND NOT EXISTS (SELECT FROM ledger.pass_watch AS pw WHERE pw.pass_id = p.pass_id)

-- name: count_passes
-- The same, before anything is deleted: those whose crawls all go.
SELECT count(*)
FROM ledger.crawl_pass AS p
WHERE p.finished_at < %(finished_before)s
  AND NOT EXISTS (
      SELECT FROM ledger.pass_watch AS pw WHERE pw.pass_id = p.pass_id AND pw.crawl_id <> ALL(%(crawls)s)
  )
