"""Reviews and their verdicts: what happened; what follows from it is worked out by the handlers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import tables
from storage.records import Review, Verdict, VerdictKind
from storage.rows import record, values
from storage.upsert import insert_or_ignore

_reviews, _verdicts, _works = tables.reviews, tables.verdicts, tables.works

# Written once: putting a statement together takes longer than SQLite needs to do it.
_OF_ANSWER = select(_reviews).where(_reviews.c.answer_id == bindparam("answer"))
_OF_WORK = select(_reviews).where(_reviews.c.work_id == bindparam("work")).order_by(_reviews.c.opened_at)
_SAID = select(_verdicts).where(_verdicts.c.answer_id == bindparam("answer")).order_by(_verdicts.c.seq)


def _review(row: Row[Any]) -> Review:
    return record(Review, row, authors=tuple(row.authors))


def _verdict(row: Row[Any]) -> Verdict:
    return record(Verdict, row, kind=VerdictKind(row.kind))


class Reviews:
    """Reviews by the answer they are about."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def open(self, review: Review) -> bool:
        return await insert_or_ignore(self._connection, _reviews, **{**values(review), "authors": list(review.authors)})

    async def get(self, answer_id: str) -> Review | None:
        row = (await self._connection.execute(_OF_ANSWER, {"answer": answer_id})).first()
        return _review(row) if row else None

    async def of_work(self, work_id: str) -> list[Review]:
        rows = await self._connection.execute(_OF_WORK, {"work": work_id})
        return [_review(row) for row in rows]

    async def opened_since(self, at: datetime) -> list[Review]:
        """The reviews opened since a moment, the newest first."""
        rows = await self._connection.execute(
            select(_reviews).where(_reviews.c.opened_at >= at).order_by(_reviews.c.opened_at.desc())
        )
        return [_review(row) for row in rows]

    async def due(self, now: datetime, *, limit: int) -> list[Review]:
        """The reviews that somebody should look at by now, the longest overdue first."""
        due = select(_reviews).where(_reviews.c.remind_at <= now).order_by(_reviews.c.remind_at).limit(limit)
        return [_review(row) for row in await self._connection.execute(due)]

    async def looked_after(self) -> list[Review]:
        """The reviews that are looked at again some time: those neither superseded nor expired."""
        rows = await self._connection.execute(
            select(_reviews).where(_reviews.c.remind_at.is_not(None)).order_by(_reviews.c.opened_at)
        )
        return [_review(row) for row in rows]

    async def look_again(self, answer_id: str, *, at: datetime | None, reminded: int) -> None:
        """When a review is looked at next, if ever, and how often its reviewers were reminded."""
        await self._connection.execute(
            update(_reviews).where(_reviews.c.answer_id == answer_id).values(remind_at=at, reminded=reminded)
        )

    async def wanting_reasons(self) -> list[Review]:
        """The reviews whose sender-back still owes a reason."""
        rows = await self._connection.execute(select(_reviews).where(_reviews.c.reason_wanted_from.is_not(None)))
        return [_review(row) for row in rows]

    async def give(self, verdict: Verdict) -> bool:
        """Remember a verdict; False when this delivery gave it already."""
        return await insert_or_ignore(self._connection, _verdicts, **values(verdict))

    async def verdicts(self, answer_id: str) -> list[Verdict]:
        """Everything said about an answer, in order."""
        rows = await self._connection.execute(_SAID, {"answer": answer_id})
        return [_verdict(row) for row in rows]

    async def want_reason(self, answer_id: str, person: str | None) -> None:
        """Somebody who sent a text back is asked why; None when the reason has come."""
        await self._connection.execute(
            update(_reviews).where(_reviews.c.answer_id == answer_id).values(reason_wanted_from=person)
        )

    async def waiting_for_reason(self, team: str, channel: str, thread_ts: str, person: str) -> Review | None:
        """The review in this thread whose sender-back still owes a reason, if it is this person."""
        rows = await self._connection.execute(
            select(_reviews)
            .join(_works, _works.c.id == _reviews.c.work_id)
            .where(
                _works.c.team == team,
                _works.c.channel == channel,
                _works.c.thread_ts == thread_ts,
                _reviews.c.reason_wanted_from == person,
            )
            .order_by(_reviews.c.opened_at.desc())
            .limit(1)
        )
        row = rows.first()
        return _review(row) if row else None
