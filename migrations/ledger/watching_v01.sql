-- What is watched. Domains first: every table shares them.
-- The amount is a plain numeric with CHECKs: NUMERIC(78,0) would round 1.5 to 2 and admit NaN (NaN > any limit, so the upper bound refuses it).
CREATE DOMAIN ledger.exact_amount AS numeric
    CONSTRAINT exact_amount_is_not_negative CHECK (VALUE >= 0)
    CONSTRAINT exact_amount_fits_256_bits
        CHECK (VALUE <= 115792089237316195423570985008687907853269984665640564039457584007913129639935)
    CONSTRAINT exact_amount_is_whole CHECK (scale(VALUE) = 0);
COMMENT ON DOMAIN ledger.exact_amount IS 'Whole base units 0 … 2^256-1; no fraction, NaN or infinity.';

-- 'infinity' is a legal timestamptz and defeats half-open spans.
CREATE DOMAIN ledger.instant AS timestamptz CONSTRAINT instant_is_finite CHECK (isfinite(VALUE));
COMMENT ON DOMAIN ledger.instant IS 'A finite point in time.';

CREATE TABLE ledger.source (
    source_id TEXT NOT NULL,
    network TEXT NOT NULL,
    origin TEXT,
    state TEXT DEFAULT 'active' NOT NULL,
    paused_reason TEXT,
    paused_until ledger.instant,
    CONSTRAINT source_pkey PRIMARY KEY (source_id),
    CONSTRAINT source_source_id_is_a_name CHECK (source_id ~ '^[a-z0-9][a-z0-9_]{0,62}$'),
    CONSTRAINT source_origin_has_no_path CHECK (origin ~ '^https?://[^/@?#]+$'),
    CONSTRAINT source_state_is_known CHECK (state IN ('active', 'paused', 'retired')),
    CONSTRAINT source_paused_has_a_reason CHECK ((state = 'paused') = (paused_reason IS NOT NULL)),
    CONSTRAINT source_paused_has_an_end CHECK ((state = 'paused') = (paused_until IS NOT NULL))
);

COMMENT ON TABLE ledger.source IS 'One HTTP API that lists holdings.';
COMMENT ON COLUMN ledger.source.source_id IS 'Name in configuration: okx_runes, hedera …';
COMMENT ON COLUMN ledger.source.network IS 'Network its addresses and assets live on.';
COMMENT ON COLUMN ledger.source.origin IS 'scheme://host[:port] in use; no path, because a path can hold a key.';
COMMENT ON COLUMN ledger.source.state IS 'active; paused: it refuses us; retired: it has no base_url any more.';
COMMENT ON COLUMN ledger.source.paused_reason IS 'Why it is paused, redacted.';
COMMENT ON COLUMN ledger.source.paused_until IS 'When a paused source is tried again.';

CREATE UNLOGGED TABLE ledger.rate_limit (
    source_id TEXT NOT NULL,
    next_at ledger.instant NOT NULL,
    lag INTERVAL DEFAULT '0' NOT NULL,
    CONSTRAINT rate_limit_pkey PRIMARY KEY (source_id),
    CONSTRAINT rate_limit_source_id_fkey FOREIGN KEY(source_id) REFERENCES ledger.source (source_id)
);

COMMENT ON TABLE ledger.rate_limit IS 'The rate limit all workers share. Losing it in a crash costs one moment of pause.';
COMMENT ON COLUMN ledger.rate_limit.source_id IS 'One key per source.';
COMMENT ON COLUMN ledger.rate_limit.next_at IS 'Earliest instant of the next request of any worker.';
COMMENT ON COLUMN ledger.rate_limit.lag IS 'How long after its turn a request may reach the API, by the slowest recent answer.';

CREATE TABLE ledger.address (
    address_id BIGINT GENERATED ALWAYS AS IDENTITY,
    network TEXT NOT NULL,
    address TEXT NOT NULL,
    CONSTRAINT address_pkey PRIMARY KEY (address_id),
    CONSTRAINT address_network_address_key UNIQUE (network, address),
    CONSTRAINT address_address_is_printable CHECK (address ~ '^[!-~]{1,128}$')
);

