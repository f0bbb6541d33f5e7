"""A message of a review was deleted, as Slack lets admins do: what that means for the text is said in its thread."""

from __future__ import annotations

from handlers import messages
from handlers.case import Case, load_case
from handlers.figures import short
from handlers.incoming import Deletion
from handlers.judge import OPEN, ReviewState, approvers
from handlers.ports import Clock, Slack
from handlers.recheck import NotYet, lapses, read_back
from handlers.request import owed
from handlers.stack import Stack
from handlers.verdicts import remember
from storage.database import Database, Saved
from storage.records import Event, Kind


async def somebody_deleted(deletion: Deletion, *, storage: Database, slack: Slack, stack: Stack, now: Clock) -> None:
    """Say what a deletion means, once for each text; approvals of what is gone stop counting.

    An approval that was handed on, or that nobody outside waits for, stands: the text is kept as it was approved.

    Raises:
        NotYet: the message may be one of ours that Slack has not confirmed.
        LookupFailed: Slack does not show what is left.
    """
    done = False
    while not done:  # a verdict given between our look and our commit makes us look again
        async with storage.reading() as saved:
            message = await saved.outbox.posted_as(deletion.channel, deletion.message_ts)
            case = await load_case(message.answer_id, saved) if message is not None and message.answer_id else None
        if message is None:
            raise NotYet
        if case is None or message.kind not in {Kind.ANSWER, Kind.REVIEW}:
            return await _settle(deletion, "not about a review", storage, now)
        fault = None
        if message.kind is Kind.ANSWER:
            posted = await read_back(case, storage=storage, slack=slack, now=now)
            if posted.told is None:
                return await _settle(deletion, "it is still there", storage, now)
            fault = posted.told
        async with storage.transaction() as saved:
            fresh = await load_case(case.answer.id, saved)
            assert fresh is not None, "reviews are never removed"
            done = len(fresh.verdicts) == len(case.verdicts)
            outcome = fault or "the card is gone"
            if done and await saved.inbox.handled(deletion.key, at=now(), outcome=outcome):
                await _tell(deletion, fault, fresh, saved, stack, now=now)
    return None


async def _settle(deletion: Deletion, outcome: str, storage: Database, now: Clock) -> None:
    async with storage.transaction() as saved:
        await saved.inbox.handled(deletion.key, at=now(), outcome=outcome)


async def _tell(deletion: Deletion, fault: str | None, case: Case, saved: Saved, stack: Stack, *, now: Clock) -> None:
    """`fault`: what is wrong with the text that is left; None where its card was deleted."""
    state = case.state(stack.review, now())
    is_open, text = state in OPEN, short(case.answer.sha256)
    if fault is None:
        if is_open:
            ways = messages.ways(stack.review.approve, stack.review.send_back)
            told = f"The review card of text {text} was deleted. On the text, {ways}."
            await _say(case, "card deleted", told, saved, now=now)
        return
    if is_open or (state is ReviewState.APPROVED and await _is_to_be_handed_on(case, saved)):
        if gone := approvers(case.said):
            await remember(lapses(case, dict.fromkeys(gone, fault), deletion.key), case, saved, stack, now=now)
        way = messages.glyph(stack.review.approve[0]) if stack.review.approve else "An approval"
        told = (
            f"Somebody deleted a part of text {text} in this thread, so it cannot be approved as it is. A reviewer's "
            f"{way} on what is left has all of it posted again; `{messages.BOT} final` makes a new version."
        )
        await _say(case, "deleted", told, saved, now=now)
    elif state is ReviewState.APPROVED:
        told = (
            f"Somebody deleted a part of text {text} in this thread. It stays approved: it is kept as it was, and "
            "Download brings it as a file."
        )
        await _say(case, "deleted", told, saved, now=now)


async def _is_to_be_handed_on(case: Case, saved: Saved) -> bool:
    """Whether a receiver outside waits for it, and no attempt was made yet."""
    grants = [one for one in await saved.handings.of_answer(case.answer.id) if one.event is Event.GRANTED]
    return bool(grants) and grants[-1].is_open and grants[-1].attempts == 0


async def _say(case: Case, what: str, told: str, saved: Saved, *, now: Clock) -> None:
    slot = f"{case.review.run_id}/{what}"
    body = messages.plain(told, fallback=f"A message about text {short(case.answer.sha256)} was deleted")
    await saved.outbox.plan(owed(case.work, case.run, Kind.NOTICE, slot, body, now=now, answer=case.answer))
