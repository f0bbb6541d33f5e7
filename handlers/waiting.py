"""Reviews that wait: reminders, then the backup reviewers, then the end of their time, which is neither yes nor no.

Whoever looks finds in the tables what is due, so that each reminder and each expiry is told once, however many
processes look, and after any time in which nobody did.
"""

from __future__ import annotations

from datetime import timedelta

from handlers import messages
from handlers.case import Case, entry_about, has_words_to_be_judged, load_case, may_decide, show_state
from handlers.judge import OPEN, ReviewState, approvers
from handlers.ports import Clock
from handlers.request import owed
from handlers.stack import Stack
from storage.database import Database, Saved
from storage.records import Kind, Review

_AT_ONCE = 100
_LONGEST_PAUSE = timedelta(days=1)
_A_MOMENT = timedelta(minutes=1)


async def look_at_what_waits(*, storage: Database, stack: Stack, now: Clock) -> int:
    """Do all that is due about reviews. Returns how many reminders and expiries were told."""
    told = 0
    while True:
        async with storage.reading() as saved:
            if not await saved.reviews.due(now(), limit=1):
                return told
        async with storage.transaction() as saved:
            for review in await saved.reviews.due(now(), limit=_AT_ONCE):
                told += await _look_at(review, saved, stack, now=now)


async def _look_at(review: Review, saved: Saved, stack: Stack, *, now: Clock) -> bool:
    """One review whose time has come: what it needs now, and when it is looked at next. True if somebody was told."""
    case, at = await load_case(review.answer_id, saved), now()
    assert case is not None, "reviews and answers are never removed"
    state, rules = case.state(stack.review, at), stack.review
    if state is ReviewState.EXPIRED and await has_words_to_be_judged(case, saved):  # they may have been said in time
        await saved.reviews.look_again(review.answer_id, at=at + _A_MOMENT, reminded=review.reminded)
        return False
    if state is ReviewState.EXPIRED:
        await _expire(case, saved, stack, now=now)
        await saved.reviews.look_again(review.answer_id, at=None, reminded=review.reminded)
        return True
    if state is ReviewState.SUPERSEDED or case.is_late(at):
        await saved.reviews.look_again(review.answer_id, at=None, reminded=review.reminded)
        return False
    reminded, opens = review.reminded, rules.at_work(at)
    is_due = state in OPEN and opens == at and bool(rules.remind_after)
    if is_due:
        reminded += 1
        await _remind(case, reminded, saved, stack, now=now)
    again = opens if opens > at else rules.at_work(at + _pause(rules.remind_after or _LONGEST_PAUSE, reminded))
    await saved.reviews.look_again(review.answer_id, at=min(again, review.expires_at or again), reminded=reminded)
    return is_due


def _pause(first: timedelta, reminded: int) -> timedelta:
    """Until the next reminder: each time twice as long, up to a day, but never shorter than the first."""
    doubled: timedelta = first * (1 << min(reminded, 20))
    return max(first, min(_LONGEST_PAUSE, doubled))


async def _remind(case: Case, number: int, saved: Saved, stack: Stack, *, now: Clock) -> None:
    """Tell those who can decide that they are waited for; from the second time on, the backup reviewers too."""
    at = now()
    before, after = may_decide(case, stack), may_decide(case.reminded(number), stack)
    fresh = [person for person in after if person not in before]
    given = approvers(case.said)
    wanted = [
        person for person in after if person not in given and (stack.review.solo or person not in case.review.authors)
    ]
    body = messages.still_waiting(
        case.answer,
        wanted=wanted,
        fresh=fresh,
        waited=(at - case.review.opened_at).total_seconds(),
        approve=stack.review.approve,
        send_back=stack.review.send_back,
    )
    run = await saved.runs.get(case.review.run_id)
    slot = f"{case.review.run_id}/reminder/{number}"
    await saved.outbox.plan(owed(case.work, run, Kind.NOTICE, slot, body, now=now, answer=case.answer))
    if fresh:
        await show_state(case.reminded(number), case.state(stack.review, at), saved, stack)
        await saved.ledger.append(entry_about(case, "countersign", "escalated", at, {"backup_reviewers": fresh}))


async def _expire(case: Case, saved: Saved, stack: Stack, *, now: Clock) -> None:
    at, opened = now(), case.review.opened_at
    assert case.review.expires_at is not None
    run = await saved.runs.get(case.review.run_id)
    body = messages.expired(case.answer, (case.review.expires_at - opened).total_seconds())
    slot = f"{case.review.run_id}/expired"
    if await saved.outbox.plan(owed(case.work, run, Kind.VERDICT, slot, body, now=now, answer=case.answer)):
        await show_state(case, ReviewState.EXPIRED, saved, stack)
        facts = {"sha256": case.answer.sha256, "expired_at": case.review.expires_at.isoformat()}
        await saved.ledger.append(entry_about(case, "countersign", "expired", at, facts))