COMMENT ON TABLE ledger.address IS 'An address in its canonical form.';
COMMENT ON COLUMN ledger.address.address_id IS 'Surrogate key.';
COMMENT ON COLUMN ledger.address.network IS 'Network the address belongs to.';
COMMENT ON COLUMN ledger.address.address IS 'Canonical form; text, never a number.';

CREATE TABLE ledger.watch (
    watch_id BIGINT GENERATED ALWAYS AS IDENTITY,
    source_id TEXT NOT NULL,
    address_id BIGINT NOT NULL,
    scope TEXT DEFAULT '' NOT NULL,
    label TEXT,
    tags TEXT[] DEFAULT '{}'::text[] NOT NULL,
    every INTERVAL,
    grown_window INTERVAL,
    CONSTRAINT watch_pkey PRIMARY KEY (watch_id),
    CONSTRAINT watch_source_id_address_id_scope_key UNIQUE (source_id, address_id, scope),
    CONSTRAINT watch_scope_is_short CHECK (octet_length(scope) <= 256),
    CONSTRAINT watch_every_is_positive CHECK (every > interval '0'),
    CONSTRAINT watch_grown_window_is_positive CHECK (grown_window > interval '0'),
    CONSTRAINT watch_source_id_fkey FOREIGN KEY(source_id) REFERENCES ledger.source (source_id),
    CONSTRAINT watch_address_id_fkey FOREIGN KEY(address_id) REFERENCES ledger.address (address_id)
);

COMMENT ON TABLE ledger.watch IS 'One (source, address, scope) that is or was followed.';
COMMENT ON COLUMN ledger.watch.watch_id IS 'Surrogate key.';
COMMENT ON COLUMN ledger.watch.source_id IS 'Which API.';
COMMENT ON COLUMN ledger.watch.address_id IS 'Which address.';
COMMENT ON COLUMN ledger.watch.scope IS 'Rune id for okx_runes, whose API proves absence only per rune; else empty.';
COMMENT ON COLUMN ledger.watch.label IS 'Label from the watchlist. Today''s, not versioned.';
COMMENT ON COLUMN ledger.watch.tags IS 'Tags from the watchlist. Today''s, not versioned.';
COMMENT ON COLUMN ledger.watch.every IS 'Crawl interval from the watchlist; NULL: the source''s.';
COMMENT ON COLUMN ledger.watch.grown_window IS 'Longest first-to-last page span allowed here, after max_window proved too short twice.';

CREATE TABLE ledger.watch_period (
    watch_id BIGINT NOT NULL,
    watched_from ledger.instant NOT NULL,
    watched_to ledger.instant,
    previous_to ledger.instant,
    CONSTRAINT watch_period_pkey PRIMARY KEY (watch_id, watched_from),
    CONSTRAINT watch_period_period_is_not_empty CHECK (watched_to > watched_from),
    CONSTRAINT watch_period_period_follows_previous CHECK (previous_to <= watched_from),
    CONSTRAINT watch_period_one_open UNIQUE NULLS NOT DISTINCT (watch_id, watched_to),
    CONSTRAINT watch_period_one_successor UNIQUE NULLS NOT DISTINCT (watch_id, previous_to),
    CONSTRAINT watch_period_previous_fkey FOREIGN KEY(watch_id, previous_to) REFERENCES ledger.watch_period (watch_id, watched_to),
    CONSTRAINT watch_period_watch_id_fkey FOREIGN KEY(watch_id) REFERENCES ledger.watch (watch_id)
);

COMMENT ON TABLE ledger.watch_period IS 'A span in which the watch was on the watchlist. Outside every span the answer is unknown.';
COMMENT ON COLUMN ledger.watch_period.watch_id IS 'Which watch.';
COMMENT ON COLUMN ledger.watch_period.watched_from IS 'First instant of the period.';
COMMENT ON COLUMN ledger.watch_period.watched_to IS 'First instant after it; NULL: still watched.';
COMMENT ON COLUMN ledger.watch_period.previous_to IS 'watched_to of the period before; NULL: there was none.';
