"""A final text starts to wait for its reviewers, and the finals before it cannot be approved any more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from handlers import messages
from handlers.case import card_of, entry_about, is_older_version, load_case, reviewers_of, show_state
from handlers.figures import short
from handlers.incoming import Entrance
from handlers.judge import ReviewState
from handlers.material import title
from handlers.ports import Clock
from handlers.request import owed
from handlers.stack import Stack
from storage.database import Saved
from storage.records import Answer, Kind, Review, Run, Work


async def open_review(run: Run, work: Work, answer: Answer, *, saved: Saved, stack: Stack, now: Clock) -> None:
    """A final text waits for its reviewers from now on; older finals of its lane cannot be approved any more."""
    runs, answers = await saved.runs.of_work(work.id), await saved.answers.of_work(work.id)
    rules, at = stack.review, now()
    review = Review(
        answer_id=answer.id,
        run_id=run.id,
        work_id=work.id,
        asked_by=_asker(run, runs, answers),
        authors=authors(run, work, runs, answers),
        opened_at=at,
        expires_at=at + rules.expire_after,
        remind_at=at + min(rules.remind_after or rules.expire_after, rules.expire_after),
    )
    await saved.reviews.open(review)
    case = await load_case(answer.id, saved)
    assert case is not None
    card = card_of(case, ReviewState.AWAITING, stack)
    await saved.outbox.plan(owed(work, run, Kind.REVIEW, f"{run.id}/review", card, now=now, answer=answer))
    body = {
        "sha256": answer.sha256,
        **opened_as(review),
        "reviewers": list(reviewers_of(stack, work.channel)),
        "quorum": rules.quorum,
        "solo": rules.solo,
        "rules": stack.digest,
    }
    await saved.ledger.append(entry_about(case, "countersign", "review_opened", at, body))


def opened_as(review: Review) -> dict[str, Any]:
    """What of a review never changes."""
    return {
        "authors": list(review.authors),
        "asked_by": review.asked_by,
        "opened_at": review.opened_at.isoformat(),
        "expires_at": review.expires_at.isoformat() if review.expires_at else None,
    }


async def supersede_older(
    run: Run, work: Work, answer: Answer, *, saved: Saved, stack: Stack, now: Clock, told: str = ""
) -> None:
    """A newer final stands in the thread: say of each older one that it cannot be approved any more.

    `told`: in these words, where the newer one is the same text.
    """
    for review in await saved.reviews.of_work(work.id):
        case = await load_case(review.answer_id, saved)
        if case is None or case.answer.id == answer.id or not is_older_version(case.answer, answer):
            continue
        superseded = f"Text {short(case.answer.sha256)} is superseded by {title(answer)} ({short(answer.sha256)})."
        body = messages.verdict(case.answer, ReviewState.SUPERSEDED, told or superseded)
        slot = f"{review.run_id}/superseded"
        if await saved.outbox.plan(owed(work, run, Kind.VERDICT, slot, body, now=now, answer=case.answer)):
            await saved.reviews.want_reason(review.answer_id, None)
            await show_state(case, ReviewState.SUPERSEDED, saved, stack)
            await saved.ledger.append(entry_about(case, "countersign", "superseded", now(), {"by": answer.sha256}))


def _asker(run: Run, runs: Sequence[Run], answers: Sequence[Answer]) -> str:
    """Who asked for this final. A reviewer who sent a text back asked for nothing: whoever asked before still does."""
    while run.entrance == Entrance.SEND_BACK:
        run = _made_by(run.target_id, runs, answers) or _stop(run)
    return run.asked_by


def _stop(run: Run) -> Run:
    raise LookupError(f"run {run.id} was sent back, but nothing is known of the text it was about")


def _made_by(answer_id: str | None, runs: Sequence[Run], answers: Sequence[Answer]) -> Run | None:
    answer = next((a for a in answers if a.id == answer_id), None)
    return next((r for r in runs if answer and r.id == answer.run_id), None)


def authors(run: Run, work: Work, runs: Sequence[Run], answers: Sequence[Answer]) -> tuple[str, ...]:
    """Who may not approve: who asked for this final, opened the work with its brief, or had a hand in its words.

    A hand in its words: a note to one of the runs the text came through, or the message it began as, or a hand in what
    a fresh start brought along. The reason of a reviewer who sent an earlier version back is not authorship.
    """
    text = next((a for a in answers if a.run_id == run.id), None)
    wrote = [work.opened_by, _asker(run, runs, answers), *(work.carried.people if work.carried else ())]
    for earlier, made in _lineage(text, runs, answers):
        wrote += made.note_by if made else (earlier.author or "",)
    return tuple(dict.fromkeys(person for person in wrote if person))


def with_a_hand_in(text: Answer | None, work: Work, runs: Sequence[Run], answers: Sequence[Answer]) -> tuple[str, ...]:
    """Whom a fresh start with this text takes along: they cannot approve there what they could not approve here.

    Who opened the work with its brief, asked for the text or what it came of, wrote a note to one of these, or wrote
    the message it began as; and whoever was taken along into this work.
    """
    people = [work.opened_by, *(work.carried.people if work.carried else ())]
    for earlier, made in _lineage(text, runs, answers):
        people += (_asker(made, runs, answers), *made.note_by) if made else (earlier.author or "",)
    return tuple(dict.fromkeys(person for person in people if person))


def _lineage(
    text: Answer | None, runs: Sequence[Run], answers: Sequence[Answer]
) -> Iterator[tuple[Answer, Run | None]]:
    """A text and those it came of, the newest first, each with the run that made it, if one did."""
    by_id = {a.id: a for a in answers}
    while text is not None:
        yield text, next((r for r in runs if r.id == text.run_id), None)
        text = by_id.get(text.about_id or "")
