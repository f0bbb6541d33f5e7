"""Answers: what runs made and what people pointed at; never changed, never removed."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import tables
from storage.records import Answer, Lane
from storage.rows import record, values
from storage.upsert import insert_or_ignore

_answers = tables.answers

# Written once: putting a statement together takes longer than SQLite needs to do it.
_BY_ID = select(_answers).where(_answers.c.id == bindparam("answer"))
_OF_WORK = select(_answers).where(_answers.c.work_id == bindparam("work")).order_by(_answers.c.seq)
_HOW_MANY = select(func.count()).where(
    _answers.c.work_id == bindparam("work"), _answers.c.stage == bindparam("of_stage")
)


def _answer(row: Row[Any]) -> Answer:
    return record(Answer, row, lane=Lane(row.lane))


class Answers:
    """Answers by id and by work."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, answer: Answer) -> bool:
        """Remember an answer; False when its run has one already."""
        return await insert_or_ignore(self._connection, _answers, **values(answer))

    async def get(self, answer_id: str) -> Answer | None:
        row = (await self._connection.execute(_BY_ID, {"answer": answer_id})).first()
        return _answer(row) if row else None

    async def of_work(self, work_id: str) -> list[Answer]:
        """All answers of a work, oldest first."""
        rows = await self._connection.execute(_OF_WORK, {"work": work_id})
        return [_answer(row) for row in rows]

    async def next_number(self, work_id: str, stage: str) -> int:
        """The number the next answer of this stage gets in its thread: draft 1, draft 2, and so on."""
        count = await self._connection.execute(_HOW_MANY, {"work": work_id, "of_stage": stage})
        return int(count.scalar_one()) + 1
