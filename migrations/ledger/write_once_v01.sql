-- History is write-once, whoever writes: a row may be closed or resolved once and never otherwise changed or removed.
-- The condition sits in WHEN, so an allowed update costs no function call.
CREATE FUNCTION ledger.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%.% is write-once: % refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
COMMENT ON FUNCTION ledger.refuse_change() IS 'Refuses a statement that would rewrite or delete history.';

-- An adoption (`indexer replay --adopt`) replaces rows. Whoever asks, a row goes only in the transaction that keeps it
-- in ledger.adopted_row, and a snapshot is corrected only to what is kept beside it: no answer that was given is lost.
-- A setting as the key would be anybody's to set; switching triggers off would lock all publishes out and guard nobody
-- meanwhile. Asked only when a row of history is deleted or a snapshot rewritten, so no publish pays for it.
CREATE FUNCTION ledger.refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    old_row jsonb := to_jsonb(OLD);
BEGIN
    IF EXISTS (
        SELECT FROM ledger.adoption AS a
        JOIN ledger.adopted_row AS r ON r.adoption_id = a.adoption_id
        WHERE a.watch_id = OLD.watch_id AND a.written_by = pg_current_xact_id()::text::bigint
          -- A name compares by bytes, and the index does not: without this every look would read the whole adoption.
          AND r.kind = TG_TABLE_NAME COLLATE "default"
          AND r.ref = concat_ws('/', old_row ->> TG_ARGV[0], old_row ->> TG_ARGV[1], old_row ->> TG_ARGV[2])
          AND r.live = old_row
          AND (TG_OP = 'DELETE' OR r.replayed = to_jsonb(NEW))
    ) THEN
        IF TG_OP = 'DELETE' THEN
            RETURN OLD;
        END IF;
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '%.% is write-once: % refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
COMMENT ON FUNCTION ledger.refuse_rewriting() IS
    'Refuses to delete or rewrite history that the same transaction does not keep as adopted.';

CREATE TRIGGER holding_version_is_write_once BEFORE UPDATE ON ledger.holding_version
    FOR EACH ROW WHEN (
        OLD.valid_to IS NOT NULL OR NEW.valid_to IS NULL
        OR (OLD.watch_id, OLD.asset_id, OLD.sub_key, OLD.version_no, OLD.valid_from, OLD.previous_no,
            OLD.previous_to, OLD.amount, OLD.decimals, OLD.locked, OLD.frozen, OLD.delegate, OLD.details,
            OLD.observed_at, OLD.open_reason, OLD.opened_by, OLD.opened_page)
        IS DISTINCT FROM
           (NEW.watch_id, NEW.asset_id, NEW.sub_key, NEW.version_no, NEW.valid_from, NEW.previous_no,
            NEW.previous_to, NEW.amount, NEW.decimals, NEW.locked, NEW.frozen, NEW.delegate, NEW.details,
            NEW.observed_at, NEW.open_reason, NEW.opened_by, NEW.opened_page)
    )
    EXECUTE FUNCTION ledger.refuse_change();

CREATE TRIGGER carried_span_is_write_once BEFORE UPDATE ON ledger.carried_span
    FOR EACH ROW WHEN (
        OLD.valid_to IS NOT NULL OR NEW.valid_to IS NULL
        OR (OLD.watch_id, OLD.asset_id, OLD.sub_key, OLD.valid_from, OLD.previous_to, OLD.reason,
            OLD.detail, OLD.opened_by)
        IS DISTINCT FROM
           (NEW.watch_id, NEW.asset_id, NEW.sub_key, NEW.valid_from, NEW.previous_to, NEW.reason,
            NEW.detail, NEW.opened_by)
    )
    EXECUTE FUNCTION ledger.refuse_change();

CREATE TRIGGER watch_period_is_write_once BEFORE UPDATE ON ledger.watch_period
    FOR EACH ROW WHEN (
        OLD.watched_to IS NOT NULL OR NEW.watched_to IS NULL
        OR (OLD.watch_id, OLD.watched_from, OLD.previous_to)
        IS DISTINCT FROM
           (NEW.watch_id, NEW.watched_from, NEW.previous_to)
    )
    EXECUTE FUNCTION ledger.refuse_change();

