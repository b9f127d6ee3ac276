-- The owner-rights views all reports read through: the only relations of schema ledger the analyst may select.
-- They show what a report needs and no more: no cursor, lease, fact, raw byte or origin. Domains become base types.

CREATE VIEW ledger.r_watch AS
SELECT
    w.watch_id,
    w.source_id AS source,
    s.network,
    a.address,
    w.scope,
    w.label,
    w.tags,
    s.state AS source_state,
    -- The OKX API proves absence only for the rune it was asked about; every other list speaks for all assets.
    CASE WHEN w.source_id = 'okx_runes' THEN w.scope END AS only_asset
FROM ledger.watch w
JOIN ledger.source s ON s.source_id = w.source_id
-- An address lives on the network of its source: saying so lets a search for it use the index (network, address).
JOIN ledger.address a ON a.address_id = w.address_id AND a.network = s.network;

COMMENT ON VIEW ledger.r_watch IS 'For schema report: every watch that is or was followed.';
COMMENT ON COLUMN ledger.r_watch.watch_id IS 'Surrogate key of the watch.';
COMMENT ON COLUMN ledger.r_watch.source IS 'Name of the API.';
COMMENT ON COLUMN ledger.r_watch.network IS 'Network of the address.';
COMMENT ON COLUMN ledger.r_watch.address IS 'Address in canonical form.';
COMMENT ON COLUMN ledger.r_watch.scope IS 'Rune id for okx_runes; else empty.';
COMMENT ON COLUMN ledger.r_watch.label IS 'Label from the watchlist; today''s.';
COMMENT ON COLUMN ledger.r_watch.tags IS 'Tags from the watchlist; today''s.';
COMMENT ON COLUMN ledger.r_watch.source_state IS 'active, paused or retired; today''s.';
COMMENT ON COLUMN ledger.r_watch.only_asset IS 'The one asset its lists speak for; NULL: all assets.';

CREATE VIEW ledger.r_period AS
SELECT
    p.watch_id,
    p.watched_from::timestamptz AS watched_from,
    p.watched_to::timestamptz AS watched_to
FROM ledger.watch_period p;

COMMENT ON VIEW ledger.r_period IS 'For schema report: spans [watched_from, watched_to) in which a watch was followed.';
COMMENT ON COLUMN ledger.r_period.watch_id IS 'Surrogate key of the watch.';
COMMENT ON COLUMN ledger.r_period.watched_from IS 'First instant of the period.';
COMMENT ON COLUMN ledger.r_period.watched_to IS 'First instant after it; NULL: still watched.';

CREATE VIEW ledger.r_snapshot AS
SELECT
    s.snapshot_id,
    s.watch_id,
    s.crawl_id,
    s.state,
    s.judged_at,
    s.snapshot_at,
    s.fresh_until,
    s.first_page_at,
    s.last_page_at,
    s.height_from,
    s.height_to,
    s.pages,
    s.holdings,
    s.unreadable,
    s.missing,
    s.proves_absence,
    s.consistency,
    s.digest,
    s.reason,
    s.resolution,
    s.resolved_at
FROM ledger.any_snapshot s;

COMMENT ON VIEW ledger.r_snapshot IS 'For schema report: every verdict on a finished list.';
COMMENT ON COLUMN ledger.r_snapshot.snapshot_id IS 'Surrogate key of the snapshot.';
COMMENT ON COLUMN ledger.r_snapshot.watch_id IS 'Which watch.';
COMMENT ON COLUMN ledger.r_snapshot.crawl_id IS 'Crawl it comes from; may have been pruned.';
COMMENT ON COLUMN ledger.r_snapshot.state IS 'published or quarantined.';
COMMENT ON COLUMN ledger.r_snapshot.judged_at IS 'Database time of the verdict.';
COMMENT ON COLUMN ledger.r_snapshot.snapshot_at IS 'The instant it speaks for; NULL while quarantined.';
COMMENT ON COLUMN ledger.r_snapshot.fresh_until IS 'From then on an answer from it is stale.';
COMMENT ON COLUMN ledger.r_snapshot.first_page_at IS 'When its first page was fetched.';
COMMENT ON COLUMN ledger.r_snapshot.last_page_at IS 'When its last page was fetched.';
COMMENT ON COLUMN ledger.r_snapshot.height_from IS 'Chain height of the first page, where stated.';
COMMENT ON COLUMN ledger.r_snapshot.height_to IS 'Chain height of the last page, where stated.';
COMMENT ON COLUMN ledger.r_snapshot.pages IS 'Pages it was folded from.';
COMMENT ON COLUMN ledger.r_snapshot.holdings IS 'Holdings listed and readable.';
COMMENT ON COLUMN ledger.r_snapshot.unreadable IS 'Items listed but unreadable.';
COMMENT ON COLUMN ledger.r_snapshot.missing IS 'Known holdings it did not list.';
COMMENT ON COLUMN ledger.r_snapshot.proves_absence IS 'False if the list moved while it was read, or an item''s key could not be read.';
COMMENT ON COLUMN ledger.r_snapshot.consistency IS 'point, window or drifted.';
COMMENT ON COLUMN ledger.r_snapshot.digest IS 'SHA-256 over the folded list.';
COMMENT ON COLUMN ledger.r_snapshot.reason IS 'Why it is quarantined.';
COMMENT ON COLUMN ledger.r_snapshot.resolution IS 'How the quarantine ended.';
COMMENT ON COLUMN ledger.r_snapshot.resolved_at IS 'When the quarantine ended.';

