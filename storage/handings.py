"""What a receiver outside is to be told of approvals: each event once planned, attempted by one at a time."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Row, and_, bindparam, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import tables
from storage.records import Event, Handing
from storage.rows import record, values
from storage.upsert import insert_or_ignore

_handings = tables.handings
_earlier = _handings.alias("earlier")

_NOW: BindParameter[datetime] = bindparam("now")
# Word for word the partial index's condition, so that what is done costs nothing.
_OPEN = text("handings.handed_at IS NULL AND handings.given_up_at IS NULL AND handings.withdrawn_at IS NULL")
_STILL_OPEN = and_(_earlier.c.handed_at.is_(None), _earlier.c.given_up_at.is_(None), _earlier.c.withdrawn_at.is_(None))
_BEHIND_ANOTHER = (
    select(_earlier.c.seq)
    .where(
        _earlier.c.work_id == _handings.c.work_id,
        _earlier.c.seq < _handings.c.seq,
        or_(_STILL_OPEN, _earlier.c.claimed_until > _NOW),
    )
    .exists()
)
_NEXT = (
    select(_handings)
    .where(
        _OPEN,
        _handings.c.due_at <= _NOW,
        or_(_handings.c.claimed_until.is_(None), _handings.c.claimed_until <= _NOW),
        ~_BEHIND_ANOTHER,
    )
    .order_by(_handings.c.due_at, _handings.c.seq)
    .limit(1)
)


def _handing(row: Row[Any]) -> Handing:
    return record(Handing, row, event=Event(row.event))


class Handings:
    """Events by their id."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def plan(self, handing: Handing) -> bool:
        """Remember that an event is to be told; False when it is known."""
        return await insert_or_ignore(self._connection, _handings, **values(handing))

    async def get(self, handing_id: str) -> Handing | None:
        row = (await self._connection.execute(select(_handings).where(_handings.c.id == handing_id))).first()
        return _handing(row) if row else None

    async def next(self, now: datetime) -> Handing | None:
        """What is due and attempted by nobody, the longest overdue first.

        The events of one work are told in their order: none while an earlier one is open or under way.
        """
        row = (await self._connection.execute(_NEXT, {"now": now})).first()
        return _handing(row) if row else None

    async def of_answer(self, answer_id: str) -> list[Handing]:
        """Everything planned about an answer, in order."""
        rows = await self._connection.execute(
            select(_handings).where(_handings.c.answer_id == answer_id).order_by(_handings.c.seq)
        )
        return [_handing(row) for row in rows]

    async def of_work(self, work_id: str) -> list[Handing]:
        """Everything planned about a work's answers, in order."""
        rows = await self._connection.execute(
            select(_handings).where(_handings.c.work_id == work_id).order_by(_handings.c.seq)
        )
        return [_handing(row) for row in rows]

    async def claim(self, handing: Handing, *, payload: str, at: datetime, until: datetime) -> int:
        """An attempt begins, which nobody else makes before `until`; returns its number, from 1."""
        attempt = handing.attempts + 1
        begun = {"payload": payload, "begun_at": handing.begun_at or at}
        await self._change(handing.id, **begun, attempts=attempt, claimed_until=until)
        return attempt

    async def put_off(self, handing_id: str, *, due_at: datetime) -> None:
        """Look at it again at a later time."""
        await self._change(handing_id, due_at=due_at)

    async def withdraw(self, handing_id: str, *, at: datetime) -> None:
        """It is not to be handed on any more; an attempt that is under way goes on."""
        await self._change(handing_id, withdrawn_at=at)

    async def accepted(self, handing_id: str, *, status: int, at: datetime) -> None:
        """The receiver has it."""
        await self._change(handing_id, handed_at=at, status=status, error=None, claimed_until=None)

    async def failed(
        self, handing_id: str, *, status: int | None, error: str, due_at: datetime, given_up_at: datetime | None = None
    ) -> None:
        """An attempt came to nothing: the next one is due then, or there is none."""
        ended = {"claimed_until": None, "due_at": due_at, "given_up_at": given_up_at}
        await self._change(handing_id, status=status, error=error[:200], **ended)

    async def _change(self, handing_id: str, **changes: Any) -> None:
        await self._connection.execute(update(_handings).where(_handings.c.id == handing_id).values(**changes))
