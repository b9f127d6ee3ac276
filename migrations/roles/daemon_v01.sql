-- The daemon's role: crawls and publishes, but owns nothing, rewrites nothing and deletes no history.
-- Run by an administrator or the owner after `indexer db upgrade`; give it to a login: GRANT indexer_daemon TO somebody;
-- Safe to run again, and needed again after an upgrade that adds tables.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'indexer_daemon') THEN
        CREATE ROLE indexer_daemon NOLOGIN;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;

GRANT USAGE ON SCHEMA ledger, report TO indexer_daemon;
GRANT SELECT ON ALL TABLES IN SCHEMA ledger, report TO indexer_daemon;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA ledger, report TO indexer_daemon;
GRANT INSERT ON ALL TABLES IN SCHEMA ledger TO indexer_daemon;
-- Only the owner adopts a history that was built again.
REVOKE INSERT ON ledger.alembic_version, ledger.adoption, ledger.adopted_row FROM indexer_daemon;

-- The queue and what is today's: rewritten all the time.
GRANT UPDATE ON
    ledger.source, ledger.rate_limit, ledger.fact, ledger.asset_detail, ledger.crawl, ledger.crawl_watch,
    ledger.crawl_pass, ledger.pass_watch, ledger.schedule, ledger.notice, ledger.upkeep
TO indexer_daemon;
GRANT UPDATE (label, tags, every, grown_window) ON ledger.watch TO indexer_daemon;

-- History: closed or resolved once, nothing else.
GRANT UPDATE (watched_to) ON ledger.watch_period TO indexer_daemon;
GRANT UPDATE (valid_to, close_reason, closed_by) ON ledger.holding_version TO indexer_daemon;
GRANT UPDATE (valid_to, closed_by) ON ledger.carried_span TO indexer_daemon;
GRANT UPDATE (resolution, resolved_at) ON ledger.snapshot TO indexer_daemon;

-- What is no history may go: testimony of resolved lists, ended crawls, notices.
GRANT DELETE ON
    ledger.missing_holding, ledger.crawl, ledger.crawl_watch, ledger.crawl_pass, ledger.pass_watch,
    ledger.schedule, ledger.notice, ledger.upkeep
TO indexer_daemon;
