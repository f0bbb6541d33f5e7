"""Whoever sent a text back says why: the reason becomes the note of the next final, or of another stage they name."""

from __future__ import annotations

import re

from handlers import messages
from handlers.errors import Refusal
from handlers.incoming import Entrance, Reason, Reply, Request, Verb
from handlers.ports import Clock, NewId, Slack
from handlers.request import look_around, somebody_asked
from handlers.review import somebody_replied
from handlers.stack import Stack, StageName
from storage.database import Database

_NOTHING = f"No text here waits for a reviewer, so there is nothing to send back. Try `{messages.BOT} final`."
_STAGES = {**{stage.value: stage for stage in StageName}, "revise": StageName.DRAFT}
_CHOICE = re.compile(rf"\s*`?({'|'.join(_STAGES)})`?[ \t]*:`?(.*)", re.IGNORECASE | re.DOTALL)


def stage_and_reason(words: str) -> tuple[StageName, str]:
    """`polish: shorter, please` goes to polish; words that name no stage go to the final owner, whole."""
    if chosen := _CHOICE.fullmatch(words):
        return _STAGES[chosen[1].lower()], chosen[2].strip()
    return StageName.FINAL, words.strip()


async def somebody_said_why(
    reason: Reason, *, storage: Database, slack: Slack, stack: Stack, now: Clock, new_id: NewId
) -> None:
    """The reason of a send-back becomes the note of the next run, on the text that was sent back."""
    async with storage.transaction() as saved:
        review = await saved.reviews.waiting_for_reason(reason.team, reason.channel, reason.thread_ts, reason.person)
        if review is None:
            await saved.inbox.handled(reason.key, at=now(), outcome="no reason wanted")
            return
    stage, words = stage_and_reason(reason.words)
    if not words:
        raise Refusal(f"Say in words what should change, and it becomes the note of the next {stage}.")
    request = Request(
        key=reason.key,
        entrance=Entrance.SEND_BACK,
        verb=Verb.STAGE,
        stage=stage,
        team=reason.team,
        channel=reason.channel,
        person=reason.person,
        at=reason.at,
        words=words,
        thread_ts=reason.thread_ts,
        target_id=review.answer_id,
    )
    await somebody_asked(request, storage=storage, slack=slack, stack=stack, now=now, new_id=new_id)


async def somebody_sends_back(request: Request, *, storage: Database, slack: Slack, stack: Stack, now: Clock) -> None:
    """`send back <reason>` in a work's thread: about the text pointed at, else the newest one that waited for a review.

    Raises:
        Refusal: no text of this thread ever waited for one.
        LookupFailed: Slack does not say what must be known.
    """
    async with storage.reading() as saved:
        around = await look_around(saved, request)
        if around.work is None:
            raise Refusal(_NOTHING)
        opened = [review.answer_id for review in await saved.reviews.of_work(around.work.id)]
    pointed = around.target.id if around.target is not None else None
    answer_id = pointed if pointed in opened else opened[-1] if opened and pointed is None else None
    if answer_id is None:
        raise Refusal(_NOTHING)
    reply = Reply(
        key=request.key,
        team=request.team,
        channel=request.channel,
        thread_ts=str(around.work.thread_ts),
        message_ts=f"{request.at.timestamp():.6f}",
        person=request.person,
        words=request.words.strip(),
        at=request.at,
    )
    await somebody_replied(reply, answer_id, storage=storage, slack=slack, stack=stack, now=now)
