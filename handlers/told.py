"""What one person alone hears of their word: why it does not count, or what became of a click that shows nowhere."""

from __future__ import annotations

from collections.abc import Sequence

from handlers import messages
from handlers.case import Case, card_of, may_decide
from handlers.context import digest
from handlers.figures import short
from handlers.incoming import Click, Reaction, Reply, Wish, Word
from handlers.judge import Judgement, ReviewState, approvers, standing
from handlers.ports import Clock
from handlers.request import owed
from handlers.stack import Stack
from handlers.words import Body, Span, line, people
from storage.database import Saved
from storage.records import Kind, VerdictKind

Spoken = Sequence[str | Span]


async def tell_why(
    word: Word, judgement: Judgement, fault: str | None, case: Case, saved: Saved, stack: Stack, *, now: Clock
) -> None:
    """Why a word does not count."""
    spoken = [fault] if fault else _why(word, judgement, case, stack)
    if spoken is not None:
        await _tell(word, "differs" if fault else judgement, spoken, case, saved, now=now)


async def tell_what_was_taken_for(click: Click, case: Case, saved: Saved, *, now: Clock) -> None:
    """Whoever would take back what they did not give by the button."""
    text, said = short(case.answer.sha256), standing(case.said).get(click.person)
    is_approval = click.wish.takes is VerdictKind.APPROVE
    if said is click.wish.takes:
        done = "approved" if is_approval else "sent back"
        spoken = f"You {done} text {text} with a reaction. Take that reaction away to take it back."
    else:
        done = f"approved text {text}" if is_approval else f"sent text {text} back"
        spoken = f"You have not {done} with its button, so there is nothing of yours to take back."
    await _tell(click, "nothing", [spoken], case, saved, now=now)


async def tell_if_nothing_shows(
    word: Click | Reply, was: Case, case: Case, saved: Saved, stack: Stack, *, now: Clock
) -> None:
    """A click or a reply that counts and changes no word on the card is answered to whose it is."""
    at = now()
    before, after = was.state(stack.review, at), case.state(stack.review, at)
    are_the_same = set(approvers(was.said)) == set(approvers(case.said))  # the card may name them in another order
    if before is after and (are_the_same or card_of(was, before, stack).lines == card_of(case, after, stack).lines):
        await _tell(word, "kept", [_kept(word, case, after)], case, saved, now=now)


def _kept(word: Click | Reply, case: Case, state: ReviewState) -> str:
    text = short(case.answer.sha256)
    wish = word.wish if isinstance(word, Click) else Wish.SEND_BACK
    match wish.gives:
        case VerdictKind.APPROVE if state is ReviewState.CHANGES_REQUESTED:
            return f"Your approval of text {text} is kept. It does not count while a send-back stands."
        case VerdictKind.APPROVE:
            return f"You approve text {text} with a reaction, too: your approval stands until both are taken back."
        case VerdictKind.SEND_BACK:
            return f"Text {text} was sent back before. Your send-back stands beside that, until you take it back."
        case _:
            what = "approval" if wish.takes is VerdictKind.APPROVE else "send-back"
            also = " A reaction of yours still says the same." * (standing(case.said).get(word.person) is wish.takes)
            return f"Your {what} of text {text} by the button is taken back.{also}"


async def tell_of_another_text(click: Click, case: Case, saved: Saved, *, now: Clock) -> None:
    """The button says another text than the one that is kept under its id."""
    spoken = (
        f"This button was made for another text than {short(case.answer.sha256)}, so your click changed nothing. "
        f"`{messages.BOT} final` makes a new version to approve."
    )
    await _tell(click, "another", [spoken], case, saved, now=now)


async def tell_of_the_wait(word: Word, case: Case, saved: Saved, *, now: Clock) -> None:
    """Slack keeps back what the word depends on."""
    text = short(case.answer.sha256)
    spoken = (
        f"Slack does not tell me at present who may decide about text {text}, or how it stands here, so what you did "
        "does not count yet. I go on asking: nothing is lost, and you need not do it again."
    )
    await _tell(word, "silence", [spoken], case, saved, now=now)


async def _tell(word: Word, reason: str, spoken: Spoken, case: Case, saved: Saved, *, now: Clock) -> None:
    """A reaction is answered once for each reason; each click is, for whoever presses waits for an answer."""
    run = await saved.runs.get(case.review.run_id)
    slot, about = f"{case.review.run_id}/told/{word.person}/{reason}", "reaction"
    if not isinstance(word, Reaction):
        slot, about = f"{slot}/{digest(word.key)[:12]}", "click" if isinstance(word, Click) else "reply"
    body = Body(lines=(line(*spoken),), fallback=f"About your {about}")
    told = owed(case.work, run, Kind.NOTICE, slot, body, now=now, answer=case.answer, person=word.person)
    await saved.outbox.plan(told)


def _why(word: Word, judgement: Judgement, case: Case, stack: Stack) -> Spoken | None:
    """What the person reads; None where silence is right."""
    others = [r for r in may_decide(case, stack) if r not in case.review.authors and not r.startswith("S")]
    whom = people(others, between=" or ") or ["another reviewer"]
    text, rules = short(case.answer.sha256), stack.review
    match judgement:
        case Judgement.OWN_WORK:
            return ["You asked for this text or had a hand in it, so somebody else approves it: ", *whom, "."]
        case Judgement.NOT_A_REVIEWER:
            way = {Click: "click", Reaction: "reaction", Reply: "word"}[type(word)]
            return [f"Only a reviewer's {way} counts here. Ask ", *(whom if others else ["one of them"]), "."]
        case Judgement.OUTSIDER:
            return ["Guests and people from other organisations count only when the stack names them. Ask ", *whom, "."]
        case Judgement.SUPERSEDED:
            return [
                "There is a newer final in this thread, so this one cannot be approved any more. Look at the newest."
            ]
        case Judgement.EXPIRED:
            return [f"This review has expired. `{messages.BOT} final` opens a new one."]
        case Judgement.NO_BUTTONS:
            ways = messages.ways(rules.approve, rules.send_back)
            return [f"The buttons are switched off here, so your click changed nothing. On the text, {ways}."]
        case Judgement.APPROVED_ALREADY:
            return [f"You have approved text {text} already, so this click changed nothing."]
        case Judgement.NOBODY | Judgement.COUNTS:
            return None
