"""What each attempt at a model may cost and came to, and who raised a limit. What runs have cost counts on."""

import sqlalchemy as sa
from alembic import op

import storage.tables

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_DAY = {
    "sqlite": "substr(runs.ended_at, 1, 10)",
    "postgresql": "to_char(runs.ended_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
}


def upgrade() -> None:
    moment = storage.tables.Moment(timezone=True)
    op.create_table(
        "spendings",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("team", sa.String(length=40), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("work_id", sa.String(length=20), nullable=False),
        sa.Column("run_id", sa.String(length=20), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("stage", sa.String(length=20), nullable=False),
        sa.Column("model", sa.String(length=100), nullable=False),
        sa.Column("reserved", sa.BigInteger(), nullable=False),
        sa.Column("spent", sa.BigInteger(), nullable=True),
        sa.Column("estimated", sa.Boolean(), nullable=False),
        sa.Column("over_day", sa.Boolean(), nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.ForeignKeyConstraint(["work_id"], ["works.id"], name=op.f("fk_spendings_work_id")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_spendings_run_id")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_spendings")),
        sa.UniqueConstraint("run_id", "epoch", "attempt", name=op.f("uq_spendings_run_id_epoch_attempt")),
    )
    op.create_index("ix_spendings_work", "spendings", ["work_id"])
    op.create_index("ix_spendings_day", "spendings", ["team", "day", "over_day", "spent", "reserved"])
    unsettled = sa.text("spent IS NULL")
    op.create_index(
        "ix_spendings_open", "spendings", ["team", "day"], sqlite_where=unsettled, postgresql_where=unsettled
    )
    op.create_table(
        "raises",
        sa.Column("work_id", sa.String(length=20), nullable=False),
        sa.Column("run_id", sa.String(length=20), nullable=False),
        sa.Column("which", sa.String(length=10), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(length=40), nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("ledger_seq", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["work_id"], ["works.id"], name=op.f("fk_raises_work_id")),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_raises_run_id")),
        sa.PrimaryKeyConstraint("work_id", name=op.f("pk_raises")),
    )
    cost = "CAST(round(CASE WHEN runs.cost_usd < 1e6 THEN runs.cost_usd ELSE 1e6 END * 1000000000) AS BIGINT)"
    day = _DAY[op.get_bind().dialect.name]
    op.execute(
        "INSERT INTO spendings "  # noqa: S608  our own words
        "(team, day, work_id, run_id, epoch, attempt, stage, model, reserved, spent, estimated, over_day, at) "
        f"SELECT works.team, {day}, runs.work_id, runs.id, runs.epoch, 1, runs.stage, coalesce(runs.model, ''), "
        f"{cost}, {cost}, runs.estimated, false, runs.ended_at FROM runs JOIN works ON works.id = runs.work_id "
        "WHERE runs.cost_usd > 0 AND runs.ended_at IS NOT NULL ORDER BY runs.seq"
    )


def downgrade() -> None:
    op.drop_table("raises")
    op.drop_table("spendings")
