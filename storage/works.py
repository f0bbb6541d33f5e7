"""Works: each is one thread with its brief."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import tables
from storage.records import Carried, Work
from storage.rows import record, values
from storage.upsert import insert_or_ignore

_works, _outbox = tables.works, tables.outbox

# Written once: putting a statement together takes longer than SQLite needs to do it.
_BY_ID = select(_works).where(_works.c.id == bindparam("work_id"))
_IN_THREAD = select(_works).where(
    _works.c.team == bindparam("in_team"),
    _works.c.channel == bindparam("in_channel"),
    _works.c.thread_ts == bindparam("at_ts"),
)
_ROOTED = update(_works).where(_works.c.id == bindparam("work"), _works.c.thread_ts.is_(None))


def _work(row: Row[Any]) -> Work:
    kept = row.carried
    return record(Work, row, carried=Carried(**{**kept, "people": tuple(kept["people"])}) if kept else None)


class Works:
    """Works by id and by thread."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def open(self, work: Work) -> bool:
        """Remember a new work; False when its thread has one already."""
        carried = asdict(work.carried) if work.carried else None
        return await insert_or_ignore(self._connection, _works, **{**values(work), "carried": carried})

    async def get(self, work_id: str) -> Work | None:
        row = (await self._connection.execute(_BY_ID, {"work_id": work_id})).first()
        return _work(row) if row else None

    async def in_thread(self, team: str, channel: str, thread_ts: str) -> Work | None:
        found = await self._connection.execute(_IN_THREAD, {"in_team": team, "in_channel": channel, "at_ts": thread_ts})
        row = found.first()
        return _work(row) if row else None

    async def at(self, channel: str, thread_ts: str) -> Work | None:
        """The work in a thread, in whichever workspace."""
        found = await self._connection.execute(
            select(_works).where(_works.c.channel == channel, _works.c.thread_ts == thread_ts)
        )
        row = found.first()
        return _work(row) if row else None

    async def begun_from(self, work_id: str) -> list[Work]:
        """The works that began fresh with what this one came to, in the order they were opened."""
        begun = select(_works).where(_works.c.fresh_from == work_id).order_by(_works.c.opened_at, _works.c.id)
        return [_work(row) for row in await self._connection.execute(begun)]

    async def in_threads(self) -> list[Work]:
        """Every work that has a thread, in the order they were opened."""
        begun = select(_works).where(_works.c.thread_ts.is_not(None)).order_by(_works.c.opened_at, _works.c.id)
        return [_work(row) for row in await self._connection.execute(begun)]

    async def channels(self) -> list[tuple[str, str]]:
        """Team and channel of every work, the newest work's first."""
        newest = func.max(_works.c.opened_at)
        rows = await self._connection.execute(
            select(_works.c.team, _works.c.channel).group_by(_works.c.team, _works.c.channel).order_by(newest.desc())
        )
        return [(row.team, row.channel) for row in rows]

    async def threads_spoken_in(self, team: str, channel: str, *, since: datetime) -> list[str]:
        """The threads of a channel's works in which we had something to say since a moment."""
        spoken = select(_outbox.c.seq).where(_outbox.c.work_id == _works.c.id, _outbox.c.planned_at >= since).exists()
        found = await self._connection.execute(
            select(_works.c.thread_ts)
            .where(_works.c.team == team, _works.c.channel == channel, _works.c.thread_ts.is_not(None), spoken)
            .order_by(_works.c.opened_at)
        )
        return [str(ts) for ts in found.scalars()]

    async def rooted(self, work_id: str, thread_ts: str) -> None:
        """The work's root has its place in Slack now."""
        await self._connection.execute(_ROOTED, {"work": work_id, "thread_ts": thread_ts})
