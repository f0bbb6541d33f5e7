"""Attempts to hand an approval on: one after the other, by one process at a time, until it is accepted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from handlers import handed_on
from handlers.case import Case, entry_about, has_words_to_be_judged, load_case
from handlers.handed_on import WAITS, Outcome, Reply, outcome_of
from handlers.handing import GRACE, say
from handlers.judge import ReviewState, approvers
from handlers.ports import Clock, LookupFailed, Slack
from handlers.recheck import lapsed, lapses, read_back
from handlers.stack import Stack
from handlers.verdicts import remember
from storage.crashpoints import crashpoint
from storage.database import Database, Saved
from storage.records import Event, Handing

LEASE = timedelta(seconds=60)
"""So long an attempt may take, its outcome's writing included, before somebody else makes the next."""
_A_MOMENT = timedelta(seconds=2)
_ASKED_AGAIN = timedelta(seconds=15)
_A_WAIT_IS_TOLD = timedelta(seconds=60)


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """What is to be sent now. `id` and `payload` are the same at every attempt; `number` counts them from 1."""

    id: str
    event: Event
    payload: str
    number: int


@dataclass(frozen=True, kw_only=True, slots=True)
class _Looked:
    """An approval that is due, with what came of looking at it again.

    Attributes:
        gone: whose approval does not count any more, and why.
        is_unknown: Slack does not say.
    """

    handing: Handing
    verdicts: int
    gone: Mapping[str, str] = field(default_factory=dict)
    is_unknown: bool = False


async def next_attempt(*, storage: Database, slack: Slack, stack: Stack, now: Clock) -> Attempt | None:
    """Begin what is due, if anything is; nobody else does so meanwhile. From here on it counts as handed on.

    Before the first attempt, the people who approved and the text in its thread are looked at once more.
    """
    while True:
        async with storage.reading() as saved:
            handing = await saved.handings.next(now())
            case = await load_case(handing.answer_id, saved) if handing else None
        if handing is None:
            return None
        assert case is not None, "reviews are never removed"
        looked = await _look_again(handing, case, storage=storage, slack=slack, stack=stack, now=now)
        async with storage.transaction() as saved:
            handing = await saved.handings.next(now())
            attempt = await _begin(handing, looked, saved, stack, now=now) if handing == looked.handing else None
        if attempt is not None:
            crashpoint("cp23")
            return attempt


async def _look_again(
    handing: Handing, case: Case, *, storage: Database, slack: Slack, stack: Stack, now: Clock
) -> _Looked:
    """Whether an approval that is to be handed on still is one."""
    looked = _Looked(handing=handing, verdicts=len(case.verdicts))
    is_first = handing.event is Event.GRANTED and handing.attempts == 0
    if not is_first or case.state(stack.review, now()) is not ReviewState.APPROVED:
        return looked
    try:
        posted = await read_back(case, storage=storage, slack=slack, now=now)
        if posted.told:  # nobody's approval is of what stands there now
            return replace(looked, gone=dict.fromkeys(approvers(case.said), posted.told))
        left = await lapsed(case, now(), besides=None, slack=slack, stack=stack)
    except LookupFailed:
        return replace(looked, is_unknown=True)
    return replace(looked, gone={person: str(why) for person, why in left.items()})


async def _begin(handing: Handing, looked: _Looked, saved: Saved, stack: Stack, *, now: Clock) -> Attempt | None:
    """None if it is not to be handed on any more, or not yet, or is to be looked at again."""
    case, at = await load_case(handing.answer_id, saved), now()
    assert case is not None, "reviews are never removed"
    if handing.event is Event.GRANTED:
        if len(case.verdicts) != looked.verdicts:
            return None
        if looked.gone:
            case = await remember(lapses(case, looked.gone, handing.id), case, saved, stack, now=now)
        if case.state(stack.review, at) is not ReviewState.APPROVED:
            await saved.handings.withdraw(handing.id, at=at)
            return None
        if looked.is_unknown:
            await _wait_for_slack(handing, case, saved, now=now)
            return None
        if handing.attempts == 0 and await has_words_to_be_judged(case, saved):  # they may take the approval away
            await saved.handings.put_off(handing.id, due_at=at + _A_MOMENT)
            return None
    payload = handing.payload or handed_on.granted(handing, case)
    if handing.event is Event.GRANTED and not handed_on.is_of(payload, case.answer):
        await saved.handings.withdraw(handing.id, at=at)
        await say(case, handing, "another_text", handed_on.another_text(case), saved, now=now)
        return None
    number = await saved.handings.claim(handing, payload=payload, at=at, until=at + LEASE)
    return Attempt(id=handing.id, event=handing.event, payload=payload, number=number)


async def _wait_for_slack(handing: Handing, case: Case, saved: Saved, *, now: Clock) -> None:
    """Slack does not say whether the approval still stands: not yet, and after a minute the thread hears why."""
    at = now()
    await saved.handings.put_off(handing.id, due_at=at + _ASKED_AGAIN)
    if at - handing.planned_at > GRACE + _A_WAIT_IS_TOLD:
        await say(case, handing, "waits", handed_on.waits_for_slack(case), saved, now=now)


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
        told = handed_on.never_handed_on(case, handing, outcome, reply, waited)
        await say(case, handing, "given_up", told, saved, now=now)
