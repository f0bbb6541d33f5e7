"""What App Home is made of: what is open and what was decided lately, for everybody, in a few questions."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import tables
from storage.records import Kind, Review, RunState, Verdict, VerdictKind, WalkState
from storage.rows import record

_works, _runs, _reviews, _answers = tables.works, tables.runs, tables.reviews, tables.answers
_walks, _verdicts, _outbox, _ledger = tables.walks, tables.verdicts, tables.outbox, tables.ledger
_MOST_BRIEF = 400
_MOST_RUNS = 2_000
"""So many of the newest runs are looked at for works that wait for their people, by the primary key."""
_later = _answers.alias("later")
_IS_SUPERSEDED = (
    select(_later.c.seq)
    .where(_later.c.work_id == _answers.c.work_id, _later.c.lane == _answers.c.lane)
    .where(_later.c.stage == _answers.c.stage, _later.c.seq > _answers.c.seq, _later.c.second_to.is_(None))
    .exists()
)
_PLACE = (
    _works.c.id.label("of_work"),
    _works.c.opened_by,
    _works.c.team,
    _works.c.channel,
    _works.c.thread_ts,
    func.substr(_works.c.brief, 1, _MOST_BRIEF).label("brief"),
)
_at = func.coalesce(_runs.c.ended_at, _runs.c.asked_at, type_=tables.Moment())
_newest = (
    select(_runs.c.seq, _runs.c.work_id, _at.label("at"))
    .order_by(_runs.c.seq.desc())
    .limit(_MOST_RUNS)
    .subquery("newest")
)
_LAST = select(func.max(_newest.c.seq)).group_by(_newest.c.work_id)
# The partial indexes' own words, so that they are read and nothing else.
_MARK = text(
    "SELECT (SELECT max(seq) FROM runs), (SELECT max(seq) FROM answers), (SELECT max(seq) FROM verdicts),"
    " (SELECT max(seq) FROM ledger), (SELECT count(*) FROM outbox WHERE shown < revision AND given_up IS NULL),"
    " (SELECT count(*) FROM runs WHERE state IN ('queued', 'running')),"
    " (SELECT count(*) FROM runs WHERE state IN ('queued', 'running') AND state = 'running')"
)


def last_runs(since: datetime) -> Select[Any]:
    """The newest run of each work, if it ended since."""
    step = and_(_walks.c.work_id == _runs.c.work_id, _walks.c.run_id == _runs.c.id)
    halted = _walks.c.state.in_((WalkState.STUCK, WalkState.STOPPED))
    return (
        select(_runs.c.stage, _runs.c.state, _runs.c.asked_by, _runs.c.revises, _at.label("at"), _walks.c.name, *_PLACE)
        .join(_works, _works.c.id == _runs.c.work_id)
        .outerjoin(_walks, and_(step, halted))
        .where(_runs.c.seq.in_(_LAST), _at >= since, _runs.c.state.not_in((RunState.QUEUED, RunState.RUNNING)))
        .order_by(_runs.c.seq.desc())
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Spot:
    """Where a work is, whose, and how its brief begins; `ts` is the message to look at, None until Slack has it."""

    team: str
    channel: str
    thread_ts: str | None
    brief: str
    ts: str | None
    work_id: str
    opened_by: str


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenRun:
    """A run that waits or is under way."""

    spot: Spot
    stage: str
    state: str
    asked_by: str
    asked_at: datetime
    revises: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class LastRun:
    """The newest run of a work, which has ended; `stopped` is the pipeline that does not go on from it by itself."""

    spot: Spot
    stage: str
    state: RunState
    asked_by: str
    at: datetime
    revises: bool
    stopped: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Gate:
    """A review with what was said of it; `heads` are the ledger's hashes by its numbers."""

    spot: Spot
    review: Review
    stage: str
    sha256: str
    superseded: bool
    verdicts: tuple[Verdict, ...]
    heads: dict[int, str]


