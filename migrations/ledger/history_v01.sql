-- What is known: assets, snapshots, versions of holdings, carried spans and prices.
-- Overlaps are refused by a chain: each version names the number and end of the one before it.

CREATE TABLE ledger.asset (
    asset_id BIGINT GENERATED ALWAYS AS IDENTITY,
    network TEXT NOT NULL,
    asset_ref TEXT NOT NULL,
    CONSTRAINT asset_pkey PRIMARY KEY (asset_id),
    CONSTRAINT asset_network_asset_ref_key UNIQUE (network, asset_ref),
    CONSTRAINT asset_asset_ref_is_short CHECK (octet_length(asset_ref) BETWEEN 1 AND 256)
);

COMMENT ON TABLE ledger.asset IS 'What is held.';
COMMENT ON COLUMN ledger.asset.asset_id IS 'Surrogate key.';
COMMENT ON COLUMN ledger.asset.network IS 'Network it lives on.';
COMMENT ON COLUMN ledger.asset.asset_ref IS 'Natural key on its network: rune id, mint, token id …';

CREATE TABLE ledger.asset_detail (
    asset_id BIGINT NOT NULL,
    kind TEXT NOT NULL,
    symbol TEXT,
    name TEXT,
    decimals SMALLINT,
    metadata JSONB NOT NULL,
    digest BYTEA NOT NULL,
    updated_at ledger.instant DEFAULT now() NOT NULL,
    CONSTRAINT asset_detail_pkey PRIMARY KEY (asset_id),
    CONSTRAINT asset_detail_kind_is_known CHECK (kind IN ('native', 'fungible', 'nft', 'other')),
    CONSTRAINT asset_detail_decimals_are_sane CHECK (decimals BETWEEN 0 AND 255),
    CONSTRAINT asset_detail_asset_id_fkey FOREIGN KEY(asset_id) REFERENCES ledger.asset (asset_id)
);

COMMENT ON TABLE ledger.asset_detail IS 'Today''s description of an asset, written only when it changes.';
COMMENT ON COLUMN ledger.asset_detail.asset_id IS 'Which asset.';
COMMENT ON COLUMN ledger.asset_detail.kind IS 'native, fungible, nft or other.';
COMMENT ON COLUMN ledger.asset_detail.symbol IS 'Untrusted text for display, never a key.';
COMMENT ON COLUMN ledger.asset_detail.name IS 'Untrusted text for display, never a key.';
COMMENT ON COLUMN ledger.asset_detail.decimals IS 'Last reported; NULL: unknown, which is not 0.';
COMMENT ON COLUMN ledger.asset_detail.metadata IS 'The API''s description without owner-specific fields.';
COMMENT ON COLUMN ledger.asset_detail.digest IS 'SHA-256 of the canonical description.';
COMMENT ON COLUMN ledger.asset_detail.updated_at IS 'When it last changed.';

CREATE TABLE ledger.snapshot (
    snapshot_id BIGINT GENERATED ALWAYS AS IDENTITY,
    watch_id BIGINT NOT NULL,
    crawl_id BIGINT NOT NULL,
    state TEXT NOT NULL,
    judged_at ledger.instant NOT NULL,
    snapshot_at ledger.instant,
    fresh_until ledger.instant,
    first_page_at ledger.instant NOT NULL,
    last_page_at ledger.instant NOT NULL,
    height_from BIGINT,
    height_to BIGINT,
    pages INTEGER NOT NULL,
    holdings INTEGER NOT NULL,
    unreadable INTEGER NOT NULL,
    missing INTEGER NOT NULL,
    proves_absence BOOLEAN NOT NULL,
    consistency TEXT NOT NULL,
    digest BYTEA NOT NULL,
    reason TEXT,
    resolution TEXT,
    resolved_at ledger.instant,
    CONSTRAINT snapshot_pkey PRIMARY KEY (snapshot_id),
    CONSTRAINT snapshot_state_is_known CHECK (state IN ('published', 'quarantined')),
    CONSTRAINT snapshot_published_has_an_instant CHECK ((state = 'published') = (snapshot_at IS NOT NULL)),
    CONSTRAINT snapshot_fresh_until_goes_with_instant CHECK ((snapshot_at IS NULL) = (fresh_until IS NULL)),
    CONSTRAINT snapshot_fresh_for_a_while CHECK (fresh_until > snapshot_at),
    CONSTRAINT snapshot_instant_is_not_backdated CHECK (snapshot_at >= last_page_at),
    CONSTRAINT snapshot_pages_run_forward CHECK (last_page_at >= first_page_at),
    CONSTRAINT snapshot_quarantined_has_a_reason CHECK ((state = 'quarantined') = (reason IS NOT NULL)),
    CONSTRAINT snapshot_resolution_has_a_time CHECK ((resolution IS NULL) = (resolved_at IS NULL)),
    CONSTRAINT snapshot_only_quarantine_is_resolved CHECK (resolution IS NULL OR state = 'quarantined'),
    CONSTRAINT snapshot_resolution_is_known CHECK (resolution IN ('confirmed', 'superseded', 'replaced', 'repeated', 'released', 'rejected', 'unwatched')),
    CONSTRAINT snapshot_consistency_is_known CHECK (consistency IN ('point', 'window', 'drifted')),
    CONSTRAINT snapshot_digest_has_32_bytes CHECK (octet_length(digest) = 32),
    CONSTRAINT snapshot_counts_are_counts CHECK (holdings >= 0 AND unreadable >= 0 AND missing >= 0 AND pages >= 0),
    CONSTRAINT snapshot_watch_id_fkey FOREIGN KEY(watch_id) REFERENCES ledger.watch (watch_id)
);

