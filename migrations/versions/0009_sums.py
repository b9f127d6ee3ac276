"""sums: a balance with a position that never was readable is unknown, and days are those of a named place

A view and two functions are replaced under their own names, so whoever may read them still may.
"""

import re
from pathlib import Path

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_FOLDER = Path(__file__).resolve().parent.parent / "report"


def upgrade() -> None:
    """The same columns as before."""
    for name in ("balances_v02", "balances_daily_v02", "snapshots_v02"):
        _run(_read(name))


def downgrade() -> None:
    """Bring the former ones back, with what they said."""
    for name in ("balances_v01", "balances_daily_v01"):
        _run(_replacing(_read(name)))
    # What its columns say was said better meanwhile.
    _run(_replacing(_read("snapshots_v01").partition("COMMENT ON")[0]))


def _replacing(statements: str) -> str:
    return re.sub(r"^CREATE (FUNCTION|VIEW)", r"CREATE OR REPLACE \1", statements, flags=re.MULTILINE)


def _read(name: str) -> str:
    return (_FOLDER / f"{name}.sql").read_text(encoding="utf-8")


def _run(statements: str) -> None:
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})
