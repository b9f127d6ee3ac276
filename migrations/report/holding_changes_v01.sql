-- What changed, and between which two looks it happened. One row per event: a closing "changed" and its successor are one.

CREATE VIEW report.holding_changes AS
SELECT
    w.source,
    w.network,
    w.address,
    w.scope,
    w.label,
    w.tags,
    a.asset_ref,
    v.sub_key,
    a.kind,
    a.symbol,
    a.name,
    e.changed_at,
    b.not_before,
    n.not_after,
    CASE
        WHEN NOT e.opens THEN CASE v.close_reason WHEN 'absent' THEN 'disappeared' ELSE 'knowledge_ended' END
        WHEN v.open_reason = 'appeared' THEN 'appeared'
        WHEN v.open_reason = 'baseline' AND v.previous_to IS NOT NULL THEN 'seen_again'
        WHEN v.open_reason IN ('baseline', 'first_read') THEN 'first_seen'
        WHEN v.amount > o.amount THEN 'increased'
        WHEN v.amount < o.amount THEN 'decreased'
        ELSE 'changed'
    END AS change,
    CASE WHEN NOT e.opens THEN v.amount WHEN v.open_reason = 'appeared' THEN 0 ELSE o.amount END AS old_amount,
    CASE WHEN e.opens THEN v.amount WHEN v.close_reason = 'absent' THEN 0 END AS new_amount,
    CASE WHEN NOT e.opens THEN v.quantity WHEN v.open_reason = 'appeared' THEN 0 ELSE o.quantity END AS old_quantity,
    CASE WHEN e.opens THEN v.quantity WHEN v.close_reason = 'absent' THEN 0 END AS new_quantity,
    CASE WHEN e.opens THEN v.opened_by ELSE v.closed_by END AS crawl
FROM ledger.r_version v
JOIN ledger.r_watch w ON w.watch_id = v.watch_id
JOIN ledger.r_asset a ON a.asset_id = v.asset_id
-- VALUES instead of UNION ALL: a filter on the address still reaches the index on versions.
CROSS JOIN LATERAL (VALUES (v.valid_from, true), (v.valid_to, false)) e (changed_at, opens)
LEFT JOIN ledger.r_version o
    ON o.watch_id = v.watch_id
    AND o.asset_id = v.asset_id
    AND o.sub_key = v.sub_key
    AND o.valid_to = v.previous_to
    AND e.opens
    AND v.open_reason = 'changed'
LEFT JOIN LATERAL (
    SELECT s.last_page_at AS not_after
    -- A snapshot that changed something is never part of a run.
    FROM ledger.r_kept_snapshot s
    WHERE s.watch_id = v.watch_id
        AND s.state = 'published'
        AND s.snapshot_at = e.changed_at
        AND (e.opens OR v.close_reason = 'absent')
) n ON true
LEFT JOIN LATERAL (
    SELECT l.not_before
    FROM (
        (
            SELECT s.snapshot_at, s.first_page_at AS not_before
            FROM ledger.r_period p
            JOIN ledger.r_kept_snapshot s ON s.watch_id = p.watch_id AND s.snapshot_at >= p.watched_from
            WHERE p.watch_id = v.watch_id
                AND p.watched_from <= e.changed_at
                AND (p.watched_to > e.changed_at OR p.watched_to IS NULL)
                AND s.state = 'published'
                AND s.snapshot_at < e.changed_at
                AND CASE WHEN e.opens THEN v.open_reason IN ('appeared', 'changed') ELSE v.close_reason = 'absent' END
                -- A list that moved, or with an item nobody could name, did not show that this one was absent.
                AND (s.proves_absence OR NOT e.opens OR v.open_reason <> 'appeared')
                -- While it was carried nobody saw it: the last look is the one before.
                AND NOT EXISTS (
                    SELECT
                    FROM ledger.r_carried k
                    WHERE k.watch_id = v.watch_id
                        AND k.asset_id = v.asset_id
                        AND k.sub_key = v.sub_key
                        AND k.valid_from <= s.snapshot_at
                        AND (k.valid_to > s.snapshot_at OR k.valid_to IS NULL)
                )
            ORDER BY s.snapshot_at DESC
            LIMIT 1
        )
        UNION ALL
        -- Nothing changed within a run: its last snapshot before the change stands for all of it.
        (
            SELECT s.snapshot_at, s.not_before
            FROM ledger.r_period p
            JOIN ledger.r_run r ON r.watch_id = p.watch_id
            CROSS JOIN LATERAL (
                SELECT
                    x.snapshot_at,
                    x.snapshot_at - x.first_lag * interval '1 microsecond' AS not_before,
                    r.proves_absence
                FROM unnest(r.instants, r.first_lags) x (snapshot_at, first_lag)
                WHERE x.snapshot_at < e.changed_at
                    AND x.snapshot_at >= p.watched_from
                ORDER BY x.snapshot_at DESC
                LIMIT 1
            ) s
            WHERE p.watch_id = v.watch_id
                AND r.watch_id = v.watch_id
                AND r.first_at < e.changed_at
                AND p.watched_from <= e.changed_at
                AND (p.watched_to > e.changed_at OR p.watched_to IS NULL)
                AND CASE WHEN e.opens THEN v.open_reason IN ('appeared', 'changed') ELSE v.close_reason = 'absent' END
                -- A list that moved, or with an item nobody could name, did not show that this one was absent.
                AND (s.proves_absence OR NOT e.opens OR v.open_reason <> 'appeared')
                -- While it was carried nobody saw it: the last look is the one before.
                AND NOT EXISTS (
                    SELECT
                    FROM ledger.r_carried k
                    WHERE k.watch_id = v.watch_id
                        AND k.asset_id = v.asset_id
                        AND k.sub_key = v.sub_key
                        AND k.valid_from <= s.snapshot_at
                        AND (k.valid_to > s.snapshot_at OR k.valid_to IS NULL)
                )
            ORDER BY r.first_at DESC
            LIMIT 1
        )
    ) l
    ORDER BY l.snapshot_at DESC
    LIMIT 1
) b ON true
-- A version closed as changed has a successor, and that one tells the change.
WHERE e.opens OR v.close_reason IN ('absent', 'unwatched');

