"""Whoever sent a text back says why: the reason becomes the note of the next final, or of another stage they name."""

from __future__ import annotations

import re

from handlers.errors import Refusal
from handlers.incoming import Entrance, Reason, Request, Verb
from handlers.ports import Clock, NewId, Slack
from handlers.request import somebody_asked
from handlers.stack import Stack, StageName
from storage.database import Database

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
