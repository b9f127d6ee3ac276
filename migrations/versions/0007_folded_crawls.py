"""folded crawls: a run keeps what its crawls told of themselves, so report.crawls goes on listing them

Columns are only added. The program before this revision folds with the new function and reads the same view.
"""

import re
from pathlib import Path

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_FOLDER = Path(__file__).resolve().parent.parent

_GRANT = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'indexer_analyst') THEN
        GRANT SELECT ON report.crawls TO indexer_analyst;
    END IF;
END
$$
"""


def upgrade() -> None:
    """Room in the runs first, then what fills and what reads it."""
    for name in ("ledger/runs_v02", "ledger/fold_unchanged_v02", "report/crawls_v02"):
        _run(_read(name))


def downgrade() -> None:
    """Of folded crawls only their snapshots are told again."""
    op.execute("DROP VIEW report.crawls")
    _run(_read("report/crawls_v01"))
    _run(next(line for line in _read("report/comments_v01").splitlines() if "VIEW report.crawls" in line))
    op.execute(_GRANT)
    op.execute("DROP VIEW ledger.folded_crawl")
    found = re.search(
        r"^CREATE FUNCTION ledger\.fold_unchanged.*?^END \$\$;$",
        _read("ledger/fold_unchanged_v01"),
        re.DOTALL | re.MULTILINE,
    )
    assert found is not None
    _run(found[0].replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))
    op.execute("DROP TRIGGER snapshot_stays ON ledger.snapshot")
    op.execute("DROP FUNCTION ledger.require_runs()")
    op.execute(
        "CREATE TRIGGER snapshot_stays BEFORE DELETE ON ledger.snapshot"
        " FOR EACH ROW EXECUTE FUNCTION ledger.refuse_forgetting()"
    )
    op.execute("DROP TRIGGER snapshot_run_keeps_its_crawls ON ledger.snapshot_run")
    for column in ("queued_lags", "attempts", "retries"):
        op.execute(f"ALTER TABLE ledger.snapshot_run DROP COLUMN {column}")


def _read(name: str) -> str:
    return (_FOLDER / f"{name}.sql").read_text(encoding="utf-8")


def _run(statements: str) -> None:
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})
