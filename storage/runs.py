"""Runs and the contexts they had."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, bindparam, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import tables
from storage.errands import Errand, Errands, Subject
from storage.records import Lane, Run, RunState, StoredContext
from storage.rows import record, values
from storage.upsert import insert_or_ignore

_runs, _contexts = tables.runs, tables.contexts
_OPEN = (RunState.QUEUED, RunState.RUNNING)
# The partial index's own words: only a query that holds them literally is answered from it, whatever is stored.
_IS_OPEN = text("runs.state IN ('queued', 'running')")


def _run(row: Row[Any]) -> Run:
    return record(Run, row, lane=Lane(row.lane), state=RunState(row.state), note_by=tuple(row.note_by))


_earlier = _runs.alias("earlier")
_WAITS = (
    select(_earlier.c.seq)
    .where(_earlier.c.work_id == _runs.c.work_id, _earlier.c.seq < _runs.c.seq, _earlier.c.state.in_(_OPEN))
    .exists()
)
# Written once: putting a statement together takes longer than SQLite needs to do it.
_BY_ID = select(_runs).where(_runs.c.id == bindparam("run"))
_OF_WORK = select(_runs).where(_runs.c.work_id == bindparam("work")).order_by(_runs.c.seq)
_FIRST_OPEN = _OF_WORK.where(_runs.c.state.in_(_OPEN)).limit(1)
_BEGIN = (
    update(_runs)
    .where(_runs.c.id == bindparam("run"), _runs.c.state == RunState.QUEUED)
    .values(state=RunState.RUNNING, started_at=bindparam("at"), epoch=_runs.c.epoch + 1)
    .returning(_runs)
)
_HELD = update(_runs).where(
    _runs.c.id == bindparam("run"), _runs.c.epoch == bindparam("held"), _runs.c.state == RunState.RUNNING
)
_LEAVE = _HELD.returning(_runs)
_GET_UP = (
    update(_runs).where(_runs.c.id == bindparam("run"), _runs.c.epoch == bindparam("held")).values(is_seated=False)
)
_STILL_OURS = (RunState.RUNNING, RunState.ANSWERED, RunState.FAILED, RunState.REFUSED)  # who ended them may not be done
_CONTEXT = select(_contexts).where(_contexts.c.run_id == bindparam("run"))
_ASKED_ANEW = update(_contexts).where(_contexts.c.run_id == bindparam("run"))
_NEXT_IN_LINE = (
    select(_runs)
    .where(_IS_OPEN, _runs.c.state == RunState.QUEUED, ~_WAITS)
    .order_by(_runs.c.seq)
    .limit(bindparam("most"))
)


class Runs:
    """Runs by id, by request, by work; every change of state is a compare-and-set."""

    def __init__(self, connection: AsyncConnection, errands: Errands, ended: list[Run]) -> None:
        self._connection = connection
        self._errands = errands
        self._ended = ended

    async def add(self, run: Run) -> bool:
        """Put a run in line; False when its request already made one."""
        self._errands[Errand(Subject.WORK, run.work_id)] = None
        return await insert_or_ignore(self._connection, _runs, **values(run))

    async def get(self, run_id: str) -> Run | None:
        row = (await self._connection.execute(_BY_ID, {"run": run_id})).first()
        return _run(row) if row else None

    async def of_work(self, work_id: str) -> list[Run]:
        """All runs of a work, in the order they were asked for."""
        rows = await self._connection.execute(_OF_WORK, {"work": work_id})
        return [_run(row) for row in rows]

    async def open_of_work(self, work_id: str) -> list[Run]:
        return [run for run in await self.of_work(work_id) if run.state in _OPEN]

    async def next_in_line(self, *, without: Collection[str] = (), limit: int = 100) -> list[Run]:
        """Queued runs whose thread has nothing open before them, oldest first."""
        rows = await self._connection.execute(_NEXT_IN_LINE, {"most": limit + len(without)})
        return [_run(row) for row in rows if row.id not in without][:limit]

    async def has_open(self, work_id: str) -> bool:
        """Whether a run of a work waits or is under way."""
        return (await self._connection.execute(_FIRST_OPEN, {"work": work_id})).first() is not None

    async def next_of(self, work_id: str) -> Run | None:
        """The queued run of a work that comes next, if none of it is running."""
        row = (await self._connection.execute(_FIRST_OPEN, {"work": work_id})).first()
        return _run(row) if row and row.state == RunState.QUEUED else None

    async def begin(self, run_id: str, *, at: datetime) -> Run | None:
        """Queued becomes running under a new epoch, which fences off every older holder; None if it was not queued."""
        row = (await self._connection.execute(_BEGIN, {"run": run_id, "at": at})).first()
        return _run(row) if row else None

    async def leave(self, run: Run, state: RunState, *, at: datetime, **facts: Any) -> bool:
        """A running run ends in a state; False when it is not ours any more (another epoch, or ended)."""
        left = {"run": run.id, "held": run.epoch, "state": state, "ended_at": at, **facts}
        row = (await self._connection.execute(_LEAVE, left)).first()
        self._ended += [_run(row)] if row else []
        return row is not None

    async def note_facts(self, run: Run, **facts: Any) -> bool:
        """Remember facts about a running run; False when it is not ours any more (another epoch, or ended)."""
        done = await self._connection.execute(_HELD, {"run": run.id, "held": run.epoch, **facts})
        return done.rowcount == 1

    async def cancel(self, run_id: str, *, by: str, at: datetime, **facts: Any) -> Run | None:
        """An open run is cancelled at once; whoever works on it finds it gone. None if it was over."""
        rows = await self._connection.execute(
            update(_runs)
            .where(_runs.c.id == run_id, _runs.c.state.in_(_OPEN))
            .values(state=RunState.CANCELLED, cancel_by=by, ended_at=at, **facts)
            .returning(_runs)
        )
        row = rows.first()
        if row is None:
            return None
        self._errands[Errand(Subject.WORK, row.work_id)] = None
        self._ended.append(ended := _run(row))
        return ended

    async def back_in_line(
        self, *, only: str | None = None, epoch: int | None = None, of: str | None = None
    ) -> list[str]:
        """Runs that were running when a process died wait again: all, one that is parked, or those of one work."""
        change = update(_runs).where(_IS_OPEN, _runs.c.state == RunState.RUNNING)
        if only is not None:
            change = change.where(_runs.c.id == only)
        if epoch is not None:
            change = change.where(_runs.c.epoch == epoch)
        if of is not None:
            change = change.where(_runs.c.work_id == of)
        change = change.values(state=RunState.QUEUED, is_seated=False)
        rows = (await self._connection.execute(change.returning(_runs.c.id, _runs.c.work_id))).all()
        self._errands.update((Errand(Subject.WORK, row.work_id), None) for row in rows)
        return [row.id for row in rows]

    async def lost(self, held: Collection[tuple[str, int]]) -> list[tuple[str, int]]:
        """Which of these runs, held under an epoch, were cancelled or are somebody else's by now."""
        ids = {run_id for run_id, _ in held}
        rows = await self._connection.execute(
            select(_runs.c.id, _runs.c.epoch, _runs.c.state).where(_runs.c.id.in_(ids))
        )
        now = {row.id: (row.epoch, RunState(row.state)) for row in rows}
        kept = {(run_id, epoch) for run_id, (epoch, state) in now.items() if state in _STILL_OURS}
        return [one for one in held if one not in kept]

    async def works_with_open_runs(self) -> list[str]:
        """Ids of works in which a run waits or is under way."""
        found = select(_runs.c.work_id).where(_IS_OPEN).distinct().order_by(_runs.c.work_id)
        return list((await self._connection.execute(found)).scalars())

    async def has_room(self, run_id: str, seat: str, most: int, host: str, most_at_host: int | None) -> bool:
        """Whether one more run could have a place at a model and its host."""
        seated = and_(_runs.c.id != run_id, _runs.c.is_seated.is_(True))
        rows = await self._connection.execute(
            select(
                func.count().filter(and_(seated, _runs.c.seat == seat)),
                func.count().filter(and_(seated, _runs.c.seat_host == host)),
            ).where(_IS_OPEN, _runs.c.state == RunState.RUNNING)
        )
        at_model, at_host = rows.one()
        return bool(at_model < most and (most_at_host is None or at_host < most_at_host))

    async def sit_down(
        self, run_id: str, *, epoch: int, seat: str, most: int, host: str, most_at_host: int | None
    ) -> bool | None:
        """Give a running run a place at a model and its host; False while there is none, None if it is not ours."""
        is_free = await self.has_room(run_id, seat, most, host, most_at_host)
        change = _HELD.values(seat=seat, seat_host=host, is_seated=is_free)
        done = await self._connection.execute(change, {"run": run_id, "held": epoch})
        return is_free if done.rowcount else None

    async def get_up(self, run_id: str, *, epoch: int) -> None:
        """A run has its answer, or none; its place is free, unless somebody else sits there for it by now."""
        await self._connection.execute(_GET_UP, {"run": run_id, "held": epoch})

    async def keep_context(self, context: StoredContext) -> None:
        """Remember what the model is about to see; the last attempt's is what counts."""
        kept = values(context)
        if not await insert_or_ignore(self._connection, _contexts, **kept):
            del kept["run_id"]
            await self._connection.execute(_ASKED_ANEW, {"run": context.run_id, **kept})

    async def context(self, run_id: str) -> StoredContext | None:
        row = (await self._connection.execute(_CONTEXT, {"run": run_id})).first()
        return record(StoredContext, row) if row else None
