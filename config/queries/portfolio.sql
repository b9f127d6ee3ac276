-- What is held now, summed per asset, with a word on how far the sum can be trusted.
-- `complete` is false while a watch of that address and source has no fresh answer: the sum may be too small.
SELECT source, label, address, asset_ref, symbol, quantity, complete, missing_watches
FROM report.balances
ORDER BY source, label, quantity DESC NULLS LAST;
