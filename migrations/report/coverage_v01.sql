-- What is known about every watch at an instant, and why not when nothing is.
-- Every other report stands on ledger.r_coverage_as_of: one place decides fresh, stale and unknown.

CREATE FUNCTION ledger.r_coverage_as_of(ts timestamptz)
RETURNS TABLE (
    watch_id bigint,
    source text,
    network text,
    address text,
    scope text,
    label text,
    tags text[],
    source_state text,
    only_asset text,
    status text,
    watched_from timestamptz,
    snapshot_at timestamptz,
    last_page_at timestamptz,
    holdings integer,
    unreadable integer,
    proves_absence boolean,
    consistency text,
    pending_review boolean
)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT
        w.watch_id,
        w.source,
        w.network,
        w.address,
        w.scope,
        w.label,
        w.tags,
        w.source_state,
        w.only_asset,
        CASE
            WHEN ts > statement_timestamp() THEN 'future'
            WHEN p.watched_from IS NULL THEN 'not_watched'
            WHEN s.snapshot_at IS NULL THEN 'never_observed'
            WHEN ts < s.fresh_until THEN 'fresh'
            ELSE 'stale'
        END,
        p.watched_from,
        s.snapshot_at,
        s.last_page_at,
        s.holdings,
        s.unreadable,
        s.proves_absence,
        s.consistency,
        coalesce(q.pending, false)
    FROM ledger.r_watch w
    -- A future instant finds no period, so nothing below it can look like an answer.
    LEFT JOIN ledger.r_period p
        ON p.watch_id = w.watch_id
        AND p.watched_from <= ts
        AND (p.watched_to > ts OR p.watched_to IS NULL)
        AND ts <= statement_timestamp()
    LEFT JOIN LATERAL (
        SELECT
            y.snapshot_at,
            y.fresh_until,
            y.last_page_at,
            y.holdings,
            y.unreadable,
            y.proves_absence,
            y.consistency
        FROM (
            (
                SELECT
                    x.snapshot_at,
                    x.fresh_until,
                    x.last_page_at,
                    x.holdings,
                    x.unreadable,
                    x.proves_absence,
                    x.consistency
                FROM ledger.r_kept_snapshot x
                WHERE x.watch_id = w.watch_id
                    AND x.state = 'published'
                    AND x.snapshot_at <= ts
                    -- What an earlier period proved is not carried over the time nobody looked.
                    AND x.snapshot_at >= p.watched_from
                ORDER BY x.snapshot_at DESC
                LIMIT 1
            )
            UNION ALL
            -- Runs do not overlap: only the last one that began can have the last snapshot.
            (
                SELECT
                    e.snapshot_at,
                    e.snapshot_at + r.fresh_for,
                    e.snapshot_at - e.last_lag * interval '1 microsecond',
                    r.holdings,
                    r.unreadable,
                    r.proves_absence,
                    r.consistency
                FROM (
                    SELECT
                        x.fresh_for,
                        x.instants,
                        x.last_lags,
                        x.holdings,
                        x.unreadable,
                        x.proves_absence,
                        x.consistency
                    FROM ledger.r_run x
                    WHERE x.watch_id = w.watch_id
                        AND x.first_at <= ts
                    ORDER BY x.first_at DESC
                    LIMIT 1
                ) r
                CROSS JOIN LATERAL unnest(r.instants, r.last_lags) e (snapshot_at, last_lag)
                WHERE e.snapshot_at <= ts
                    AND e.snapshot_at >= p.watched_from
                ORDER BY e.snapshot_at DESC
                LIMIT 1
            )
        ) y
        ORDER BY y.snapshot_at DESC
        LIMIT 1
    ) s ON true
    LEFT JOIN LATERAL (
        SELECT true AS pending
        FROM ledger.r_kept_snapshot x
        WHERE x.watch_id = w.watch_id
            AND x.state = 'quarantined'
            AND x.judged_at <= ts
            AND x.judged_at >= p.watched_from
            AND (x.resolved_at > ts OR x.resolved_at IS NULL)
        LIMIT 1
    ) q ON true;
