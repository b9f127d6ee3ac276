-- What the read commands ask. Nothing here writes; history is read through schema `report` only,
-- so that people see in the terminal exactly what analysts see in SQL.

-- name: read_clock
-- "Now" is the database's: a laptop whose clock is ahead must not ask about the future.
SELECT statement_timestamp() AS now;

-- name: list_coverage
-- One row per watch, always: what is known at all at an instant, before any holding is believed.
SELECT
    source, network, address, scope, label, tags, source_state, status,
    snapshot_at, age, holdings, unreadable, consistency, pending_review
FROM report.coverage_as_of(%(as_of)s)
ORDER BY source, address, scope;

-- name: find_coverage
-- The watches a person means by an address (in any of its canonical forms) or by a label.
SELECT
    source, network, address, scope, label, tags, source_state, status,
    snapshot_at, age, holdings, unreadable, consistency, pending_review
FROM report.coverage_as_of(%(as_of)s)
WHERE address = ANY(%(addresses)s::text[]) OR label = %(label)s
ORDER BY source, address, scope;

-- name: list_names
-- What could have been meant, for the hint after a name nobody knows.
SELECT DISTINCT known.name AS name
FROM report.coverage
CROSS JOIN LATERAL (VALUES (address), (label)) AS known (name)
WHERE known.name IS NOT NULL
ORDER BY name;

-- name: list_holdings
-- The whole book at an instant; a NULL limit means all of it.
SELECT
    source, network, address, scope, label, tags, asset_ref, sub_key, kind, symbol, name,
    amount, decimals, quantity, locked, frozen, delegate, details::text AS details,
    status, snapshot_at, observed_at, valid_from, pending_review
FROM report.holdings_as_of(%(as_of)s)
ORDER BY source, address, scope, asset_ref, sub_key
LIMIT %(limit)s;

-- name: list_holdings_of
-- The holdings of some addresses at an instant: the address narrows before any version is read.
SELECT
    source, network, address, scope, label, tags, asset_ref, sub_key, kind, symbol, name,
    amount, decimals, quantity, locked, frozen, delegate, details::text AS details,
    status, snapshot_at, observed_at, valid_from, pending_review
FROM report.holdings_as_of(%(as_of)s)
WHERE address = ANY(%(addresses)s::text[])
ORDER BY source, address, scope, asset_ref, sub_key
LIMIT %(limit)s;

-- name: list_history
-- Every version of one asset at some addresses, oldest first.
SELECT
    source, network, address, scope, label, tags, asset_ref, sub_key, kind, symbol, name,
    amount, decimals, quantity, locked, frozen, delegate, details::text AS details,
    version_key, valid_from, valid_to, open_reason, close_reason
FROM report.holding_history
WHERE address = ANY(%(addresses)s::text[]) AND asset_ref = %(asset_ref)s
ORDER BY source, address, scope, sub_key, valid_from;

-- name: read_answer
-- Exactly one row: held, absent or unknown, and why. It explains an empty history.
SELECT amount, quantity, answer, reason, status, snapshot_at
FROM report.balance_as_of(%(source)s, %(address)s, %(asset_ref)s, %(as_of)s);

-- name: list_changes
-- Newest first, so that a limit keeps the newest; a NULL limit means all.
SELECT
    source, network, address, scope, label, tags, asset_ref, sub_key, kind, symbol, name,
    changed_at, not_before, not_after, change, old_amount, new_amount,
    old_quantity, new_quantity, crawl
FROM report.holding_changes
WHERE changed_at >= %(since)s
ORDER BY changed_at DESC, source DESC, address DESC, scope DESC, asset_ref DESC, sub_key DESC
LIMIT %(limit)s;

-- name: list_pages
-- The answers kept of one crawl, whether it is folded or not.
SELECT
    page.kind, page.page_no, page.fetched_at, page.http_status AS status, page.request AS template, page.items,
    -- A splice says in its bytes 5 to 8 how many bytes it replaces, and begins in its 9th.
    body.length + coalesce(octet_length(page.splice) - 8
        - ('x' || encode(substring(page.splice FROM 5 FOR 4), 'hex'))::bit(32)::integer, 0) AS bytes,
    encode(page.exact_sha256, 'hex') AS sha256
FROM ledger.kept_page AS page
JOIN ledger.raw_body AS body
    ON body.part_on = page.part_on AND body.sha256 = page.sha256
WHERE page.crawl_id = %(crawl_id)s
ORDER BY page.fetched_at, page.kind, page.page_no;