COMMENT ON VIEW report.holding_changes IS 'Every change of a holding, and every change of what is known about it (first_seen, seen_again, knowledge_ended), which is not a trade.';
COMMENT ON COLUMN report.holding_changes.source IS 'Name of the API.';
COMMENT ON COLUMN report.holding_changes.network IS 'Network of the address.';
COMMENT ON COLUMN report.holding_changes.address IS 'Address in canonical form.';
COMMENT ON COLUMN report.holding_changes.scope IS 'Rune id for okx_runes; else empty.';
COMMENT ON COLUMN report.holding_changes.label IS 'Label from the watchlist; today''s.';
COMMENT ON COLUMN report.holding_changes.tags IS 'Tags from the watchlist; today''s.';
COMMENT ON COLUMN report.holding_changes.asset_ref IS 'Natural key of the asset on its network.';
COMMENT ON COLUMN report.holding_changes.sub_key IS 'Position within the asset (UTXO, serial number); or empty.';
COMMENT ON COLUMN report.holding_changes.kind IS 'native, fungible, nft or other.';
COMMENT ON COLUMN report.holding_changes.symbol IS 'Untrusted text for display, never a key; today''s.';
COMMENT ON COLUMN report.holding_changes.name IS 'Untrusted text for display, never a key; today''s.';
COMMENT ON COLUMN report.holding_changes.changed_at IS 'Instant from which reports show the new state.';
COMMENT ON COLUMN report.holding_changes.not_before IS 'It happened after this: first page of the last snapshot that showed the old state; NULL: no lower bound known.';
COMMENT ON COLUMN report.holding_changes.not_after IS 'It happened before this: last page of the snapshot that showed the new state; NULL: nobody looked.';
COMMENT ON COLUMN report.holding_changes.change IS 'first_seen; seen_again: after a time unwatched; appeared; increased; decreased; changed: other facts, or an amount unknown; disappeared; knowledge_ended: unwatched, not sold.';
COMMENT ON COLUMN report.holding_changes.old_amount IS 'Before, integer base units; 0: absence was proved; NULL: unknown.';
COMMENT ON COLUMN report.holding_changes.new_amount IS 'After, integer base units; 0: absence was proved; NULL: unknown.';
COMMENT ON COLUMN report.holding_changes.old_quantity IS 'old_amount × 10^-decimals as reported then; NULL: unknown.';
COMMENT ON COLUMN report.holding_changes.new_quantity IS 'new_amount × 10^-decimals as reported then; NULL: unknown.';
COMMENT ON COLUMN report.holding_changes.crawl IS 'Crawl that showed it; NULL for knowledge_ended.';
