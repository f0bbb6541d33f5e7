"""Marks of what was done up to when, turns at Slack, and the places that runs hold at models."""

import sqlalchemy as sa
from alembic import op

import storage.tables

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "marks",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("at", storage.tables.Moment(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_marks")),
    )
    op.create_table(
        "paces",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("free_at", storage.tables.Moment(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_paces")),
    )
    with op.batch_alter_table("answers") as answers:  # a critic's verdict has up to 21 characters
        answers.alter_column("verdict", existing_type=sa.String(length=20), type_=sa.String(length=40))
    op.add_column("runs", sa.Column("seat", sa.String(length=100), nullable=True))
    op.add_column("runs", sa.Column("seat_host", sa.String(length=300), nullable=True))
    op.add_column("runs", sa.Column("is_seated", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    op.drop_column("runs", "is_seated")
    op.drop_column("runs", "seat_host")
    op.drop_column("runs", "seat")
    with op.batch_alter_table("answers") as answers:
        answers.alter_column("verdict", existing_type=sa.String(length=40), type_=sa.String(length=20))
    op.drop_table("paces")
    op.drop_table("marks")
