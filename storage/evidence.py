"""What an audit lays side by side: texts, verdicts, runs and posted parts with what the ledger says of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from storage import tables
from storage.records import Kind, Raised, Review, Verdict, VerdictKind
from storage.rows import record

_answers, _ledger, _verdicts, _raises = tables.answers, tables.ledger, tables.verdicts, tables.raises
_runs, _contexts, _outbox, _reviews = tables.runs, tables.contexts, tables.outbox, tables.reviews
_ENTRY = tuple(_ledger.c[name].label(f"entry_{name}") for name in ("seq", "who", "what", "answer_id", "body"))


class Evidence:
    """Reads through whole tables; nothing of it is kept."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def texts(self) -> AsyncIterator[tuple[str, str, str]]:
        """Id, text and digest of every answer."""
        async for row in await self._connection.stream(select(_answers.c.id, _answers.c.text, _answers.c.sha256)):
            yield row.id, row.text, row.sha256

    async def about_answers(self) -> AsyncIterator[tuple[int, str, str, str, str | None]]:
        """Number, answer, kind and body of each entry about an answer, and the answer's digest, if it is there."""
        about = select(_ledger.c.seq, _ledger.c.answer_id, _ledger.c.what, _ledger.c.body, _answers.c.sha256)
        joined = about.outerjoin_from(_ledger, _answers, _answers.c.id == _ledger.c.answer_id)
        async for row in await self._connection.stream(joined.where(_ledger.c.answer_id.is_not(None))):
            yield row.seq, row.answer_id, row.what, row.body, row.sha256

    async def answered(self, kinds: Sequence[str]) -> AsyncIterator[Any]:
        """Number, kind, answer and body of each such entry, with what is kept of its run; None where that is gone.

        The columns: seq, what, answer_id, body; model, served_id, route; system, prompt, manifest; notes, stage, lane.
        """
        kept = (_runs.c.model, _runs.c.served_id, _runs.c.route)
        made = (_answers.c.notes, _answers.c.stage, _answers.c.lane)
        seen = (_contexts.c.system, _contexts.c.prompt, _contexts.c.manifest)
        found = (
            select(_ledger.c.seq, _ledger.c.what, _ledger.c.answer_id, _ledger.c.body, *kept, *seen, *made)
            .outerjoin_from(_ledger, _runs, _runs.c.id == _ledger.c.run_id)
            .outerjoin(_contexts, _contexts.c.run_id == _ledger.c.run_id)
            .outerjoin(_answers, _answers.c.id == _ledger.c.answer_id)
            .where(_ledger.c.what.in_(kinds))
        )
        async for row in await self._connection.stream(found.order_by(_ledger.c.seq)):
            yield row

    async def reviews(self, what: str) -> AsyncIterator[tuple[Review, str | None]]:
        """Every review, and the body of its entry of this kind; None where there is no such entry."""
        is_its_own = and_(_ledger.c.answer_id == _reviews.c.answer_id, _ledger.c.what == what)
        found = select(_reviews, _ledger.c.body.label("entry_body")).outerjoin_from(_reviews, _ledger, is_its_own)
        async for row in await self._connection.stream(found.order_by(_reviews.c.opened_at)):
            yield record(Review, row, authors=tuple(row.authors)), row.entry_body

    async def entries_without_review(self, what: str) -> AsyncIterator[tuple[int, str]]:
        """Number and answer of entries of this kind whose answer has no review."""
        lost = (
            select(_ledger.c.seq, _ledger.c.answer_id)
            .outerjoin_from(_ledger, _reviews, _reviews.c.answer_id == _ledger.c.answer_id)
            .where(_ledger.c.what == what, _reviews.c.answer_id.is_(None))
        )
        async for row in await self._connection.stream(lost.order_by(_ledger.c.seq)):
            yield row.seq, row.answer_id

    async def posted(self, kind: str) -> AsyncIterator[tuple[int, str, dict[str, Any], list[tuple[str, str]]]]:
        """Number, answer and evidence of each such verdict, with ts and digest of its answer's messages, in order."""
        is_part = and_(
            _outbox.c.answer_id == _verdicts.c.answer_id, _outbox.c.kind == Kind.ANSWER, _outbox.c.given_up.is_(None)
        )
        found = (
            select(_verdicts.c.seq, _verdicts.c.answer_id, _verdicts.c.evidence, _outbox.c.ts, _outbox.c.digest)
            .outerjoin_from(_verdicts, _outbox, is_part)
            .where(_verdicts.c.kind == kind)
            .order_by(_verdicts.c.seq, _outbox.c.seq)
        )
        last: tuple[int, str, dict[str, Any], list[tuple[str, str]]] | None = None
        async for row in await self._connection.stream(found):
            if last is None or last[0] != row.seq:
                if last is not None:
                    yield last
                last = (row.seq, row.answer_id, row.evidence, [])
            if row.ts is not None:
                last[3].append((row.ts, row.digest))
        if last is not None:
            yield last

    async def verdicts(self) -> AsyncIterator[tuple[Verdict, Any | None]]:
        """Every verdict, and its entry's number, who, what, answer and body; None where there is no such entry."""
        found = select(_verdicts, *_ENTRY).outerjoin_from(_verdicts, _ledger, _ledger.c.seq == _verdicts.c.ledger_seq)
        async for row in await self._connection.stream(found.order_by(_verdicts.c.seq)):
            yield record(Verdict, row, kind=VerdictKind(row.kind)), row if row.entry_seq is not None else None

    async def raises(self) -> AsyncIterator[tuple[Raised, Any | None]]:
        """Every raise of a limit, and its entry's number, who, what, answer and body; None where there is none."""
        found = select(_raises, *_ENTRY).outerjoin_from(_raises, _ledger, _ledger.c.seq == _raises.c.ledger_seq)
        async for row in await self._connection.stream(found.order_by(_raises.c.ledger_seq)):
            yield record(Raised, row), row if row.entry_seq is not None else None

    async def entries_without_raise(self, what: str) -> AsyncIterator[tuple[int, str]]:
        """Number and who of such entries that no raise names as its own."""
        lost = (
            select(_ledger.c.seq, _ledger.c.who)
            .outerjoin_from(_ledger, _raises, _raises.c.ledger_seq == _ledger.c.seq)
            .where(_ledger.c.what == what, _raises.c.work_id.is_(None))
        )
        async for row in await self._connection.stream(lost.order_by(_ledger.c.seq)):
            yield row.seq, row.who

    async def said_of_each(self) -> AsyncIterator[tuple[str, list[Verdict]]]:
        """Every answer that somebody spoke about, with all that was said, in order."""
        last: list[Verdict] = []
        found = select(_verdicts).order_by(_verdicts.c.answer_id, _verdicts.c.seq)
        async for row in await self._connection.stream(found):
            verdict = record(Verdict, row, kind=VerdictKind(row.kind))
            if last and last[0].answer_id != verdict.answer_id:
                yield last[0].answer_id, last
                last = []
            last.append(verdict)
        if last:
            yield last[0].answer_id, last

    async def announced(self, state: str) -> set[str]:
        """The answers of which a verdict's message says this state."""
        spoken = select(_outbox.c.answer_id, _outbox.c.body).where(_outbox.c.kind == Kind.VERDICT)
        return {
            row.answer_id
            async for row in await self._connection.stream(spoken)
            if row.answer_id is not None and row.body.get("facts", {}).get("state") == state
        }

    async def entries_without_verdict(self, kinds: Sequence[str]) -> AsyncIterator[tuple[int, str, str]]:
        """Number, who and what of entries of these kinds that no verdict names as its own."""
        lost = (
            select(_ledger.c.seq, _ledger.c.who, _ledger.c.what)
            .outerjoin_from(_ledger, _verdicts, _verdicts.c.ledger_seq == _ledger.c.seq)
            .where(_ledger.c.what.in_(kinds), _verdicts.c.seq.is_(None))
        )
        async for row in await self._connection.stream(lost.order_by(_ledger.c.seq)):
            yield row.seq, row.who, row.what
