"""idle crawls: an open crawl of which nothing is kept does not stop the retention of raw pages

A function, and what a column says of itself. The program before this revision prunes with the new function,
and by its own limits, which are stricter.
"""

import re
from pathlib import Path

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_FOLDER = Path(__file__).resolve().parent.parent / "ledger"


def upgrade() -> None:
    """The function is replaced, so whoever may call it still may."""
    _run(_read("partitions_v02"))


def downgrade() -> None:
    """Crawls that were moved stay where they are: of none of them anything was kept elsewhere."""
    found = re.search(
        r"^CREATE FUNCTION ledger\.drop_raw_before.*?^END \$\$;\nCOMMENT ON FUNCTION .*?;$",
        _read("partitions_v01"),
        re.DOTALL | re.MULTILINE,
    )
    assert found is not None
    _run(found[0].replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))
    _run(next(line for line in _read("crawling_v01").splitlines() if "COLUMN ledger.crawl.part_on" in line))


def _read(name: str) -> str:
    return (_FOLDER / f"{name}.sql").read_text(encoding="utf-8")


def _run(statements: str) -> None:
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})