CREATE INDEX snapshot_crawl_id_idx ON ledger.snapshot (crawl_id);

CREATE UNIQUE INDEX snapshot_one_witness ON ledger.snapshot (watch_id) WHERE state = 'quarantined' AND resolution IS NULL;

CREATE UNIQUE INDEX snapshot_published ON ledger.snapshot (watch_id, snapshot_at DESC) WHERE state = 'published';

CREATE INDEX snapshot_quarantined ON ledger.snapshot (watch_id, judged_at) WHERE state = 'quarantined';

COMMENT ON TABLE ledger.snapshot IS 'What a publish proved about one watch at one instant, or a list that was not believed.';
COMMENT ON COLUMN ledger.snapshot.snapshot_id IS 'Surrogate key.';
COMMENT ON COLUMN ledger.snapshot.watch_id IS 'Which watch.';
COMMENT ON COLUMN ledger.snapshot.crawl_id IS 'Crawl it comes from; may have been pruned.';
COMMENT ON COLUMN ledger.snapshot.state IS 'published: part of history; quarantined: not believed.';
COMMENT ON COLUMN ledger.snapshot.judged_at IS 'Database time of the verdict.';
COMMENT ON COLUMN ledger.snapshot.snapshot_at IS 'The instant it speaks for; only a published one has it.';
COMMENT ON COLUMN ledger.snapshot.fresh_until IS 'From then on an answer from it is stale.';
COMMENT ON COLUMN ledger.snapshot.first_page_at IS 'When its first page was fetched.';
COMMENT ON COLUMN ledger.snapshot.last_page_at IS 'When its last page was fetched.';
COMMENT ON COLUMN ledger.snapshot.height_from IS 'Chain height of the first page, where stated.';
COMMENT ON COLUMN ledger.snapshot.height_to IS 'Chain height of the last page, where stated.';
COMMENT ON COLUMN ledger.snapshot.pages IS 'Pages it was folded from.';
COMMENT ON COLUMN ledger.snapshot.holdings IS 'Holdings listed and readable.';
COMMENT ON COLUMN ledger.snapshot.unreadable IS 'Items listed but unreadable.';
COMMENT ON COLUMN ledger.snapshot.missing IS 'Known holdings it did not list.';
COMMENT ON COLUMN ledger.snapshot.proves_absence IS 'False if the list moved while it was read, or an item''s key could not be read.';
COMMENT ON COLUMN ledger.snapshot.consistency IS 'point: one moment; window: a span; drifted: it moved.';
COMMENT ON COLUMN ledger.snapshot.digest IS 'SHA-256 over the folded list, for replay.';
COMMENT ON COLUMN ledger.snapshot.reason IS 'Why it is quarantined.';
COMMENT ON COLUMN ledger.snapshot.resolution IS 'How a quarantine ended.';
COMMENT ON COLUMN ledger.snapshot.resolved_at IS 'When a quarantine ended.';

