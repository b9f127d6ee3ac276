-- The analysts' role: schema report and nothing else. Grant it to logins: GRANT indexer_analyst TO somebody;
-- Run by the upgrade where its role may create roles; else by an administrator (indexer db roles prints this).
-- Safe to run again.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'indexer_analyst') THEN
        CREATE ROLE indexer_analyst NOLOGIN;
    END IF;
EXCEPTION
    -- Roles belong to the whole server: another database's upgrade may be creating it right now.
    WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;

GRANT USAGE ON SCHEMA report TO indexer_analyst;
GRANT SELECT ON ALL TABLES IN SCHEMA report TO indexer_analyst;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA report TO indexer_analyst;

-- The bodies of the functions read these with the analyst's rights, which keeps them fast (they are inlined).
-- Without USAGE on schema ledger nobody can name them in a query.
GRANT SELECT ON
    ledger.r_watch,
    ledger.r_period,
    ledger.r_snapshot,
    ledger.r_kept_snapshot,
    ledger.r_run,
    ledger.r_version,
    ledger.r_carried,
    ledger.r_asset,
    ledger.r_price,
    ledger.r_crawl,
    ledger.r_crawl_watch
TO indexer_analyst;
GRANT EXECUTE ON FUNCTION ledger.r_coverage_as_of(timestamptz) TO indexer_analyst;
