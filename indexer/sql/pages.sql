-- name: lock_crawls
-- In ascending order, so that two workers never wait for each other.
SELECT crawl_id FROM ledger.crawl
WHERE crawl_id = ANY(%(crawls)s)
ORDER BY crawl_id
FOR NO KEY UPDATE

-- name: advance_crawls
-- Compare-and-set on (crawl, epoch, page number): who lost the lease, or repeats a page, gets no row back.
-- The first page's time is when its request was sent, the last page's when it was committed.
UPDATE ledger.crawl AS c
SET pages = c.pages + (n.kind = 'page')::int,
    lookups = c.lookups + (n.kind = 'lookup')::int,
    requests = c.requests + n.requests,
    listed = c.listed + n.items,
    cursor = CASE n.kind WHEN 'page' THEN n.cursor_out ELSE c.cursor END,
    reader = CASE
        WHEN n.kind <> 'page' THEN c.reader
        WHEN c.pages = 0 OR c.reader = n.reader THEN n.reader END,
    facts = coalesce(n.facts::jsonb, c.facts),
    reported_total = coalesce(n.reported_total, c.reported_total),
    height_from = coalesce(c.height_from, n.height),
    height_to = coalesce(n.height, c.height_to),
    -- A page of a lower height than the one before is from a server that lags behind it: not one moment.
    moved = c.moved OR n.moved OR coalesce(n.height < c.height_to, false),
    first_page_at = CASE n.kind
        WHEN 'page' THEN coalesce(c.first_page_at, clock_timestamp() - n.seconds * interval '1 second')
        ELSE c.first_page_at END,
    last_page_at = CASE n.kind WHEN 'page' THEN greatest(c.last_page_at, clock_timestamp()) ELSE c.last_page_at END,
    lease_until = clock_timestamp() + %(lease)s
FROM unnest(
    %(crawls)s::bigint[], %(epochs)s::bigint[], %(kinds)s::text[], %(page_nos)s::int[], %(requests)s::int[],
    %(items)s::int[], %(cursors_out)s::text[], %(facts)s::text[], %(reported_totals)s::bigint[],
    %(heights)s::bigint[], %(moved)s::boolean[], %(seconds)s::float8[], %(readers)s::text[]
) AS n (crawl_id, epoch, kind, page_no, requests, items, cursor_out, facts, reported_total, height, moved, seconds,
        reader)
WHERE c.crawl_id = n.crawl_id
  AND c.lease_epoch = n.epoch
  AND c.state = 'running'
  AND n.page_no = 1 + CASE n.kind WHEN 'page' THEN c.pages WHEN 'lookup' THEN c.lookups ELSE 0 END
RETURNING c.crawl_id, c.first_page_at, c.last_page_at, c.height_from, c.height_to, c.pages, c.moved, c.source_id,
          c.reported_total

-- name: insert_bodies
-- Each content once per month, in key order.
INSERT INTO ledger.raw_body (part_on, sha256, codec, length, body, base_sha256, depth)
SELECT DISTINCT ON (n.part_on, n.sha256) n.part_on, n.sha256, n.codec, n.length, n.body, n.base_sha256, n.depth
FROM unnest(%(part_ons)s::date[], %(sha256s)b::bytea[], %(codecs)s::text[], %(lengths)s::int[], %(bodies)b::bytea[],
            %(bases)s::bytea[], %(depths)s::smallint[])
    AS n (part_on, sha256, codec, length, body, base_sha256, depth)
ORDER BY n.part_on, n.sha256
ON CONFLICT (part_on, sha256) DO NOTHING

-- name: insert_pages
-- The log: what was asked with which cursor, and which bytes came back.
INSERT INTO ledger.raw_page
    (part_on, crawl_id, kind, page_no, lease_epoch, fetched_at, http_status, request, cursor_in, cursor_out, items,
     sha256, splice, exact_sha256, steady_sha256)
SELECT n.part_on, n.crawl_id, n.kind, n.page_no, n.epoch, coalesce(n.fetched_at, clock_timestamp()), n.status,
       n.request, n.cursor_in, n.cursor_out, n.items, n.sha256, n.splice, n.exact_sha256, n.steady_sha256
FROM unnest(
    %(part_ons)s::date[], %(crawls)s::bigint[], %(kinds)s::text[], %(page_nos)s::int[], %(epochs)s::bigint[],
    %(fetched_at)s::timestamptz[], %(statuses)s::smallint[], %(templates)s::text[], %(cursors_in)s::text[], %(cursors_out)s::text[],
    %(items)s::int[], %(sha256s)b::bytea[], %(splices)s::bytea[], %(exact)s::bytea[], %(steady)s::bytea[]
) AS n (part_on, crawl_id, kind, page_no, epoch, fetched_at, status, request, cursor_in, cursor_out, items, sha256,
        splice, exact_sha256, steady_sha256)

-- name: hold_crawl
-- Whether the crawl is still ours, and until the end of the transaction nobody else's.
SELECT crawl_id FROM ledger.crawl
WHERE crawl_id = %(crawl)s AND lease_epoch = %(epoch)s AND state = 'running'
FOR NO KEY UPDATE

-- name: keep_rejected
-- An answer that was not believed is evidence: keep its bytes.
INSERT INTO ledger.raw_page
    (part_on, crawl_id, kind, page_no, lease_epoch, http_status, request, cursor_in, items, sha256)
SELECT %(part_on)s, %(crawl)s, 'rejected', 1 + count(p.page_no), %(epoch)s, %(status)s, %(template)s, %(cursor)s, 0,
       %(sha256)s
