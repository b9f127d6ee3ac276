-- A body that was stored as a delta is read with every body behind it; all of them are of one month.
CREATE FUNCTION ledger.read_chain(p_part_on date, p_sha256 bytea)
RETURNS TABLE (codecs text[], lengths integer[], bodies bytea[], whole_sha256 bytea)
LANGUAGE sql STABLE
BEGIN ATOMIC
    WITH RECURSIVE chain AS (
        SELECT 0 AS step, b.sha256, b.codec, b.length, b.body, b.base_sha256
        FROM ledger.raw_body AS b
        WHERE b.part_on = p_part_on AND b.sha256 = p_sha256
        UNION ALL
        SELECT c.step + 1, b.sha256, b.codec, b.length, b.body, b.base_sha256
        FROM chain AS c
        JOIN ledger.raw_body AS b ON b.part_on = p_part_on AND b.sha256 = c.base_sha256
        -- Longer chains are never made; a circle made by hand must end.
        WHERE c.step < 32
    )
    SELECT array_agg(c.codec ORDER BY c.step), array_agg(c.length ORDER BY c.step), array_agg(c.body ORDER BY c.step),
           (array_agg(c.sha256 ORDER BY c.step DESC))[1]
    FROM chain AS c
    HAVING count(*) > 0;
END;
COMMENT ON FUNCTION ledger.read_chain(date, bytea) IS
    'One stored body, then each body a delta stands on, the whole one last. No row: there is no such body.';
REVOKE ALL ON FUNCTION ledger.read_chain(date, bytea) FROM PUBLIC;
