-- name: list_columns
-- The tables of the analysts' schema with their columns, in order; the one with a single row is in the summary.
-- First the gaps, which reach to now: later they would call stale what was crawled since the others were read.
SELECT c.relname::text AS name, array_agg(a.attname::text ORDER BY a.attnum) AS columns,
       array_agg(format_type(a.atttypid, a.atttypmod) ORDER BY a.attnum) AS types
FROM pg_class AS c
JOIN pg_attribute AS a ON a.attrelid = c.oid
WHERE c.relnamespace = 'report'::regnamespace AND c.relkind = 'v' AND c.relname <> 'settled_until'
  AND a.attnum > 0 AND NOT a.attisdropped
GROUP BY c.relname
ORDER BY c.relname <> 'gaps', c.relname

-- name: read_moment
-- The one moment of everything that is exported.
SELECT statement_timestamp() AS read_at, (SELECT settled_until FROM report.settled_until) AS settled_until,
       EXISTS (SELECT FROM ledger.holding_version AS v WHERE greatest(v.amount, v.locked) >= 1e38) AS exceeds

-- name: copy_rows
-- All rows of one table. Formatted by the client: COPY knows no parameters.
COPY (SELECT {columns} FROM {table}) TO STDOUT (FORMAT csv, ENCODING 'UTF8')
