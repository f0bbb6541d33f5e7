"""The gate of a final answer: reactions become verdicts, verdicts make a text approved or send it back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from handlers import messages
from handlers.case import Case, entry_about, load_case, reviewers_of, show_state
from handlers.figures import short
from handlers.incoming import Reaction
from handlers.judge import OPEN, Judgement, ReviewState, Situation, approvers, judge, standing
from handlers.ports import Clock, Slack
from handlers.request import owed
from handlers.stack import ReviewRules, Stack
from handlers.words import Body, Span, Who, line, people
from storage.database import Database, Saved
from storage.records import Kind, Message, Verdict, VerdictKind


class NotYet(Exception):  # noqa: N818  reads as a fact
    """Something this depends on is not there yet; look again a little later."""


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
    kind = meaning(reaction.emoji, stack.review)
    async with storage.reading() as saved:
        message = await saved.outbox.posted_as(reaction.channel, reaction.message_ts) if kind else None
        case = await _case_behind(message, saved)
    if kind is not None and message is None:
        raise NotYet
    if kind is None or case is None:
        await _settle(reaction, "not about a review", storage=storage, now=now)
    elif reaction.added:
        await _given(reaction, kind, case, storage=storage, slack=slack, stack=stack, now=now)
    else:
        await _taken_away(reaction, storage=storage, answer_id=case.answer.id, stack=stack, now=now)


async def _case_behind(message: Message | None, saved: Saved) -> Case | None:
    if message is None or message.answer_id is None or message.kind not in {Kind.ANSWER, Kind.REVIEW}:
        return None
    return await load_case(message.answer_id, saved)


async def _settle(reaction: Reaction, outcome: str, *, storage: Database, now: Clock) -> None:
    async with storage.transaction() as saved:
        await saved.inbox.handled(reaction.key, at=now(), outcome=outcome)


async def _given(
    reaction: Reaction, kind: VerdictKind, case: Case, *, storage: Database, slack: Slack, stack: Stack, now: Clock
) -> None:
    seen = await _situation(reaction, case, slack=slack, stack=stack, now=now)
    judgement = judge(seen)
    fault = None
    if judgement is Judgement.COUNTS and kind is VerdictKind.APPROVE:
        fault = await _differs(case, storage=storage, slack=slack)
    async with storage.transaction() as saved:
        if not await saved.inbox.handled(reaction.key, at=now(), outcome=fault or judgement):
            return
        fresh = await load_case(case.answer.id, saved)
        assert fresh is not None
        if judgement is Judgement.COUNTS:
            judgement = judge(replace(seen, state=fresh.state(stack.review, now())))
        if fault:
            await _tell(reaction, fresh, "differs", [fault], saved, now=now)
        elif judgement is Judgement.COUNTS:
            await _count(reaction, kind, fresh, seen, saved, stack, now=now)
        elif why := _why(judgement, fresh, stack):
            await _tell(reaction, fresh, judgement, why, saved, now=now)


async def _situation(reaction: Reaction, case: Case, *, slack: Slack, stack: Stack, now: Clock) -> Situation:
    reviewers = reviewers_of(stack, case.work.channel)
    named = reaction.person in reviewers
    groups = [] if named else [reviewer for reviewer in reviewers if reviewer.startswith("S")]
    return Situation(
        state=case.state(stack.review, now()),
        person=await slack.person(reaction.person),
        named=named,
        in_group=any([reaction.person in await slack.members_of(group) for group in groups]),
        wrote_it=reaction.person in case.review.authors,
        solo=stack.review.solo,
    )


async def _differs(case: Case, *, storage: Database, slack: Slack) -> str | None:
    """Read the posted text back. What keeps an approval from counting, in one sentence; None when all is as posted."""
    async with storage.reading() as saved:
        parts = [m for m in await saved.outbox.of_answer(case.answer.id) if m.kind is Kind.ANSWER]
    if any(part.ts is None for part in parts) or not parts or case.work.thread_ts is None:
        raise NotYet
    found = await slack.messages(case.work.channel, case.work.thread_ts, [part.ts for part in parts if part.ts])
    text, way = short(case.answer.sha256), f"`{messages.BOT} final` makes a new version to approve."
    for part in parts:
        there = found.get(part.ts or "")
        if there is None:
            return f"A part of text {text} is no longer in the thread, so it cannot be approved. {way}"
        if there.edited or there.digest != part.digest:
            return f"Text {text} does not stand in the thread as it was posted, so it cannot be approved. {way}"
    return None


async def _count(
    reaction: Reaction, kind: VerdictKind, case: Case, seen: Situation, saved: Saved, stack: Stack, *, now: Clock
) -> None:
    """The verdict, its ledger entry and what is said about it, in one transaction."""
    before = case.state(stack.review, now())
    solo = seen.wrote_it and stack.review.solo
    evidence = {
        "message": reaction.message_ts,
        "event": reaction.key,
        "sha256": case.answer.sha256,
        "quorum": stack.review.quorum,
        "named": seen.named,
        "in_group": seen.in_group,
        "solo": solo,
    }
    after, head = await _record(reaction, kind, case, evidence, saved, stack, now=now)
    if after is before:
        return
    if after is ReviewState.APPROVED:
        given = approvers(await saved.reviews.verdicts(case.answer.id))
        body = messages.approved_by(case.answer, given, now(), head, solo=solo)
    else:
        body = messages.verdict(
            case.answer,
            after,
            "Sent back by ",
            Who(person=reaction.person),
            f": text {short(case.answer.sha256)}. Reply here with the reason, and it becomes the note of the next "
            f"final; or anybody may ask with `{messages.BOT} final …`.",
        )
        await saved.reviews.want_reason(case.answer.id, reaction.person)
    await _announce(reaction, case, body, saved, now=now)


async def _taken_away(reaction: Reaction, *, storage: Database, answer_id: str, stack: Stack, now: Clock) -> None:
    """Taking the reaction away takes the verdict away."""
    async with storage.transaction() as saved:
        if not await saved.inbox.handled(reaction.key, at=now(), outcome="withdraw"):
            return
        case = await load_case(answer_id, saved)
        assert case is not None
        if not any(
            v.person == reaction.person and v.evidence.get("message") == reaction.message_ts for v in case.verdicts
        ):
            return
        before, stood = case.state(stack.review, now()), standing(case.verdicts).get(reaction.person)
        evidence = {"message": reaction.message_ts, "event": reaction.key, "quorum": _quorum(case, stack)}
        after, _ = await _record(reaction, VerdictKind.WITHDRAW, case, evidence, saved, stack, now=now)
        if after is before:
            return
        what = "the approval" if stood is VerdictKind.APPROVE else "the send-back"
        told = f" withdrew {what}." + (" Waiting for a reviewer again." if after in OPEN else "")
        if stood is VerdictKind.SEND_BACK:
            await saved.reviews.want_reason(case.answer.id, None)
        body = messages.verdict(case.answer, after, Who(person=reaction.person), told)
        await _announce(reaction, case, body, saved, now=now)


def _quorum(case: Case, stack: Stack) -> int:
    said = [v.evidence["quorum"] for v in case.verdicts if "quorum" in v.evidence]
    return int(said[-1]) if said else stack.review.quorum


async def _record(
    reaction: Reaction,
    kind: VerdictKind,
    case: Case,
    evidence: dict[str, Any],
    saved: Saved,
    stack: Stack,
    *,
    now: Clock,
) -> tuple[ReviewState, str]:
    """Write verdict and ledger entry, show the new state on the card; return the state and the ledger's head."""
    at = now()
    body = {**evidence, "emoji": reaction.emoji, "sha256": case.answer.sha256, "reacted_at": reaction.at.isoformat()}
    entry = await saved.ledger.append(entry_about(case, reaction.person, kind, at, body))
    await saved.reviews.give(
        Verdict(
            answer_id=case.answer.id,
            person=reaction.person,
            kind=kind,
            via="reaction",
            emoji=reaction.emoji.partition("::")[0],
            request_key=reaction.key,
            evidence=evidence,
            at=reaction.at,
            ledger_seq=entry.seq,
        )
    )
    fresh = await load_case(case.answer.id, saved)
    assert fresh is not None
    after = fresh.state(stack.review, at)
    await show_state(fresh, after, saved, stack)
    return after, entry.hash


