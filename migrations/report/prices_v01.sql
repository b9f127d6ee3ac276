-- Prices the APIs mentioned. They never value a portfolio: an ask is a wish, and it ends with its position.

CREATE VIEW report.prices AS
SELECT
    w.source,
    w.network,
    w.address,
    w.scope,
    a.asset_ref,
    p.sub_key,
    p.kind,
    p.currency,
    p.price,
    p.observed_at,
    p.crawl_id
FROM ledger.r_price p
JOIN ledger.r_watch w ON w.watch_id = p.watch_id
JOIN ledger.r_asset a ON a.asset_id = p.asset_id;

COMMENT ON VIEW report.prices IS 'Every price observed, a row only when it changed. An ask belongs to its position and says nothing once the position is gone: join report.holdings on source, address, scope, asset_ref and sub_key. Not for valuing a portfolio.';
COMMENT ON COLUMN report.prices.source IS 'Name of the API.';
COMMENT ON COLUMN report.prices.network IS 'Network of the address.';
COMMENT ON COLUMN report.prices.address IS 'Address whose list mentioned it.';
COMMENT ON COLUMN report.prices.scope IS 'Rune id for okx_runes; else empty.';
COMMENT ON COLUMN report.prices.asset_ref IS 'Natural key of the asset on its network.';
COMMENT ON COLUMN report.prices.sub_key IS 'Position an ask belongs to; or empty.';
COMMENT ON COLUMN report.prices.kind IS 'ask: what its owner wants; market: what others paid.';
COMMENT ON COLUMN report.prices.currency IS 'Lower-case currency: sat, usd …';
COMMENT ON COLUMN report.prices.price IS 'For one unit of quantity, exactly as stated, in currency.';
COMMENT ON COLUMN report.prices.observed_at IS 'When the page that stated it was fetched.';
COMMENT ON COLUMN report.prices.crawl_id IS 'Crawl it comes from; may have been pruned.';
