"""The schema `ledger`: tables, domains, partitions, write-once triggers and the invariants.

The statements are whole files in migrations/ledger/, read in this order; the tables' columns are compared
with indexer/store/tables by `alembic check`.
"""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_FILES = Path(__file__).resolve().parent.parent / "ledger"

#: Each file only names objects of files before it.
_NAMES = (
    "watching",
    "crawling",
    "history",
    "partitions",
    "read_chain",
    "runs",
    "adoption",
    "write_once",
    "fold_unchanged",
    "invariant_violation",
)

_TABLES = (
    "adopted_row, adoption, "
    "price, carried_span, holding_version, missing_holding, snapshot_run, snapshot, asset_detail, asset, "
    "fact, raw_page, raw_body, pass_watch, crawl_watch, crawl, crawl_pass, "
    "watch_period, watch, address, rate_limit, source"
)


def upgrade() -> None:
    """Create everything the crawler writes."""
    for name in _NAMES:
        statements = (_FILES / f"{name}_v01.sql").read_text(encoding="utf-8")
        op.get_bind().exec_driver_sql(statements.replace("%", "%%"))  # psycopg reads % as a placeholder


def downgrade() -> None:
    """Remove everything again, history included."""
    op.execute("DROP VIEW ledger.invariant_violation")
    op.execute(
        "DROP FUNCTION ledger.fold_unchanged(bigint, integer, timestamptz),"
        " ledger.find_repeats(bigint, bigint, timestamptz)"
    )
    op.execute("DROP VIEW ledger.kept_page, ledger.any_snapshot, ledger.folded_snapshot")
    op.execute("DROP FUNCTION ledger.read_chain(date, bytea)")
    for table in _TABLES.split(", "):
        op.execute(f"DROP TABLE ledger.{table}")
    op.execute("DROP FUNCTION ledger.refuse_change(), ledger.require_watch_and_asset()")
    op.execute("DROP FUNCTION ledger.refuse_backdating(), ledger.refuse_forgetting()")
    op.execute("DROP FUNCTION ledger.refuse_rewriting()")
    op.execute("DROP FUNCTION ledger.drop_raw_before(date)")
    op.execute("DROP FUNCTION ledger.ensure_raw_partitions(date, integer)")
    op.execute("DROP DOMAIN ledger.instant")
    op.execute("DROP DOMAIN ledger.exact_amount")