END;

COMMENT ON FUNCTION ledger.r_coverage_as_of(timestamptz) IS
'For schema report: one row per watch with the snapshot that speaks for it at ts. snapshot_at is NULL exactly when status is neither fresh nor stale.';

CREATE FUNCTION report.coverage_as_of(ts timestamptz)
RETURNS TABLE (
    source text,
    network text,
    address text,
    scope text,
    label text,
    tags text[],
    source_state text,
    status text,
    snapshot_at timestamptz,
    age interval,
    holdings integer,
    unreadable integer,
    consistency text,
    pending_review boolean
)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT
        c.source,
        c.network,
        c.address,
        c.scope,
        c.label,
        c.tags,
        c.source_state,
        c.status,
        c.snapshot_at,
        ts - c.snapshot_at,
        c.holdings,
        c.unreadable,
        c.consistency,
        c.pending_review
    FROM ledger.r_coverage_as_of(ts) c;
END;

COMMENT ON FUNCTION report.coverage_as_of(timestamptz) IS
'What was known about each watch at ts: one row per watch, always, also for watches removed since.
source: name of the API. network: network of the address. address: canonical form. scope: rune id for okx_runes, else empty.
label, tags: from the watchlist, today''s. source_state: active, paused or retired, today''s.
status: fresh; stale: the answer is older than fresh_for; not_watched: not on the watchlist at ts; never_observed: watched, but no complete crawl since; future: ts has not come yet.
snapshot_at: instant of the snapshot that speaks for ts; NULL when there is none. age: ts - snapshot_at.
holdings: holdings it listed and read. unreadable: items it listed that could not be read.
consistency: point: one moment; window: pages span longer than max_window; drifted: the list moved while it was read.
pending_review: a newer list was not believed and waits for a second witness or an operator.';

CREATE VIEW report.coverage AS
SELECT
    c.source,
    c.network,
    c.address,
    c.scope,
    c.label,
    c.tags,
    c.source_state,
    c.status,
    c.snapshot_at,
    c.age,
    c.holdings,
    c.unreadable,
    c.consistency,
    c.pending_review
FROM report.coverage_as_of(statement_timestamp()) c;

COMMENT ON VIEW report.coverage IS 'What is known about each watch now: one row per watch, always. See report.coverage_as_of.';
COMMENT ON COLUMN report.coverage.source IS 'Name of the API.';
COMMENT ON COLUMN report.coverage.network IS 'Network of the address.';
COMMENT ON COLUMN report.coverage.address IS 'Address in canonical form.';
COMMENT ON COLUMN report.coverage.scope IS 'Rune id for okx_runes; else empty.';
COMMENT ON COLUMN report.coverage.label IS 'Label from the watchlist; today''s.';
COMMENT ON COLUMN report.coverage.tags IS 'Tags from the watchlist; today''s.';
COMMENT ON COLUMN report.coverage.source_state IS 'active; paused: the API refuses us; retired: it is no longer asked.';
COMMENT ON COLUMN report.coverage.status IS 'fresh, stale, not_watched, never_observed (future cannot occur now). The last two are unknown, not zero.';
COMMENT ON COLUMN report.coverage.snapshot_at IS 'Instant of the last published snapshot of this watch period; NULL: none.';
COMMENT ON COLUMN report.coverage.age IS 'How old that snapshot is.';
COMMENT ON COLUMN report.coverage.holdings IS 'Holdings it listed and read.';
COMMENT ON COLUMN report.coverage.unreadable IS 'Items it listed that could not be read.';
COMMENT ON COLUMN report.coverage.consistency IS 'point: one moment; window: a longer span; drifted: the list moved while it was read.';
COMMENT ON COLUMN report.coverage.pending_review IS 'A newer list was not believed and waits; see report.quarantine.';
