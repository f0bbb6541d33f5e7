"""A workspace's last ledger entry, and the reviews that are due, are found by an index."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_ledger_team", "ledger", ["team", "seq"], if_not_exists=True)
    op.create_index("ix_reviews_remind_at", "reviews", ["remind_at"], if_not_exists=True)


def downgrade() -> None:
    op.drop_index("ix_reviews_remind_at", "reviews", if_exists=True)
    op.drop_index("ix_ledger_team", "ledger", if_exists=True)