CREATE TABLE ledger.snapshot_run (
    watch_id BIGINT NOT NULL,
    first_at ledger.instant NOT NULL,
    last_at ledger.instant NOT NULL,
    head_id BIGINT NOT NULL,
    fresh_for INTERVAL NOT NULL,
    splice_head BYTEA,
    instants TIMESTAMP WITH TIME ZONE[] NOT NULL,
    snapshots BIGINT[] NOT NULL,
    crawls BIGINT[] NOT NULL,
    first_lags INTEGER[] NOT NULL,
    last_lags INTEGER[] NOT NULL,
    heights BIGINT[],
    CONSTRAINT snapshot_run_pkey PRIMARY KEY (watch_id, first_at),
    CONSTRAINT snapshot_run_begins_with_its_first CHECK (first_at = instants[1]),
    CONSTRAINT snapshot_run_ends_with_its_last CHECK (last_at = instants[cardinality(instants)]),
    CONSTRAINT snapshot_run_fits_a_page CHECK (cardinality(instants) BETWEEN 1 AND 30),
    CONSTRAINT snapshot_run_lists_are_equally_long CHECK (cardinality(instants) = ALL (ARRAY[cardinality(snapshots), cardinality(crawls), cardinality(first_lags), cardinality(last_lags), coalesce(cardinality(heights), cardinality(instants))])),
    CONSTRAINT snapshot_run_fresh_for_a_while CHECK (fresh_for > interval '0'),
    CONSTRAINT snapshot_run_splice_head_has_8_bytes CHECK (octet_length(splice_head) = 8),
    CONSTRAINT snapshot_run_watch_id_fkey FOREIGN KEY(watch_id) REFERENCES ledger.watch (watch_id)
);

COMMENT ON TABLE ledger.snapshot_run IS 'Published snapshots that repeat the one before them to the byte, folded into one row.';
COMMENT ON COLUMN ledger.snapshot_run.watch_id IS 'Which watch.';
COMMENT ON COLUMN ledger.snapshot_run.first_at IS 'Instant of the first snapshot of the run.';
COMMENT ON COLUMN ledger.snapshot_run.last_at IS 'Instant of the last one.';
COMMENT ON COLUMN ledger.snapshot_run.head_id IS 'Snapshot before the run, which all of it repeat.';
COMMENT ON COLUMN ledger.snapshot_run.fresh_for IS 'How long each is fresh.';
COMMENT ON COLUMN ledger.snapshot_run.splice_head IS 'Place and length of the number in which their pages differ.';
COMMENT ON COLUMN ledger.snapshot_run.instants IS 'The instants they speak for.';
COMMENT ON COLUMN ledger.snapshot_run.snapshots IS 'Their snapshot numbers.';
COMMENT ON COLUMN ledger.snapshot_run.crawls IS 'Their crawls.';
COMMENT ON COLUMN ledger.snapshot_run.first_lags IS 'Microseconds from each first page to its instant.';
COMMENT ON COLUMN ledger.snapshot_run.last_lags IS 'Microseconds from each last page to its instant.';
COMMENT ON COLUMN ledger.snapshot_run.heights IS 'Chain height of each; NULL: never stated.';

CREATE TABLE ledger.missing_holding (
    snapshot_id BIGINT NOT NULL,
    asset_id BIGINT NOT NULL,
    sub_key TEXT NOT NULL,
    CONSTRAINT missing_holding_pkey PRIMARY KEY (snapshot_id, asset_id, sub_key),
    CONSTRAINT missing_holding_snapshot_id_fkey FOREIGN KEY(snapshot_id) REFERENCES ledger.snapshot (snapshot_id)
);

COMMENT ON TABLE ledger.missing_holding IS 'What an unresolved quarantined snapshot misses: the first witness''s testimony.';
COMMENT ON COLUMN ledger.missing_holding.snapshot_id IS 'The quarantined snapshot.';
COMMENT ON COLUMN ledger.missing_holding.asset_id IS 'Asset it did not list.';
COMMENT ON COLUMN ledger.missing_holding.sub_key IS 'Position it did not list.';

