"""Walks: one at a time in a work, each at one step; every move is a compare-and-set."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import tables
from storage.records import Walk, WalkState
from storage.rows import record, values
from storage.upsert import insert_or_ignore

_walks = tables.walks

# Written once: putting a statement together takes longer than SQLite needs to do it.
_BY_ID = select(_walks).where(_walks.c.id == bindparam("walk"))
_OF_WORK = select(_walks).where(_walks.c.work_id == bindparam("work")).order_by(_walks.c.seq)
_AT = update(_walks).where(_walks.c.id == bindparam("walk"), _walks.c.run_id == bindparam("held"))
_STOP = update(_walks).where(_walks.c.work_id == bindparam("work"), _walks.c.state == WalkState.WALKING)


def _walk(row: Row[Any]) -> Walk:
    return record(Walk, row, stages=tuple(row.stages), state=WalkState(row.state))


class Walks:
    """Walks by id and by work."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def begin(self, walk: Walk) -> bool:
        """Remember a new walk; False when one is under way in its work, or its request has begun one."""
        return await insert_or_ignore(self._connection, _walks, **values(walk))

    async def get(self, walk_id: str) -> Walk | None:
        row = (await self._connection.execute(_BY_ID, {"walk": walk_id})).first()
        return _walk(row) if row else None

    async def of_work(self, work_id: str) -> list[Walk]:
        """All walks of a work, in the order they were asked for."""
        return [_walk(row) for row in await self._connection.execute(_OF_WORK, {"work": work_id})]

    async def move(self, walk: Walk, *, held: str) -> bool:
        """It is where the record says now; False when it is not at the run `held` any more."""
        moved = {
            "place": walk.place,
            "rounds": walk.rounds,
            "run_id": walk.run_id,
            "text_id": walk.text_id,
            "state": walk.state,
            "ended_at": walk.ended_at,
        }
        done = await self._connection.execute(_AT.values(**moved), {"walk": walk.id, "held": held})
        return done.rowcount == 1

    async def stop(self, work_id: str, *, at: datetime) -> Walk | None:
        """The walk that is under way in a work is stopped; None if there is none."""
        change = _STOP.values(state=WalkState.STOPPED, ended_at=at).returning(_walks)
        row = (await self._connection.execute(change, {"work": work_id})).first()
        return _walk(row) if row else None
