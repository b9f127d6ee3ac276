-- What is not known right now, and since when. Unknown is not zero: such addresses belong beside every total.
SELECT source, source_state, address, scope, label, status, snapshot_at, age, pending_review
FROM report.coverage
WHERE status <> 'fresh' OR pending_review
ORDER BY age DESC NULLS FIRST;
