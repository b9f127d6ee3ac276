"""evidence: a disbelieved list leads to its answers, and no asset is never a balance of zero

Columns are only added, at the end, so what reads these objects today reads on.
"""

import re
from pathlib import Path

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_FOLDER = Path(__file__).resolve().parent.parent / "report"

_GRANT = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'indexer_analyst') THEN
        GRANT SELECT ON report.quarantine TO indexer_analyst;
    END IF;
END
$$
"""


def upgrade() -> None:
    """Replace a view and a function; the others only say better what they are."""
    for name in ("quarantine_v02", "balance_as_of_v02", "comments_v01"):
        _run(_read(name))


def downgrade() -> None:
    """Bring the former ones back, with what they said."""
    op.execute("DROP VIEW report.quarantine")
    _run(_read("quarantine_v01"))
    op.execute(_GRANT)
    _run(_read("balance_as_of_v01").replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))
    for name in ("coverage_v01", "snapshots_v01", "crawls_v01", "prices_v01"):
        _run("\n".join(re.findall(r"^COMMENT ON .*?';$", _read(name), re.DOTALL | re.MULTILINE)))


def _read(name: str) -> str:
    return (_FOLDER / f"{name}.sql").read_text(encoding="utf-8")


def _run(statements: str) -> None:
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})