class Homes:
    """Reads only; everything for everybody at once, so that many Homes cost no more than one."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def mark(self) -> tuple[Any, ...]:
        """Differs whenever a run, a review or what is owed to Slack is not what it was."""
        return tuple((await self._connection.execute(_MARK)).one())

    async def open_runs(self) -> list[OpenRun]:
        """Every run that waits or is under way, oldest first."""
        rows = await self._connection.execute(
            select(_runs.c.stage, _runs.c.state, _runs.c.asked_by, _runs.c.asked_at, _runs.c.revises, *_PLACE)
            .join(_works, _works.c.id == _runs.c.work_id)
            .where(text("runs.state IN ('queued', 'running')"))
            .order_by(_runs.c.seq)
        )
        return [
            OpenRun(
                spot=_spot(row, row.thread_ts),
                stage=row.stage,
                state=row.state,
                asked_by=row.asked_by,
                asked_at=row.asked_at,
                revises=row.revises,
            )
            for row in rows
        ]

    async def last_runs(self, since: datetime) -> list[LastRun]:
        """The newest run of each work in which one ended since, as far back as the newest runs go; newest first."""
        rows = await self._connection.execute(last_runs(since))
        return [
            LastRun(
                spot=_spot(row, row.thread_ts),
                stage=row.stage,
                state=RunState(row.state),
                asked_by=row.asked_by,
                at=row.at,
                revises=row.revises,
                stopped=row.name,
            )
            for row in rows
        ]

    async def gates(self, now: datetime, since: datetime) -> list[Gate]:
        """The reviews whose time has not run out, or with a word or a run since in their work; oldest first."""
        lately = select(_verdicts.c.answer_id).where(_verdicts.c.at >= since)
        moved = select(_newest.c.work_id).where(_newest.c.at >= since)
        wanted = or_(
            _reviews.c.expires_at.is_(None),
            _reviews.c.expires_at > now,
            _reviews.c.answer_id.in_(lately),
            _reviews.c.work_id.in_(moved),
        )
        ids = select(_reviews.c.answer_id).where(wanted)
        said: defaultdict[str, list[Verdict]] = defaultdict(list)
        heads: defaultdict[str, dict[int, str]] = defaultdict(dict)
        for row in await self._connection.execute(
            select(_verdicts, _ledger.c.hash)
            .outerjoin(_ledger, _ledger.c.seq == _verdicts.c.ledger_seq)
            .where(_verdicts.c.answer_id.in_(ids))
            .order_by(_verdicts.c.seq)
        ):
            said[row.answer_id].append(record(Verdict, row, kind=VerdictKind(row.kind)))
            heads[row.answer_id][row.ledger_seq] = row.hash or ""
        card = and_(_outbox.c.answer_id == _reviews.c.answer_id, _outbox.c.kind == Kind.REVIEW)
        rows = await self._connection.execute(
            select(_reviews, _answers.c.stage, _answers.c.sha256, _IS_SUPERSEDED.label("superseded"), *_PLACE)
            .add_columns(_outbox.c.ts)
            .join(_answers, _answers.c.id == _reviews.c.answer_id)
            .join(_works, _works.c.id == _reviews.c.work_id)
            .outerjoin(_outbox, card)
            .where(wanted)
            .order_by(_reviews.c.opened_at, _answers.c.seq)
        )
        return [
            Gate(
                spot=_spot(row, row.ts),
                review=record(Review, row, authors=tuple(row.authors)),
                stage=row.stage,
                sha256=row.sha256,
                superseded=bool(row.superseded),
                verdicts=tuple(said[row.answer_id]),
                heads=heads[row.answer_id],
            )
            for row in rows
        ]


def _spot(row: Any, ts: str | None) -> Spot:
    return Spot(
        team=row.team,
        channel=row.channel,
        thread_ts=row.thread_ts,
        brief=row.brief,
        ts=ts,
        work_id=row.of_work,
        opened_by=row.opened_by,
    )
