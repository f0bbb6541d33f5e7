"""Up to which moment something was done, by name."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import tables
from storage.upsert import insert_or_ignore

_marks = tables.marks


class Marks:
    """Moments by name; a mark only ever moves on."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def get(self, name: str) -> datetime | None:
        found = await self._connection.execute(select(_marks.c.at).where(_marks.c.name == name))
        at: datetime | None = found.scalar()
        return at

    async def remove(self, name: str) -> bool:
        """Forget a mark; False when there is none."""
        done = await self._connection.execute(delete(_marks).where(_marks.c.name == name))
        return done.rowcount == 1

    async def set(self, name: str, at: datetime) -> bool:
        """Move a mark on; False when it stands there or further already, so that one of many processes wins."""
        if await insert_or_ignore(self._connection, _marks, name=name, at=at):
            return True
        done = await self._connection.execute(
            update(_marks).where(_marks.c.name == name, _marks.c.at < at).values(at=at)
        )
        return done.rowcount == 1
