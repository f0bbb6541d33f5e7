"""A text that does not stand in its thread as it was posted is posted once more, as a version of its own to approve."""

from __future__ import annotations

from dataclasses import replace

from handlers import messages
from handlers.case import Case, entry_about, load_case
from handlers.context import digest, seen_digest
from handlers.incoming import Entrance
from handlers.material import title
from handlers.opening import open_review, supersede_older
from handlers.ports import Clock
from handlers.request import owed
from handlers.stack import Stack
from handlers.words import Body
from storage.canonical import canonical
from storage.database import Saved
from storage.records import Answer, Kind, Run, RunState


async def post_again(case: Case, because: str, by: str, saved: Saved, stack: Stack, *, now: Clock) -> Answer:
    """The same text, to the byte, in new messages under a new review; the old one is superseded.

    `because`: what is wrong with the messages that stand there, as a clause; `by`: who would have approved them.
    Nobody's word on the old version counts for the new one. Who asked for the text, wrote it and made it stays.
    """
    run = _run(case, now=now)
    number = await saved.answers.next_number(case.work.id, case.answer.stage)
    answer = replace(
        case.answer, id=f"a{_name(case)}", run_id=run.id, number=number, about_id=case.answer.id, made_at=now(), seq=0
    )
    await saved.runs.add(run)
    context = await saved.runs.context(case.run.id)
    assert context is not None, "a run that gave an answer saw something"
    await saved.runs.keep_context(replace(context, run_id=run.id))
    await saved.answers.add(answer)
    told = f"{because}. The same text is posted again below as {title(answer)}: read it there and approve it there."
    await supersede_older(run, case.work, answer, saved=saved, stack=stack, now=now, told=told)
    await _post(case, run, answer, saved, now=now)
    await open_review(run, case.work, answer, saved=saved, stack=stack, now=now)
    fresh = await load_case(answer.id, saved)
    assert fresh is not None, "its review was opened above"
    facts = {
        **case.made_by,
        "stage": answer.stage,
        "lane": answer.lane,
        "sha256": answer.sha256,
        "route": digest(canonical(run.route or {})),
        "context": seen_digest(context.system, context.prompt, context.manifest),
        "notes": digest(answer.notes),
        "of": case.answer.id,
        "because": because,
        "by": by,
    }
    await saved.ledger.append(entry_about(fresh, "countersign", "posted_again", now(), facts))
    return answer


def _name(case: Case) -> str:
    """Of the one version that may follow from posting a text again."""
    return digest(f"posted again/{case.answer.id}")[:12]


def _run(case: Case, *, now: Clock) -> Run:
    """As it was, but that no model was asked: nothing was spent."""
    at = now()
    return replace(
        case.run,
        id=f"r{_name(case)}",
        request_key=f"posted_again/{case.answer.id}",
        state=RunState.ANSWERED,
        asked_by=case.review.asked_by,
        entrance=Entrance.POSTED_AGAIN,
        asked_at=at,
        started_at=at,
        ended_at=at,
        target_id=case.answer.id,
        epoch=0,
        attempts=0,
        input_tokens=None,
        output_tokens=None,
        estimated=False,
        cost_usd=None,
        seq=0,
    )


async def _post(case: Case, run: Run, answer: Answer, saved: Saved, *, now: Clock) -> None:
    """Its parts, as they were written the first time."""
    written = [one for one in await saved.outbox.of_answer(case.answer.id) if one.kind is Kind.ANSWER]
    written.sort(
        key=lambda one: (one.body["facts"].get("part", 0), one.seq)
    )  # plainer pieces came last and stand between
    parts = [Body.from_json(one.body).answer for one in written if one.given_up is None]
    for place, blocks in enumerate(parts, 1):
        body = messages.part(answer, blocks, number=place, of=len(parts), buttons=place == len(parts))
        slot = f"{run.id}/answer/{place}"
        await saved.outbox.plan(owed(case.work, run, Kind.ANSWER, slot, body, now=now, answer=answer))


def told_to_approver(because: str, answer: Answer) -> str:
    """Why their approval does not count, and what to do."""
    return f"{because}, so your approval does not count. It is posted again as {title(answer)}: read and approve that."