-- name: list_subjects
-- The watches a crawl was about, whether it is folded or not: whose answers are these?
SELECT concat_ws(' ', watch.source_id, address.address, nullif(watch.scope, '')) AS name
FROM (
    SELECT kept.watch_id FROM ledger.crawl_watch AS kept WHERE kept.crawl_id = %(crawl_id)s
    UNION
    SELECT folded.watch_id FROM ledger.folded_snapshot AS folded WHERE folded.crawl_id = %(crawl_id)s
) AS asked
JOIN ledger.watch AS watch ON watch.watch_id = asked.watch_id
JOIN ledger.address AS address ON address.address_id = watch.address_id
ORDER BY watch.source_id, address.address, watch.scope;

-- name: read_body
-- The stored bytes of one answer: its body, every body behind that, and where the answer differs from it.
SELECT
    page.exact_sha256 AS sha256, page.steady_sha256, page.splice,
    chain.codecs, chain.lengths, chain.bodies
FROM ledger.kept_page AS page
CROSS JOIN LATERAL ledger.read_chain(page.part_on, page.sha256) AS chain
WHERE page.crawl_id = %(crawl_id)s AND page.kind = %(kind)s AND page.page_no = %(page_no)s;

-- name: list_sources
-- Every source with its watches by what is known of them; removed watches are not counted.
SELECT
    source.source_id AS source, source.state, source.paused_reason, source.paused_until,
    count(coverage.address) FILTER (WHERE coverage.status = 'fresh') AS fresh,
    count(coverage.address) FILTER (WHERE coverage.status = 'stale') AS stale,
    count(coverage.address) FILTER (WHERE coverage.status = 'never_observed') AS never_observed,
    count(coverage.address) FILTER (WHERE coverage.pending_review) AS pending_review,
    max(coverage.age) AS oldest_age
FROM ledger.source AS source
LEFT JOIN report.coverage AS coverage
    ON coverage.source = source.source_id AND coverage.status <> 'not_watched'
GROUP BY source.source_id, source.state, source.paused_reason, source.paused_until
ORDER BY source.source_id;

-- name: list_quarantine
-- Lists that were not believed and wait for a second witness or for a person.
SELECT
    snapshot_id, source, address, scope, label, judged_at, reason, holdings, held, missing,
    release_command, reject_command, crawl_id, raw_command
FROM report.quarantine
ORDER BY judged_at, snapshot_id;

-- name: list_open_crawls
-- What is being crawled or waits for it, and how far it got.
SELECT
    crawl.crawl_id, crawl.source_id AS source, crawl.scope, crawl.state, crawl.created_at,
    crawl.first_page_at, crawl.pages, crawl.listed, crawl.reported_total, crawl.attempts,
    crawl.next_attempt_at,
    array_agg(address.address ORDER BY crawl_watch.place) AS addresses
FROM ledger.crawl AS crawl
JOIN ledger.crawl_watch AS crawl_watch ON crawl_watch.crawl_id = crawl.crawl_id
JOIN ledger.watch AS watch ON watch.watch_id = crawl_watch.watch_id
JOIN ledger.address AS address ON address.address_id = watch.address_id
WHERE crawl.state IN ('pending', 'running')
GROUP BY crawl.crawl_id
ORDER BY crawl.state DESC, crawl.crawl_id
LIMIT %(limit)s;

-- name: list_failures
-- The newest failures of watches that have not been published since: yesterday's healed ones are no news.
SELECT
    crawl.crawl_id, crawl.source_id AS source, address.address, watch.scope, watch.label,
    crawl_watch.verdict, crawl.finished_at, crawl.error_class,
    coalesce(crawl_watch.error, crawl.error) AS error
FROM ledger.crawl_watch AS crawl_watch
JOIN ledger.crawl AS crawl ON crawl.crawl_id = crawl_watch.crawl_id
JOIN ledger.watch AS watch ON watch.watch_id = crawl_watch.watch_id
JOIN ledger.address AS address ON address.address_id = watch.address_id
WHERE crawl_watch.verdict IN ('failed', 'abandoned')
    AND EXISTS (
        SELECT 1
        FROM ledger.watch_period AS period
        WHERE period.watch_id = watch.watch_id AND period.watched_to IS NULL
    )
    AND NOT EXISTS (
        SELECT 1
        FROM ledger.crawl_watch AS later
        WHERE later.watch_id = crawl_watch.watch_id AND later.crawl_id > crawl_watch.crawl_id
            AND later.verdict IS NOT NULL
    )
ORDER BY crawl.finished_at DESC, crawl.crawl_id DESC, address.address
LIMIT %(limit)s;
