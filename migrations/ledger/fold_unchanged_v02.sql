-- A run keeps what its crawls told of themselves too: nothing that report.crawls says goes when they are folded.
-- SECURITY DEFINER: the daemon's role may fold, and may delete no history. The search path is pinned.
CREATE OR REPLACE FUNCTION ledger.fold_unchanged(
    p_after bigint, p_most integer, p_before timestamptz, OUT seen bigint, OUT folded integer
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ledger, pg_catalog, pg_temp AS $$
DECLARE
    chosen bigint[];
    of_crawls bigint[];
BEGIN
    folded := 0;
    SELECT max(f.snapshot_id) INTO seen
    FROM (
        SELECT s.snapshot_id FROM ledger.snapshot AS s
        WHERE s.snapshot_id > p_after ORDER BY s.snapshot_id LIMIT p_most
    ) AS f;
    -- One at a time, and none beside a prune: two would take away the same crawls.
    IF seen IS NULL OR NOT pg_try_advisory_xact_lock(7201964005) THEN
        RETURN;
    END IF;
    -- Mostly nothing repeats: to plan the whole question takes longer than to see that.
    IF NOT EXISTS (
        SELECT FROM ledger.snapshot AS f
        CROSS JOIN LATERAL (
            SELECT x.watch_id, x.snapshot_at, x.digest FROM ledger.snapshot AS x
            WHERE x.watch_id = f.watch_id AND x.state = 'published' AND x.snapshot_at < f.snapshot_at
            ORDER BY x.snapshot_at DESC LIMIT 1
        ) AS p
        CROSS JOIN LATERAL (
            SELECT x.digest FROM ledger.snapshot AS x
            WHERE x.watch_id = p.watch_id AND x.state = 'published' AND x.snapshot_at < p.snapshot_at
            ORDER BY x.snapshot_at DESC LIMIT 1
        ) AS b
        WHERE f.snapshot_id > p_after AND f.snapshot_id <= seen AND f.state = 'published' AND p.digest = b.digest
    ) THEN
        RETURN;
    END IF;
    SELECT array_agg(f.snapshot_id), array_agg(DISTINCT f.crawl_id) INTO chosen, of_crawls
    FROM ledger.find_repeats(p_after, seen, p_before) AS f;
    IF chosen IS NULL THEN
        RETURN;
    END IF;
    WITH listed AS MATERIALIZED (
        SELECT s.snapshot_id, s.watch_id, s.crawl_id, s.snapshot_at,
               (extract(epoch FROM s.snapshot_at - s.first_page_at) * 1000000)::integer AS first_lag,
               (extract(epoch FROM s.snapshot_at - s.last_page_at) * 1000000)::integer AS last_lag,
               -- Never later than it was queued. A month of milliseconds is more than an integer holds.
               CASE WHEN s.snapshot_at - c.created_at < interval '20 days' THEN
                   ceil(extract(epoch FROM s.snapshot_at - c.created_at) * 1000)::integer END AS queued_lag,
               c.attempts, c.requests - c.pages AS retries,
               s.height_from AS height, h.snapshot_id AS head_id, substring(p.splice FROM 1 FOR 8) AS splice_head,
               extract(epoch FROM s.fresh_until - s.snapshot_at)::float8 * interval '1 second' AS fresh_for,
               (row_number() OVER (PARTITION BY s.watch_id, h.snapshot_id ORDER BY s.snapshot_at) - 1) / 30 AS part
        FROM ledger.snapshot AS s
        JOIN ledger.crawl AS c ON c.crawl_id = s.crawl_id
        JOIN ledger.raw_page AS p
            ON p.part_on = c.part_on AND p.crawl_id = c.crawl_id AND p.kind = 'page' AND p.page_no = 1
        CROSS JOIN LATERAL (
            SELECT x.snapshot_id FROM ledger.snapshot AS x
            WHERE x.watch_id = s.watch_id AND x.state = 'published' AND x.snapshot_at < s.snapshot_at
              AND x.snapshot_id <> ALL (chosen)
            ORDER BY x.snapshot_at DESC LIMIT 1
        ) AS h
        WHERE s.snapshot_id = ANY (chosen)
    ), n AS MATERIALIZED (
        SELECT o.watch_id, o.head_id, o.fresh_for, o.part,
               (array_agg(o.splice_head) FILTER (WHERE o.splice_head IS NOT NULL))[1] AS splice_head,
               array_agg(o.snapshot_at::timestamptz ORDER BY o.snapshot_at) AS instants,
               array_agg(o.snapshot_id ORDER BY o.snapshot_at) AS snapshots,
               array_agg(o.crawl_id ORDER BY o.snapshot_at) AS crawls,
               array_agg(o.first_lag ORDER BY o.snapshot_at) AS first_lags,
               array_agg(o.last_lag ORDER BY o.snapshot_at) AS last_lags,
               CASE WHEN count(o.height) > 0 THEN array_agg(o.height ORDER BY o.snapshot_at) END AS heights,
               array_agg(o.queued_lag ORDER BY o.snapshot_at) AS queued_lags,
               CASE WHEN bool_or(o.attempts <> 1) THEN array_agg(o.attempts ORDER BY o.snapshot_at) END AS attempts,
               CASE WHEN bool_or(o.retries <> 0) THEN array_agg(o.retries ORDER BY o.snapshot_at) END AS retries
        FROM listed AS o
        GROUP BY o.watch_id, o.head_id, o.fresh_for, o.part
    ), grown AS (
        -- Only the latest run of a watch grows, and only by what comes first after it.
        UPDATE ledger.snapshot_run AS r
        SET last_at = n.instants[cardinality(n.instants)], splice_head = coalesce(r.splice_head, n.splice_head),
            instants = r.instants || n.instants, snapshots = r.snapshots || n.snapshots,
            crawls = r.crawls || n.crawls, first_lags = r.first_lags || n.first_lags,
            last_lags = r.last_lags || n.last_lags,
            heights = CASE WHEN coalesce(r.heights, n.heights) IS NOT NULL THEN
                coalesce(r.heights, array_fill(NULL::bigint, ARRAY[cardinality(r.instants)]))
                || coalesce(n.heights, array_fill(NULL::bigint, ARRAY[cardinality(n.instants)])) END,
            queued_lags = coalesce(r.queued_lags, array_fill(NULL::integer, ARRAY[cardinality(r.instants)]))
                || n.queued_lags,
            attempts = CASE WHEN coalesce(r.attempts, n.attempts) IS NOT NULL THEN
                coalesce(r.attempts, array_fill(1, ARRAY[cardinality(r.instants)]))
                || coalesce(n.attempts, array_fill(1, ARRAY[cardinality(n.instants)])) END,
            retries = CASE WHEN coalesce(r.retries, n.retries) IS NOT NULL THEN
                coalesce(r.retries, array_fill(0, ARRAY[cardinality(r.instants)]))
                || coalesce(n.retries, array_fill(0, ARRAY[cardinality(n.instants)])) END
        FROM n
        CROSS JOIN LATERAL (
            SELECT l.first_at, l.head_id, l.fresh_for, cardinality(l.instants) AS entries FROM ledger.snapshot_run AS l
            WHERE l.watch_id = n.watch_id ORDER BY l.first_at DESC LIMIT 1
        ) AS latest
        WHERE n.part = 0 AND latest.head_id = n.head_id AND latest.fresh_for = n.fresh_for
          AND latest.entries + cardinality(n.instants) <= 30
          AND r.watch_id = n.watch_id AND r.first_at = latest.first_at
        RETURNING n.watch_id, n.head_id, n.fresh_for
    )
    INSERT INTO ledger.snapshot_run
        (watch_id, first_at, last_at, head_id, fresh_for, splice_head, instants, snapshots, crawls, first_lags,
         last_lags, heights, queued_lags, attempts, retries)
    SELECT n.watch_id, n.instants[1], n.instants[cardinality(n.instants)], n.head_id, n.fresh_for, n.splice_head,
           n.instants, n.snapshots, n.crawls, n.first_lags, n.last_lags, n.heights, n.queued_lags, n.attempts, n.retries
    FROM n
    WHERE n.part > 0 OR (n.watch_id, n.head_id, n.fresh_for) NOT IN (SELECT g.watch_id, g.head_id, g.fresh_for FROM grown AS g);
    -- Refused for every snapshot that its run does not give back exactly.
    DELETE FROM ledger.snapshot AS s WHERE s.snapshot_id = ANY (chosen);
    GET DIAGNOSTICS folded = ROW_COUNT;
    DELETE FROM ledger.raw_page AS p
    USING ledger.crawl AS c
    WHERE c.crawl_id = ANY (of_crawls) AND p.part_on = c.part_on AND p.crawl_id = c.crawl_id;
    DELETE FROM ledger.pass_watch AS w WHERE w.crawl_id = ANY (of_crawls);
    DELETE FROM ledger.crawl_watch AS w WHERE w.crawl_id = ANY (of_crawls);
    DELETE FROM ledger.crawl AS c WHERE c.crawl_id = ANY (of_crawls);
END $$;
COMMENT ON FUNCTION ledger.fold_unchanged(bigint, integer, timestamptz) IS
    'Folds the snapshots that these next ones made foldable; returns the last one looked at and how many were folded.';
