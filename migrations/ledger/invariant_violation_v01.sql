-- Every row of this view is a bug in the program or a hand in the tables. `indexer verify` and the daemon read it.
CREATE VIEW ledger.invariant_violation (rule, ref) AS
SELECT 'versions_overlap', concat_ws('/', a.watch_id, a.asset_id, a.sub_key, a.valid_from)
FROM ledger.holding_version AS a
JOIN ledger.holding_version AS b USING (watch_id, asset_id, sub_key)
WHERE a.valid_from < b.valid_from AND (a.valid_to IS NULL OR a.valid_to > b.valid_from)
UNION ALL
SELECT 'version_changes_nothing', concat_ws('/', b.watch_id, b.asset_id, b.sub_key, b.valid_from)
FROM ledger.holding_version AS a
JOIN ledger.holding_version AS b USING (watch_id, asset_id, sub_key)
WHERE a.valid_to = b.valid_from
  AND (a.amount, a.decimals, a.locked, a.frozen, a.delegate, a.details)
      IS NOT DISTINCT FROM (b.amount, b.decimals, b.locked, b.frozen, b.delegate, b.details)
UNION ALL
SELECT 'version_opened_without_snapshot', concat_ws('/', v.watch_id, v.asset_id, v.sub_key, v.valid_from)
FROM ledger.holding_version AS v
WHERE NOT EXISTS (
    SELECT FROM ledger.snapshot AS s
    WHERE s.watch_id = v.watch_id AND s.snapshot_at = v.valid_from AND s.crawl_id = v.opened_by
)
UNION ALL
SELECT 'version_closed_without_snapshot', concat_ws('/', v.watch_id, v.asset_id, v.sub_key, v.valid_from)
FROM ledger.holding_version AS v
WHERE v.close_reason IN ('changed', 'absent') AND NOT EXISTS (
    SELECT FROM ledger.snapshot AS s
    WHERE s.watch_id = v.watch_id AND s.snapshot_at = v.valid_to AND s.crawl_id = v.closed_by
)
UNION ALL
SELECT 'absence_without_proof', concat_ws('/', v.watch_id, v.asset_id, v.sub_key, v.valid_from)
FROM ledger.holding_version AS v
JOIN ledger.snapshot AS s ON s.watch_id = v.watch_id AND s.snapshot_at = v.valid_to
-- Of two lists that moved, both of which miss a holding, the second closes it.
WHERE v.close_reason = 'absent' AND NOT s.proves_absence AND s.consistency <> 'drifted'
UNION ALL
SELECT 'changed_without_successor', concat_ws('/', v.watch_id, v.asset_id, v.sub_key, v.valid_from)
FROM ledger.holding_version AS v
WHERE v.close_reason = 'changed' AND NOT EXISTS (
    SELECT FROM ledger.holding_version AS n
    WHERE (n.watch_id, n.asset_id, n.sub_key) = (v.watch_id, v.asset_id, v.sub_key)
      AND n.version_no = v.version_no + 1 AND n.valid_from = v.valid_to AND n.open_reason = 'changed'
)
UNION ALL
SELECT 'version_of_nobody', concat_ws('/', v.watch_id, v.asset_id, v.sub_key, v.version_no)
FROM ledger.holding_version AS v
WHERE NOT EXISTS (SELECT FROM ledger.watch AS w WHERE w.watch_id = v.watch_id)
   OR NOT EXISTS (SELECT FROM ledger.asset AS a WHERE a.asset_id = v.asset_id)
