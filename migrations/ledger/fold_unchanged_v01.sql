-- A crawl that repeats the one before it to the byte says one thing more: when. Its snapshot becomes an entry of a
-- run, and its rows go. What stays: the latest snapshot of a watch, whatever changed or surprised, whatever has pages
-- that could not be given back, and what a pass still waits for.
-- Each published snapshot makes the one before it foldable, so looking at the new ones finds all.
CREATE FUNCTION ledger.find_repeats(p_after bigint, p_upto bigint, p_before timestamptz)
RETURNS TABLE (snapshot_id bigint, crawl_id bigint)
LANGUAGE sql STABLE
BEGIN ATOMIC
    WITH pair AS MATERIALIZED (
        SELECT p.snapshot_id, p.watch_id, p.crawl_id, p.height_from, b.crawl_id AS before_crawl
        FROM ledger.snapshot AS f
        CROSS JOIN LATERAL (
            SELECT x.* FROM ledger.snapshot AS x
            WHERE x.watch_id = f.watch_id AND x.state = 'published' AND x.snapshot_at < f.snapshot_at
            ORDER BY x.snapshot_at DESC LIMIT 1
        ) AS p
        CROSS JOIN LATERAL (
            SELECT x.* FROM ledger.snapshot AS x
            WHERE x.watch_id = p.watch_id AND x.state = 'published' AND x.snapshot_at < p.snapshot_at
            ORDER BY x.snapshot_at DESC LIMIT 1
        ) AS b
        WHERE f.snapshot_id > p_after AND f.snapshot_id <= p_upto AND f.state = 'published'
          AND (p.pages, p.holdings, p.unreadable, p.missing, p.proves_absence, p.consistency, p.digest,
               p.fresh_until - p.snapshot_at)
              = (b.pages, b.holdings, b.unreadable, b.missing, b.proves_absence, b.consistency, b.digest,
                 b.fresh_until - b.snapshot_at)
          AND p.height_from IS NOT DISTINCT FROM p.height_to
          AND p.judged_at = p.snapshot_at
          AND p.judged_at < p_before
          -- More microseconds are more than an integer holds.
          AND p.snapshot_at - p.first_page_at < interval '30 minutes'
          AND NOT EXISTS (
              SELECT FROM ledger.snapshot_run AS r WHERE r.watch_id = p.watch_id AND r.head_id = p.snapshot_id
          )
    ), repeat AS MATERIALIZED (
        SELECT p.crawl_id, min(p.before_crawl) AS before_crawl, count(*) AS watches, max(p.height_from) AS height
        FROM pair AS p
        GROUP BY p.crawl_id
        HAVING min(p.before_crawl) = max(p.before_crawl)
           AND max(p.height_from) IS NOT DISTINCT FROM min(p.height_from)
    ), good AS MATERIALIZED (
        SELECT c.crawl_id
        FROM repeat AS n
        JOIN ledger.crawl AS c ON c.crawl_id = n.crawl_id
        JOIN ledger.crawl AS b ON b.crawl_id = n.before_crawl
        WHERE c.state = 'complete' AND b.state = 'complete' AND c.part_on = b.part_on
          AND c.lookups = 0 AND NOT c.moved AND NOT b.moved AND c.pages = b.pages
          AND c.facts IS NOT DISTINCT FROM b.facts
          -- The same question, and nothing changed for anybody it was about.
          AND n.watches = (SELECT count(*) FROM ledger.crawl_watch AS w WHERE w.crawl_id = c.crawl_id)
          AND NOT EXISTS (
              SELECT FROM ledger.crawl_watch AS w
              LEFT JOIN ledger.crawl_watch AS o
                  ON o.crawl_id = b.crawl_id AND o.watch_id = w.watch_id AND o.place = w.place
              WHERE w.crawl_id = c.crawl_id
                AND (w.verdict IS DISTINCT FROM 'unchanged' OR o.watch_id IS NULL
                     -- The last due time that was answered is known by the last crawl that has one.
                     OR (w.due_at IS NOT NULL AND NOT EXISTS (
                         SELECT FROM ledger.crawl_watch AS l WHERE l.watch_id = w.watch_id AND l.due_at > w.due_at
                     )))
          )
          AND n.watches = (SELECT count(*) FROM ledger.crawl_watch AS w WHERE w.crawl_id = b.crawl_id)
          AND NOT EXISTS (
              SELECT FROM ledger.pass_watch AS w
              JOIN ledger.crawl_pass AS a ON a.pass_id = w.pass_id
              WHERE w.crawl_id = c.crawl_id
                AND (a.finished_at IS NULL OR a.finished_at > now() - interval '500 milliseconds')
          )
          -- Every page says where it differs from the page before, and that is nowhere, or in the height.
          AND c.pages = (
              SELECT count(*)
              FROM ledger.raw_page AS p
              JOIN ledger.raw_page AS q
                  ON q.part_on = p.part_on AND q.crawl_id = b.crawl_id AND q.kind = p.kind AND q.page_no = p.page_no
              WHERE p.part_on = c.part_on AND p.crawl_id = c.crawl_id AND p.kind = 'page'
                AND (p.sha256, p.http_status, p.request, p.items) = (q.sha256, q.http_status, q.request, q.items)
                AND (p.cursor_in, p.cursor_out, p.steady_sha256)
                    IS NOT DISTINCT FROM (q.cursor_in, q.cursor_out, q.steady_sha256)
                AND CASE
                    WHEN p.splice IS NULL THEN q.splice IS NULL OR c.pages = 1
                    ELSE c.pages = 1 AND convert_from(substring(p.splice FROM 9), 'SQL_ASCII') = n.height::text
                    END
          )
          AND c.pages = (
              SELECT count(*) FROM ledger.raw_page AS p WHERE p.part_on = c.part_on AND p.crawl_id = c.crawl_id
          )
    )
    SELECT p.snapshot_id, p.crawl_id
    FROM pair AS p
    JOIN good AS g ON g.crawl_id = p.crawl_id;