CREATE TABLE ledger.holding_version (
    watch_id BIGINT NOT NULL,
    asset_id BIGINT NOT NULL,
    sub_key TEXT NOT NULL,
    version_no INTEGER NOT NULL,
    valid_from ledger.instant NOT NULL,
    valid_to ledger.instant,
    previous_no INTEGER,
    previous_to ledger.instant,
    amount ledger.exact_amount,
    decimals SMALLINT,
    locked ledger.exact_amount,
    frozen BOOLEAN,
    delegate TEXT,
    details JSONB DEFAULT '{}'::jsonb NOT NULL,
    observed_at ledger.instant NOT NULL,
    open_reason TEXT NOT NULL,
    close_reason TEXT,
    opened_by BIGINT NOT NULL,
    opened_page INTEGER NOT NULL,
    closed_by BIGINT,
    CONSTRAINT holding_version_pkey PRIMARY KEY (watch_id, asset_id, sub_key, version_no),
    CONSTRAINT holding_version_sub_key_is_short CHECK (octet_length(sub_key) <= 256),
    CONSTRAINT holding_version_span_is_not_empty CHECK (valid_to > valid_from),
    CONSTRAINT holding_version_span_follows_previous CHECK (previous_to <= valid_from),
    CONSTRAINT holding_version_numbers_have_no_gap CHECK (version_no = coalesce(previous_no, 0) + 1),
    CONSTRAINT holding_version_previous_is_closed CHECK ((previous_no IS NULL) = (previous_to IS NULL)),
    CONSTRAINT holding_version_closed_has_a_reason CHECK ((valid_to IS NULL) = (close_reason IS NULL)),
    CONSTRAINT holding_version_closed_by_a_crawl CHECK ((closed_by IS NULL) = (close_reason IS NULL OR close_reason = 'unwatched')),
    CONSTRAINT holding_version_decimals_are_sane CHECK (decimals BETWEEN 0 AND 255),
    CONSTRAINT holding_version_open_reason_is_known CHECK (open_reason IN ('baseline', 'appeared', 'changed', 'first_read')),
    CONSTRAINT holding_version_close_reason_is_known CHECK (close_reason IN ('changed', 'absent', 'unwatched')),
    CONSTRAINT holding_version_watch_key UNIQUE (watch_id, valid_to, asset_id, sub_key, version_no),
    CONSTRAINT holding_version_previous_fkey FOREIGN KEY(watch_id, previous_to, asset_id, sub_key, previous_no) REFERENCES ledger.holding_version (watch_id, valid_to, asset_id, sub_key, version_no)
);

CREATE INDEX holding_version_asset_idx ON ledger.holding_version (asset_id, valid_to, valid_from);

COMMENT ON TABLE ledger.holding_version IS 'A span [valid_from, valid_to) in which a holding did not change. Write-once.';
COMMENT ON COLUMN ledger.holding_version.watch_id IS 'Who holds.';
COMMENT ON COLUMN ledger.holding_version.asset_id IS 'What is held.';
COMMENT ON COLUMN ledger.holding_version.sub_key IS 'Position within the asset: UTXO, serial number; or empty.';
COMMENT ON COLUMN ledger.holding_version.version_no IS '1, 2, 3 … of the holding.';
COMMENT ON COLUMN ledger.holding_version.valid_from IS 'First instant of the version.';
COMMENT ON COLUMN ledger.holding_version.valid_to IS 'First instant after it; NULL: current.';
COMMENT ON COLUMN ledger.holding_version.previous_no IS 'version_no of the version before; NULL: there was none.';
COMMENT ON COLUMN ledger.holding_version.previous_to IS 'valid_to of the version before; NULL: there was none.';
COMMENT ON COLUMN ledger.holding_version.amount IS 'Base units; NULL: held, but the API does not say how much.';
COMMENT ON COLUMN ledger.holding_version.decimals IS 'As reported then; NULL: not reported.';
COMMENT ON COLUMN ledger.holding_version.locked IS 'Part of the amount that cannot move, where stated.';
COMMENT ON COLUMN ledger.holding_version.frozen IS 'Whether the position is frozen, where stated.';
COMMENT ON COLUMN ledger.holding_version.delegate IS 'Who else may move it, where stated.';
COMMENT ON COLUMN ledger.holding_version.details IS 'Source-specific facts.';
COMMENT ON COLUMN ledger.holding_version.observed_at IS 'When the page that opened it was fetched.';
COMMENT ON COLUMN ledger.holding_version.open_reason IS 'baseline, appeared, changed or first_read.';
COMMENT ON COLUMN ledger.holding_version.close_reason IS 'changed, absent or unwatched.';
COMMENT ON COLUMN ledger.holding_version.opened_by IS 'Crawl that opened it.';
COMMENT ON COLUMN ledger.holding_version.opened_page IS 'Page of that crawl.';
COMMENT ON COLUMN ledger.holding_version.closed_by IS 'Crawl that closed it; NULL for unwatched.';

