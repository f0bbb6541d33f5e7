"""How much is open, and since when: counts over partial indexes, so that what is done and stored costs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import tables
from storage.records import RunState
from storage.rows import record

_runs, _inbox, _outbox, _cooldowns = tables.runs, tables.inbox, tables.outbox, tables.cooldowns

# Each condition is word for word that of a partial index, without parameters: only so does every planner know that the
# index holds all there is to be found.
_OPEN_RUNS = (
    select(
        _runs.c.stage,
        _runs.c.state,
        _runs.c.model,
        func.count().label("count"),
        func.min(_runs.c.asked_at).label("asked_at"),
        func.min(_runs.c.started_at).label("started_at"),
    )
    .where(text("runs.state IN ('queued', 'running')"))
    .group_by(_runs.c.stage, _runs.c.state, _runs.c.model)
)
_LETTERS = select(func.count().label("count"), func.min(_inbox.c.due_at).label("due_at")).where(
    text("inbox.handled_at IS NULL")
)
_OWED = select(
    func.count().label("count"),
    func.count(case((_outbox.c.shown == 0, 1))).label("posts"),
    func.min(case((_outbox.c.shown == 0, _outbox.c.planned_at))).label("planned_at"),
).where(text("outbox.shown < outbox.revision AND outbox.given_up IS NULL"))
_RESTS = select(_cooldowns.c.until).where(_cooldowns.c.until.is_not(None))  # one row an endpoint, at most

STATEMENTS = (_OPEN_RUNS, _LETTERS, _OWED)


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenRuns:
    """Runs of one stage that wait or are under way; the model is known once its context was stored."""

    stage: str
    state: RunState
    model: str | None
    count: int
    asked_at: datetime  # of the oldest
    started_at: datetime | None  # of the one that was begun first


@dataclass(frozen=True, kw_only=True, slots=True)
class Gauges:
    """What is undone at one moment; each moment is that of the oldest, None where nothing waits.

    Attributes:
        runs: the open ones, counted.
        letters: unhandled ones.
        letter_due_at: when the one that wanted to be looked at first did; may be to come.
        posts: messages that Slack does not show at all.
        edits: messages that Slack shows in an older form; since when is not stored.
        post_planned_at: when the oldest of the posts was planned.
        rests: until when each endpoint that failed lately is not asked; some of it may be past.
    """

    runs: tuple[OpenRuns, ...] = ()
    letters: int = 0
    letter_due_at: datetime | None = None
    posts: int = 0
    edits: int = 0
    post_planned_at: datetime | None = None
    rests: tuple[datetime, ...] = ()

    def count(self, state: RunState) -> int:
        return sum(some.count for some in self.runs if some.state is state)

    @property
    def queued_at(self) -> datetime | None:
        """Since when the oldest queued run waits."""
        return min((some.asked_at for some in self.runs if some.state is RunState.QUEUED), default=None)

    @property
    def running_since(self) -> datetime | None:
        """Since when the run that has been under way for longest is."""
        begun = (some.started_at for some in self.runs if some.state is RunState.RUNNING)
        return min((at for at in begun if at is not None), default=None)


async def read_gauges(connection: AsyncConnection) -> Gauges:
    """Read all of it; within one transaction it is one moment."""
    runs = await connection.execute(_OPEN_RUNS)
    letters = (await connection.execute(_LETTERS)).one()
    owed = (await connection.execute(_OWED)).one()
    rests = (await connection.execute(_RESTS)).scalars()
    return Gauges(
        runs=tuple(record(OpenRuns, row, state=RunState(row.state)) for row in runs),
        letters=letters.count,
        letter_due_at=letters.due_at,
        posts=owed.posts,
        edits=owed.count - owed.posts,
        post_planned_at=owed.planned_at,
        rests=tuple(sorted(rests)),
    )
