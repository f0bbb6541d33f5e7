"""What came in: kept before it is acknowledged, handled once, in order within its line."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, bindparam, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import tables
from storage.errands import Errand, Errands, Subject
from storage.records import Letter
from storage.rows import record
from storage.upsert import insert_or_ignore

_inbox = tables.inbox
_AHEAD = timedelta(minutes=1)
"""What came in so much later than now came in before the clock was set back; nothing is put off for longer."""

_earlier = _inbox.alias("earlier")
_BLOCKED = (
    select(_earlier.c.seq)
    .where(_earlier.c.line == _inbox.c.line, _earlier.c.handled_at.is_(None), _earlier.c.seq < _inbox.c.seq)
    .exists()
)
# Written once: putting a statement together takes longer than SQLite needs to do it. The first unhandled of each line:
_HEADS = select(_inbox).where(_inbox.c.handled_at.is_(None), ~_BLOCKED)
_IS_DUE = or_(
    _inbox.c.due_at <= bindparam("now"),
    _inbox.c.due_at == _inbox.c.received_at,
    and_(_inbox.c.received_at > bindparam("ahead"), _inbox.c.due_at > _inbox.c.received_at),
)
_DUE = _HEADS.where(_IS_DUE).order_by(_inbox.c.seq).limit(bindparam("most"))
_BY_KEY = select(_inbox).where(_inbox.c.key == bindparam("letter"))
_FIRST_OF_LINE = (
    select(_inbox)
    .where(_inbox.c.line == bindparam("of_line"), _inbox.c.handled_at.is_(None))
    .order_by(_inbox.c.seq)
    .limit(1)
)
_HANDLED = update(_inbox).where(_inbox.c.key == bindparam("letter"), _inbox.c.handled_at.is_(None))
_NEXT_DUE = (
    select(_inbox.c.line, _inbox.c.due_at)
    .where(_inbox.c.handled_at.is_(None), ~_BLOCKED)
    .order_by(_inbox.c.due_at)
    .limit(bindparam("most"))
)


class Inbox:
    """Letters by their unique key."""

    def __init__(self, connection: AsyncConnection, errands: Errands) -> None:
        self._connection = connection
        self._errands = errands

    async def put(self, letter: Letter) -> bool:
        """Keep a letter; False when its key is known, so that a repeat changes nothing."""
        self._errands[Errand(Subject.LINE, letter.line)] = None
        return await insert_or_ignore(
            self._connection,
            _inbox,
            key=letter.key,
            kind=letter.kind,
            line=letter.line,
            body=letter.body,
            received_at=letter.received_at,
            due_at=letter.due_at or letter.received_at,
            tries=0,
        )

    async def head(self, line: str, now: datetime) -> Letter | None:
        """The first unhandled letter of a line, if it is due; one never put off is, whatever the clock says."""
        row = (await self._connection.execute(_FIRST_OF_LINE, {"of_line": line})).first()
        is_due = row is not None and (row.due_at <= now or row.due_at == row.received_at)
        return record(Letter, row) if row and is_due else None

    async def heads(self, now: datetime, *, without: Collection[str] = (), limit: int = 100) -> list[Letter]:
        """The first unhandled letter of each line that is due, but for the lines being handled.

        One never put off is due whatever the clock says, and one put off before the clock was set back.
        """
        asked = {"now": now, "ahead": now + _AHEAD, "most": limit + len(without)}
        rows = await self._connection.execute(_DUE, asked)
        return [record(Letter, row) for row in rows if row.line not in without][:limit]

    async def next_due(self, *, without: Collection[str] = ()) -> datetime | None:
        """When the earliest letter that could be handled wants to be looked at; None if none waits."""
        rows = await self._connection.execute(_NEXT_DUE, {"most": 1 + len(without)})
        return next((row.due_at for row in rows if row.line not in without), None)

    async def get(self, key: str) -> Letter | None:
        row = (await self._connection.execute(_BY_KEY, {"letter": key})).first()
        return record(Letter, row) if row else None

    async def handled_in_line(self, line: str) -> list[Letter]:
        """What was handled in a line, in order."""
        rows = await self._connection.execute(
            select(_inbox).where(_inbox.c.line == line, _inbox.c.handled_at.is_not(None)).order_by(_inbox.c.seq)
        )
        return [record(Letter, row) for row in rows]

    async def in_line(self, line: str) -> list[Letter]:
        """All that came in for a line and is still remembered, in order."""
        rows = await self._connection.execute(select(_inbox).where(_inbox.c.line == line).order_by(_inbox.c.seq))
        return [record(Letter, row) for row in rows]

    async def waiting_in(self, lines: Collection[str]) -> list[Letter]:
        """The letters of these lines that are not handled yet, in order."""
        waiting = select(_inbox).where(_inbox.c.line.in_(lines), _inbox.c.handled_at.is_(None)).order_by(_inbox.c.seq)
        return [record(Letter, row) for row in await self._connection.execute(waiting)]

    async def last_received(self) -> datetime | None:
        """When anything came in last."""
        found: datetime | None = (await self._connection.execute(select(func.max(_inbox.c.received_at)))).scalar()
        return found

    async def handled(self, key: str, *, at: datetime, outcome: str, body: dict[str, Any] | None = None) -> bool:
        """Mark a letter as handled; False when somebody did so before."""
        changes: dict[str, Any] = {"handled_at": at, "outcome": outcome}
        if body is not None:
            changes["body"] = body
        done = await self._connection.execute(_HANDLED, {"letter": key, **changes})
        return done.rowcount == 1

    async def forget(self, *, before: datetime, limit: int = 1_000) -> int:
        """Drop the oldest letters handled before a moment; return how many. Redeliveries come in minutes, not weeks.

        At most `limit` at once, so that no writer waits for long: ask again, in another transaction, until it is fewer.
        """
        old = select(_inbox.c.seq).where(_inbox.c.handled_at < before).order_by(_inbox.c.seq).limit(limit)
        done = await self._connection.execute(delete(_inbox).where(_inbox.c.seq.in_(old)))
        return done.rowcount

    async def later(self, letter: Letter, *, due_at: datetime) -> None:
        """Look at a letter again at a later time."""
        self._errands[Errand(Subject.LINE, letter.line, due_at)] = None
        await self._connection.execute(
            update(_inbox).where(_inbox.c.key == letter.key).values(due_at=due_at, tries=_inbox.c.tries + 1)
        )

    async def waiting(self, *, before: datetime) -> list[str]:
        """Lines with a letter that has been due since before a moment."""
        overdue = select(_inbox.c.line).where(_inbox.c.handled_at.is_(None), _inbox.c.due_at < before).distinct()
        return list((await self._connection.execute(overdue.order_by(_inbox.c.line))).scalars())