CREATE TRIGGER snapshot_is_write_once BEFORE UPDATE ON ledger.snapshot
    FOR EACH ROW WHEN (
        OLD.resolution IS NOT NULL OR NEW.resolution IS NULL
        OR (OLD.snapshot_id, OLD.watch_id, OLD.crawl_id, OLD.state, OLD.judged_at, OLD.snapshot_at,
            OLD.fresh_until, OLD.first_page_at, OLD.last_page_at, OLD.height_from, OLD.height_to,
            OLD.pages, OLD.holdings, OLD.unreadable, OLD.missing, OLD.proves_absence, OLD.consistency,
            OLD.digest, OLD.reason)
        IS DISTINCT FROM
           (NEW.snapshot_id, NEW.watch_id, NEW.crawl_id, NEW.state, NEW.judged_at, NEW.snapshot_at,
            NEW.fresh_until, NEW.first_page_at, NEW.last_page_at, NEW.height_from, NEW.height_to,
            NEW.pages, NEW.holdings, NEW.unreadable, NEW.missing, NEW.proves_absence, NEW.consistency,
            NEW.digest, NEW.reason)
    )
    EXECUTE FUNCTION ledger.refuse_rewriting('snapshot_id');

CREATE TRIGGER holding_version_stays BEFORE DELETE ON ledger.holding_version
    FOR EACH ROW EXECUTE FUNCTION ledger.refuse_rewriting('asset_id', 'sub_key', 'version_no');

CREATE TRIGGER carried_span_stays BEFORE DELETE ON ledger.carried_span
    FOR EACH ROW EXECUTE FUNCTION ledger.refuse_rewriting('asset_id', 'sub_key', 'valid_from');

CREATE TRIGGER watch_period_stays BEFORE DELETE ON ledger.watch_period
    FOR EACH ROW EXECUTE FUNCTION ledger.refuse_change();

-- A snapshot may go when its run says the very same, and never when a run begins at it.
CREATE FUNCTION ledger.refuse_forgetting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state <> 'published' OR NOT EXISTS (
        SELECT FROM ledger.folded_snapshot AS f
        WHERE f.watch_id = OLD.watch_id AND f.first_at <= OLD.snapshot_at AND f.last_at >= OLD.snapshot_at
          AND f.head_id <> OLD.snapshot_id
          AND (f.snapshot_id, f.crawl_id, f.judged_at, f.snapshot_at, f.fresh_until, f.first_page_at, f.last_page_at,
               f.height_from, f.height_to, f.pages, f.holdings, f.unreadable, f.missing, f.proves_absence,
               f.consistency, f.digest)
              IS NOT DISTINCT FROM
              (OLD.snapshot_id, OLD.crawl_id, OLD.judged_at, OLD.snapshot_at, OLD.fresh_until, OLD.first_page_at,
               OLD.last_page_at, OLD.height_from, OLD.height_to, OLD.pages, OLD.holdings, OLD.unreadable, OLD.missing,
               OLD.proves_absence, OLD.consistency, OLD.digest)
    ) OR EXISTS (
        SELECT FROM ledger.snapshot_run AS r WHERE r.watch_id = OLD.watch_id AND r.head_id = OLD.snapshot_id
    ) THEN
        RAISE EXCEPTION '%.% is write-once: % refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN OLD;
END $$;
COMMENT ON FUNCTION ledger.refuse_forgetting() IS 'Refuses to delete a snapshot that no run gives back.';

CREATE TRIGGER snapshot_stays BEFORE DELETE ON ledger.snapshot
    FOR EACH ROW EXECUTE FUNCTION ledger.refuse_forgetting();

CREATE TRIGGER snapshot_run_only_grows BEFORE UPDATE ON ledger.snapshot_run
    FOR EACH ROW WHEN (
        (OLD.watch_id, OLD.first_at, OLD.head_id, OLD.fresh_for, OLD.instants, OLD.snapshots, OLD.crawls,
         OLD.first_lags, OLD.last_lags)
        IS DISTINCT FROM
        (NEW.watch_id, NEW.first_at, NEW.head_id, NEW.fresh_for, NEW.instants[1:cardinality(OLD.instants)],
         NEW.snapshots[1:cardinality(OLD.instants)], NEW.crawls[1:cardinality(OLD.instants)],
         NEW.first_lags[1:cardinality(OLD.instants)], NEW.last_lags[1:cardinality(OLD.instants)])
        OR (OLD.splice_head IS NOT NULL AND OLD.splice_head IS DISTINCT FROM NEW.splice_head)
        OR coalesce(OLD.heights, array_fill(NULL::bigint, ARRAY[cardinality(OLD.instants)]))
           <> coalesce(NEW.heights[1:cardinality(OLD.instants)],
                       array_fill(NULL::bigint, ARRAY[cardinality(OLD.instants)]))
    )
    EXECUTE FUNCTION ledger.refuse_change();

CREATE TRIGGER snapshot_run_stays BEFORE DELETE ON ledger.snapshot_run
    FOR EACH ROW EXECUTE FUNCTION ledger.refuse_change();

CREATE TRIGGER snapshot_run_is_not_emptied BEFORE TRUNCATE ON ledger.snapshot_run
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();

