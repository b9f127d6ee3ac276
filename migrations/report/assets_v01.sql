-- Every asset ever held, with today's description.

CREATE VIEW report.assets AS
SELECT
    a.network,
    a.asset_ref,
    a.kind,
    a.symbol,
    a.name,
    a.decimals,
    a.metadata,
    a.updated_at
FROM ledger.r_asset a;

COMMENT ON VIEW report.assets IS 'Every asset ever listed, with its latest description. Symbols and names are untrusted text: never join on them.';
COMMENT ON COLUMN report.assets.network IS 'Network it lives on.';
COMMENT ON COLUMN report.assets.asset_ref IS 'Natural key on its network: rune id, asset id, token id …';
COMMENT ON COLUMN report.assets.kind IS 'native, fungible, nft or other; other also when nothing is known of it yet.';
COMMENT ON COLUMN report.assets.symbol IS 'Untrusted text for display, never a key.';
COMMENT ON COLUMN report.assets.name IS 'Untrusted text for display, never a key.';
COMMENT ON COLUMN report.assets.decimals IS 'Last reported; NULL: unknown, which is not 0. Holdings carry their own.';
COMMENT ON COLUMN report.assets.metadata IS 'The API''s description: image, attributes, collection … NULL: none yet.';
COMMENT ON COLUMN report.assets.updated_at IS 'When the description last changed; NULL: none yet.';