CREATE TABLE ledger.carried_span (
    watch_id BIGINT NOT NULL,
    asset_id BIGINT NOT NULL,
    sub_key TEXT NOT NULL,
    valid_from ledger.instant NOT NULL,
    valid_to ledger.instant,
    previous_to ledger.instant,
    reason TEXT NOT NULL,
    detail TEXT,
    opened_by BIGINT NOT NULL,
    closed_by BIGINT,
    CONSTRAINT carried_span_pkey PRIMARY KEY (watch_id, asset_id, sub_key, valid_from),
    CONSTRAINT carried_span_span_is_not_empty CHECK (valid_to > valid_from),
    CONSTRAINT carried_span_span_follows_previous CHECK (previous_to <= valid_from),
    CONSTRAINT carried_span_reason_is_known CHECK (reason IN ('unreadable', 'missing', 'unkeyed')),
    CONSTRAINT carried_span_one_open UNIQUE NULLS NOT DISTINCT (watch_id, asset_id, sub_key, valid_to),
    CONSTRAINT carried_span_one_successor UNIQUE NULLS NOT DISTINCT (watch_id, asset_id, sub_key, previous_to),
    CONSTRAINT carried_span_previous_fkey FOREIGN KEY(watch_id, asset_id, sub_key, previous_to) REFERENCES ledger.carried_span (watch_id, asset_id, sub_key, valid_to),
    CONSTRAINT carried_span_watch_id_fkey FOREIGN KEY(watch_id) REFERENCES ledger.watch (watch_id),
    CONSTRAINT carried_span_asset_id_fkey FOREIGN KEY(asset_id) REFERENCES ledger.asset (asset_id)
);

COMMENT ON TABLE ledger.carried_span IS 'A span in which a holding was listed but unreadable, or missing without proof. Write-once.';
COMMENT ON COLUMN ledger.carried_span.watch_id IS 'Which watch.';
COMMENT ON COLUMN ledger.carried_span.asset_id IS 'Which asset.';
COMMENT ON COLUMN ledger.carried_span.sub_key IS 'Which position.';
COMMENT ON COLUMN ledger.carried_span.valid_from IS 'Snapshot from which it could not be read.';
COMMENT ON COLUMN ledger.carried_span.valid_to IS 'Snapshot that settled it; NULL: not yet.';
COMMENT ON COLUMN ledger.carried_span.previous_to IS 'valid_to of the span before; NULL: there was none.';
COMMENT ON COLUMN ledger.carried_span.reason IS 'unreadable; missing: absent once, not yet proved; unkeyed.';
COMMENT ON COLUMN ledger.carried_span.detail IS 'What was wrong with the item.';
COMMENT ON COLUMN ledger.carried_span.opened_by IS 'Crawl that opened it.';
COMMENT ON COLUMN ledger.carried_span.closed_by IS 'Crawl that closed it; NULL for unwatched.';

CREATE TABLE ledger.price (
    watch_id BIGINT NOT NULL,
    asset_id BIGINT NOT NULL,
    sub_key TEXT NOT NULL,
    kind TEXT NOT NULL,
    currency TEXT NOT NULL,
    observed_at ledger.instant NOT NULL,
    price NUMERIC NOT NULL,
    crawl_id BIGINT NOT NULL,
    CONSTRAINT price_pkey PRIMARY KEY (watch_id, asset_id, sub_key, kind, currency, observed_at),
    CONSTRAINT price_kind_is_known CHECK (kind IN ('ask', 'market')),
    CONSTRAINT price_price_is_finite CHECK (price >= 0 AND price < 'Infinity'::numeric),
    CONSTRAINT price_watch_id_fkey FOREIGN KEY(watch_id) REFERENCES ledger.watch (watch_id),
    CONSTRAINT price_asset_id_fkey FOREIGN KEY(asset_id) REFERENCES ledger.asset (asset_id)
);

COMMENT ON TABLE ledger.price IS 'Prices the APIs mentioned, written only when changed. They never value a portfolio.';
COMMENT ON COLUMN ledger.price.watch_id IS 'Where seen.';
COMMENT ON COLUMN ledger.price.asset_id IS 'Of what.';
COMMENT ON COLUMN ledger.price.sub_key IS 'Position an ask belongs to.';
COMMENT ON COLUMN ledger.price.kind IS 'ask: what its owner wants; market: what others paid.';
COMMENT ON COLUMN ledger.price.currency IS 'Lower-case currency: sat, usd …';
COMMENT ON COLUMN ledger.price.observed_at IS 'When the page that stated it was fetched.';
COMMENT ON COLUMN ledger.price.price IS 'For one unit of quantity, exactly as stated.';
COMMENT ON COLUMN ledger.price.crawl_id IS 'Crawl it comes from.';

-- A first load fills an index from end to end; without room between, the first changes would split every page of it.
ALTER INDEX ledger.holding_version_pkey SET (fillfactor = 60);
ALTER INDEX ledger.holding_version_watch_key SET (fillfactor = 60);
ALTER INDEX ledger.holding_version_asset_idx SET (fillfactor = 60);
