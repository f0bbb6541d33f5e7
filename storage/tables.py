"""The tables, as SQLAlchemy Core: one vocabulary for SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Moment(TypeDecorator[datetime]):
    """A moment in UTC; SQLite forgets zones, so it is given back here."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs its zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002  the base's shape
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


Serial = BigInteger().with_variant(Integer, "sqlite")

inbox = Table(
    "inbox",
    metadata,
    Column("seq", Serial, primary_key=True, autoincrement=True),
    Column("key", String(200), nullable=False, unique=True),
    Column("kind", String(20), nullable=False),
    Column("line", String(200), nullable=False),  # what must be handled in order: a thread, or the person's own
    Column("body", JSON, nullable=False),
    Column("received_at", Moment, nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("tries", Integer, nullable=False, default=0),
    Column("handled_at", Moment),
    Column("outcome", Text),
)
Index(
    "ix_inbox_open",
    inbox.c.seq,
    sqlite_where=inbox.c.handled_at.is_(None),
    postgresql_where=inbox.c.handled_at.is_(None),
)
Index("ix_inbox_line", inbox.c.line, inbox.c.seq)

Index("ix_inbox_handled_at", inbox.c.handled_at)

works = Table(
    "works",
    metadata,
    Column("id", String(20), primary_key=True),
    Column("team", String(40), nullable=False),
    Column("channel", String(40), nullable=False),
    Column("thread_ts", String(40)),  # None until Slack has the root
    Column("brief", Text, nullable=False),
    Column("opened_by", String(40), nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("in_human_thread", Boolean, nullable=False, default=False),
    Column("fresh_from", String(20)),  # the work it goes on from, in a thread of its own
    Column("carried", JSON),  # what came along from there, and who had a hand in it
    UniqueConstraint("team", "channel", "thread_ts"),
)
Index("ix_works_fresh_from", works.c.fresh_from)

runs = Table(
    "runs",
    metadata,
    Column("seq", Serial, primary_key=True, autoincrement=True),
    Column("id", String(20), nullable=False, unique=True),
    Column("work_id", String(20), ForeignKey("works.id"), nullable=False),
    Column("request_key", String(200), nullable=False, unique=True),
    Column("stage", String(20), nullable=False),
    Column("lane", String(20), nullable=False),
    Column("state", String(20), nullable=False),
    Column("asked_by", String(40), nullable=False),
    Column("entrance", String(20), nullable=False),
    Column("note", Text, nullable=False, default=""),
    Column("note_by", JSON, nullable=False, default=list),  # whose words the note is
    Column("target_id", String(20)),  # the answer a person pointed at
    Column("revises", Boolean, nullable=False, default=False),
    Column("second_to", String(20)),  # the answer it is a second opinion on
    Column("walk", JSON),  # which step of which walk it is
    Column("asked_at", Moment, nullable=False),
    Column("started_at", Moment),
    Column("ended_at", Moment),
    Column("epoch", Integer, nullable=False, default=0),
    Column("cancel_by", String(40)),
    Column("seat", String(100)),  # the model whose place it holds, or stands in line for
    Column("seat_host", String(300)),
    Column("is_seated", Boolean, nullable=False, default=False, server_default=false()),
    Column("route", JSON),
    Column("model", String(100)),
    Column("served_id", String(200)),
    Column("stop_reason", String(30)),
    Column("attempts", Integer, nullable=False, default=0),
    Column("input_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("estimated", Boolean, nullable=False, default=False),
    Column("cost_usd", Float),
    Column("error_code", String(60)),
    Column("error", Text),
)
Index("ix_runs_work", runs.c.work_id, runs.c.seq)
_OPEN = runs.c.state.in_(("queued", "running"))
Index("ix_runs_open", runs.c.seq, sqlite_where=_OPEN, postgresql_where=_OPEN)

walks = Table(
    "walks",
    metadata,
    Column("seq", Serial, primary_key=True, autoincrement=True),
    Column("id", String(20), nullable=False, unique=True),
    Column("work_id", String(20), ForeignKey("works.id"), nullable=False),
    Column("request_key", String(200), nullable=False, unique=True),
    Column("name", String(100), nullable=False),
    Column("stages", JSON, nullable=False),  # as they were configured when it began
    Column("revise_rounds", Integer, nullable=False),
    Column("asked_by", String(40), nullable=False),
    Column("note", Text, nullable=False, default=""),
    Column("begun_at", Moment, nullable=False),
    Column("place", Integer, nullable=False),  # the step it is at
    Column("rounds", Integer, nullable=False),  # of revision, at this step
    Column("run_id", String(20), nullable=False),  # of this step
    Column("text_id", String(20)),  # the text in hand
    Column("state", String(20), nullable=False),
    Column("ended_at", Moment),
)
_WALKING = text("state = 'walking'")
Index("ix_walks_walking", walks.c.work_id, unique=True, sqlite_where=_WALKING, postgresql_where=_WALKING)
Index("ix_walks_work", walks.c.work_id, walks.c.seq)

paces = Table(
    "paces",
    metadata,
    Column("name", String(200), primary_key=True),  # of what is limited, such as a method and a channel
    Column("free_at", Moment, nullable=False),
)

marks = Table(
    "marks",
    metadata,
    Column("name", String(200), primary_key=True),  # of something done up to a moment, such as "repair/C0LAUNCH"
    Column("at", Moment, nullable=False),
)

cooldowns = Table(
    "cooldowns",
    metadata,
    Column("endpoint", Text, primary_key=True),  # a model's, by its address and the name it is served under
    Column("failures", Integer, nullable=False),  # in a row
    Column("code", String(60), nullable=False),
    Column("at", Moment, nullable=False),
    Column("until", Moment),  # None: it may be asked
)

contexts = Table(
    "contexts",
    metadata,
    Column("run_id", String(20), ForeignKey("runs.id"), primary_key=True),
    Column("system", Text, nullable=False),
    Column("prompt", Text, nullable=False),
    Column("manifest", JSON, nullable=False),
    Column("made_at", Moment, nullable=False),
)

answers = Table(
    "answers",
    metadata,
    Column("seq", Serial, primary_key=True, autoincrement=True),
    Column("id", String(20), nullable=False, unique=True),
    Column("work_id", String(20), ForeignKey("works.id"), nullable=False),
    Column("run_id", String(20), ForeignKey("runs.id"), unique=True),  # None: a message a person pointed at
    Column("stage", String(20), nullable=False),  # or "message"
    Column("lane", String(20), nullable=False),
    Column("number", Integer, nullable=False),  # draft 1, draft 2 …
    Column("text", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("notes", Text, nullable=False, default=""),
    Column("decision", String(20), nullable=False, default="none"),
    Column("verdict", String(40)),
    Column("about_id", String(20)),  # the text it criticises, revises or finishes
    Column("second_to", String(20)),  # the answer beside which it stands as a second opinion
    Column("author", String(40)),
    Column("made_at", Moment, nullable=False),
)
Index("ix_answers_work", answers.c.work_id, answers.c.seq)

outbox = Table(
    "outbox",
    metadata,
    Column("seq", Serial, primary_key=True, autoincrement=True),
    Column("slot", String(120), nullable=False, unique=True),
    Column("work_id", String(20), ForeignKey("works.id"), nullable=False),
    Column("run_id", String(20)),
    Column("answer_id", String(20)),
    Column("kind", String(20), nullable=False),
    Column("team", String(40), nullable=False),
    Column("channel", String(40), nullable=False),
    Column("person", String(40)),  # set: only they see it
    Column("body", JSON, nullable=False),
    Column("revision", Integer, nullable=False, default=1),
    Column("shown", Integer, nullable=False, default=0),  # the revision Slack has; 0: none yet
    Column("ts", String(40)),
    Column("digest", String(64)),  # of the message as Slack returned it
    Column("given_up", Text),
    Column("planned_at", Moment, nullable=False),
    Column("sent_at", Moment),
    UniqueConstraint("channel", "ts"),
)
_OWED = text("shown < revision AND given_up IS NULL")
Index("ix_outbox_owed", outbox.c.seq, sqlite_where=_OWED, postgresql_where=_OWED)
Index("ix_outbox_work", outbox.c.work_id, outbox.c.seq)
Index("ix_outbox_answer", outbox.c.answer_id)

reviews = Table(
    "reviews",
    metadata,
    Column("answer_id", String(20), ForeignKey("answers.id"), primary_key=True),
    Column("run_id", String(20), ForeignKey("runs.id"), nullable=False),
    Column("work_id", String(20), ForeignKey("works.id"), nullable=False),
    Column("asked_by", String(40), nullable=False),
    Column("authors", JSON, nullable=False),  # who may not approve: see handlers/review.py
    Column("opened_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("remind_at", Moment),
    Column("reminded", Integer, nullable=False, default=0),
    Column("reason_wanted_from", String(40)),
)
Index("ix_reviews_work", reviews.c.work_id)
Index("ix_reviews_remind_at", reviews.c.remind_at)

verdicts = Table(
    "verdicts",
    metadata,
    Column("seq", Serial, primary_key=True, autoincrement=True),
    Column("answer_id", String(20), ForeignKey("answers.id"), nullable=False),
    Column("person", String(40), nullable=False),
    Column("kind", String(20), nullable=False),  # approve, send_back, withdraw
    Column("via", String(20), nullable=False),
    Column("emoji", String(100)),
    Column("request_key", String(200), nullable=False, unique=True),
    Column("evidence", JSON, nullable=False),
    Column("at", Moment, nullable=False),
    Column("ledger_seq", BigInteger, nullable=False),
)
Index("ix_verdicts_answer", verdicts.c.answer_id, verdicts.c.seq)

handings = Table(
    "handings",
    metadata,
    Column("seq", Serial, primary_key=True, autoincrement=True),
    Column("id", String(60), nullable=False, unique=True),  # the receiver's webhook-id, the same at every attempt
    Column("event", String(20), nullable=False),  # granted, withdrawn
    Column("work_id", String(20), ForeignKey("works.id"), nullable=False),
    Column("run_id", String(20), ForeignKey("runs.id"), nullable=False),
    Column("answer_id", String(20), ForeignKey("answers.id"), nullable=False),
    Column("head", String(64), nullable=False),  # of the ledger, with the verdict that this follows from
    Column("payload", Text),  # None until the first attempt
    Column("planned_at", Moment, nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("claimed_until", Moment),
    Column("attempts", Integer, nullable=False, default=0),
    Column("begun_at", Moment),
    Column("status", Integer),  # of the last attempt's answer
    Column("error", String(200)),
    Column("handed_at", Moment),
    Column("given_up_at", Moment),
    Column("withdrawn_at", Moment),
)
_TO_BE_HANDED = text("handed_at IS NULL AND given_up_at IS NULL AND withdrawn_at IS NULL")
Index("ix_handings_open", handings.c.due_at, sqlite_where=_TO_BE_HANDED, postgresql_where=_TO_BE_HANDED)
Index("ix_handings_work", handings.c.work_id, handings.c.seq)
Index("ix_handings_answer", handings.c.answer_id, handings.c.seq)

spendings = Table(
    "spendings",
    metadata,
    Column("seq", Serial, primary_key=True, autoincrement=True),
    Column("team", String(40), nullable=False),
    Column("day", String(10), nullable=False),  # UTC's, such as 2026-11-03
    Column("work_id", String(20), ForeignKey("works.id"), nullable=False),
    Column("run_id", String(20), ForeignKey("runs.id"), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("stage", String(20), nullable=False),
    Column("model", String(100), nullable=False),
    Column(
        "reserved", BigInteger, nullable=False
    ),  # money is in whole billionths of a US dollar, so that sums are exact
    Column("spent", BigInteger),  # None: the attempt is under way, or nobody knows what became of it
    Column("estimated", Boolean, nullable=False, default=False),
    Column("over_day", Boolean, nullable=False, default=False),  # counts against what was raised, not against the day
    Column("at", Moment, nullable=False),
    UniqueConstraint("run_id", "epoch", "attempt"),
)
Index("ix_spendings_work", spendings.c.work_id)
# With what is summed, so that the sum of a day is read from it alone.
Index(
    "ix_spendings_day", spendings.c.team, spendings.c.day, spendings.c.over_day, spendings.c.spent, spendings.c.reserved
)
_UNSETTLED = spendings.c.spent.is_(None)
Index(
    "ix_spendings_open",
    spendings.c.team,
    spendings.c.day,
    sqlite_where=_UNSETTLED,
    postgresql_where=_UNSETTLED,
)

raises = Table(
    "raises",
    metadata,
    Column("work_id", String(20), ForeignKey("works.id"), primary_key=True),  # once for each work
    Column("run_id", String(20), ForeignKey("runs.id"), nullable=False),  # which was refused
    Column("which", String(10), nullable=False),  # run, thread, day
    Column("amount", BigInteger, nullable=False),
    Column("who", String(40), nullable=False),
    Column("at", Moment, nullable=False),
    Column("ledger_seq", BigInteger, nullable=False),
)

ledger = Table(
    "ledger",
    metadata,
    Column("seq", Serial, primary_key=True, autoincrement=False),
    Column("team", String(40), nullable=False),
    Column("at", Moment, nullable=False),
    Column("who", String(40), nullable=False),
    Column("what", String(40), nullable=False),
    Column("work_id", String(20)),
    Column("run_id", String(20)),
    Column("answer_id", String(20)),
    Column("body", Text, nullable=False),  # canonical JSON
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False, unique=True),
)
Index("ix_ledger_team", ledger.c.team, ledger.c.seq)  # else a workspace's last entry is looked for among everybody's
_OF_STACKS = text("what = 'stack'")
Index("ix_ledger_stack", ledger.c.team, ledger.c.seq, sqlite_where=_OF_STACKS, postgresql_where=_OF_STACKS)
