-- What the crawls of a run told of themselves. Most are alike: claimed once, a request for each page.
ALTER TABLE ledger.snapshot_run
    ADD COLUMN queued_lags integer[],
    ADD COLUMN attempts integer[],
    ADD COLUMN retries integer[],
    ADD CONSTRAINT more_lists_are_equally_long CHECK (
        cardinality(instants) = ALL (ARRAY[coalesce(cardinality(queued_lags), cardinality(instants)),
            coalesce(cardinality(attempts), cardinality(instants)),
            coalesce(cardinality(retries), cardinality(instants))])
    );

COMMENT ON COLUMN ledger.snapshot_run.queued_lags IS 'Milliseconds from queueing each crawl to its instant; NULL: not kept.';
COMMENT ON COLUMN ledger.snapshot_run.attempts IS 'How often each crawl was claimed; NULL: once each.';
COMMENT ON COLUMN ledger.snapshot_run.retries IS 'Requests of each crawl that gave no page; NULL: none.';

CREATE TRIGGER snapshot_run_keeps_its_crawls BEFORE UPDATE ON ledger.snapshot_run
    FOR EACH ROW WHEN (
        (coalesce(OLD.queued_lags, array_fill(NULL::integer, ARRAY[cardinality(OLD.instants)])),
         coalesce(OLD.attempts, array_fill(1, ARRAY[cardinality(OLD.instants)])),
         coalesce(OLD.retries, array_fill(0, ARRAY[cardinality(OLD.instants)])))
        IS DISTINCT FROM
        (coalesce(NEW.queued_lags[1:cardinality(OLD.instants)],
                  array_fill(NULL::integer, ARRAY[cardinality(OLD.instants)])),
         coalesce(NEW.attempts[1:cardinality(OLD.instants)], array_fill(1, ARRAY[cardinality(OLD.instants)])),
         coalesce(NEW.retries[1:cardinality(OLD.instants)], array_fill(0, ARRAY[cardinality(OLD.instants)])))
    )
    EXECUTE FUNCTION ledger.refuse_change();

-- The crawls of all runs. They answered as the one they repeat: its watches, its pages, its rows. All watches of a
-- crawl are folded together, so the run of the first one tells of all; nothing is grouped, rows are told as they come.
CREATE VIEW ledger.folded_crawl AS
SELECT e.crawl_id, c.source_id, s.network, c.scope, e.snapshot_at AS finished_at,
       e.snapshot_at - e.queued_lag * interval '1 millisecond' AS created_at,
       e.snapshot_at - e.first_lag * interval '1 microsecond' AS first_page_at,
       e.snapshot_at - e.last_lag * interval '1 microsecond' AS last_page_at,
       -- Where one of them was not kept, none was.
       CASE WHEN e.queued_lag IS NOT NULL THEN coalesce(e.attempts, 1) END AS attempts, c.pages,
       CASE WHEN e.queued_lag IS NOT NULL THEN c.pages + coalesce(e.retries, 0) END AS requests, c.listed,
       x.addresses, x.verdicts
FROM ledger.snapshot_run AS r
JOIN ledger.snapshot AS h ON h.snapshot_id = r.head_id
JOIN ledger.crawl AS c ON c.crawl_id = h.crawl_id
JOIN ledger.source AS s ON s.source_id = c.source_id
JOIN ledger.crawl_watch AS m ON m.crawl_id = c.crawl_id AND m.watch_id = r.watch_id AND m.place = 0
CROSS JOIN LATERAL (
    SELECT array_agg(a.address ORDER BY o.place, a.address) AS addresses,
           jsonb_object_agg(a.address, 'unchanged') AS verdicts
    FROM ledger.crawl_watch AS o
    JOIN ledger.watch AS w ON w.watch_id = o.watch_id
    JOIN ledger.address AS a ON a.address_id = w.address_id
    WHERE o.crawl_id = c.crawl_id
) AS x
CROSS JOIN LATERAL unnest(r.instants, r.crawls, r.first_lags, r.last_lags, r.queued_lags, r.attempts, r.retries)
    AS e (snapshot_at, crawl_id, first_lag, last_lag, queued_lag, attempts, retries);

COMMENT ON VIEW ledger.folded_crawl IS 'The crawls of all runs whose pages can still be given back.';

-- A snapshot may go when its run says the very same, and never when a run begins at it. Looked at for all that one
-- statement deletes: asked row by row it was a quarter of what folding takes.
CREATE FUNCTION ledger.require_runs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM gone AS g
        WHERE g.state <> 'published'
           OR (
               SELECT count(*) FROM ledger.folded_snapshot AS f
               WHERE f.watch_id = g.watch_id AND f.first_at <= g.snapshot_at AND f.last_at >= g.snapshot_at
                 AND f.head_id <> g.snapshot_id
                 AND (f.snapshot_id, f.crawl_id, f.judged_at, f.snapshot_at, f.fresh_until, f.first_page_at,
                      f.last_page_at, f.height_from, f.height_to, f.pages, f.holdings, f.unreadable, f.missing,
                      f.proves_absence, f.consistency, f.digest)
                     IS NOT DISTINCT FROM
                     (g.snapshot_id, g.crawl_id, g.judged_at, g.snapshot_at, g.fresh_until, g.first_page_at,
                      g.last_page_at, g.height_from, g.height_to, g.pages, g.holdings, g.unreadable, g.missing,
                      g.proves_absence, g.consistency, g.digest)
           ) = 0
           OR (
               SELECT count(*) FROM ledger.snapshot_run AS r WHERE r.watch_id = g.watch_id AND r.head_id = g.snapshot_id
           ) > 0
    ) THEN
        RAISE EXCEPTION '%.% is write-once: % refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION ledger.require_runs() IS 'Refuses to delete snapshots that no run gives back.';

DROP TRIGGER snapshot_stays ON ledger.snapshot;
CREATE TRIGGER snapshot_stays AFTER DELETE ON ledger.snapshot
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION ledger.require_runs();
