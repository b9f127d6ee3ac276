"""comments: when a list proves no absence, and what an amount on Solana may be

Nothing else changes: what reads or writes these columns today goes on.
"""

import re
from pathlib import Path

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_FOLDER = Path(__file__).resolve().parent.parent / "report"

_BEFORE = {
    "holdings_v01": "report.holdings.amount",
    "snapshots_v01": "report.snapshots.proves_absence",
}


def upgrade() -> None:
    """Say it better."""
    _run(_read("comments_v02"))


def downgrade() -> None:
    """Say what was said before."""
    op.execute(
        "COMMENT ON COLUMN ledger.snapshot.proves_absence IS"
        " 'False if the list moved while it was read, or an item''s key could not be read.'"
    )
    for name, column in _BEFORE.items():
        found = re.search(rf"^COMMENT ON COLUMN {re.escape(column)} IS .*?';$", _read(name), re.MULTILINE)
        assert found is not None
        _run(found[0])


def _read(name: str) -> str:
    return (_FOLDER / f"{name}.sql").read_text(encoding="utf-8")


def _run(statements: str) -> None:
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})