CREATE VIEW ledger.r_kept_snapshot AS
SELECT
    s.watch_id,
    s.state,
    s.judged_at::timestamptz AS judged_at,
    s.snapshot_at::timestamptz AS snapshot_at,
    s.fresh_until::timestamptz AS fresh_until,
    s.first_page_at::timestamptz AS first_page_at,
    s.last_page_at::timestamptz AS last_page_at,
    s.holdings,
    s.unreadable,
    s.proves_absence,
    s.consistency,
    s.resolved_at::timestamptz AS resolved_at
FROM ledger.snapshot s;

COMMENT ON VIEW ledger.r_kept_snapshot IS 'For schema report: the snapshots that are not folded into runs, where an index must be reached.';
COMMENT ON COLUMN ledger.r_kept_snapshot.watch_id IS 'Which watch.';
COMMENT ON COLUMN ledger.r_kept_snapshot.state IS 'published or quarantined.';
COMMENT ON COLUMN ledger.r_kept_snapshot.judged_at IS 'Database time of the verdict.';
COMMENT ON COLUMN ledger.r_kept_snapshot.snapshot_at IS 'The instant it speaks for; NULL while quarantined.';
COMMENT ON COLUMN ledger.r_kept_snapshot.fresh_until IS 'From then on an answer from it is stale.';
COMMENT ON COLUMN ledger.r_kept_snapshot.first_page_at IS 'When its first page was fetched.';
COMMENT ON COLUMN ledger.r_kept_snapshot.last_page_at IS 'When its last page was fetched.';
COMMENT ON COLUMN ledger.r_kept_snapshot.holdings IS 'Holdings listed and readable.';
COMMENT ON COLUMN ledger.r_kept_snapshot.unreadable IS 'Items listed but unreadable.';
COMMENT ON COLUMN ledger.r_kept_snapshot.proves_absence IS 'False if the list moved while it was read, or an item''s key could not be read.';
COMMENT ON COLUMN ledger.r_kept_snapshot.consistency IS 'point, window or drifted.';
COMMENT ON COLUMN ledger.r_kept_snapshot.resolved_at IS 'When the quarantine ended.';

CREATE VIEW ledger.r_run AS
SELECT
    r.watch_id,
    r.first_at::timestamptz AS first_at,
    r.fresh_for,
    r.instants,
    r.first_lags,
    r.last_lags,
    h.holdings,
    h.unreadable,
    h.proves_absence,
    h.consistency
FROM ledger.snapshot_run r
JOIN ledger.snapshot h ON h.snapshot_id = r.head_id;

COMMENT ON VIEW ledger.r_run IS 'For schema report: snapshots that repeat one before them, folded. Runs of one watch do not overlap.';
COMMENT ON COLUMN ledger.r_run.watch_id IS 'Which watch.';
COMMENT ON COLUMN ledger.r_run.first_at IS 'Instant of the first snapshot.';
COMMENT ON COLUMN ledger.r_run.fresh_for IS 'How long each is fresh.';
COMMENT ON COLUMN ledger.r_run.instants IS 'The instants they speak for, ascending.';
COMMENT ON COLUMN ledger.r_run.first_lags IS 'Microseconds from each first page to its instant.';
COMMENT ON COLUMN ledger.r_run.last_lags IS 'Microseconds from each last page to its instant.';
COMMENT ON COLUMN ledger.r_run.holdings IS 'Holdings listed and readable.';
COMMENT ON COLUMN ledger.r_run.unreadable IS 'Items listed but unreadable.';
COMMENT ON COLUMN ledger.r_run.proves_absence IS 'False if the list moved while it was read, or an item''s key could not be read.';
COMMENT ON COLUMN ledger.r_run.consistency IS 'point, window or drifted.';

