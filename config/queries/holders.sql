-- Who holds one asset, largest first. The setting lets PostgreSQL begin with the asset. Else it looks at every watch
-- first: with a million versions that took 160 ms instead of 22. For questions about one address its default is better.
SET join_collapse_limit = 12;
SELECT h.source, h.label, h.address, h.asset_ref, h.sub_key, h.amount, h.quantity, h.status, h.snapshot_at
FROM report.holdings_as_of('2026-11-01 00:00:00+00') AS h
WHERE h.source = 'hedera' AND h.asset_ref = '0.0.5003'
ORDER BY h.amount DESC NULLS LAST, h.address, h.sub_key;
RESET join_collapse_limit;
