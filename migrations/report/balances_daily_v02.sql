-- End-of-day balances. The day's end is computed in a named zone, so neither the session's zone nor daylight saving matters.
-- POSIX reads offsets with the sign reversed ('UTC+2' is west of Greenwich): they are refused, and so is no zone.

CREATE OR REPLACE FUNCTION report.balances_daily(from_date date, to_date date, tz text DEFAULT 'UTC')
RETURNS TABLE (
    day date,
    source text,
    network text,
    address text,
    label text,
    tags text[],
    asset_ref text,
    kind text,
    symbol text,
    name text,
    amount numeric,
    decimals smallint,
    quantity numeric,
    positions integer,
    status text,
    snapshot_at timestamptz,
    complete boolean,
    missing_watches integer
)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT
        d.day,
        b.source,
        b.network,
        b.address,
        b.label,
        b.tags,
        b.asset_ref,
        b.kind,
        b.symbol,
        b.name,
        b.amount,
        b.decimals,
        b.quantity,
        b.positions,
        b.status,
        b.snapshot_at,
        b.complete AND d.day_end <= statement_timestamp() - interval '60 seconds',
        b.missing_watches
    FROM (
        SELECT
            from_date + n.n AS day,
            (from_date + n.n)::timestamp AT TIME ZONE z.zone AS day_start,
            -- Where clocks go back at midnight it comes twice: the day ends at the first.
            CASE
                WHEN (m.midnight - interval '1 hour') AT TIME ZONE z.zone = (from_date + n.n + 1)::timestamp
                    THEN m.midnight - interval '1 hour'
                ELSE m.midnight
            END - interval '1 microsecond' AS day_end
        FROM (
            SELECT
                CASE
                    WHEN tz !~ '^[<0-9+-]|[+-][0-9]' OR tz ~ '^Etc/' THEN tz
                    ELSE coalesce(tz, 'NULL') || ' (name a place, like Europe/Berlin)'
                END AS zone
        ) z
        CROSS JOIN generate_series(0, to_date - from_date) AS n (n)
        CROSS JOIN LATERAL (SELECT (from_date + n.n + 1)::timestamp AT TIME ZONE z.zone AS midnight) m
    ) d
    -- Today is shown as it stands now, and never as complete.
    CROSS JOIN LATERAL report.balances_as_of(least(d.day_end, statement_timestamp())) b
    WHERE d.day_start <= statement_timestamp();
END;

COMMENT ON FUNCTION report.balances_daily(date, date, text) IS
'Balances at the end of each local day from from_date to to_date (both included) in the time zone tz, the name of a place such as Europe/Berlin (or UTC): the instant 1 µs before the next local midnight, the first where clocks make it come twice. Days without a crawl keep the last known value, as stale. Days that have not begun have no rows; the current day shows now and is not complete, nor is one that ended less than 60 s ago: a list of its last second may still be on its way in. A day on which nothing was known has no rows: see report.coverage_as_of.
day: the local day. All other columns as in report.balances_as_of: source, network, address, label, tags, asset_ref, kind, symbol, name, amount (integer base units), decimals, quantity, positions, status (fresh, stale or carried), snapshot_at, complete, missing_watches.';
