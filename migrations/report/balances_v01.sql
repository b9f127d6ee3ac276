-- Holdings summed to one row per (source, address, asset), saying whether the sum is the whole truth.

CREATE FUNCTION report.balances_as_of(ts timestamptz)
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
        g.amount,
        g.decimals,
        trim_scale(g.amount * ('1e-' || g.decimals)::numeric),
        g.positions,
        g.status,
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
    ) g;
END;

COMMENT ON FUNCTION report.balances_as_of(timestamptz) IS
'What was held at ts, one row per (source, address, asset_ref), summed over sub_key and scopes. No row is not zero: report.balance_as_of tells absent from unknown.
source, network, address: whose. label, tags: today''s. asset_ref: natural key. kind, symbol, name: today''s.
amount: sum in integer base units; NULL when a position''s amount is unknown. decimals: NULL when not reported or when positions disagree. quantity: amount × 10^-decimals, exact; NULL when either is NULL.
positions: how many holdings were summed. status: the worst of them: carried, then stale, then fresh. snapshot_at: the oldest of theirs.
complete: every watch that could hold the asset (for okx_runes: the one whose scope is this rune) was fresh, had nothing unreadable or carried and no disbelieved list. Count a sum as final only then.
missing_watches: how many of those watches were watched but had never been observed.';

CREATE VIEW report.balances AS
SELECT
    b.source,
    b.network,
    b.address,
    b.label,
    b.tags,
    b.asset_ref,
    b.kind,
    b.symbol,
    b.name,
    b.amount,
    b.decimals,
    b.quantity,
    b.positions,
    b.status,
    b.snapshot_at,
    b.complete,
    b.missing_watches
FROM report.balances_as_of(statement_timestamp()) b;

COMMENT ON VIEW report.balances IS 'What is held now, one row per (source, address, asset_ref). No row is not zero. See report.balances_as_of.';
COMMENT ON COLUMN report.balances.source IS 'Name of the API.';
COMMENT ON COLUMN report.balances.network IS 'Network of the address.';
COMMENT ON COLUMN report.balances.address IS 'Address in canonical form.';
COMMENT ON COLUMN report.balances.label IS 'Label from the watchlist; today''s.';
COMMENT ON COLUMN report.balances.tags IS 'Tags from the watchlist; today''s.';
COMMENT ON COLUMN report.balances.asset_ref IS 'Natural key of the asset on its network.';
COMMENT ON COLUMN report.balances.kind IS 'native, fungible, nft or other.';
COMMENT ON COLUMN report.balances.symbol IS 'Untrusted text for display, never a key; today''s.';
COMMENT ON COLUMN report.balances.name IS 'Untrusted text for display, never a key; today''s.';
COMMENT ON COLUMN report.balances.amount IS 'Sum in integer base units; NULL when the amount of a position is unknown.';
COMMENT ON COLUMN report.balances.decimals IS 'NULL when not reported or when positions disagree.';
COMMENT ON COLUMN report.balances.quantity IS 'amount × 10^-decimals, exact; NULL when either is NULL.';
COMMENT ON COLUMN report.balances.positions IS 'How many holdings were summed.';
COMMENT ON COLUMN report.balances.status IS 'The worst status of its positions: carried, then stale, then fresh.';
COMMENT ON COLUMN report.balances.snapshot_at IS 'The oldest snapshot it rests on.';
COMMENT ON COLUMN report.balances.complete IS 'Every watch that could hold the asset is fresh, with nothing unreadable, carried or under review.';
COMMENT ON COLUMN report.balances.missing_watches IS 'How many of those watches have never been observed.';
