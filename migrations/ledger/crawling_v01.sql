-- How it was learned: passes, crawls (also the queue, the cursor and the lease), raw pages, facts.

CREATE TABLE ledger.crawl_pass (
    pass_id BIGINT GENERATED ALWAYS AS IDENTITY,
    selection TEXT NOT NULL,
    started_at ledger.instant DEFAULT now() NOT NULL,
    touched_at ledger.instant DEFAULT now() NOT NULL,
    finished_at ledger.instant,
    CONSTRAINT crawl_pass_pkey PRIMARY KEY (pass_id),
    CONSTRAINT crawl_pass_finishes_after_start CHECK (finished_at >= started_at)
);

COMMENT ON TABLE ledger.crawl_pass IS 'One run of `indexer crawl` over its selected watches; an interrupted one can be joined.';
COMMENT ON COLUMN ledger.crawl_pass.pass_id IS 'Surrogate key.';
COMMENT ON COLUMN ledger.crawl_pass.selection IS 'Which watches were selected, as canonical JSON.';
COMMENT ON COLUMN ledger.crawl_pass.started_at IS 'When it began.';
COMMENT ON COLUMN ledger.crawl_pass.touched_at IS 'Last sign of life.';
COMMENT ON COLUMN ledger.crawl_pass.finished_at IS 'When every selected watch had an outcome, or it was given up.';

CREATE TABLE ledger.crawl (
    crawl_id BIGINT GENERATED ALWAYS AS IDENTITY,
    source_id TEXT NOT NULL,
    scope TEXT DEFAULT '' NOT NULL,
    part_on DATE DEFAULT date_trunc('month', now() AT TIME ZONE 'UTC')::date NOT NULL,
    state TEXT DEFAULT 'pending' NOT NULL,
    created_at ledger.instant DEFAULT now() NOT NULL,
    next_attempt_at ledger.instant DEFAULT now() NOT NULL,
    cursor TEXT,
    pages INTEGER DEFAULT '0' NOT NULL,
    lookups INTEGER DEFAULT '0' NOT NULL,
    requests INTEGER DEFAULT '0' NOT NULL,
    listed BIGINT DEFAULT '0' NOT NULL,
    reported_total BIGINT,
    height_from BIGINT,
    height_to BIGINT,
    moved BOOLEAN DEFAULT false NOT NULL,
    window_restarts SMALLINT DEFAULT '0' NOT NULL,
    drift_restarts SMALLINT DEFAULT '0' NOT NULL,
    cursor_restarts SMALLINT DEFAULT '0' NOT NULL,
    restarted_as BIGINT,
    reader TEXT,
    facts JSONB,
    first_page_at ledger.instant,
    last_page_at ledger.instant,
    finished_at ledger.instant,
    attempts INTEGER DEFAULT '0' NOT NULL,
    lease_owner INTEGER,
    lease_until ledger.instant,
    lease_epoch BIGINT DEFAULT '0' NOT NULL,
    error_class TEXT,
    error TEXT,
    CONSTRAINT crawl_pkey PRIMARY KEY (crawl_id),
    CONSTRAINT crawl_state_is_known CHECK (state IN ('pending', 'running', 'complete', 'failed', 'abandoned')),
    CONSTRAINT crawl_running_has_an_owner CHECK ((state = 'running') = (lease_owner IS NOT NULL)),
    CONSTRAINT crawl_lease_has_an_end CHECK ((lease_owner IS NULL) = (lease_until IS NULL)),
    CONSTRAINT crawl_ended_has_a_time CHECK ((state IN ('pending', 'running')) = (finished_at IS NULL)),
    CONSTRAINT crawl_page_times_go_together CHECK ((first_page_at IS NULL) = (last_page_at IS NULL)),
    CONSTRAINT crawl_pages_run_forward CHECK (last_page_at >= first_page_at),
    CONSTRAINT crawl_counts_are_not_negative CHECK (pages >= 0 AND lookups >= 0 AND lease_epoch >= 0),
    CONSTRAINT crawl_failure_has_a_class CHECK ((state IN ('failed', 'abandoned')) <= (error_class IS NOT NULL)),
    CONSTRAINT crawl_error_is_short CHECK (length(error) <= 2000),
    CONSTRAINT crawl_source_id_fkey FOREIGN KEY(source_id) REFERENCES ledger.source (source_id)
) WITH (fillfactor = 50);

CREATE INDEX crawl_open_idx ON ledger.crawl (source_id, next_attempt_at) WHERE state IN ('pending', 'running');

