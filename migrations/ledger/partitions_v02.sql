-- A crawl without a page keeps no month of raw pages: only the month of what can still be published stays.
-- SECURITY DEFINER: the daemon's role can drop partitions without owning a table. The search path is pinned.
CREATE OR REPLACE FUNCTION ledger.drop_raw_before(before date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ledger, pg_catalog, pg_temp SET lock_timeout = '5s' AS $$
DECLARE
    part record;
    dropped integer := 0;
    idle bigint[];
BEGIN
    -- Two callers at once would both find the same partition.
    PERFORM pg_advisory_xact_lock(7201964005);
    IF before > (now() AT TIME ZONE 'UTC')::date - 7 THEN
        RAISE EXCEPTION 'raw pages younger than 7 days are not dropped' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- An open crawl of which nothing is kept, and of a source that was switched off, may wait for ever: it is moved to
    -- this month, which is never dropped. One that is claimed now is left alone, and so is its month. Locked first and
    -- looked at afterwards, so that what was kept meanwhile is seen.
    SELECT array_agg(x.crawl_id) INTO idle
    FROM (
        SELECT c.crawl_id FROM ledger.crawl AS c
        WHERE c.state IN ('pending', 'running') AND c.pages = 0 AND c.lookups = 0 AND c.part_on < before
          AND (c.state = 'pending' OR c.lease_until < clock_timestamp())
        FOR UPDATE SKIP LOCKED
    ) AS x;
    IF idle IS NOT NULL THEN
        PERFORM ledger.ensure_raw_partitions((now() AT TIME ZONE 'UTC')::date, 1);
    END IF;
    -- The epoch makes later writes of a worker fail that let its lease run out.
    UPDATE ledger.crawl AS c
    SET part_on = date_trunc('month', now() AT TIME ZONE 'UTC')::date,
        state = 'pending', lease_owner = NULL, lease_until = NULL, lease_epoch = c.lease_epoch + 1
    WHERE c.crawl_id = ANY (idle)
      AND (SELECT true FROM ledger.raw_page AS p
           WHERE p.part_on = c.part_on AND p.crawl_id = c.crawl_id LIMIT 1) IS NULL;
    -- Any other unfinished crawl needs its pages to publish, or writes them: its month stays.
    SELECT least(before, min(crawl.part_on)) INTO before FROM ledger.crawl WHERE crawl.state IN ('pending', 'running');
    -- raw_page first: it references raw_body.
    FOR part IN
        SELECT child.relname, parent.relname AS parent, to_date(right(child.relname, 6), 'YYYYMM') AS month
        FROM pg_inherits
        JOIN pg_class AS child ON child.oid = inhrelid
        JOIN pg_class AS parent ON parent.oid = inhparent
        WHERE inhparent IN ('ledger.raw_page'::regclass, 'ledger.raw_body'::regclass)
          AND child.relname ~ '_[0-9]{6}$'
        ORDER BY parent.relname DESC, month
    LOOP
        IF (part.month + interval '1 month')::date <= before THEN
            EXECUTE format('ALTER TABLE %I DETACH PARTITION %I', part.parent, part.relname);
            EXECUTE format('DROP TABLE %I', part.relname);
            dropped := dropped + 1;
        END IF;
    END LOOP;
    RETURN dropped;
END $$;
COMMENT ON FUNCTION ledger.drop_raw_before(date) IS
    'Drops whole monthly partitions of raw pages that end before that day, but for those that unfinished crawls need; returns how many tables.';

COMMENT ON COLUMN ledger.crawl.part_on IS 'Partition key of its raw pages: first day of the month it was queued; retention moves a crawl without any to a later one.';
