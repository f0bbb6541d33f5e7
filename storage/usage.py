"""What each model did lately, for a workspace: how many answers, at about what cost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import tables
from storage.records import RunState
from storage.rows import record

_runs, _works = tables.runs, tables.works
# Two questions, for only then each is answered from an end of the primary key.
_ENDS = select(
    select(func.min(_runs.c.seq)).scalar_subquery().label("low"),
    select(func.max(_runs.c.seq)).scalar_subquery().label("high"),
)
_NEXT = select(_runs.c.seq, _runs.c.asked_at).where(_runs.c.seq >= bindparam("place")).order_by(_runs.c.seq).limit(1)
BY_MODEL = (
    select(
        _runs.c.model,
        func.count().label("runs"),
        func.count(_runs.c.cost_usd).label("priced"),
        func.coalesce(func.sum(_runs.c.cost_usd), 0.0).label("cost_usd"),
    )
    .join(_works, _works.c.id == _runs.c.work_id)
    .where(_runs.c.seq >= bindparam("first"), _works.c.team == bindparam("of_team"))
    .where(_runs.c.state == RunState.ANSWERED, _runs.c.model.is_not(None))
    .group_by(_runs.c.model)
    .order_by(func.count().desc(), _runs.c.model)
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelUse:
    """Answers of one model, by its key in the stack; `cost_usd` is that of the `priced` ones among them."""

    model: str
    runs: int
    priced: int
    cost_usd: float


class Usage:
    """Reads only. Runs stand in the order they were asked for, so a month's are found without an index of times."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def by_model(self, team: str, since: datetime) -> list[ModelUse]:
        """Who gave the answers that were asked for since then, most first."""
        first = await self._first_since(since)
        if first is None:
            return []
        rows = await self._connection.execute(BY_MODEL, {"first": first, "of_team": team})
        return [record(ModelUse, row) for row in rows]

    async def _first_since(self, since: datetime) -> int | None:
        """The place of the first run that was asked for since, by halving: some twenty looks at the primary key.

        Clocks of several processes may differ by seconds, and so may what is found.
        """
        low, high = (await self._connection.execute(_ENDS)).one()
        if low is None:
            return None
        first = None
        while low <= high:
            middle = (low + high) // 2
            seq, asked_at = (await self._connection.execute(_NEXT, {"place": middle})).one()
            if asked_at >= since:
                first, high = seq, middle - 1
            else:
                low = seq + 1
        return first
