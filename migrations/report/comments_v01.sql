-- What these objects say of themselves, said better. The objects are as they were.

COMMENT ON FUNCTION report.coverage_as_of(timestamptz) IS
'What was known about each watch at ts: one row per watch, always, also for watches removed since.
source: name of the API. network: network of the address. address: canonical form. scope: rune id for okx_runes, else empty.
label, tags: from the watchlist, today''s. source_state: active, paused or retired, today''s.
status: fresh; stale: the answer is older than fresh_for; not_watched: not on the watchlist at ts; never_observed: watched, but no complete crawl since; future: ts has not come yet.
snapshot_at: instant of the snapshot that speaks for ts; NULL when there is none. age: ts - snapshot_at.
holdings: holdings it listed and read. unreadable: items it listed that could not be read.
consistency: point: one moment; window: several pages, which may show different moments (never further apart than max_window, or what a large list needed); drifted: the list moved while it was read.
pending_review: a newer list was not believed and waits for a second witness or an operator.';
COMMENT ON COLUMN report.coverage.consistency IS 'point: one moment; window: several pages, which may show different moments; drifted: the list moved while it was read.';
COMMENT ON COLUMN report.snapshots.consistency IS 'point: one moment; window: several pages, which may show different moments; drifted: the list moved while it was read.';
COMMENT ON VIEW report.crawls IS 'Every crawl that was not pruned, nor folded: one that repeats the one before it to the byte becomes a part of report.snapshots after an hour, or at once by `indexer prune`.';
COMMENT ON VIEW report.prices IS 'Every price observed, a row only when it changed: the latest of a position is the one that holds. An ask belongs to its position and says nothing once the position is gone or is not for sale any more (details of report.holdings): take the latest row of each source, address, scope, asset_ref, sub_key, kind and currency before joining. Not for valuing a portfolio.';
