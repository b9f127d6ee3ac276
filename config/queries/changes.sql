-- What changed in the last day, and between which two observations each change happened.
-- It looks at every version of the watches it is about (0.1 seconds for 68,000): name sources or addresses where there
-- are many millions.
SELECT changed_at, change, source, address, asset_ref, sub_key, symbol, old_quantity, new_quantity, not_before, not_after
FROM report.holding_changes
WHERE changed_at >= now() - interval '1 day' AND change <> 'first_seen'
ORDER BY changed_at DESC;
