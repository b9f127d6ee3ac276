-- The book at the end of a month. Give the instant with its zone; it must lie before `report.settled_until`.
SELECT h.source, h.label, h.address, h.asset_ref, h.sub_key, h.symbol, h.amount, h.quantity, h.status, h.snapshot_at
FROM report.holdings_as_of('2026-11-01 00:00:00+00') AS h
ORDER BY h.source, h.address, h.asset_ref, h.sub_key;