COMMENT ON TABLE ledger.crawl IS 'One resumable walk through the pages of one request. Also the queue, the cursor and the lease.';
COMMENT ON COLUMN ledger.crawl.crawl_id IS 'Surrogate key.';
COMMENT ON COLUMN ledger.crawl.source_id IS 'Which API.';
COMMENT ON COLUMN ledger.crawl.scope IS 'Scope of its watches.';
COMMENT ON COLUMN ledger.crawl.part_on IS 'Partition key of its raw pages, fixed for life: first day of the month it was queued.';
COMMENT ON COLUMN ledger.crawl.state IS 'pending, running; ended: complete, failed, abandoned.';
COMMENT ON COLUMN ledger.crawl.created_at IS 'When it was queued.';
COMMENT ON COLUMN ledger.crawl.next_attempt_at IS 'Not claimed before.';
COMMENT ON COLUMN ledger.crawl.cursor IS 'Where the next page starts; NULL: the first page.';
COMMENT ON COLUMN ledger.crawl.pages IS 'Pages committed.';
COMMENT ON COLUMN ledger.crawl.lookups IS 'Look-ups committed.';
COMMENT ON COLUMN ledger.crawl.requests IS 'HTTP requests sent, retries too.';
COMMENT ON COLUMN ledger.crawl.listed IS 'Rows listed, held or not.';
COMMENT ON COLUMN ledger.crawl.reported_total IS 'The API''s own count of the list, where it gives one.';
COMMENT ON COLUMN ledger.crawl.height_from IS 'Chain height stated by the first page.';
COMMENT ON COLUMN ledger.crawl.height_to IS 'Chain height stated by the last page.';
COMMENT ON COLUMN ledger.crawl.moved IS 'The list moved while paging.';
COMMENT ON COLUMN ledger.crawl.window_restarts IS 'Ends by max_window.';
COMMENT ON COLUMN ledger.crawl.drift_restarts IS 'Ends by drift.';
COMMENT ON COLUMN ledger.crawl.cursor_restarts IS 'Ends by lost cursor.';
COMMENT ON COLUMN ledger.crawl.restarted_as IS 'Crawl that started again from page 1 in its place.';
COMMENT ON COLUMN ledger.crawl.reader IS 'Fingerprint of the code that read its pages; NULL: none, or several.';
COMMENT ON COLUMN ledger.crawl.facts IS 'Facts its pages were read with; replay needs the same.';
COMMENT ON COLUMN ledger.crawl.first_page_at IS 'Database time when the first page was committed.';
COMMENT ON COLUMN ledger.crawl.last_page_at IS 'Database time when the last page was committed.';
COMMENT ON COLUMN ledger.crawl.finished_at IS 'When it ended.';
COMMENT ON COLUMN ledger.crawl.attempts IS 'How often it was claimed.';
COMMENT ON COLUMN ledger.crawl.lease_owner IS 'Number of the worker that holds it.';
COMMENT ON COLUMN ledger.crawl.lease_until IS 'When the lease runs out unless renewed.';
COMMENT ON COLUMN ledger.crawl.lease_epoch IS 'Fencing number.';
COMMENT ON COLUMN ledger.crawl.error_class IS 'Class of the error that ended it.';
COMMENT ON COLUMN ledger.crawl.error IS 'What happened, redacted.';

CREATE TABLE ledger.crawl_watch (
    crawl_id BIGINT NOT NULL,
    watch_id BIGINT NOT NULL,
    place SMALLINT NOT NULL,
    due_at ledger.instant,
    open BOOLEAN,
    verdict TEXT,
    error TEXT,
    CONSTRAINT crawl_watch_pkey PRIMARY KEY (crawl_id, watch_id),
    CONSTRAINT crawl_watch_open_is_true_or_null CHECK (open),
    CONSTRAINT crawl_watch_ended_has_a_verdict CHECK ((open IS NULL) = (verdict IS NOT NULL)),
    CONSTRAINT crawl_watch_verdict_is_known CHECK (verdict IN ('published', 'unchanged', 'quarantined', 'failed', 'abandoned', 'skipped')),
    CONSTRAINT crawl_watch_crawl_id_fkey FOREIGN KEY(crawl_id) REFERENCES ledger.crawl (crawl_id),
    CONSTRAINT crawl_watch_watch_id_fkey FOREIGN KEY(watch_id) REFERENCES ledger.watch (watch_id)
) WITH (fillfactor = 80);

CREATE UNIQUE INDEX crawl_watch_one_open ON ledger.crawl_watch (watch_id) WHERE open;

CREATE INDEX crawl_watch_watch_id_crawl_id_idx ON ledger.crawl_watch (watch_id, crawl_id);

CREATE UNIQUE INDEX crawl_watch_watch_id_due_at_key ON ledger.crawl_watch (watch_id, due_at) WHERE due_at IS NOT NULL;