UNION ALL
SELECT 'version_outside_watch', concat_ws('/', v.watch_id, v.asset_id, v.sub_key, v.valid_from)
FROM ledger.holding_version AS v
WHERE NOT EXISTS (
    SELECT FROM ledger.watch_period AS p
    WHERE p.watch_id = v.watch_id AND p.watched_from <= v.valid_from
      AND (p.watched_to IS NULL OR (v.valid_to IS NOT NULL AND v.valid_to <= p.watched_to))
)
UNION ALL
SELECT 'carried_outside_watch', concat_ws('/', c.watch_id, c.asset_id, c.sub_key, c.valid_from)
FROM ledger.carried_span AS c
WHERE NOT EXISTS (
    SELECT FROM ledger.watch_period AS p
    WHERE p.watch_id = c.watch_id AND p.watched_from <= c.valid_from
      AND (p.watched_to IS NULL OR (c.valid_to IS NOT NULL AND c.valid_to <= p.watched_to))
)
UNION ALL
SELECT 'snapshot_outside_watch', s.snapshot_id::text
FROM ledger.any_snapshot AS s
WHERE s.state = 'published' AND NOT EXISTS (
    SELECT FROM ledger.watch_period AS p
    WHERE p.watch_id = s.watch_id AND p.watched_from <= s.snapshot_at
      AND (p.watched_to IS NULL OR s.snapshot_at < p.watched_to)
)
UNION ALL
SELECT 'snapshot_count_differs', s.snapshot_id::text
FROM ledger.any_snapshot AS s
WHERE s.state = 'published' AND s.holdings <> (
    SELECT count(*) FROM ledger.holding_version AS v
    WHERE v.watch_id = s.watch_id AND v.valid_from <= s.snapshot_at
      AND (v.valid_to IS NULL OR v.valid_to > s.snapshot_at)
      AND NOT EXISTS (
          SELECT FROM ledger.carried_span AS c
          WHERE (c.watch_id, c.asset_id, c.sub_key) = (v.watch_id, v.asset_id, v.sub_key)
            AND c.valid_from <= s.snapshot_at AND (c.valid_to IS NULL OR c.valid_to > s.snapshot_at)
      )
)
UNION ALL
SELECT 'run_without_head', concat_ws('/', r.watch_id, r.first_at)
FROM ledger.snapshot_run AS r
WHERE NOT EXISTS (
    SELECT FROM ledger.snapshot AS h
    WHERE h.snapshot_id = r.head_id AND h.watch_id = r.watch_id AND h.snapshot_at < r.first_at
)
UNION ALL
SELECT 'run_out_of_order', concat_ws('/', r.watch_id, r.first_at)
FROM ledger.snapshot_run AS r
WHERE r.instants IS DISTINCT FROM (SELECT array_agg(DISTINCT e.at ORDER BY e.at) FROM unnest(r.instants) AS e (at))
UNION ALL
SELECT 'run_interrupted', concat_ws('/', r.watch_id, r.first_at)
FROM ledger.snapshot_run AS r
WHERE EXISTS (
    SELECT FROM ledger.snapshot AS s
    WHERE s.watch_id = r.watch_id AND s.state = 'published' AND s.snapshot_at BETWEEN r.first_at AND r.last_at
) OR EXISTS (
    SELECT FROM ledger.snapshot_run AS o
    WHERE o.watch_id = r.watch_id AND o.first_at <> r.first_at AND o.first_at BETWEEN r.first_at AND r.last_at
)
UNION ALL
SELECT 'published_from_unfinished_crawl', s.snapshot_id::text
FROM ledger.snapshot AS s
JOIN ledger.crawl AS c USING (crawl_id)
WHERE c.state <> 'complete'
UNION ALL
SELECT 'open_watch_of_ended_crawl', concat_ws('/', cw.crawl_id, cw.watch_id)
FROM ledger.crawl_watch AS cw
JOIN ledger.crawl AS c USING (crawl_id)
WHERE cw.open AND c.state NOT IN ('pending', 'running')
UNION ALL
SELECT 'open_crawl_without_watch', c.crawl_id::text
FROM ledger.crawl AS c
WHERE c.state IN ('pending', 'running')
  AND NOT EXISTS (SELECT FROM ledger.crawl_watch AS cw WHERE cw.crawl_id = c.crawl_id AND cw.open)
UNION ALL
SELECT 'page_missing', c.crawl_id::text
FROM ledger.crawl AS c
LEFT JOIN ledger.raw_page AS p ON p.part_on = c.part_on AND p.crawl_id = c.crawl_id AND p.kind = 'page'
WHERE to_regclass('ledger.raw_page' || to_char(c.part_on, '_YYYYMM')) IS NOT NULL
GROUP BY c.crawl_id, c.pages
HAVING count(p.page_no) <> c.pages OR coalesce(max(p.page_no), 0) <> c.pages
UNION ALL
SELECT 'cursor_chain_broken', concat_ws('/', p.crawl_id, p.page_no)
FROM ledger.raw_page AS p
JOIN ledger.raw_page AS q
  ON q.part_on = p.part_on AND q.crawl_id = p.crawl_id AND q.kind = p.kind AND q.page_no = p.page_no + 1
WHERE p.kind = 'page' AND (q.cursor_in IS DISTINCT FROM p.cursor_out OR q.cursor_in IS NULL)
UNION ALL
SELECT 'epoch_went_back', concat_ws('/', p.crawl_id, p.page_no)
FROM ledger.raw_page AS p
JOIN ledger.raw_page AS q
  ON q.part_on = p.part_on AND q.crawl_id = p.crawl_id AND q.kind = p.kind AND q.page_no = p.page_no + 1
WHERE q.lease_epoch < p.lease_epoch
UNION ALL
SELECT 'complete_with_next_cursor', c.crawl_id::text
FROM ledger.crawl AS c
JOIN ledger.raw_page AS p
  ON p.part_on = c.part_on AND p.crawl_id = c.crawl_id AND p.kind = 'page' AND p.page_no = c.pages
WHERE c.state = 'complete' AND p.cursor_out IS NOT NULL;

COMMENT ON VIEW ledger.invariant_violation IS 'Every row is a bug: which promise is broken, and where.';
COMMENT ON COLUMN ledger.invariant_violation.rule IS 'Name of the broken rule.';
COMMENT ON COLUMN ledger.invariant_violation.ref IS 'Key of the row that breaks it.';
