-- Monthly partitions of the raw pages, so that retention is a DROP.
-- SECURITY DEFINER: the daemon's role can roll partitions without owning a table. The search path is pinned.
CREATE FUNCTION ledger.ensure_raw_partitions(from_date date, months integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ledger, pg_catalog, pg_temp AS $$
DECLARE
    month date := date_trunc('month', from_date)::date;
    parent text;
    part text;
    created integer := 0;
BEGIN
    -- Two workers starting at once would both find the month missing.
    PERFORM pg_advisory_xact_lock(7201964002);
    FOR i IN 1 .. least(greatest(months, 1), 24) LOOP
        FOREACH parent IN ARRAY ARRAY['raw_body', 'raw_page'] LOOP
            part := parent || to_char(month, '_YYYYMM');
            IF to_regclass('ledger.' || part) IS NULL THEN
                EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                               part, parent, month, (month + interval '1 month')::date);
                created := created + 1;
            END IF;
        END LOOP;
        month := (month + interval '1 month')::date;
    END LOOP;
    RETURN created;
END $$;
COMMENT ON FUNCTION ledger.ensure_raw_partitions(date, integer) IS
    'Creates missing monthly partitions of raw_body and raw_page from that month on; returns how many tables.';

CREATE FUNCTION ledger.drop_raw_before(before date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ledger, pg_catalog, pg_temp SET lock_timeout = '5s' AS $$
DECLARE
    part record;
    dropped integer := 0;
BEGIN
    -- Two callers at once would both find the same partition.
    PERFORM pg_advisory_xact_lock(7201964005);
    IF before > (now() AT TIME ZONE 'UTC')::date - 7 THEN
        RAISE EXCEPTION 'raw pages younger than 7 days are not dropped' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- An unfinished crawl needs its pages to publish: its month stays.
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
    'Drops whole monthly partitions of raw pages that end before that day; returns how many tables.';

REVOKE ALL ON FUNCTION ledger.ensure_raw_partitions(date, integer), ledger.drop_raw_before(date) FROM PUBLIC;

SELECT ledger.ensure_raw_partitions((now() AT TIME ZONE 'UTC')::date, 3);