COMMENT ON TABLE ledger.crawl_watch IS 'A watch covered by a crawl, with the verdict that belongs to it alone.';
COMMENT ON COLUMN ledger.crawl_watch.crawl_id IS 'Which crawl.';
COMMENT ON COLUMN ledger.crawl_watch.watch_id IS 'Which watch.';
COMMENT ON COLUMN ledger.crawl_watch.place IS 'Order of the address in the request, from 0.';
COMMENT ON COLUMN ledger.crawl_watch.due_at IS 'The schedule''s instant it answers; NULL: asked for by hand.';
COMMENT ON COLUMN ledger.crawl_watch.open IS 'True while the crawl runs for this watch, NULL afterwards.';
COMMENT ON COLUMN ledger.crawl_watch.verdict IS 'How it ended for this watch.';
COMMENT ON COLUMN ledger.crawl_watch.error IS 'Why, where the verdict is failed or abandoned; redacted.';

CREATE TABLE ledger.pass_watch (
    pass_id BIGINT NOT NULL,
    watch_id BIGINT NOT NULL,
    crawl_id BIGINT NOT NULL,
    CONSTRAINT pass_watch_pkey PRIMARY KEY (pass_id, watch_id),
    CONSTRAINT pass_watch_pass_id_fkey FOREIGN KEY(pass_id) REFERENCES ledger.crawl_pass (pass_id),
    CONSTRAINT pass_watch_watch_id_fkey FOREIGN KEY(watch_id) REFERENCES ledger.watch (watch_id)
);

CREATE INDEX pass_watch_crawl_id_idx ON ledger.pass_watch (crawl_id);

COMMENT ON TABLE ledger.pass_watch IS 'A watch selected by a pass, and the crawl it waits for; a restart moves it to the new crawl.';
COMMENT ON COLUMN ledger.pass_watch.pass_id IS 'Which pass.';
COMMENT ON COLUMN ledger.pass_watch.watch_id IS 'Which watch.';
COMMENT ON COLUMN ledger.pass_watch.crawl_id IS 'Crawl whose verdict is this watch''s outcome.';

CREATE TABLE ledger.raw_body (
    part_on DATE NOT NULL,
    sha256 BYTEA NOT NULL,
    codec TEXT NOT NULL,
    base_sha256 BYTEA,
    depth SMALLINT DEFAULT '0' NOT NULL,
    length INTEGER NOT NULL,
    body BYTEA NOT NULL,
    CONSTRAINT raw_body_pkey PRIMARY KEY (part_on, sha256),
    CONSTRAINT raw_body_sha256_has_32_bytes CHECK (octet_length(sha256) = 32),
    CONSTRAINT raw_body_codec_is_known CHECK (codec IN ('none', 'zstd', 'delta', 'patch')),
    CONSTRAINT raw_body_delta_has_a_base CHECK ((codec IN ('delta', 'patch')) = (base_sha256 IS NOT NULL)),
    CONSTRAINT raw_body_delta_has_a_depth CHECK ((codec IN ('delta', 'patch')) = (depth > 0) AND depth BETWEEN 0 AND 12),
    CONSTRAINT raw_body_length_is_not_negative CHECK (length >= 0)
) PARTITION BY RANGE (part_on);

COMMENT ON TABLE ledger.raw_body IS 'Exact answer bytes after content decoding, stored once per content and month.';
COMMENT ON COLUMN ledger.raw_body.part_on IS 'Partition key, from the crawl.';
COMMENT ON COLUMN ledger.raw_body.sha256 IS 'SHA-256 of the exact bytes.';
COMMENT ON COLUMN ledger.raw_body.codec IS 'How `body` is stored: none, zstd, delta or patch.';
COMMENT ON COLUMN ledger.raw_body.base_sha256 IS 'Body that a delta or a patch was made against.';
COMMENT ON COLUMN ledger.raw_body.depth IS 'Bodies it stands on; 0: none.';
COMMENT ON COLUMN ledger.raw_body.length IS 'Length of the exact bytes.';
COMMENT ON COLUMN ledger.raw_body.body IS 'The exact bytes, compressed by the client.';

