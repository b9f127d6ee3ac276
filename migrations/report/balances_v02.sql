-- Holdings summed to one row per (source, address, asset): unknown where one of its positions was never readable.

CREATE OR REPLACE FUNCTION report.balances_as_of(ts timestamptz)
RETURNS TABLE (
    source text,
    network text,
    address text,
    label text,
    tags text[],
    asset_ref text,
    kind text,
    symbol text,
    name text,
    amount numeric,
    decimals smallint,
    quantity numeric,
    positions integer,
    status text,
    snapshot_at timestamptz,
    complete boolean,
    missing_watches integer
)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT
        g.source,
        g.network,
        g.address,
        g.label,
        g.tags,
        g.asset_ref,
        g.kind,
        g.symbol,
        g.name,
        CASE WHEN u.asset_ref IS NULL THEN g.amount END,
        g.decimals,
        CASE WHEN u.asset_ref IS NULL THEN trim_scale(g.amount * ('1e-' || g.decimals)::numeric) END,
        g.positions,
        CASE WHEN u.asset_ref IS NULL THEN g.status ELSE 'carried' END,
        g.snapshot_at,
        g.complete,
        g.missing_watches
    FROM (
        SELECT
            h.source,
            h.network,
            h.address,
            min(h.label) AS label,
            min(h.tags) AS tags,
            h.asset_ref,
            h.kind,
            h.symbol,
            h.name,
            -- sum() skips NULL; a total that skips a position would be a plausible wrong number.
            CASE WHEN count(h.amount) = count(*) THEN sum(h.amount) END AS amount,
            CASE
                WHEN count(h.decimals) = count(*) AND min(h.decimals) = max(h.decimals) THEN min(h.decimals)
            END AS decimals,
            count(*)::integer AS positions,
            CASE
                WHEN bool_or(h.status = 'carried') THEN 'carried'
                WHEN bool_or(h.status = 'stale') THEN 'stale'
                ELSE 'fresh'
            END AS status,
            min(h.snapshot_at) AS snapshot_at,
            coalesce(bool_and(w.complete), false) AS complete,
            coalesce(max(w.missing_watches), 0)::integer AS missing_watches
        FROM report.holdings_as_of(ts) h
        LEFT JOIN (
            SELECT
                c.source,
                c.address,
                c.only_asset,
                bool_and(
                    c.status = 'fresh'
                    AND c.proves_absence
                    AND NOT c.pending_review
                    AND NOT EXISTS (
                        SELECT
                        FROM ledger.r_carried k
                        WHERE k.watch_id = c.watch_id
                            AND k.valid_from <= ts
                            AND (k.valid_to > ts OR k.valid_to IS NULL)
                    )
                ) AS complete,
                count(*) FILTER (WHERE c.status = 'never_observed') AS missing_watches
            FROM ledger.r_coverage_as_of(ts) c
            WHERE c.watched_from IS NOT NULL
            GROUP BY c.source, c.address, c.only_asset
        ) w
            ON w.source = h.source
            AND w.address = h.address
            AND (w.only_asset = h.asset_ref OR w.only_asset IS NULL)
        GROUP BY h.source, h.network, h.address, h.asset_ref, h.kind, h.symbol, h.name
    ) g
    -- A position that is listed and never was readable has no version: the rest alone would be a plausible wrong sum.
    LEFT JOIN (
        SELECT w.source, w.address, a.asset_ref
        FROM ledger.r_carried k
        JOIN ledger.r_watch w ON w.watch_id = k.watch_id
        JOIN ledger.r_asset a ON a.asset_id = k.asset_id
        WHERE k.valid_from <= ts
            AND (k.valid_to > ts OR k.valid_to IS NULL)
            AND NOT EXISTS (
                SELECT
                FROM ledger.r_version v
                WHERE v.watch_id = k.watch_id
                    AND v.asset_id = k.asset_id
                    AND v.sub_key = k.sub_key
                    AND v.valid_from <= ts
                    AND (v.valid_to > ts OR v.valid_to IS NULL)
            )
        GROUP BY w.source, w.address, a.asset_ref
    ) u ON u.source = g.source AND u.address = g.address AND u.asset_ref = g.asset_ref;
END;

COMMENT ON FUNCTION report.balances_as_of(timestamptz) IS
'What was held at ts, one row per (source, address, asset_ref), summed over sub_key and scopes. No row is not zero: report.balance_as_of tells absent from unknown.
source, network, address: whose. label, tags: today''s. asset_ref: natural key. kind, symbol, name: today''s.
amount: sum in integer base units; NULL when a position''s amount is unknown, or one is listed that could never be read. decimals: NULL when not reported or when positions disagree. quantity: amount × 10^-decimals, exact; NULL when either is NULL.
positions: how many holdings are known. status: the worst of them: carried (so is a sum with a position that could never be read), then stale, then fresh. snapshot_at: the oldest of theirs.
complete: every watch that could hold the asset (for okx_runes: the one whose scope is this rune) was fresh, had nothing unreadable or carried and no disbelieved list. Count a sum as final only then, and for instants before report.settled_until.
missing_watches: how many of those watches were watched but had never been observed.';

COMMENT ON COLUMN report.balances.amount IS 'Sum in integer base units; NULL when the amount of a position is unknown, or one is listed that could never be read.';
COMMENT ON COLUMN report.balances.positions IS 'How many holdings are known.';
