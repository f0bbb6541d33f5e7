"""Handing approvals on to a receiver outside: planned with the verdict, after a grace; then tried until accepted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from handlers import handed_on
from handlers.case import Case, entry_about, has_words_to_be_judged, load_case
from handlers.handed_on import WAITS, Outcome, Reply, outcome_of
from handlers.judge import ReviewState
from handlers.ports import Clock
from handlers.request import owed
from handlers.stack import Stack
from handlers.words import Body
from storage.crashpoints import crashpoint
from storage.database import Database, Saved
from storage.records import Event, Handing, Kind, Verdict

GRACE = timedelta(seconds=10)
"""So long an approval can be taken back before it is handed on."""
LEASE = timedelta(seconds=60)
"""So long an attempt may take, its outcome's writing included, before somebody else makes the next."""
_A_MOMENT = timedelta(seconds=2)


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """What is to be sent now. `id` and `payload` are the same at every attempt; `number` counts them from 1."""

    id: str
    event: Event
    payload: str
    number: int


# With the verdicts


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
    await _say(case, told, handed_on.taken_back_too_late(case, last), saved, now=now)


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


# Attempts


async def next_attempt(*, storage: Database, stack: Stack, now: Clock) -> Attempt | None:
    """Begin what is due, if anything is; nobody else does so meanwhile. From here on it counts as handed on."""
    while True:
        async with storage.reading() as saved:
            if await saved.handings.next(now()) is None:
                return None
        async with storage.transaction() as saved:
            handing = await saved.handings.next(now())
            attempt = None if handing is None else await _begin(handing, saved, stack, now=now)
        if attempt is not None:
            crashpoint("cp23")
            return attempt


async def _begin(handing: Handing, saved: Saved, stack: Stack, *, now: Clock) -> Attempt | None:
    """None if it is not to be handed on any more, or not yet."""
    case, at = await load_case(handing.answer_id, saved), now()
    assert case is not None, "reviews are never removed"
    if handing.event is Event.GRANTED:
        if case.state(stack.review, at) is not ReviewState.APPROVED:
            await saved.handings.withdraw(handing.id, at=at)
            return None
        if handing.attempts == 0 and await has_words_to_be_judged(case, saved):  # they may take the approval away
            await saved.handings.put_off(handing.id, due_at=at + _A_MOMENT)
            return None
    payload = handing.payload or handed_on.granted(handing, case)
    number = await saved.handings.claim(handing, payload=payload, at=at, until=at + LEASE)
    return Attempt(id=handing.id, event=handing.event, payload=payload, number=number)


async def settle(attempt: Attempt, reply: Reply, *, to: str, storage: Database, now: Clock) -> Outcome:
    """Remember what came of an attempt. `to`: the receiver's host, for the ledger."""
    outcome = outcome_of(reply, attempt.number)
    async with storage.transaction() as saved:
        handing = await saved.handings.get(attempt.id)
        assert handing is not None, "what was planned is never removed"
        if outcome is Outcome.ACCEPTED:
            await _accepted(handing, reply, to, saved, now=now)
        elif handing.attempts == attempt.number:  # else somebody else is at it
            await _failed(handing, outcome, reply, saved, now=now)
    return outcome


async def _accepted(handing: Handing, reply: Reply, to: str, saved: Saved, *, now: Clock) -> None:
    if handing.handed_at is not None or reply.status is None:
        return
    at = now()
    await saved.handings.accepted(handing.id, status=reply.status, at=at)
    case = await load_case(handing.answer_id, saved)
    assert case is not None, "reviews are never removed"
    what = "handed_on" if handing.event is Event.GRANTED else "withdrawal_handed_on"
    facts = {"sha256": case.answer.sha256, "webhook_id": handing.id, "to": to, "attempts": handing.attempts}
    await saved.ledger.append(entry_about(case, "countersign", what, at, facts))


async def _failed(handing: Handing, outcome: Outcome, reply: Reply, saved: Saved, *, now: Clock) -> None:
    at, is_over = now(), outcome is not Outcome.AGAIN and handing.is_open
    again = at if outcome is not Outcome.AGAIN else at + WAITS[handing.attempts - 1]
    await saved.handings.failed(
        handing.id, status=reply.status, error=reply.told, due_at=again, given_up_at=at if is_over else None
    )
    if is_over:
        case = await load_case(handing.answer_id, saved)
        assert case is not None, "reviews are never removed"
        waited = at - (handing.begun_at or at)
        await _say(case, handing, handed_on.never_handed_on(case, handing, outcome, reply, waited), saved, now=now)


async def _say(case: Case, handing: Handing, body: Body, saved: Saved, *, now: Clock) -> None:
    """Once for each thing there is to say about a handing."""
    run = await saved.runs.get(case.review.run_id)
    what = "given_up" if handing.attempts else "taken_back"
    slot = f"{case.review.run_id}/{what}/{handing.id}"
    await saved.outbox.plan(owed(case.work, run, Kind.NOTICE, slot, body, now=now, answer=case.answer))
