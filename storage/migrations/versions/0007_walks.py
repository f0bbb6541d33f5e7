"""Walks: pipelines that somebody asked for, and which of their steps a run is."""

import sqlalchemy as sa
from alembic import op

import storage.tables

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_WALKING = sa.text("state = 'walking'")


def upgrade() -> None:
    moment = storage.tables.Moment(timezone=True)
    op.create_table(
        "walks",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=20), nullable=False),
        sa.Column("work_id", sa.String(length=20), nullable=False),
        sa.Column("request_key", sa.String(length=200), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("stages", sa.JSON(), nullable=False),
        sa.Column("revise_rounds", sa.Integer(), nullable=False),
        sa.Column("asked_by", sa.String(length=40), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("begun_at", moment, nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("rounds", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.String(length=20), nullable=False),
        sa.Column("text_id", sa.String(length=20), nullable=True),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("ended_at", moment, nullable=True),
        sa.ForeignKeyConstraint(["work_id"], ["works.id"], name=op.f("fk_walks_work_id")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_walks")),
        sa.UniqueConstraint("id", name=op.f("uq_walks_id")),
        sa.UniqueConstraint("request_key", name=op.f("uq_walks_request_key")),
    )
    op.create_index(
        "ix_walks_walking", "walks", ["work_id"], unique=True, sqlite_where=_WALKING, postgresql_where=_WALKING
    )
    op.create_index("ix_walks_work", "walks", ["work_id", "seq"])
    op.add_column("runs", sa.Column("walk", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("runs", "walk")
    op.drop_table("walks")