CREATE VIEW ledger.r_version AS
SELECT
    v.watch_id,
    v.asset_id,
    v.sub_key,
    v.valid_from::timestamptz AS valid_from,
    v.valid_to::timestamptz AS valid_to,
    v.previous_to::timestamptz AS previous_to,
    v.amount::numeric AS amount,
    v.decimals,
    -- Multiplying by 1e-d is exact; dividing by 10^d keeps a limited scale and loses digits.
    trim_scale(v.amount * ('1e-' || v.decimals)::numeric) AS quantity,
    v.locked::numeric AS locked,
    v.frozen,
    v.delegate,
    v.details,
    v.observed_at::timestamptz AS observed_at,
    v.open_reason,
    v.close_reason,
    v.opened_by,
    v.opened_page,
    v.closed_by
FROM ledger.holding_version v;

COMMENT ON VIEW ledger.r_version IS 'For schema report: spans [valid_from, valid_to) in which a holding did not change.';
COMMENT ON COLUMN ledger.r_version.watch_id IS 'Which watch.';
COMMENT ON COLUMN ledger.r_version.asset_id IS 'Which asset.';
COMMENT ON COLUMN ledger.r_version.sub_key IS 'Position within the asset; or empty.';
COMMENT ON COLUMN ledger.r_version.valid_from IS 'First instant of the version.';
COMMENT ON COLUMN ledger.r_version.valid_to IS 'First instant after it; NULL: current.';
COMMENT ON COLUMN ledger.r_version.previous_to IS 'valid_to of the version before; NULL: there was none.';
COMMENT ON COLUMN ledger.r_version.amount IS 'Integer base units; NULL: held, but the API does not say how much.';
COMMENT ON COLUMN ledger.r_version.decimals IS 'As reported then; NULL: not reported.';
COMMENT ON COLUMN ledger.r_version.quantity IS 'amount × 10^-decimals, exact; NULL when either is NULL.';
COMMENT ON COLUMN ledger.r_version.locked IS 'Part of the amount that cannot move, base units.';
COMMENT ON COLUMN ledger.r_version.frozen IS 'Whether the position is frozen, where stated.';
COMMENT ON COLUMN ledger.r_version.delegate IS 'Who else may move it, where stated.';
COMMENT ON COLUMN ledger.r_version.details IS 'Source-specific facts about the position.';
COMMENT ON COLUMN ledger.r_version.observed_at IS 'When the page that opened it was fetched.';
COMMENT ON COLUMN ledger.r_version.open_reason IS 'baseline, appeared, changed or first_read.';
COMMENT ON COLUMN ledger.r_version.close_reason IS 'changed, absent or unwatched; NULL: current.';
COMMENT ON COLUMN ledger.r_version.opened_by IS 'Crawl that opened it.';
COMMENT ON COLUMN ledger.r_version.opened_page IS 'Page of that crawl.';
COMMENT ON COLUMN ledger.r_version.closed_by IS 'Crawl that closed it; NULL for unwatched.';

CREATE VIEW ledger.r_carried AS
SELECT
    k.watch_id,
    k.asset_id,
    k.sub_key,
    k.valid_from::timestamptz AS valid_from,
    k.valid_to::timestamptz AS valid_to,
    k.reason
FROM ledger.carried_span k;

COMMENT ON VIEW ledger.r_carried IS 'For schema report: spans in which a holding was listed but unreadable, or missing without proof.';
COMMENT ON COLUMN ledger.r_carried.watch_id IS 'Which watch.';
COMMENT ON COLUMN ledger.r_carried.asset_id IS 'Which asset.';
COMMENT ON COLUMN ledger.r_carried.sub_key IS 'Which position.';
COMMENT ON COLUMN ledger.r_carried.valid_from IS 'Snapshot from which it could not be read.';
COMMENT ON COLUMN ledger.r_carried.valid_to IS 'Snapshot that settled it; NULL: not yet.';
COMMENT ON COLUMN ledger.r_carried.reason IS 'unreadable, missing or unkeyed.';

CREATE VIEW ledger.r_asset AS
SELECT
    a.asset_id,
    a.network,
    a.asset_ref,
    coalesce(d.kind, 'other') AS kind,
    d.symbol,
    d.name,
    d.decimals,
    d.metadata,
    d.updated_at::timestamptz AS updated_at
FROM ledger.asset a
LEFT JOIN ledger.asset_detail d ON d.asset_id = a.asset_id;