async def _announce(reaction: Reaction, case: Case, body: Body, saved: Saved, *, now: Clock) -> None:
    run = await saved.runs.get(case.review.run_id)
    slot = f"{case.review.run_id}/verdict/{reaction.key}"
    await saved.outbox.plan(owed(case.work, run, Kind.VERDICT, slot[:100], body, now=now, answer=case.answer))


async def _tell(
    reaction: Reaction, case: Case, reason: str, spoken: Sequence[str | Span], saved: Saved, *, now: Clock
) -> None:
    """One person, once for each reason, and nobody else."""
    run = await saved.runs.get(case.review.run_id)
    body = Body(lines=(line(*spoken),), fallback="About your reaction")
    slot = f"{case.review.run_id}/told/{reaction.person}/{reason}"
    told = owed(case.work, run, Kind.NOTICE, slot, body, now=now, answer=case.answer, person=reaction.person)
    await saved.outbox.plan(told)


def _why(judgement: Judgement, case: Case, stack: Stack) -> list[str | Span] | None:
    """What the person reads; None where silence is right."""
    others = [
        r for r in reviewers_of(stack, case.work.channel) if r not in case.review.authors and not r.startswith("S")
    ]
    whom = people(others, between=" or ") or ["another reviewer"]
    match judgement:
        case Judgement.OWN_WORK:
            return ["You asked for this text or had a hand in it, so somebody else approves it: ", *whom, "."]
        case Judgement.NOT_A_REVIEWER:
            return ["Only a reviewer's reaction counts here. Reviewers: ", *whom, "."]
        case Judgement.OUTSIDER:
            return ["Guests and people from other organisations count only when the stack names them. Ask ", *whom, "."]
        case Judgement.SUPERSEDED:
            return [
                "There is a newer final in this thread, so this one cannot be approved any more. Look at the newest."
            ]
        case Judgement.EXPIRED:
            return [f"This review has expired. `{messages.BOT} final` opens a new one."]
        case Judgement.NOBODY | Judgement.COUNTS:
            return None
