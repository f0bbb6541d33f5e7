"""When an approval was handed on stands with its handing; the column of reviews was never written."""

import sqlalchemy as sa
from alembic import op

import storage.tables

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_column("reviews", "handed_on_at")


def downgrade() -> None:
    op.add_column("reviews", sa.Column("handed_on_at", storage.tables.Moment(timezone=True), nullable=True))