CREATE TRIGGER price_is_not_rewritten BEFORE UPDATE ON ledger.price
    FOR EACH ROW EXECUTE FUNCTION ledger.refuse_change();

CREATE TRIGGER raw_page_is_not_rewritten BEFORE UPDATE ON ledger.raw_page
    FOR EACH ROW EXECUTE FUNCTION ledger.refuse_change();

CREATE TRIGGER raw_body_is_not_rewritten BEFORE UPDATE ON ledger.raw_body
    FOR EACH ROW EXECUTE FUNCTION ledger.refuse_change();

CREATE TRIGGER holding_version_is_not_emptied BEFORE TRUNCATE ON ledger.holding_version
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();

CREATE TRIGGER carried_span_is_not_emptied BEFORE TRUNCATE ON ledger.carried_span
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();

CREATE TRIGGER watch_period_is_not_emptied BEFORE TRUNCATE ON ledger.watch_period
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();

CREATE TRIGGER snapshot_is_not_emptied BEFORE TRUNCATE ON ledger.snapshot
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();

-- What an adoption replaced is kept for ever.
CREATE TRIGGER adoption_is_write_once BEFORE UPDATE OR DELETE ON ledger.adoption
    FOR EACH ROW EXECUTE FUNCTION ledger.refuse_change();

CREATE TRIGGER adoption_is_not_emptied BEFORE TRUNCATE ON ledger.adoption
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();

CREATE TRIGGER adopted_row_is_write_once BEFORE UPDATE OR DELETE ON ledger.adopted_row
    FOR EACH ROW EXECUTE FUNCTION ledger.refuse_change();

CREATE TRIGGER adopted_row_is_not_emptied BEFORE TRUNCATE ON ledger.adopted_row
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();

-- Watches and assets are what history speaks about: they stay, and keep their names.
CREATE TRIGGER watch_stays BEFORE DELETE ON ledger.watch
    FOR EACH ROW EXECUTE FUNCTION ledger.refuse_change();

CREATE TRIGGER asset_stays BEFORE DELETE ON ledger.asset
    FOR EACH ROW EXECUTE FUNCTION ledger.refuse_change();

CREATE TRIGGER watch_keeps_its_name BEFORE UPDATE OF watch_id, source_id, address_id, scope ON ledger.watch
    FOR EACH ROW WHEN (
        (OLD.watch_id, OLD.source_id, OLD.address_id, OLD.scope)
        IS DISTINCT FROM (NEW.watch_id, NEW.source_id, NEW.address_id, NEW.scope)
    )
    EXECUTE FUNCTION ledger.refuse_change();

CREATE TRIGGER asset_keeps_its_name BEFORE UPDATE ON ledger.asset
    FOR EACH ROW EXECUTE FUNCTION ledger.refuse_change();

CREATE TRIGGER watch_is_not_emptied BEFORE TRUNCATE ON ledger.watch
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();

CREATE TRIGGER asset_is_not_emptied BEFORE TRUNCATE ON ledger.asset
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();

-- Instead of two foreign keys per version, which cost more than the row itself: one check per statement.
CREATE FUNCTION ledger.require_watch_and_asset() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM (SELECT DISTINCT new_rows.watch_id FROM new_rows) AS n
        WHERE NOT EXISTS (SELECT FROM ledger.watch AS w WHERE w.watch_id = n.watch_id)
    ) OR EXISTS (
        SELECT FROM (SELECT DISTINCT new_rows.asset_id FROM new_rows) AS n
        WHERE NOT EXISTS (SELECT FROM ledger.asset AS a WHERE a.asset_id = n.asset_id)
    ) THEN
        RAISE EXCEPTION 'a holding version needs a watch and an asset that exist'
            USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION ledger.require_watch_and_asset() IS 'Refuses versions of watches or assets that do not exist.';

CREATE TRIGGER holding_version_has_watch_and_asset AFTER INSERT ON ledger.holding_version
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.require_watch_and_asset();

-- A snapshot before one that is there already would change answers that were given.
CREATE FUNCTION ledger.refuse_backdating() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM ledger.snapshot AS s
        WHERE s.watch_id = NEW.watch_id AND s.state = 'published' AND s.snapshot_at >= NEW.snapshot_at
    ) THEN
        RAISE EXCEPTION 'watch % has a snapshot at % or later', NEW.watch_id, NEW.snapshot_at
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION ledger.refuse_backdating() IS 'Refuses a published snapshot that is not the latest of its watch.';

CREATE TRIGGER snapshot_moves_forward BEFORE INSERT ON ledger.snapshot
    FOR EACH ROW WHEN (NEW.snapshot_at IS NOT NULL)
    EXECUTE FUNCTION ledger.refuse_backdating();
