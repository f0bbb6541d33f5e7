"""The gate of a final answer: reactions and clicks become verdicts, which make a text approved or send it back."""

from __future__ import annotations

from handlers import messages
from handlers.case import Case, load_case
from handlers.errors import Refusal
from handlers.gate import Gate
from handlers.incoming import Click, Reaction, Reply, Word
from handlers.ports import Clock, Slack
from handlers.recheck import NotYet
from handlers.repair import Told, told_already
from handlers.stack import ReviewRules, Stack
from handlers.told import tell_of_the_wait
from storage.crashpoints import crashpoint
from storage.database import Database, Saved
from storage.records import Kind, Message, VerdictKind

__all__ = [
    "UNKNOWN_TEXT",
    "NotYet",
    "meaning",
    "somebody_clicked",
    "somebody_reacted",
    "somebody_replied",
    "tell_who_waits",
]

UNKNOWN_TEXT = (
    "I cannot find the text of this card in the thread, so your click changed nothing. "
    f"`{messages.BOT} final` makes a new version to approve."
)


def meaning(emoji: str, rules: ReviewRules) -> VerdictKind | None:
    """What an emoji stands for; skin tones are ignored."""
    name = emoji.partition("::")[0].strip(":")
    if name in rules.approve:
        return VerdictKind.APPROVE
    return VerdictKind.SEND_BACK if name in rules.send_back else None


async def somebody_reacted(reaction: Reaction, *, storage: Database, slack: Slack, stack: Stack, now: Clock) -> None:
    """Let a reaction count, or tell the person once why it does not.

    Raises:
        NotYet: the message may be one of ours that Slack has not confirmed.
        LookupFailed: Slack does not say what must be known; the reaction waits, it never counts by default.
    """
    gate = _taken_up(reaction, storage=storage, slack=slack, stack=stack, now=now)
    if await is_old_news(reaction, storage=storage, now=now):
        return
    kind = meaning(reaction.emoji, stack.review)
    done = False
    while not done:  # a verdict that somebody else gave between our look and our commit makes us look again
        async with storage.reading() as saved:
            message = await saved.outbox.posted_as(reaction.channel, reaction.message_ts)
            case = await _case_behind(message, saved)
        if kind is not None and message is None:
            raise NotYet
        if case is None or (kind is None and reaction.added):
            done = await gate.settle("not about a review")
        elif kind is not None and reaction.added:
            done = await gate.give(kind, case)
        else:  # whatever the emoji means by now: the stack may have changed since it was given
            done = await gate.take_away(case)


async def somebody_clicked(click: Click, *, storage: Database, slack: Slack, stack: Stack, now: Clock) -> None:
    """Let a click on a review card count, or tell the person why it does not.

    Raises:
        NotYet: Slack has not confirmed the card.
        LookupFailed: Slack does not say what must be known; the click waits, it never counts by default.
        Refusal: there is no such text under review.
    """
    gate = _taken_up(click, storage=storage, slack=slack, stack=stack, now=now)
    done = False
    while not done:
        async with storage.reading() as saved:
            message = await saved.outbox.posted_as(click.channel, click.message_ts)
            case = await _case_behind(message, saved)
        if message is None:
            raise NotYet
        if case is None or case.answer.id != click.answer_id:
            raise Refusal(UNKNOWN_TEXT)
        if case.answer.sha256 != click.sha256:
            done = await gate.refuse_another_text(case)
        elif (kind := click.wish.gives) is not None:
            done = await gate.give(kind, case)
        else:
            done = await gate.take_away(case)


async def somebody_replied(
    reply: Reply, answer_id: str, *, storage: Database, slack: Slack, stack: Stack, now: Clock
) -> None:
    """Let a send-back in words count, or tell the person why it does not.

    Raises:
        LookupFailed: Slack does not say what must be known; the reply waits, it never counts by default.
    """
    gate = _taken_up(reply, storage=storage, slack=slack, stack=stack, now=now)
    done = False
    while not done:
        async with storage.reading() as saved:
            case = await load_case(answer_id, saved)
        assert case is not None, "reviews are never removed"
        done = await gate.give(VerdictKind.SEND_BACK, case)


async def tell_who_waits(word: Word, *, storage: Database, now: Clock) -> None:
    """Slack does not say what must be known: whoever gave or took back their word hears once that it waits."""
    async with storage.transaction() as saved:
        case = await _case_behind(await saved.outbox.posted_as(word.channel, word.message_ts), saved)
        if case is not None:
            await tell_of_the_wait(word, case, saved, now=now)


def _taken_up(word: Word, *, storage: Database, slack: Slack, stack: Stack, now: Clock) -> Gate:
    crashpoint("cp21")
    return Gate(word=word, storage=storage, slack=slack, stack=stack, now=now)


async def is_old_news(reaction: Reaction, *, storage: Database, now: Clock) -> bool:
    """Whether a reaction was seen and told, the one after the other: then it is handled already."""
    async with storage.reading() as saved:
        handled = await saved.inbox.handled_in_line(reaction.line)
    told = [
        Told(reaction=Reaction.from_json(letter.body), outcome=letter.outcome)
        for letter in handled
        if letter.kind == "reaction"
    ]
    if (outcome := told_already(reaction, told)) is None:
        return False
    async with storage.transaction() as saved:
        await saved.inbox.handled(reaction.key, at=now(), outcome=outcome)
    return True


async def _case_behind(message: Message | None, saved: Saved) -> Case | None:
    if message is None or message.answer_id is None or message.kind not in {Kind.ANSWER, Kind.REVIEW}:
        return None
    return await load_case(message.answer_id, saved)
