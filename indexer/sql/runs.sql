-- name: read_mark
-- The newest snapshot: what is published after it makes the one before it foldable.
SELECT coalesce(max(snapshot_id), 0) FROM ledger.snapshot

-- name: fold_unchanged
-- The database folds by itself: nobody else may delete a snapshot, and only what a run gives back.
SELECT seen, folded FROM ledger.fold_unchanged(%(after)s, %(most)s, clock_timestamp())

-- name: find_foldable
-- The same, only told: how many, and the crawls they came from.
SELECT count(*) AS snapshots, coalesce(array_agg(DISTINCT f.crawl_id), '{}') AS crawls
FROM ledger.find_repeats(0, 9223372036854775807, clock_timestamp()) AS f

-- name: flush_counts
-- How many rows are dead is otherwise told with a delay.
SELECT pg_stat_force_next_flush()

-- name: find_waste
-- Tables with many dead rows. What is folded is only small if its place is used again, soon. A large one takes longer
-- than a statement may: it is left to autovacuum.
SELECT s.relname::text
FROM pg_stat_user_tables AS s
WHERE s.schemaname = 'ledger' AND s.n_dead_tup > greatest(%(least)s, s.n_live_tup / 5)
  AND pg_total_relation_size(s.relid) < 1024 * 1024 * 1024
  AND pg_catalog.pg_has_role(current_user, (SELECT c.relowner FROM pg_class AS c WHERE c.oid = s.relid), 'USAGE')
ORDER BY s.relname

-- name: list_small_tables
-- What crawls leave behind, where rewriting it takes a moment.
SELECT c.relname::text
FROM pg_class AS c
WHERE c.relnamespace = 'ledger'::regnamespace AND c.relkind = 'r'
  AND c.relname ~ '^(crawl|crawl_pass|crawl_watch|pass_watch|snapshot|snapshot_run|raw_page_[0-9]{6})$'
  AND pg_total_relation_size(c.oid) < 64 * 1024 * 1024
  AND pg_catalog.pg_has_role(current_user, c.relowner, 'USAGE')
ORDER BY c.relname
