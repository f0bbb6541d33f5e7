"""What is looked at again whenever an approval is about to count: the people who give it, and the text as it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from handlers import messages
from handlers.case import Case, may_decide
from handlers.context import digest
from handlers.figures import short
from handlers.judge import Judgement, ReviewState, Situation, approvers, judge, words_standing
from handlers.ports import Clock, LookupFailed, Slack
from handlers.stack import Stack
from storage.database import Database
from storage.records import Kind, Message, Verdict, VerdictKind

LAPSED = "lapsed"
"""The way of a withdrawal that nobody made: an approval that stopped counting."""
_SETTLE = timedelta(seconds=10)
"""So long a message that Slack took may be missing when the thread is read."""


class NotYet(Exception):  # noqa: N818  reads as a fact
    """Nobody knows the message yet that this is about; look again a little later."""


async def situation(
    person: str, case: Case, state: ReviewState, now: datetime, *, slack: Slack, stack: Stack
) -> Situation:
    """Everything the judge looks at for one person, as Slack and the stack have it now.

    Raises:
        LookupFailed: Slack does not say what must be known.
    """
    reviewers = may_decide(case, stack)
    named = person in reviewers
    asked = [] if named else [reviewer for reviewer in reviewers if reviewer.startswith("S")]
    groups = tuple([group for group in asked if person in await slack.members_of(group)])
    return Situation(
        state=state,
        person=await slack.person(person),
        named=named,
        in_group=bool(groups),
        groups=groups,
        wrote_it=person in case.review.authors,
        solo=stack.review.solo,
        late=case.is_late(now),
    )


async def lapsed(case: Case, now: datetime, *, besides: str | None, slack: Slack, stack: Stack) -> dict[str, Judgement]:
    """Whose standing approval does not count any more, and why: they may have left, or be no reviewers now.

    `besides`: somebody who was judged just now.
    """
    gone: dict[str, Judgement] = {}
    for person in approvers(case.said):
        if person == besides:
            continue
        seen = await situation(person, case, ReviewState.AWAITING, now, slack=slack, stack=stack)
        judgement = judge(seen)
        if judgement is not Judgement.COUNTS:
            gone[person] = judgement
    return gone


def lapses(case: Case, gone: Mapping[str, str], because: str) -> list[Verdict]:
    """Approvals that do not count any more are taken away for their givers, who may give them again.

    At their own time: with the approval that brought this to light, the quorum was not reached for a moment.
    `gone`: whose, and why; `because`: what brought it to light, by its key.
    """
    return [
        replace(
            verdict,
            kind=VerdictKind.WITHDRAW,
            via=LAPSED,
            request_key=f"lapsed/{verdict.seq}/{because}"[:200],
            evidence={"message": verdict.evidence.get("message"), "why": gone[verdict.person]},
        )
        for verdict in words_standing(case.said)
        if verdict.person in gone and verdict.kind is VerdictKind.APPROVE
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class Posted:
    """A text as it stands in its thread.

    Attributes:
        fault: what keeps an approval of it from counting, as a clause; None when all is as it was posted.
        is_kept: where there is a fault, whether the text itself is kept as it was made, and Slack took all of it once.
        parts: its messages in their order, each with its ts and the sha256 of what Slack returned of it.
    """

    fault: str | None = None
    is_kept: bool = False
    parts: tuple[tuple[str, str], ...] = ()

    @property
    def told(self) -> str | None:
        """The fault as a sentence, with a way out."""
        way = f"`{messages.BOT} final` makes a new version to approve."
        return None if self.fault is None else f"{self.fault}, so it cannot be approved. {way}"

    @property
    def evidence(self) -> dict[str, Any]:
        """As an approval keeps it."""
        return {"parts": [{"ts": ts, "sha256": sha256} for ts, sha256 in self.parts]}


async def read_back(case: Case, *, storage: Database, slack: Slack, now: Clock) -> Posted:
    """Look at the posted text in its thread, part by part.

    Raises:
        LookupFailed: Slack does not show the thread, or not all of the text: a part of it is still on its way, or was
            posted just now.
    """
    async with storage.reading() as saved:
        owed = [m for m in await saved.outbox.of_answer(case.answer.id) if m.kind is Kind.ANSWER]
    text = short(case.answer.sha256)
    if digest(case.answer.text) != case.answer.sha256:
        return Posted(fault=f"What is kept of text {text} is not what was made (`python -m bot verify` says more)")
    parts = [part for part in owed if part.given_up is None]
    if not parts or any(not _goes_on(part, parts) for part in owed if part.given_up is not None):
        return Posted(fault=f"Slack did not take all of text {text}")
    if any(part.ts is None for part in parts) or case.work.thread_ts is None:
        raise LookupFailed(f"a part of text {text} is not posted yet")
    found = await slack.messages(case.work.channel, case.work.thread_ts, [part.ts for part in parts if part.ts])
    for part in parts:
        there = found.get(part.ts or "")
        if there is None and part.sent_at is not None and now() - part.sent_at < _SETTLE:
            raise LookupFailed(f"a part of text {text} was posted just now")
        if there is None:
            return Posted(fault=f"A part of text {text} is no longer in the thread", is_kept=True)
        if there.edited or there.digest != part.digest:
            return Posted(fault=f"Text {text} does not stand in the thread as it was posted", is_kept=True)
    return Posted(parts=tuple((seen.ts, seen.digest) for seen in (found[part.ts] for part in parts if part.ts)))


def _goes_on(lost: Message, parts: list[Message]) -> bool:
    """Whether a message Slack refused went on in plainer pieces, whose slots stand under its own."""
    return any(part.slot.startswith(f"{lost.slot}/") for part in parts)
