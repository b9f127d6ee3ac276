-- Every version of every holding ever recorded.

CREATE VIEW report.holding_history AS
SELECT
    w.source,
    w.network,
    w.address,
    w.scope,
    w.label,
    w.tags,
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
    v.watch_id || '/' || v.asset_id || '/' || v.sub_key || '/'
        || to_char(v.valid_from AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS version_key,
    v.valid_from,
    v.valid_to,
    v.open_reason,
    v.close_reason,
    v.observed_at,
    v.opened_by AS opened_by_crawl,
    v.opened_page,
    v.closed_by AS closed_by_crawl
FROM ledger.r_version v
JOIN ledger.r_watch w ON w.watch_id = v.watch_id
JOIN ledger.r_asset a ON a.asset_id = v.asset_id;

COMMENT ON VIEW report.holding_history IS 'Every version of every holding: spans [valid_from, valid_to) in which nothing about it changed.';
COMMENT ON COLUMN report.holding_history.source IS 'Name of the API.';
COMMENT ON COLUMN report.holding_history.network IS 'Network of the address.';
COMMENT ON COLUMN report.holding_history.address IS 'Address in canonical form.';
COMMENT ON COLUMN report.holding_history.scope IS 'Rune id for okx_runes; else empty.';
COMMENT ON COLUMN report.holding_history.label IS 'Label from the watchlist; today''s.';
COMMENT ON COLUMN report.holding_history.tags IS 'Tags from the watchlist; today''s.';
COMMENT ON COLUMN report.holding_history.asset_ref IS 'Natural key of the asset on its network.';
COMMENT ON COLUMN report.holding_history.sub_key IS 'Position within the asset (UTXO, serial number); or empty.';
COMMENT ON COLUMN report.holding_history.kind IS 'native, fungible, nft or other.';
COMMENT ON COLUMN report.holding_history.symbol IS 'Untrusted text for display, never a key; today''s.';
COMMENT ON COLUMN report.holding_history.name IS 'Untrusted text for display, never a key; today''s.';
COMMENT ON COLUMN report.holding_history.amount IS 'Integer base units; NULL: held, but the API does not say how much.';
COMMENT ON COLUMN report.holding_history.decimals IS 'As reported then; NULL: not reported, which is not 0.';
COMMENT ON COLUMN report.holding_history.quantity IS 'amount × 10^-decimals, exact; NULL when either is NULL.';
COMMENT ON COLUMN report.holding_history.locked IS 'Part of amount that cannot move, base units; NULL: not stated.';
COMMENT ON COLUMN report.holding_history.frozen IS 'Whether the position is frozen; NULL: not stated.';
COMMENT ON COLUMN report.holding_history.delegate IS 'Who else may move it; NULL: nobody or not stated.';
COMMENT ON COLUMN report.holding_history.details IS 'Source-specific facts of the position.';
COMMENT ON COLUMN report.holding_history.version_key IS 'Unique, lasting key of the version, for incremental loads.';
COMMENT ON COLUMN report.holding_history.valid_from IS 'First instant of the version.';
COMMENT ON COLUMN report.holding_history.valid_to IS 'First instant after it; NULL: current.';
COMMENT ON COLUMN report.holding_history.open_reason IS 'baseline: listed by the first crawl of a watch period; appeared; changed; first_read: was listed before, but unreadable.';
COMMENT ON COLUMN report.holding_history.close_reason IS 'changed; absent: proved gone; unwatched: nobody looks any more; NULL: current.';
COMMENT ON COLUMN report.holding_history.observed_at IS 'When the page that opened it was fetched.';
COMMENT ON COLUMN report.holding_history.opened_by_crawl IS 'Crawl that opened it (indexer raw shows its bytes).';
COMMENT ON COLUMN report.holding_history.opened_page IS 'Page of that crawl it was read from.';
COMMENT ON COLUMN report.holding_history.closed_by_crawl IS 'Crawl that closed it; NULL: current or unwatched.';
