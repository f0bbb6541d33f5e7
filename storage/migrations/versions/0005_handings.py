"""Approvals that are to be handed on to a receiver outside, with each one's attempts."""

import sqlalchemy as sa
from alembic import op

import storage.tables

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_OPEN = sa.text("handed_at IS NULL AND given_up_at IS NULL AND withdrawn_at IS NULL")


def upgrade() -> None:
    moment = storage.tables.Moment(timezone=True)
    op.create_table(
        "handings",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=60), nullable=False),
        sa.Column("event", sa.String(length=20), nullable=False),
        sa.Column("work_id", sa.String(length=20), nullable=False),
        sa.Column("run_id", sa.String(length=20), nullable=False),
        sa.Column("answer_id", sa.String(length=20), nullable=False),
        sa.Column("head", sa.String(length=64), nullable=False),
        sa.Column("payload", sa.Text(), nullable=True),
        sa.Column("planned_at", moment, nullable=False),
        sa.Column("due_at", moment, nullable=False),
        sa.Column("claimed_until", moment, nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("begun_at", moment, nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.String(length=200), nullable=True),
        sa.Column("handed_at", moment, nullable=True),
        sa.Column("given_up_at", moment, nullable=True),
        sa.Column("withdrawn_at", moment, nullable=True),
        sa.ForeignKeyConstraint(["work_id"], ["works.id"], name=op.f("fk_handings_work_id")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_handings_run_id")),
        sa.ForeignKeyConstraint(["answer_id"], ["answers.id"], name=op.f("fk_handings_answer_id")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_handings")),
        sa.UniqueConstraint("id", name=op.f("uq_handings_id")),
    )
    op.create_index("ix_handings_open", "handings", ["due_at"], sqlite_where=_OPEN, postgresql_where=_OPEN)
    op.create_index("ix_handings_work", "handings", ["work_id", "seq"])
    op.create_index("ix_handings_answer", "handings", ["answer_id", "seq"])


def downgrade() -> None:
    op.drop_table("handings")