FROM ledger.raw_page AS p
WHERE p.part_on = %(part_on)s AND p.crawl_id = %(crawl)s AND p.kind = 'rejected'

-- name: read_pages
-- The pages of a crawl again, a few at a time: memory is bounded by pages, not by accounts.
SELECT p.page_no, p.cursor_in, p.cursor_out, p.splice, chain.codecs, chain.lengths, chain.bodies
FROM ledger.raw_page AS p
CROSS JOIN LATERAL ledger.read_chain(p.part_on, p.sha256) AS chain
WHERE p.part_on = %(part_on)s AND p.crawl_id = %(crawl)s AND p.kind = 'page' AND p.page_no > %(after)s
ORDER BY p.page_no
LIMIT 16

-- name: find_known_lists
-- The crawl that was published last for each watch. Its pages can be recognised where the same code read it and nothing
-- about it is in doubt; what is new in a later page is told by its bodies in any case.
SELECT w.watch_id, c.crawl_id, c.part_on, coalesce(c.facts, '{}'::jsonb) AS facts,
       coalesce(c.reader = %(reader)s, false) AND NOT c.moved AND last.consistency <> 'drifted' AND last.unreadable = 0
           AND last.proves_absence AS recognisable
FROM unnest(%(watches)s::bigint[]) AS w (watch_id)
CROSS JOIN LATERAL (
    SELECT s.crawl_id, s.consistency, s.unreadable, s.pages, s.proves_absence
    FROM ledger.snapshot AS s
    WHERE s.watch_id = w.watch_id AND s.state = 'published'
    ORDER BY s.snapshot_at DESC
    LIMIT 1
) AS last
JOIN ledger.crawl AS c ON c.crawl_id = last.crawl_id
WHERE c.state = 'complete' AND last.pages <= %(most)s

-- name: read_known_pages
-- Their pages, and the body each is kept as. One look into the index for each crawl and each body (LIMIT keeps it so):
-- with the statistics of a partition that just began, the whole month is joined once for every few crawls.
SELECT p.crawl_id, p.page_no, p.cursor_in, p.cursor_out, p.items, p.sha256, p.steady_sha256, b.sha256 AS body_sha256,
       b.length AS body_length
FROM unnest(%(part_ons)s::date[], %(crawls)s::bigint[]) AS n (part_on, crawl_id)
CROSS JOIN LATERAL (
    SELECT r.crawl_id, r.page_no, r.cursor_in, r.cursor_out, r.items, coalesce(r.exact_sha256, r.sha256) AS sha256,
           r.steady_sha256, r.sha256 AS body
    FROM ledger.raw_page AS r
    WHERE r.part_on = n.part_on AND r.crawl_id = n.crawl_id AND r.kind = 'page'
    ORDER BY r.page_no
    LIMIT %(most)s
) AS p
CROSS JOIN LATERAL (
    SELECT o.sha256, o.length FROM ledger.raw_body AS o WHERE o.part_on = n.part_on AND o.sha256 = p.body LIMIT 1
) AS b
ORDER BY p.crawl_id, p.page_no

-- name: read_earlier
-- The bodies of all pages of these crawls, looked up crawl by crawl like their pages above.
SELECT p.crawl_id, p.page_no, chain.codecs, chain.lengths, chain.bodies, chain.whole_sha256
FROM unnest(%(part_ons)s::date[], %(crawls)s::bigint[]) AS n (part_on, crawl_id)
CROSS JOIN LATERAL (
    SELECT r.part_on, r.crawl_id, r.page_no, r.sha256
    FROM ledger.raw_page AS r
    WHERE r.part_on = n.part_on AND r.crawl_id = n.crawl_id AND r.kind = 'page'
    ORDER BY r.page_no
    LIMIT %(most)s
) AS p
CROSS JOIN LATERAL ledger.read_chain(p.part_on, p.sha256) AS chain

-- name: read_body
-- One body with what stands behind it.
SELECT codecs, lengths, bodies, whole_sha256
FROM ledger.read_chain(%(part_on)s::date, %(sha256)s::bytea)

-- name: learn_facts
-- What a look-up taught for good, and what lists say again: at most once a day, so that they do not queue for one row.
INSERT INTO ledger.fact (source_id, name, value, crawl_id)
SELECT DISTINCT ON (n.source_id, n.name) n.source_id, n.name, n.value, n.crawl_id
FROM unnest(%(sources)s::text[], %(names)s::text[], %(values)s::text[], %(crawls)s::bigint[])
    AS n (source_id, name, value, crawl_id)
WHERE NOT EXISTS (
    SELECT FROM ledger.fact AS f
    WHERE f.source_id = n.source_id AND f.name = n.name AND f.value = n.value
      AND f.learned_at > clock_timestamp() - interval '1 day'
)
ORDER BY n.source_id, n.name
ON CONFLICT (source_id, name)
    DO UPDATE SET value = excluded.value, learned_at = clock_timestamp(), crawl_id = excluded.crawl_id

-- name: read_facts
-- Lasting facts are believed for a week after they were last told: an API may correct itself.
SELECT name, value, learned_at < clock_timestamp() - interval '1 day' AS is_old FROM ledger.fact
WHERE source_id = %(source)s AND name = ANY(%(names)s) AND learned_at > clock_timestamp() - interval '7 days'

-- name: ensure_partitions
-- This month's and the next one's.
SELECT ledger.ensure_raw_partitions((now() AT TIME ZONE 'UTC')::date, 2)
