"""Handing approvals on to a receiver outside: planned with the verdict, for after a grace, or taken back with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from handlers import handed_on
from handlers.case import Case
from handlers.judge import ReviewState
from handlers.ports import Clock
from handlers.request import owed
from handlers.stack import Stack
from handlers.words import Body
from storage.database import Saved
from storage.records import Event, Handing, Kind, Verdict

GRACE = timedelta(seconds=10)
"""So long an approval can be taken back before it is handed on."""


async def follow(
    said: Sequence[Verdict], was: Case, case: Case, head: str, saved: Saved, stack: Stack, *, now: Clock
) -> None:
    """Plan to hand an approval on, or see to it that one which does not stand any more is not, or is taken back.

    A newer final does not take back what was handed on: it is replaced when the newer one is approved.
    """
    at = now()
    stood = _in_itself(was).state(stack.review, at) is ReviewState.APPROVED
    stands = _in_itself(case).state(stack.review, at) is ReviewState.APPROVED
    if stood and not stands:
        await _take_back(said, case, head, saved, stack, now=now)
    elif stands and not stood and stack.review.webhook_url is not None:
        planned = _planned(Event.GRANTED, case, head, now=now)
        await saved.handings.plan(replace(planned, due_at=at + GRACE))


def _in_itself(case: Case) -> Case:
    """Whatever newer texts there are."""
    return replace(case, superseded=False)


async def _take_back(said: Sequence[Verdict], case: Case, head: str, saved: Saved, stack: Stack, *, now: Clock) -> None:
    grants = [one for one in await saved.handings.of_answer(case.answer.id) if one.event is Event.GRANTED]
    if not grants or grants[-1].withdrawn_at is not None:
        return
    last, at = grants[-1], now()
    await saved.handings.withdraw(last.id, at=at)
    if last.attempts == 0:
        return
    told = _planned(Event.WITHDRAWN, case, head, now=now)
    payload = handed_on.withdrawn(told, case, case.state(stack.review, at), last, said)
    await saved.handings.plan(replace(told, payload=payload))
    await say(case, told, "taken_back", handed_on.taken_back_too_late(case, last), saved, now=now)


def _planned(event: Event, case: Case, head: str, *, now: Clock) -> Handing:
    """Due at once. Its id follows from the ledger's entry, so that it is known wherever that is."""
    word = "approval" if event is Event.GRANTED else "withdrawal"
    return Handing(
        id=f"{word}_{head[:32]}",
        event=event,
        work_id=case.work.id,
        run_id=case.review.run_id,
        answer_id=case.answer.id,
        head=head,
        planned_at=now(),
        due_at=now(),
    )


async def say(case: Case, handing: Handing, what: str, body: Body, saved: Saved, *, now: Clock) -> None:
    """Once for each thing there is to say about a handing."""
    run = await saved.runs.get(case.review.run_id)
    slot = f"{case.review.run_id}/{what}/{handing.id}"
    await saved.outbox.plan(owed(case.work, run, Kind.NOTICE, slot, body, now=now, answer=case.answer))
