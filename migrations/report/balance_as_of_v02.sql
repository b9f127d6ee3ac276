-- One balance with the three-valued truth spelled out. Exactly one row, whatever is asked.

CREATE OR REPLACE FUNCTION report.balance_as_of(p_source text, p_address text, p_asset_ref text, p_at timestamptz)
RETURNS TABLE (
    amount numeric,
    quantity numeric,
    answer text,
    reason text,
    status text,
    snapshot_at timestamptz
)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT
        CASE r.answer WHEN 'held' THEN r.amount WHEN 'absent' THEN 0 END,
        CASE r.answer WHEN 'held' THEN trim_scale(r.amount * ('1e-' || r.decimals)::numeric) WHEN 'absent' THEN 0 END,
        r.answer,
        r.reason,
        CASE WHEN r.answer = 'held' AND r.carried THEN 'carried' ELSE r.watch_status END,
        r.snapshot_at
    FROM (
        SELECT
            CASE
                WHEN p_at > statement_timestamp() OR w.watched = 0 OR w.answered < w.watched THEN 'unknown'
                WHEN v.positions > 0 THEN 'held'
                WHEN u.positions > 0 OR NOT w.proves_absence THEN 'unknown'
                ELSE 'absent'
            END AS answer,
            CASE
                WHEN p_at > statement_timestamp() THEN 'future'
                WHEN w.watched = 0 THEN 'not_watched'
                WHEN w.answered < w.watched THEN 'never_observed'
                WHEN u.positions > 0 THEN 'unreadable'
                WHEN v.positions = 0 AND NOT w.proves_absence THEN CASE WHEN w.drifted THEN 'drifted' ELSE 'unreadable' END
            END AS reason,
            -- A position nobody could read belongs to the sum: without it there is no sum.
            CASE WHEN v.amounts = v.positions AND u.positions = 0 THEN v.amount END AS amount,
            v.decimals,
            v.carried OR u.positions > 0 AS carried,
            CASE WHEN w.answered = w.watched THEN CASE WHEN w.stale THEN 'stale' WHEN w.answered > 0 THEN 'fresh' END END
                AS watch_status,
            CASE WHEN w.answered = w.watched THEN w.snapshot_at END AS snapshot_at
        FROM (
            SELECT
                count(c.watched_from) AS watched,
                count(c.snapshot_at) AS answered,
                bool_or(c.status = 'stale') AS stale,
                bool_and(c.proves_absence) AS proves_absence,
                bool_or(c.consistency = 'drifted') AS drifted,
                min(c.snapshot_at) AS snapshot_at
            FROM ledger.r_coverage_as_of(p_at) c
            WHERE c.source = p_source
                AND c.address = p_address
                AND (c.only_asset = p_asset_ref OR c.only_asset IS NULL)
                -- No list proves that nothing in particular is absent.
                AND p_asset_ref IS NOT NULL
        ) w
        CROSS JOIN (
            SELECT
                count(*) AS positions,
                count(x.amount) AS amounts,
                sum(x.amount) AS amount,
                CASE
                    WHEN count(x.decimals) = count(*) AND min(x.decimals) = max(x.decimals) THEN min(x.decimals)
                END AS decimals,
                coalesce(bool_or(k.watch_id IS NOT NULL), false) AS carried
            FROM ledger.r_watch c
            JOIN ledger.r_asset a ON a.network = c.network AND a.asset_ref = p_asset_ref
            JOIN ledger.r_version x
                ON x.watch_id = c.watch_id
                AND x.asset_id = a.asset_id
                AND x.valid_from <= p_at
                AND (x.valid_to > p_at OR x.valid_to IS NULL)
            LEFT JOIN ledger.r_carried k
                ON k.watch_id = x.watch_id
                AND k.asset_id = x.asset_id
                AND k.sub_key = x.sub_key
                AND k.valid_from <= p_at
                AND (k.valid_to > p_at OR k.valid_to IS NULL)
            WHERE c.source = p_source
                AND c.address = p_address
                AND (c.only_asset = p_asset_ref OR c.only_asset IS NULL)
        ) v
        CROSS JOIN (
            SELECT count(*) AS positions
            FROM ledger.r_watch c
            JOIN ledger.r_asset a ON a.network = c.network AND a.asset_ref = p_asset_ref
            JOIN ledger.r_carried k
                ON k.watch_id = c.watch_id
                AND k.asset_id = a.asset_id
                AND k.valid_from <= p_at
                AND (k.valid_to > p_at OR k.valid_to IS NULL)
            WHERE c.source = p_source
                AND c.address = p_address
                AND (c.only_asset = p_asset_ref OR c.only_asset IS NULL)
                AND NOT EXISTS (
                    SELECT
                    FROM ledger.r_version x
                    WHERE x.watch_id = k.watch_id
                        AND x.asset_id = k.asset_id
                        AND x.sub_key = k.sub_key
                        AND x.valid_from <= p_at
                        AND (x.valid_to > p_at OR x.valid_to IS NULL)
                )
        ) u
    ) r;
END;

COMMENT ON FUNCTION report.balance_as_of(text, text, text, timestamptz) IS
'The balance of one asset at one address at p_at: exactly one row, always. p_address and p_asset_ref are compared exactly, so they must be in canonical form (as report.coverage and report.assets show them). For okx_runes only the watch whose scope is p_asset_ref counts.
amount: sum over all positions, integer base units; 0 only when absence is proved; NULL when unknown or when the amount of a position is unknown. quantity: amount × 10^-decimals, exact; NULL when decimals are not reported or disagree.
answer: held; absent: a complete list does not name it, which is also so of a misspelt p_asset_ref and of what the API does not list (the native coin of the network; at Hedera and Loopring all but NFTs): report.assets has what was ever listed; unknown.
reason: why it is unknown: future; not_watched (also an address nobody watches, or no asset); never_observed; unreadable (it is listed but could not be read, or an item without a readable key may be it); drifted (it was not listed, but the list moved while it was read). Also unreadable beside held when one position could not be read and so amount is NULL. Else NULL.
status: fresh or stale by the age of the snapshot; carried: a position''s last known value stands in; NULL without a snapshot. snapshot_at: the snapshot that speaks for p_at; NULL: none.';