END;
COMMENT ON FUNCTION ledger.find_repeats(bigint, bigint, timestamptz) IS
    'Published snapshots from before then that the next of their watch, one of those numbers, makes foldable; with their crawls.';

-- SECURITY DEFINER: the daemon's role may fold, and may delete no history. The search path is pinned.
CREATE FUNCTION ledger.fold_unchanged(
    p_after bigint, p_most integer, p_before timestamptz, OUT seen bigint, OUT folded integer
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ledger, pg_catalog, pg_temp AS $$
DECLARE
    chosen bigint[];
    of_crawls bigint[];
    n record;
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
    SELECT array_agg(f.snapshot_id), array_agg(DISTINCT f.crawl_id) INTO chosen, of_crawls
    FROM ledger.find_repeats(p_after, seen, p_before) AS f;
    IF chosen IS NULL THEN
        RETURN;
    END IF;
    FOR n IN
        SELECT o.watch_id, o.head_id, o.fresh_for, o.part, (array_agg(o.splice_head) FILTER (WHERE o.splice_head IS NOT NULL))[1] AS splice_head,
               array_agg(o.snapshot_at::timestamptz ORDER BY o.snapshot_at) AS instants,
               array_agg(o.snapshot_id ORDER BY o.snapshot_at) AS snapshots,
               array_agg(o.crawl_id ORDER BY o.snapshot_at) AS crawls,
               array_agg(o.first_lag ORDER BY o.snapshot_at) AS first_lags,
               array_agg(o.last_lag ORDER BY o.snapshot_at) AS last_lags,
               CASE WHEN count(o.height) > 0 THEN array_agg(o.height ORDER BY o.snapshot_at) END AS heights
        FROM (
            SELECT s.snapshot_id, s.watch_id, s.crawl_id, s.snapshot_at,
                   (extract(epoch FROM s.snapshot_at - s.first_page_at) * 1000000)::integer AS first_lag,
                   (extract(epoch FROM s.snapshot_at - s.last_page_at) * 1000000)::integer AS last_lag,
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
        ) AS o
        GROUP BY o.watch_id, o.head_id, o.fresh_for, o.part
        ORDER BY o.watch_id, min(o.snapshot_at)
    LOOP
        UPDATE ledger.snapshot_run AS r
        SET last_at = n.instants[cardinality(n.instants)], splice_head = coalesce(r.splice_head, n.splice_head),
            instants = r.instants || n.instants, snapshots = r.snapshots || n.snapshots,
            crawls = r.crawls || n.crawls, first_lags = r.first_lags || n.first_lags,
            last_lags = r.last_lags || n.last_lags,
            heights = CASE WHEN coalesce(r.heights, n.heights) IS NOT NULL THEN
                coalesce(r.heights, array_fill(NULL::bigint, ARRAY[cardinality(r.instants)]))
                || coalesce(n.heights, array_fill(NULL::bigint, ARRAY[cardinality(n.instants)])) END
        WHERE r.watch_id = n.watch_id AND r.head_id = n.head_id AND r.fresh_for = n.fresh_for
          AND r.first_at = (SELECT max(l.first_at) FROM ledger.snapshot_run AS l WHERE l.watch_id = n.watch_id)
          AND cardinality(r.instants) + cardinality(n.instants) <= 30;
        IF NOT FOUND THEN
            INSERT INTO ledger.snapshot_run
                (watch_id, first_at, last_at, head_id, fresh_for, splice_head, instants, snapshots, crawls,
                 first_lags, last_lags, heights)
            VALUES
                (n.watch_id, n.instants[1], n.instants[cardinality(n.instants)], n.head_id, n.fresh_for,
                 n.splice_head, n.instants, n.snapshots, n.crawls, n.first_lags, n.last_lags, n.heights);
        END IF;
    END LOOP;
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

REVOKE ALL ON FUNCTION ledger.find_repeats(bigint, bigint, timestamptz), ledger.fold_unchanged(bigint, integer, timestamptz) FROM PUBLIC;
