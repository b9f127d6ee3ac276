-- Spans of the last week in which a watch had no fresh answer: missed crawls cannot hide.
SELECT source, address, scope, label, gap_from, gap_to, coalesce(gap_to, now()) - gap_from AS length, reason
FROM report.gaps
WHERE coalesce(gap_to, now()) >= now() - interval '7 days' AND reason = 'stale'
ORDER BY length DESC;