COMMENT ON VIEW ledger.r_asset IS 'For schema report: assets with today''s description.';
COMMENT ON COLUMN ledger.r_asset.asset_id IS 'Surrogate key of the asset.';
COMMENT ON COLUMN ledger.r_asset.network IS 'Network it lives on.';
COMMENT ON COLUMN ledger.r_asset.asset_ref IS 'Natural key on its network.';
COMMENT ON COLUMN ledger.r_asset.kind IS 'native, fungible, nft or other.';
COMMENT ON COLUMN ledger.r_asset.symbol IS 'Untrusted text for display, never a key.';
COMMENT ON COLUMN ledger.r_asset.name IS 'Untrusted text for display, never a key.';
COMMENT ON COLUMN ledger.r_asset.decimals IS 'Last reported; NULL: unknown, which is not 0.';
COMMENT ON COLUMN ledger.r_asset.metadata IS 'The API''s description of the asset.';
COMMENT ON COLUMN ledger.r_asset.updated_at IS 'When the description last changed.';

CREATE VIEW ledger.r_price AS
SELECT
    p.watch_id,
    p.asset_id,
    p.sub_key,
    p.kind,
    p.currency,
    p.observed_at::timestamptz AS observed_at,
    p.price,
    p.crawl_id
FROM ledger.price p;

COMMENT ON VIEW ledger.r_price IS 'For schema report: prices the APIs mentioned, written only when changed.';
COMMENT ON COLUMN ledger.r_price.watch_id IS 'Where it was seen.';
COMMENT ON COLUMN ledger.r_price.asset_id IS 'Of what.';
COMMENT ON COLUMN ledger.r_price.sub_key IS 'Position an ask belongs to.';
COMMENT ON COLUMN ledger.r_price.kind IS 'ask or market.';
COMMENT ON COLUMN ledger.r_price.currency IS 'Lower-case currency.';
COMMENT ON COLUMN ledger.r_price.observed_at IS 'When the page that stated it was fetched.';
COMMENT ON COLUMN ledger.r_price.price IS 'For one unit of quantity.';
COMMENT ON COLUMN ledger.r_price.crawl_id IS 'Crawl it comes from.';

CREATE VIEW ledger.r_crawl AS
SELECT
    c.crawl_id,
    c.source_id AS source,
    s.network,
    c.scope,
    c.state,
    c.created_at::timestamptz AS created_at,
    c.first_page_at::timestamptz AS first_page_at,
    c.last_page_at::timestamptz AS last_page_at,
    c.finished_at::timestamptz AS finished_at,
    c.attempts,
    c.pages,
    c.lookups,
    c.requests,
    c.listed,
    c.error_class,
    c.error
FROM ledger.crawl c
JOIN ledger.source s ON s.source_id = c.source_id;

COMMENT ON VIEW ledger.r_crawl IS 'For schema report: crawls without cursor, lease and facts.';
COMMENT ON COLUMN ledger.r_crawl.crawl_id IS 'Surrogate key of the crawl.';
COMMENT ON COLUMN ledger.r_crawl.source IS 'Name of the API.';
COMMENT ON COLUMN ledger.r_crawl.network IS 'Network of its addresses.';
COMMENT ON COLUMN ledger.r_crawl.scope IS 'Scope of its watches.';
COMMENT ON COLUMN ledger.r_crawl.state IS 'pending, running, complete, failed or abandoned.';
COMMENT ON COLUMN ledger.r_crawl.created_at IS 'When it was queued.';
COMMENT ON COLUMN ledger.r_crawl.first_page_at IS 'When its first page was committed.';
COMMENT ON COLUMN ledger.r_crawl.last_page_at IS 'When its last page was committed.';
COMMENT ON COLUMN ledger.r_crawl.finished_at IS 'When it ended.';
COMMENT ON COLUMN ledger.r_crawl.attempts IS 'How often it was claimed.';
COMMENT ON COLUMN ledger.r_crawl.pages IS 'Pages committed.';
COMMENT ON COLUMN ledger.r_crawl.lookups IS 'Look-ups committed.';
COMMENT ON COLUMN ledger.r_crawl.requests IS 'HTTP requests sent, retries too.';
COMMENT ON COLUMN ledger.r_crawl.listed IS 'Rows listed, held or not.';
COMMENT ON COLUMN ledger.r_crawl.error_class IS 'Class of the error that ended it.';
COMMENT ON COLUMN ledger.r_crawl.error IS 'What happened, redacted.';

CREATE VIEW ledger.r_crawl_watch AS
SELECT
    x.crawl_id,
    x.watch_id,
    x.place,
    x.verdict
FROM ledger.crawl_watch x;

COMMENT ON VIEW ledger.r_crawl_watch IS 'For schema report: the watches a crawl covers, each with its verdict.';
COMMENT ON COLUMN ledger.r_crawl_watch.crawl_id IS 'Which crawl.';
COMMENT ON COLUMN ledger.r_crawl_watch.watch_id IS 'Which watch.';
COMMENT ON COLUMN ledger.r_crawl_watch.place IS 'Order of the address in the request, from 0.';
COMMENT ON COLUMN ledger.r_crawl_watch.verdict IS 'How it ended for this watch; NULL: still open.';