CREATE TABLE ledger.raw_page (
    part_on DATE NOT NULL,
    crawl_id BIGINT NOT NULL,
    kind TEXT NOT NULL,
    page_no INTEGER NOT NULL,
    lease_epoch BIGINT NOT NULL,
    fetched_at ledger.instant DEFAULT clock_timestamp() NOT NULL,
    http_status SMALLINT NOT NULL,
    request TEXT NOT NULL,
    cursor_in TEXT,
    cursor_out TEXT,
    items INTEGER NOT NULL,
    sha256 BYTEA NOT NULL,
    splice BYTEA,
    exact_sha256 BYTEA,
    steady_sha256 BYTEA,
    CONSTRAINT raw_page_pkey PRIMARY KEY (part_on, crawl_id, kind, page_no),
    CONSTRAINT raw_page_kind_is_known CHECK (kind IN ('page', 'lookup', 'rejected')),
    CONSTRAINT raw_page_page_no_starts_at_1 CHECK (page_no >= 1),
    CONSTRAINT raw_page_items_is_not_negative CHECK (items >= 0),
    CONSTRAINT raw_page_splice_has_a_hash CHECK ((splice IS NULL) = (exact_sha256 IS NULL)),
    CONSTRAINT raw_page_later_has_a_cursor CHECK (kind <> 'page' OR page_no = 1 OR cursor_in IS NOT NULL),
    CONSTRAINT raw_page_http_status_is_known CHECK (http_status BETWEEN 100 AND 599),
    CONSTRAINT raw_page_cursor_moves_on CHECK (cursor_out IS DISTINCT FROM cursor_in OR cursor_out IS NULL),
    CONSTRAINT raw_page_part_on_sha256_fkey FOREIGN KEY(part_on, sha256) REFERENCES ledger.raw_body (part_on, sha256)
) PARTITION BY RANGE (part_on);

CREATE UNIQUE INDEX raw_page_cursor_once ON ledger.raw_page (part_on, crawl_id, md5(cursor_in)) WHERE kind = 'page' AND cursor_in IS NOT NULL;

COMMENT ON TABLE ledger.raw_page IS 'One answer: the log that history is a fold over.';
COMMENT ON COLUMN ledger.raw_page.part_on IS 'Partition key, from the crawl.';
COMMENT ON COLUMN ledger.raw_page.crawl_id IS 'Which crawl; no foreign key, so it can be pruned.';
COMMENT ON COLUMN ledger.raw_page.kind IS 'page; lookup; rejected: an answer that was not believed.';
COMMENT ON COLUMN ledger.raw_page.page_no IS '1, 2, 3 … within the kind.';
COMMENT ON COLUMN ledger.raw_page.lease_epoch IS 'Fencing number it was committed under.';
COMMENT ON COLUMN ledger.raw_page.fetched_at IS 'Database time of the commit statement.';
COMMENT ON COLUMN ledger.raw_page.http_status IS 'HTTP status of the answer.';
COMMENT ON COLUMN ledger.raw_page.request IS 'Method and template; never the URL, a key or an address.';
COMMENT ON COLUMN ledger.raw_page.cursor_in IS 'Cursor it was asked with; NULL: first page.';
COMMENT ON COLUMN ledger.raw_page.cursor_out IS 'Cursor of the next page; NULL: last page.';
COMMENT ON COLUMN ledger.raw_page.items IS 'Rows listed on it.';
COMMENT ON COLUMN ledger.raw_page.sha256 IS 'Which body.';
COMMENT ON COLUMN ledger.raw_page.splice IS 'Place, length and bytes that differ from the body; NULL: none.';
COMMENT ON COLUMN ledger.raw_page.exact_sha256 IS 'SHA-256 of the exact bytes where a splice makes them others.';
COMMENT ON COLUMN ledger.raw_page.steady_sha256 IS 'SHA-256 without what changes by itself; NULL: as sha256.';

CREATE TABLE ledger.fact (
    source_id TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    learned_at ledger.instant DEFAULT now() NOT NULL,
    crawl_id BIGINT NOT NULL,
    CONSTRAINT fact_pkey PRIMARY KEY (source_id, name),
    CONSTRAINT fact_source_id_fkey FOREIGN KEY(source_id) REFERENCES ledger.source (source_id)
);

COMMENT ON TABLE ledger.fact IS 'Lasting facts from look-ups, so that later crawls need not ask again.';
COMMENT ON COLUMN ledger.fact.source_id IS 'Who taught it.';
COMMENT ON COLUMN ledger.fact.name IS 'What it is about: divisibility:840000:3 …';
COMMENT ON COLUMN ledger.fact.value IS 'What was learned.';
COMMENT ON COLUMN ledger.fact.learned_at IS 'When.';
COMMENT ON COLUMN ledger.fact.crawl_id IS 'Crawl whose look-up taught it.';

-- Page commits rewrite one crawl row again and again: vacuum it by count, not by share of a table that only grows.
ALTER TABLE ledger.crawl SET (
    autovacuum_vacuum_scale_factor = 0.0,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_analyze_scale_factor = 0.0,
    autovacuum_analyze_threshold = 5000
);

-- The client compresses bodies; compressing them again only burns time.
ALTER TABLE ledger.raw_body ALTER COLUMN body SET STORAGE EXTERNAL;
