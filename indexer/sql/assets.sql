-- name: find_assets
-- Numbers of assets that are known already. One look into the index for each (LIMIT keeps it so): with few statistics
-- the planner would rather read all assets.
SELECT n.asset_ref, known.asset_id
FROM unnest(%(refs)b::text[]) AS n (asset_ref)
CROSS JOIN LATERAL (
    SELECT a.asset_id FROM ledger.asset AS a
    WHERE a.network = %(network)s AND a.asset_ref = n.asset_ref
    LIMIT 1
) AS known

-- name: insert_assets
-- Only the missing, in key order: opposite orders deadlock, no-op upserts burn numbers.
INSERT INTO ledger.asset (network, asset_ref)
SELECT %(network)s, n.asset_ref
FROM unnest(%(refs)s::text[]) AS n (asset_ref)
ORDER BY n.asset_ref
ON CONFLICT (network, asset_ref) DO NOTHING
RETURNING asset_ref, asset_id

-- name: find_details
-- Digests of the descriptions that are stored, looked up one by one as well.
SELECT n.asset_id, known.digest
FROM unnest(%(assets)b::bigint[]) AS n (asset_id)
CROSS JOIN LATERAL (
    SELECT d.digest FROM ledger.asset_detail AS d WHERE d.asset_id = n.asset_id LIMIT 1
) AS known

-- name: copy_details
-- Descriptions of assets that this very transaction inserted: there can be no others.
COPY ledger.asset_detail (asset_id, kind, symbol, name, decimals, metadata, digest) FROM STDIN

-- name: write_details
-- Descriptions that are new or changed, in key order. Texts are bound in binary (b): escaping JSON for an array's
-- text form cost more than all the rest of a first load.
INSERT INTO ledger.asset_detail (asset_id, kind, symbol, name, decimals, metadata, digest)
SELECT n.asset_id, n.kind, n.symbol, n.name, n.decimals, n.metadata::jsonb, n.digest
FROM unnest(
    %(assets)s::bigint[], %(kinds)b::text[], %(symbols)b::text[], %(names)b::text[], %(decimals)s::smallint[],
    %(metadata)b::text[], %(digests)b::bytea[]
) AS n (asset_id, kind, symbol, name, decimals, metadata, digest)
ORDER BY n.asset_id
ON CONFLICT (asset_id) DO UPDATE
SET kind = excluded.kind, symbol = excluded.symbol, name = excluded.name, decimals = excluded.decimals,
    metadata = excluded.metadata, digest = excluded.digest, updated_at = now()
WHERE asset_detail.digest <> excluded.digest
