-- What every watch held at an instant. Watches without an answer have no rows here: report.coverage_as_of says why.

CREATE FUNCTION report.holdings_as_of(ts timestamptz)
RETURNS TABLE (
    source text,
    network text,
    address text,
    scope text,
    label text,
    tags text[],
    asset_ref text,
    sub_key text,
    kind text,
    symbol text,
    name text,
    amount numeric,
    decimals smallint,
    quantity numeric,
    locked numeric,
    frozen boolean,
    delegate text,
    details jsonb,
    status text,
    snapshot_at timestamptz,
    observed_at timestamptz,
    valid_from timestamptz,
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
        a.asset_ref,
        v.sub_key,
        a.kind,
        a.symbol,
        a.name,
        v.amount,
        v.decimals,
        v.quantity,
        v.locked,
        v.frozen,
        v.delegate,
        v.details,
        CASE WHEN k.watch_id IS NULL THEN c.status ELSE 'carried' END,
        c.snapshot_at,
        -- A carried holding was not seen by this snapshot: only the page that opened its version is sure.
        CASE WHEN k.watch_id IS NULL THEN c.last_page_at ELSE v.observed_at END,
        v.valid_from,
        c.pending_review
    FROM ledger.r_coverage_as_of(ts) c
    JOIN ledger.r_version v
        ON v.watch_id = c.watch_id
        AND v.valid_from <= ts
        AND (v.valid_to > ts OR v.valid_to IS NULL)
    JOIN ledger.r_asset a ON a.asset_id = v.asset_id
    LEFT JOIN ledger.r_carried k
        ON k.watch_id = v.watch_id
        AND k.asset_id = v.asset_id
        AND k.sub_key = v.sub_key
        AND k.valid_from <= ts
        AND (k.valid_to > ts OR k.valid_to IS NULL)
    -- Says fresh or stale in a form that lets the planner turn the outer joins of coverage into inner ones.
    WHERE c.watched_from IS NOT NULL
        AND c.snapshot_at IS NOT NULL;
END;

COMMENT ON FUNCTION report.holdings_as_of(timestamptz) IS
'What was held at ts: one row per holding of every watch whose status at ts is fresh or stale. No row is not zero: ask report.coverage_as_of or report.balance_as_of whether it was absent or unknown.
source, network, address, scope: the watch. label, tags: today''s. asset_ref: natural key of the asset. sub_key: position within it (UTXO, serial number) or empty.
kind: native, fungible, nft or other. symbol, name: untrusted text, today''s.
amount: integer base units; NULL: held, but the API does not say how much. decimals: as reported with it; NULL: not reported, which is not 0. quantity: amount × 10^-decimals, exact; NULL when either is NULL.
locked: part of amount that cannot move, base units. frozen: whether it is frozen, where stated. delegate: who else may move it. details: source-specific facts of the position.
status: fresh; stale: the snapshot is older than fresh_for; carried: listed but unreadable, or missing without proof, so the last known value stands.
snapshot_at: instant of the snapshot that speaks for ts. observed_at: last page of that snapshot; for a carried holding the page that opened its version.
valid_from: since when it did not change. pending_review: a newer list of this watch was not believed.';

CREATE VIEW report.holdings AS
SELECT
    h.source,
    h.network,
    h.address,
    h.scope,
    h.label,
    h.tags,
    h.asset_ref,
    h.sub_key,
    h.kind,
    h.symbol,
    h.name,
    h.amount,
    h.decimals,
    h.quantity,
    h.locked,
    h.frozen,
    h.delegate,
    h.details,
    h.status,
    h.snapshot_at,
    h.observed_at,
    h.valid_from,
    h.pending_review
FROM report.holdings_as_of(statement_timestamp()) h;

COMMENT ON VIEW report.holdings IS 'What is held now, as far as known. No row is not zero: see report.coverage. See report.holdings_as_of.';
COMMENT ON COLUMN report.holdings.source IS 'Name of the API.';
COMMENT ON COLUMN report.holdings.network IS 'Network of the address.';
COMMENT ON COLUMN report.holdings.address IS 'Address in canonical form.';
COMMENT ON COLUMN report.holdings.scope IS 'Rune id for okx_runes; else empty.';
COMMENT ON COLUMN report.holdings.label IS 'Label from the watchlist; today''s.';
COMMENT ON COLUMN report.holdings.tags IS 'Tags from the watchlist; today''s.';
COMMENT ON COLUMN report.holdings.asset_ref IS 'Natural key of the asset on its network.';
COMMENT ON COLUMN report.holdings.sub_key IS 'Position within the asset (UTXO, serial number); or empty.';
COMMENT ON COLUMN report.holdings.kind IS 'native, fungible, nft or other.';
COMMENT ON COLUMN report.holdings.symbol IS 'Untrusted text for display, never a key; today''s.';
COMMENT ON COLUMN report.holdings.name IS 'Untrusted text for display, never a key; today''s.';
COMMENT ON COLUMN report.holdings.amount IS 'Integer base units; NULL: held, but the API does not say how much.';
COMMENT ON COLUMN report.holdings.decimals IS 'As reported with the amount; NULL: not reported, which is not 0.';
COMMENT ON COLUMN report.holdings.quantity IS 'amount × 10^-decimals, exact; NULL when either is NULL.';
COMMENT ON COLUMN report.holdings.locked IS 'Part of amount that cannot move, base units; NULL: not stated.';
COMMENT ON COLUMN report.holdings.frozen IS 'Whether the position is frozen; NULL: not stated.';
COMMENT ON COLUMN report.holdings.delegate IS 'Who else may move it; NULL: nobody or not stated.';
COMMENT ON COLUMN report.holdings.details IS 'Source-specific facts of the position.';
COMMENT ON COLUMN report.holdings.status IS 'fresh; stale: the snapshot is too old; carried: the last known value, because the item could not be read or is missing without proof.';
COMMENT ON COLUMN report.holdings.snapshot_at IS 'Instant of the snapshot that speaks for this watch.';
COMMENT ON COLUMN report.holdings.observed_at IS 'Last page of that snapshot; for a carried holding the page that opened its version.';
COMMENT ON COLUMN report.holdings.valid_from IS 'Since when it did not change.';
COMMENT ON COLUMN report.holdings.pending_review IS 'A newer list of this watch was not believed; see report.quarantine.';
