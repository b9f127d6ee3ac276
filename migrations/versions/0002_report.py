"""report: what analysts read

Views and functions as whole files in ../report, executed in dependency order, then the grants. A view or
function that changes is a new file report/<name>_vNN.sql and a new revision. Never edit one that has shipped.
"""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

FOLDER = Path(__file__).resolve().parent.parent / "report"

#: Each file only names objects of files before it: BEGIN ATOMIC binds when it is created.
FILES = (
    "readers_v01",
    "coverage_v01",
    "holdings_v01",
    "balances_v01",
    "balance_as_of_v01",
    "balances_daily_v01",
    "holding_history_v01",
    "holding_changes_v01",
    "diff_v01",
    "gaps_v01",
    "settled_until_v01",
    "snapshots_v01",
    "quarantine_v01",
    "crawls_v01",
    "assets_v01",
    "prices_v01",
    "adoptions_v01",
)

#: In dropping order. By name and without CASCADE: an object somebody else built on ours stops the downgrade.
OBJECTS = (
    "VIEW report.adoptions",
    "VIEW report.prices",
    "VIEW report.assets",
    "VIEW report.crawls",
    "VIEW report.quarantine",
    "VIEW report.snapshots",
    "VIEW report.settled_until",
    "VIEW report.gaps",
    "FUNCTION report.diff(timestamptz, timestamptz)",
    "VIEW report.holding_changes",
    "VIEW report.holding_history",
    "FUNCTION report.balances_daily(date, date, text)",
    "FUNCTION report.balance_as_of(text, text, text, timestamptz)",
    "VIEW report.balances",
    "FUNCTION report.balances_as_of(timestamptz)",
    "VIEW report.holdings",
    "FUNCTION report.holdings_as_of(timestamptz)",
    "VIEW report.coverage",
    "FUNCTION report.coverage_as_of(timestamptz)",
    "FUNCTION ledger.r_coverage_as_of(timestamptz)",
    "VIEW ledger.r_crawl_watch",
    "VIEW ledger.r_crawl",
    "VIEW ledger.r_price",
    "VIEW ledger.r_asset",
    "VIEW ledger.r_carried",
    "VIEW ledger.r_version",
    "VIEW ledger.r_run",
    "VIEW ledger.r_kept_snapshot",
    "VIEW ledger.r_snapshot",
    "VIEW ledger.r_period",
    "VIEW ledger.r_watch",
    "SCHEMA report",
)

MAY_GRANT = """
SELECT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'indexer_analyst')
    OR EXISTS (
        SELECT FROM pg_catalog.pg_roles WHERE rolname = current_user AND (rolsuper OR rolcreaterole)
    )
"""

NO_ROLE = """
DO $$
BEGIN
    RAISE NOTICE 'role indexer_analyst does not exist and may not be created here: '
        'run the statements of "indexer db roles" as an administrator';
END
$$
"""


def execute(statements: str) -> None:
    """Several statements at once, exactly as written: ``op.execute`` would read ``:name`` as a bind."""
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})


def upgrade() -> None:
    """Create the reports, then let the analysts' role read them."""
    execute("CREATE SCHEMA report")
    execute("COMMENT ON SCHEMA report IS 'What analysts read. Everything here is documented by COMMENT.'")
    for name in FILES:
        execute((FOLDER / f"{name}.sql").read_text(encoding="utf-8"))
    execute("REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA report FROM PUBLIC")
    execute("REVOKE EXECUTE ON FUNCTION ledger.r_coverage_as_of(timestamptz) FROM PUBLIC")
    if op.get_bind().scalar(sa.text(MAY_GRANT)):
        execute((FOLDER / "roles_v01.sql").read_text(encoding="utf-8"))
    else:
        execute(NO_ROLE)


def downgrade() -> None:
    """The role stays: it belongs to the whole server, and its rights here go with the objects."""
    for item in OBJECTS:
        execute(f"DROP {item}")
