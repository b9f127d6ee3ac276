-- The times for which a watch has no fresh answer, so that a missed crawl cannot hide.

CREATE VIEW report.gaps AS
SELECT
    w.source,
    w.network,
    w.address,
    w.scope,
    w.label,
    w.tags,
    g.gap_from,
    g.gap_to,
    g.reason
FROM ledger.r_watch w
CROSS JOIN LATERAL (
    -- Each beginning of a period and each snapshot is fresh up to some instant; the next one ends the gap.
    SELECT
        e.fresh_until AS gap_from,
        coalesce(lead(e.starts_at) OVER (PARTITION BY e.watched_from ORDER BY e.starts_at, e.fresh_until), e.watched_to)
            AS gap_to,
        e.reason
    FROM (
        SELECT
            p.watched_from,
            p.watched_to,
            p.watched_from AS starts_at,
            p.watched_from AS fresh_until,
            'never_observed' AS reason
        FROM ledger.r_period p
        WHERE p.watch_id = w.watch_id
        UNION ALL
        SELECT p.watched_from, p.watched_to, s.snapshot_at, s.fresh_until, 'stale'
        FROM ledger.r_period p
        JOIN ledger.r_snapshot s ON s.watch_id = p.watch_id
        WHERE p.watch_id = w.watch_id
            AND s.watch_id = w.watch_id
            AND s.state = 'published'
            AND s.snapshot_at >= p.watched_from
            AND (s.snapshot_at < p.watched_to OR p.watched_to IS NULL)
    ) e
    UNION ALL
    SELECT p.watched_to, lead(p.watched_from) OVER (ORDER BY p.watched_from), 'not_watched'
    FROM ledger.r_period p
    WHERE p.watch_id = w.watch_id
) g
WHERE g.gap_from < coalesce(g.gap_to, statement_timestamp());

COMMENT ON VIEW report.gaps IS 'Spans [gap_from, gap_to) in which a watch had no fresh snapshot.';
COMMENT ON COLUMN report.gaps.source IS 'Name of the API.';
COMMENT ON COLUMN report.gaps.network IS 'Network of the address.';
COMMENT ON COLUMN report.gaps.address IS 'Address in canonical form.';
COMMENT ON COLUMN report.gaps.scope IS 'Rune id for okx_runes; else empty.';
COMMENT ON COLUMN report.gaps.label IS 'Label from the watchlist; today''s.';
COMMENT ON COLUMN report.gaps.tags IS 'Tags from the watchlist; today''s.';
COMMENT ON COLUMN report.gaps.gap_from IS 'First instant without a fresh answer.';
COMMENT ON COLUMN report.gaps.gap_to IS 'First instant after the gap; NULL: it lasts.';
COMMENT ON COLUMN report.gaps.reason IS 'never_observed: before the first snapshot of a watch period; stale: the last one was too old; not_watched: off the watchlist.';
