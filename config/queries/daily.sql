-- One row per day and asset for a chart. An unfinished or unobserved day is not `complete`: do not draw it as a fact.
SELECT day, source, label, address, asset_ref, symbol, quantity, status, complete
FROM report.balances_daily(current_date - 30, current_date, 'UTC')
ORDER BY day, source, address, asset_ref;
