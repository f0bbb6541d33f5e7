"""A review with all that was said about it: what the gate's handlers look at and show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from handlers import messages
from handlers.budget import dollars
from handlers.buttons import review_buttons
from handlers.incoming import line_in, line_of, sends_back
from handlers.judge import ReviewState, approvers, in_time, pressed_kinds, state_of
from handlers.stack import ReviewRules, Stack
from handlers.words import Body
from storage.database import Saved
from storage.records import Answer, Entry, Review, Run, Verdict, Work

ESCALATED_BY = 2
"""The reminder with which the backup reviewers come in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A review with all that was said about it."""

    review: Review
    answer: Answer
    work: Work
    run: Run
    verdicts: Sequence[Verdict]
    superseded: bool
    spent: float

    def state(self, rules: ReviewRules, now: datetime) -> ReviewState:
        return state_of(
            self.verdicts,
            quorum=rules.quorum,
            superseded=self.superseded,
            expires_at=self.review.expires_at,
            now=now,
        )

    def with_also(self, *verdicts: Verdict) -> Case:
        """The case as it would be after these."""
        return replace(self, verdicts=[*self.verdicts, *verdicts])

    def reminded(self, times: int) -> Case:
        """The case as it is after so many reminders."""
        return replace(self, review=replace(self.review, reminded=times))

    @property
    def said(self) -> list[Verdict]:
        """The verdicts that can count."""
        return in_time(self.verdicts, self.review.expires_at)

    @property
    def made_by(self) -> dict[str, Any]:
        """Which model made the text, as whom its endpoint named itself, and by which stack."""
        return {"model": self.run.model, "served": self.run.served_id, "stack": (self.run.route or {}).get("stack")}

    def is_late(self, at: datetime) -> bool:
        return self.review.expires_at is not None and at >= self.review.expires_at


async def load_case(answer_id: str, saved: Saved) -> Case | None:
    review, answer = await saved.reviews.get(answer_id), await saved.answers.get(answer_id)
    if review is None or answer is None:
        return None
    work = await saved.works.get(review.work_id)
    assert work is not None
    run = await saved.runs.get(review.run_id)
    assert run is not None
    newer = [a for a in await saved.answers.of_work(work.id) if a.seq > answer.seq and is_older_version(answer, a)]
    return Case(
        review=review,
        answer=answer,
        work=work,
        run=run,
        verdicts=await saved.reviews.verdicts(answer_id),
        superseded=bool(newer),
        spent=dollars(await saved.spendings.of_work(work.id)),
    )


def is_older_version(older: Answer, newer: Answer) -> bool:
    """Whether the newer answer, by coming, makes the older one unapprovable."""
    return older.lane is newer.lane and older.stage == newer.stage and newer.second_to is None


def reviewers_of(stack: Stack, channel: str) -> tuple[str, ...]:
    own = stack.policy(channel).reviewers
    return stack.review.reviewers if own is None else own


def may_decide(case: Case, stack: Stack) -> tuple[str, ...]:
    """Whose word may count on a case."""
    return deciders(stack, case.work.channel, reminded=case.review.reminded)


def deciders(stack: Stack, channel: str, *, reminded: int) -> tuple[str, ...]:
    """A channel's reviewers, and after some reminders the stack's backup ones.

    A channel that names its own reviewers means those and nobody else.
    """
    reviewers = reviewers_of(stack, channel)
    if reminded < ESCALATED_BY or stack.policy(channel).reviewers is not None:
        return reviewers
    return tuple(dict.fromkeys((*reviewers, *stack.review.backup_reviewers)))


async def show_state(case: Case, state: ReviewState, saved: Saved, stack: Stack) -> None:
    await saved.outbox.revise(review_slot(case), card_of(case, state, stack).to_json())


def review_slot(case: Case) -> str:
    """The slot of a review's card."""
    return f"{case.work.id}/{case.review.run_id}/review"


def card_of(case: Case, state: ReviewState, stack: Stack) -> Body:
    reviewers = may_decide(case, stack)
    return messages.review_card(
        case.answer,
        state=state,
        reviewers=[reviewer for reviewer in reviewers if not reviewer.startswith("S")],
        groups=[reviewer for reviewer in reviewers if reviewer.startswith("S")],
        approve=messages.glyph(stack.review.approve[0]) if stack.review.approve else "",
        send_back=messages.glyph(stack.review.send_back[0]) if stack.review.send_back else "",
        asked_by=case.review.asked_by,
        solo=stack.review.solo,
        quorum=stack.review.quorum,
        approved_by=approvers(case.said),
        buttons=review_buttons(
            case.answer,
            state,
            pressed_kinds(case.said),
            asked_by=case.review.asked_by,
            offered=stack.review.buttons,
        ),
        spent=case.spent,
        remark="" if case.answer.decision != "none" else "The owner gave no decision on this text: look twice.",
    )


async def has_words_to_be_judged(case: Case, saved: Saved) -> bool:
    """Whether a word on the text, by reaction, click or in words in its thread, has come in and was not judged yet."""
    posted = await saved.outbox.of_answer(case.answer.id)
    if await saved.inbox.waiting_in([line_of(one.channel, one.ts) for one in posted if one.ts]):
        return True
    asked = await saved.inbox.waiting_in([line_in(case.work.team, case.work.channel, case.work.thread_ts)])
    return any(sends_back(letter) for letter in asked)


def entry_about(case: Case, who: str, what: str, at: datetime, body: dict[str, Any]) -> Entry:
    return Entry(
        team=case.work.team,
        at=at,
        who=who,
        what=what,
        work_id=case.work.id,
        run_id=case.review.run_id,
        answer_id=case.answer.id,
        body=body,
    )
