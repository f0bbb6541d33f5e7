"""Money: what each attempt at a model may cost, set aside before it begins, and what it came to."""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, case, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import tables
from storage.records import Costs, Raised, Spending, Sums
from storage.rows import record, values
from storage.upsert import insert_or_ignore

_spendings, _raises, _runs = tables.spendings, tables.raises, tables.runs

# Written once: putting a statement together takes longer than SQLite needs to do it.
_COUNTS = func.coalesce(_spendings.c.spent, _spendings.c.reserved)
_IS_OF_DAY = (_spendings.c.team == bindparam("of_team"), _spendings.c.day == bindparam("on_day"))
_OF_RUN = select(func.sum(_COUNTS)).where(_spendings.c.run_id == bindparam("run"))
_OF_WORK = select(
    func.sum(_COUNTS),
    func.sum(case((_spendings.c.over_day.is_(True), _COUNTS), else_=0)),
    func.sum(case((_spendings.c.stage == bindparam("of_stage"), _COUNTS), else_=0)),
).where(_spendings.c.work_id == bindparam("work"))
_OF_DAY = select(func.sum(_COUNTS)).where(*_IS_OF_DAY, _spendings.c.over_day.is_(False))
_ALL_OF_DAY = select(func.sum(_COUNTS)).where(*_IS_OF_DAY)
_UNDER_WAY = (
    select(func.sum(_spendings.c.reserved))
    .join_from(_spendings, _runs, _runs.c.id == _spendings.c.run_id)
    .where(*_IS_OF_DAY, _spendings.c.spent.is_(None), _runs.c.state.in_(("queued", "running")))
)
_OPEN_OF_RUN = update(_spendings).where(_spendings.c.run_id == bindparam("run"), _spendings.c.spent.is_(None))
_SETTLE = _OPEN_OF_RUN.where(
    _spendings.c.epoch == bindparam("of_epoch"), _spendings.c.attempt == bindparam("of_attempt")
)
_WRITE_OFF = _OPEN_OF_RUN.where(_spendings.c.epoch < bindparam("of_epoch")).values(spent=_spendings.c.reserved)
_RAISED = select(_raises).where(_raises.c.work_id == bindparam("work"))


class Spendings:
    """What is set aside and spent, by run, by work, and by a workspace's day."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def sums(self, run_id: str, work_id: str, *, team: str, day: str) -> Sums:
        """What counts against the limits of a run, its work and the day."""
        run = (await self._connection.execute(_OF_RUN, {"run": run_id})).scalar()
        of_day = (await self._connection.execute(_OF_DAY, {"of_team": team, "on_day": day})).scalar()
        work, over_day, _ = (await self._connection.execute(_OF_WORK, {"work": work_id, "of_stage": ""})).one()
        return Sums(run=int(run or 0), work=int(work or 0), day=int(of_day or 0), over_day=int(over_day or 0))

    async def costs(self, work_id: str, *, team: str, day: str, stage: str = "") -> Costs:
        """What people are told: what a work, a stage of it, and the workspace's day have cost so far."""
        work, _, of_stage = (await self._connection.execute(_OF_WORK, {"work": work_id, "of_stage": stage})).one()
        of_day = {"of_team": team, "on_day": day}
        counts = int((await self._connection.execute(_ALL_OF_DAY, of_day)).scalar() or 0)
        under_way = int((await self._connection.execute(_UNDER_WAY, of_day)).scalar() or 0)
        return Costs(work=int(work or 0), stage=int(of_stage or 0), day=counts - under_way, under_way=under_way)

    async def of_work(self, work_id: str) -> int:
        """What a work has cost so far."""
        of_work, _, _ = (await self._connection.execute(_OF_WORK, {"work": work_id, "of_stage": ""})).one()
        return int(of_work or 0)

    async def reserve(self, spending: Spending) -> None:
        """Set aside what an attempt may cost."""
        await self._connection.execute(_spendings.insert(), values(spending))

    async def settle(self, run_id: str, epoch: int, attempt: int, *, spent: int, estimated: bool) -> None:
        """What an attempt came to; the first word counts."""
        which: dict[str, Any] = {"run": run_id, "of_epoch": epoch, "of_attempt": attempt}
        await self._connection.execute(_SETTLE, {**which, "spent": spent, "estimated": estimated})

    async def write_off(self, run_id: str, *, before: int) -> None:
        """Attempts of earlier epochs, of which nobody will say any more what they came to, cost all they may have."""
        await self._connection.execute(_WRITE_OFF, {"run": run_id, "of_epoch": before})

    async def of_run(self, run_id: str) -> list[Spending]:
        """The attempts of a run, in their order."""
        rows = await self._connection.execute(
            select(_spendings).where(_spendings.c.run_id == run_id).order_by(_spendings.c.seq)
        )
        return [record(Spending, row) for row in rows]

    async def let_more(self, raised: Raised) -> bool:
        """Let a work spend more than a limit; False when that was done once already."""
        return await insert_or_ignore(self._connection, _raises, **values(raised))

    async def raised(self, work_id: str) -> Raised | None:
        row = (await self._connection.execute(_RAISED, {"work": work_id})).first()
        return record(Raised, row) if row else None
