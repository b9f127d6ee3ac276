"""descriptions: their assets are looked up once per statement

The foreign key asked for each description whether its asset is locked and there; a first load writes many.
What the program before this revision writes is checked in the same way.
"""

from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_FILE = Path(__file__).resolve().parent.parent / "ledger" / "descriptions_v01.sql"


def upgrade() -> None:
    """Replace the foreign key by a trigger."""
    op.get_bind().exec_driver_sql(
        _FILE.read_text(encoding="utf-8"), execution_options={"no_parameters": True}
    )


def downgrade() -> None:
    """Bring the foreign key back; what is there satisfies it."""
    for trigger in ("asset_detail_has_asset", "asset_detail_keeps_its_asset"):
        op.execute(f"DROP TRIGGER {trigger} ON ledger.asset_detail")
    op.execute("DROP FUNCTION ledger.require_asset()")
    op.execute(
        "ALTER TABLE ledger.asset_detail ADD CONSTRAINT asset_detail_asset_id_fkey"
        " FOREIGN KEY (asset_id) REFERENCES ledger.asset (asset_id)"
    )
