"""scheduling: what the daemon keeps

Tables only the daemon writes: when to look at each watch, notices for the operator, upkeep that was done.
Nothing older reads them, so the program before this revision runs on.
"""

from pathlib import Path

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_FILE = Path(__file__).resolve().parent.parent / "ledger" / "scheduling_v01.sql"


def upgrade() -> None:
    """Create the three tables."""
    op.get_bind().exec_driver_sql(
        _FILE.read_text(encoding="utf-8"), execution_options={"no_parameters": True}
    )


def downgrade() -> None:
    """Drop them: all of it can be derived or noticed again."""
    for table in ("upkeep", "notice", "schedule"):
        op.execute(f"DROP TABLE ledger.{table}")
