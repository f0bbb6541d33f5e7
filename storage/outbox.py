"""What we say: planned before it is sent, revised until it is shown, found again by its slot."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, bindparam, func, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import tables
from storage.errands import Errand, Errands, Subject
from storage.records import Kind, Message
from storage.rows import record, values
from storage.upsert import insert_or_ignore

_outbox = tables.outbox

# Written once, for each message asks them: putting a statement together takes longer than SQLite needs to do it.
_IS_OWED = (_outbox.c.shown < _outbox.c.revision, _outbox.c.given_up.is_(None))
# No bare column: SQLite would go through all that was ever sent by the index of works, for their order.
_OF_WORK: ColumnElement[str] = literal_column("outbox.work_id || ''")
_WORKS_OWING = (
    select(_OF_WORK.label("work_id"))
    .where(*_IS_OWED)
    .group_by(_OF_WORK)
    .order_by(func.min(_outbox.c.seq))
    .limit(bindparam("most"))
)
_BY_CHANNEL = (
    select(
        _OF_WORK.label("work_id"),
        func.min(_outbox.c.seq).label("since"),
        func.row_number().over(partition_by=_outbox.c.channel, order_by=func.min(_outbox.c.seq)).label("place"),
    )
    .where(*_IS_OWED)
    .group_by(_OF_WORK, _outbox.c.channel)
    .subquery()
)
_WORKS_OWING_FAIRLY = (
    select(_BY_CHANNEL.c.work_id)
    .where(_BY_CHANNEL.c.place <= bindparam("each"))
    .order_by(_BY_CHANNEL.c.place, _BY_CHANNEL.c.since)
    .limit(bindparam("most"))
)
_BY_SLOT = select(_outbox).where(_outbox.c.slot == bindparam("of_slot"))
_OF_ANSWER = select(_outbox).where(_outbox.c.answer_id == bindparam("answer")).order_by(_outbox.c.seq)
_ALL_OF_WORK = select(_outbox).where(_outbox.c.work_id == bindparam("work")).order_by(_outbox.c.seq)
_AT_PLACE = select(_outbox).where(_outbox.c.channel == bindparam("in_channel"), _outbox.c.ts == bindparam("at_ts"))
_CHANGE = update(_outbox).where(_outbox.c.slot == bindparam("of_slot"))
_REVISE = _CHANGE.values(body=bindparam("new_body"), revision=_outbox.c.revision + 1).returning(_outbox.c.work_id)
_OWED_TO = select(_outbox).where(_outbox.c.work_id == bindparam("work"), *_IS_OWED).order_by(_outbox.c.seq)


def _message(row: Row[Any]) -> Message:
    return record(Message, row, kind=Kind(row.kind))


class Outbox:
    """Messages by slot, by work, by their place in Slack."""

    def __init__(self, connection: AsyncConnection, errands: Errands) -> None:
        self._connection = connection
        self._errands = errands

    async def plan(self, message: Message) -> bool:
        """Owe a message; False when its slot is taken, so that nothing is ever said twice."""
        self._errands[Errand(Subject.LANE, message.work_id)] = None
        return await insert_or_ignore(self._connection, _outbox, **values(message))

    async def revise(self, slot: str, body: dict[str, Any]) -> None:
        """Change what a slot should show; if it was never sent, only the newest body ever is."""
        for row in await self._connection.execute(_REVISE, {"of_slot": slot, "new_body": body}):
            self._errands[Errand(Subject.LANE, row.work_id)] = None

    async def owed(self, *, without: Collection[str] = (), limit: int = 200) -> list[Message]:
        """Messages Slack does not show yet, or not in their newest form, oldest first; `without` names works."""
        owed = select(_outbox).where(*_IS_OWED)
        if without:
            owed = owed.where(_outbox.c.work_id.not_in(list(without)))
        return [_message(row) for row in await self._connection.execute(owed.order_by(_outbox.c.seq).limit(limit))]

    async def works_owing(
        self, *, without: Collection[str] = (), limit: int = 200, each: int | None = None
    ) -> list[str]:
        """Ids of works that owe messages, the longest waiting first; `without` names works.

        With `each`, at most so many of a channel (those of `without` count), and the channels take turns.
        """
        most = limit + len(without)  # filtered here: a list of a thousand names makes a slow query
        if each is None:
            found = (await self._connection.execute(_WORKS_OWING, {"most": most})).scalars()
        else:
            found = (await self._connection.execute(_WORKS_OWING_FAIRLY, {"most": most, "each": each})).scalars()
        return [work_id for work_id in found if work_id not in without][:limit]

    async def owed_to(self, work_id: str) -> list[Message]:
        """What one work still owes its thread, oldest first."""
        rows = await self._connection.execute(_OWED_TO, {"work": work_id})
        return [_message(row) for row in rows]

    async def sent(self, slot: str, *, shown: int, ts: str | None, digest: str | None, at: datetime) -> None:
        """Slack shows this revision now, at this place, in this form."""
        seen = {"shown": shown, "ts": ts, "digest": digest, "sent_at": at}
        await self._connection.execute(_CHANGE, {"of_slot": slot, **seen})

    async def give_up(self, slot: str, why: str) -> None:
        """Slack will never take this message."""
        await self._connection.execute(_CHANGE, {"of_slot": slot, "given_up": why})

    async def owe_again(self, slot: str) -> bool:
        """Owe once more what Slack did not take, as a new revision; False where it was not given up."""
        again = _CHANGE.where(_outbox.c.given_up.is_not(None)).values(given_up=None, revision=_outbox.c.revision + 1)
        rows = await self._connection.execute(again.returning(_outbox.c.work_id), {"of_slot": slot})
        owing = list(rows.scalars())
        for work_id in owing:
            self._errands[Errand(Subject.LANE, work_id)] = None
        return bool(owing)

    async def get(self, slot: str) -> Message | None:
        row = (await self._connection.execute(_BY_SLOT, {"of_slot": slot})).first()
        return _message(row) if row else None

    async def posted_as(self, channel: str, ts: str) -> Message | None:
        """The message of ours that stands at this place."""
        found = await self._connection.execute(_AT_PLACE, {"in_channel": channel, "at_ts": ts})
        row = found.first()
        return _message(row) if row else None

    async def owes_root(self, channel: str, *, before: datetime) -> bool:
        """Whether a root planned before a moment may stand in this channel without our knowing where."""
        owed = select(_outbox.c.seq).where(*_IS_OWED, _outbox.c.kind == Kind.ROOT, _outbox.c.ts.is_(None))
        owed = owed.where(_outbox.c.channel == channel, _outbox.c.planned_at <= before)
        return (await self._connection.execute(owed.limit(1))).first() is not None

    async def of_answer(self, answer_id: str) -> list[Message]:
        """The messages that show an answer, in order."""
        rows = await self._connection.execute(_OF_ANSWER, {"answer": answer_id})
        return [_message(row) for row in rows]

    async def of_work(self, work_id: str) -> list[Message]:
        rows = await self._connection.execute(_ALL_OF_WORK, {"work": work_id})
        return [_message(row) for row in rows]
