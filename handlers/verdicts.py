"""What is remembered and said aloud of verdicts: the row, its ledger entry, the review card, the thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from handlers import handing, messages
from handlers.case import Case, entry_about, load_case, show_state
from handlers.judge import OPEN, Judgement, ReviewState, approvers, standing, words_standing
from handlers.ports import Clock
from handlers.recheck import LAPSED
from handlers.request import owed
from handlers.stack import Stack
from handlers.words import Body, Line
from storage.database import Saved
from storage.records import Kind, Verdict, VerdictKind


async def remember(verdicts: Sequence[Verdict], case: Case, saved: Saved, stack: Stack, *, now: Clock) -> Case:
    """Write verdicts with their ledger entries, show what follows on the card, and say a change aloud.

    The first of them is what happened; the others follow from it. Returns the case as it is then.
    """
    at, happened = now(), verdicts[0]
    heads = [await _record(verdict, case, saved, at=at) for verdict in verdicts]
    fresh = await load_case(case.answer.id, saved)
    assert fresh is not None, "reviews are never removed"
    before, after = case.state(stack.review, at), fresh.state(stack.review, at)
    await show_state(fresh, after, saved, stack)
    await _owe_a_reason(happened, before, after, fresh, saved)
    if after is not before:
        body = _said(verdicts, case, fresh, after, at=at, head=heads[0])
        await _announce(happened, fresh, Kind.VERDICT, "verdict", body, saved, now=now)
    lapsed = [verdict for verdict in verdicts if verdict.via == LAPSED]
    if lapsed and not (happened.via == LAPSED and after is not before):  # else that is what was said
        body = messages.plain(_lapsed(lapsed), fallback="An approval does not count any more")
        await _announce(happened, fresh, Kind.NOTICE, LAPSED, body, saved, now=now)
    await handing.follow(verdicts, case, fresh, heads[0], saved, stack, now=now)
    return fresh


async def _record(verdict: Verdict, case: Case, saved: Saved, *, at: datetime) -> str:
    """The verdict with its ledger entry; returns the ledger's head."""
    facts = {"emoji": verdict.emoji, "via": verdict.via, "sha256": case.answer.sha256}
    body = {**verdict.evidence, **facts, "reacted_at": verdict.at.isoformat()}
    entry = await saved.ledger.append(entry_about(case, verdict.person, verdict.kind, at, body))
    await saved.reviews.give(replace(verdict, ledger_seq=entry.seq))
    return entry.hash


async def _owe_a_reason(verdict: Verdict, before: ReviewState, after: ReviewState, case: Case, saved: Saved) -> None:
    """Whoever sent the text back is asked why; who took that back is not asked any more, but the next one may be."""
    if after is ReviewState.CHANGES_REQUESTED and before is not after:
        await saved.reviews.want_reason(case.answer.id, verdict.person)
    elif verdict.kind is not VerdictKind.SEND_BACK and case.review.reason_wanted_from == verdict.person:
        said = standing(case.said)
        if said.get(verdict.person) is not VerdictKind.SEND_BACK:
            others = [person for person, kind in said.items() if kind is VerdictKind.SEND_BACK]
            await saved.reviews.want_reason(case.answer.id, others[0] if others else None)


def _said(verdicts: Sequence[Verdict], was: Case, case: Case, after: ReviewState, *, at: datetime, head: str) -> Body:
    """A change of state in words."""
    happened = verdicts[0]
    stood = standing(was.said).get(happened.person, happened.kind)
    match after:
        case ReviewState.APPROVED:
            given, solo = approvers(case.said), any(one.evidence.get("solo") for one in words_standing(case.said))
            freed = happened.person if happened.kind is VerdictKind.WITHDRAW else None
            return messages.approved_by(case.answer, given, at, head, solo=solo, freed_by=freed)
        case ReviewState.CHANGES_REQUESTED:
            said_why = bool(happened.evidence.get("with_reason"))
            return messages.sent_back(case.answer, happened.person, said_why=said_why)
        case _ if happened.via == LAPSED:
            again = " Waiting for a reviewer again." if after in OPEN else ""
            return messages.verdict(case.answer, after, *_lapsed(verdicts).spans, again)
        case _:
            what = "the send-back" if stood is VerdictKind.SEND_BACK else "the approval"
            return messages.took_back(case.answer, after, happened.person, what, waits=after in OPEN)


async def _announce(
    happened: Verdict, case: Case, kind: Kind, what: str, body: Body, saved: Saved, *, now: Clock
) -> None:
    run = await saved.runs.get(case.review.run_id)
    slot = f"{case.review.run_id}/{what}/{happened.request_key}"[:100]
    await saved.outbox.plan(owed(case.work, run, kind, slot, body, now=now, answer=case.answer))


def _lapsed(lapses: Sequence[Verdict]) -> Line:
    who = list(dict.fromkeys(one.person for one in lapses))
    return messages.lapsed(who, _why_lapsed(str(lapses[0].evidence["why"])))


def _why_lapsed(why: str) -> str:
    """A judgement's name in words; what is wrong with a text is said in words already."""
    match why:
        case Judgement.NOBODY:
            return "The account is deactivated, or a bot's."
        case Judgement.OUTSIDER:
            return "Guests and people from other organisations count only when the stack names them."
        case Judgement.NOT_A_REVIEWER:
            return "No longer among the reviewers."
        case Judgement.OWN_WORK:
            return "Whoever asked for a text or had a hand in it approves it in solo mode only."
        case said:
            return said
