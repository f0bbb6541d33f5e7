"""Whoever sent a text back says why: the reason becomes the note of the next final."""

from __future__ import annotations

from handlers.errors import Refusal
from handlers.incoming import Entrance, Reason, Request, Verb
from handlers.ports import Clock, NewId, Slack
from handlers.request import somebody_asked
from handlers.stack import Stack, StageName
from storage.database import Database


async def somebody_said_why(
    reason: Reason, *, storage: Database, slack: Slack, stack: Stack, now: Clock, new_id: NewId
) -> None:
    """The reason of a send-back becomes the note of the next final."""
    async with storage.transaction() as saved:
        review = await saved.reviews.waiting_for_reason(reason.team, reason.channel, reason.thread_ts, reason.person)
        if review is None:
            await saved.inbox.handled(reason.key, at=now(), outcome="no reason wanted")
            return
    if not reason.words.strip():
        raise Refusal("Say in words what should change, and it becomes the note of the next final.")
    request = Request(
        key=reason.key,
        entrance=Entrance.SEND_BACK,
        verb=Verb.STAGE,
        stage=StageName.FINAL,
        team=reason.team,
        channel=reason.channel,
        person=reason.person,
        at=reason.at,
        words=reason.words,
        thread_ts=reason.thread_ts,
        target_id=review.answer_id,
    )
    await somebody_asked(request, storage=storage, slack=slack, stack=stack, now=now, new_id=new_id)
