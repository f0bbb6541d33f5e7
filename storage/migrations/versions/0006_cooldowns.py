"""Endpoints that failed lately, and the ledger's entries of stacks by an index."""

import sqlalchemy as sa
from alembic import op

import storage.tables

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_OF_STACKS = sa.text("what = 'stack'")


def upgrade() -> None:
    moment = storage.tables.Moment(timezone=True)
    op.create_table(
        "cooldowns",
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=60), nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("until", moment, nullable=True),
        sa.PrimaryKeyConstraint("endpoint", name=op.f("pk_cooldowns")),
    )
    op.create_index("ix_ledger_stack", "ledger", ["team", "seq"], sqlite_where=_OF_STACKS, postgresql_where=_OF_STACKS)


def downgrade() -> None:
    op.drop_index("ix_ledger_stack", "ledger")
    op.drop_table("cooldowns")
