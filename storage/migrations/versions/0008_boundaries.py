"""Second opinions, and works that began fresh with what another one came to."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("second_to", sa.String(length=20), nullable=True))
    op.add_column("answers", sa.Column("second_to", sa.String(length=20), nullable=True))
    op.add_column("works", sa.Column("fresh_from", sa.String(length=20), nullable=True))
    op.add_column("works", sa.Column("carried", sa.JSON(), nullable=True))
    op.create_index("ix_works_fresh_from", "works", ["fresh_from"])


def downgrade() -> None:
    op.drop_index("ix_works_fresh_from", table_name="works")
    op.drop_column("works", "carried")
    op.drop_column("works", "fresh_from")
    op.drop_column("answers", "second_to")
    op.drop_column("runs", "second_to")
