-- Descriptions of assets: one check per statement instead of a foreign key, which cost nearly as much as the row.
-- Assets are never deleted nor renumbered, so a description that had its asset once has it for good.
ALTER TABLE ledger.asset_detail DROP CONSTRAINT asset_detail_asset_id_fkey;

CREATE FUNCTION ledger.require_asset() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Each is looked up by key (LIMIT keeps it so): with few statistics the planner would rather read all assets.
    IF EXISTS (
        SELECT FROM new_rows AS n
        WHERE (SELECT true FROM ledger.asset AS a WHERE a.asset_id = n.asset_id LIMIT 1) IS NULL
    ) THEN
        RAISE EXCEPTION 'a description needs an asset that exists'
            USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION ledger.require_asset() IS 'Refuses descriptions of assets that do not exist.';

CREATE TRIGGER asset_detail_has_asset AFTER INSERT ON ledger.asset_detail
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.require_asset();

CREATE TRIGGER asset_detail_keeps_its_asset BEFORE UPDATE OF asset_id ON ledger.asset_detail
    FOR EACH ROW WHEN (OLD.asset_id IS DISTINCT FROM NEW.asset_id)
    EXECUTE FUNCTION ledger.refuse_change();
