-- Two instants side by side. Unknown on either side is shown as unknown, never as zero.

CREATE FUNCTION report.diff(t1 timestamptz, t2 timestamptz)
RETURNS TABLE (
    source text,
    network text,
    address text,
    scope text,
    asset_ref text,
    sub_key text,
    symbol text,
    old_amount numeric,
    new_amount numeric,
    old_answer text,
    new_answer text,
    change text
)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT
        d.source,
        d.network,
        d.address,
        d.scope,
        d.asset_ref,
        d.sub_key,
        d.symbol,
        CASE d.old_answer WHEN 'held' THEN d.old_amount WHEN 'absent' THEN 0 END,
        CASE d.new_answer WHEN 'held' THEN d.new_amount WHEN 'absent' THEN 0 END,
        d.old_answer,
        d.new_answer,
        CASE
            WHEN d.new_answer = 'unknown' THEN 'knowledge_ended'
            WHEN d.old_answer = 'unknown' AND d.seen_before THEN 'seen_again'
            WHEN d.old_answer = 'unknown' THEN 'first_seen'
            WHEN d.old_answer = 'absent' THEN 'appeared'
            WHEN d.new_answer = 'absent' THEN 'disappeared'
            WHEN d.new_amount > d.old_amount THEN 'increased'
            WHEN d.new_amount < d.old_amount THEN 'decreased'
            ELSE 'changed'
        END
    FROM (
        SELECT
            c1.source,
            c1.network,
            c1.address,
            c1.scope,
            a.asset_ref,
            h.sub_key,
            a.symbol,
            h.old_amount,
            h.new_amount,
            CASE
                WHEN h.old_from IS NOT NULL THEN 'held'
                WHEN c1.snapshot_at IS NULL OR NOT c1.proves_absence OR EXISTS (
                    SELECT
                    FROM ledger.r_carried k
                    WHERE k.watch_id = c1.watch_id
                        AND k.asset_id = h.asset_id
                        AND k.sub_key = h.sub_key
                        AND k.valid_from <= t1
                        AND (k.valid_to > t1 OR k.valid_to IS NULL)
                ) THEN 'unknown'
                ELSE 'absent'
            END AS old_answer,
            CASE
                WHEN h.new_from IS NOT NULL THEN 'held'
                WHEN c2.snapshot_at IS NULL OR NOT c2.proves_absence OR EXISTS (
                    SELECT
                    FROM ledger.r_carried k
                    WHERE k.watch_id = c2.watch_id
                        AND k.asset_id = h.asset_id
                        AND k.sub_key = h.sub_key
                        AND k.valid_from <= t2
                        AND (k.valid_to > t2 OR k.valid_to IS NULL)
                ) THEN 'unknown'
                ELSE 'absent'
            END AS new_answer,
            EXISTS (
                SELECT
                FROM ledger.r_version v
                WHERE v.watch_id = c1.watch_id
                    AND v.asset_id = h.asset_id
                    AND v.sub_key = h.sub_key
                    AND v.valid_from <= t1
            ) AS seen_before
        FROM ledger.r_coverage_as_of(t1) c1
        JOIN ledger.r_coverage_as_of(t2) c2 ON c2.watch_id = c1.watch_id
        -- Joined per watch, so that a filter on the address reaches the index on versions.
        CROSS JOIN LATERAL (
            SELECT
                coalesce(v1.asset_id, v2.asset_id) AS asset_id,
                coalesce(v1.sub_key, v2.sub_key) AS sub_key,
                v1.valid_from AS old_from,
                v1.amount AS old_amount,
                v2.valid_from AS new_from,
                v2.amount AS new_amount
            FROM (
                SELECT x.asset_id, x.sub_key, x.valid_from, x.amount, x.decimals, x.locked, x.frozen, x.delegate, x.details
                FROM ledger.r_version x
                WHERE x.watch_id = c1.watch_id
                    AND x.valid_from <= t1
                    AND (x.valid_to > t1 OR x.valid_to IS NULL)
                    AND c1.snapshot_at IS NOT NULL
            ) v1
            FULL JOIN (
                SELECT x.asset_id, x.sub_key, x.valid_from, x.amount, x.decimals, x.locked, x.frozen, x.delegate, x.details
                FROM ledger.r_version x
                WHERE x.watch_id = c2.watch_id
                    AND x.valid_from <= t2
                    AND (x.valid_to > t2 OR x.valid_to IS NULL)
                    AND c2.snapshot_at IS NOT NULL
            ) v2 ON v2.asset_id = v1.asset_id AND v2.sub_key = v1.sub_key
            WHERE v1.valid_from IS DISTINCT FROM v2.valid_from
                AND (
                    v1.valid_from IS NULL
                    OR v2.valid_from IS NULL
                    -- Changed and changed back in between is no difference.
                    OR (v1.amount, v1.decimals, v1.locked, v1.frozen, v1.delegate, v1.details)
                        IS DISTINCT FROM (v2.amount, v2.decimals, v2.locked, v2.frozen, v2.delegate, v2.details)
                )
        ) h
        JOIN ledger.r_asset a ON a.asset_id = h.asset_id
    ) d;
END;

COMMENT ON FUNCTION report.diff(timestamptz, timestamptz) IS
'What differs between t1 (old) and t2 (new): one row per holding that was held at either and is not the same at both. Holdings that are the same at both, however they moved in between, have no row.
source, network, address, scope: the watch. asset_ref: natural key. sub_key: position within it or empty. symbol: untrusted text, today''s.
old_amount, new_amount: integer base units; 0: absence is proved; NULL: unknown, or held without a stated amount.
old_answer, new_answer: held; absent: proved; unknown: not watched, never observed, unreadable, or in the future at that instant.
change: appeared, increased, decreased, disappeared; changed: other facts, or an amount unknown; first_seen: unknown before and held now; seen_again: the same, but it had been held even earlier; knowledge_ended: held before and unknown now.';
