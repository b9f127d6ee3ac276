"""${message}

One purpose, reversible, runs under the old code too. A view or function that changes is a new file
report/<name>_vNN.sql. A concurrent index goes into `with op.get_context().autocommit_block():`.
Never edit a revision that has shipped.
"""

from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
