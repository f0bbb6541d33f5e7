"""The judge of the gate (pure): whose reaction counts, and what state a review is in.

awaiting ──approvals reach the quorum──▶ approved ──reaction taken away──▶ withdrawn ──approved again──▶ approved
    │  ▲                                    │                                  │
    │  └────send-back taken away────┐       │                                  │
    └──one send-back──▶ changes_requested ◀─┴──────────────────────────────────┘
awaiting, withdrawn ──time runs out──▶ expired          anything ──a newer final──▶ superseded
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from handlers.ports import Person
from storage.records import Verdict, VerdictKind


class ReviewState(StrEnum):
    """How far a review is; the names are the contract's."""

    AWAITING = "awaiting"
    APPROVED = "approved"
    CHANGES_REQUESTED = "changes_requested"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


OPEN = frozenset({ReviewState.AWAITING, ReviewState.WITHDRAWN})


class Judgement(StrEnum):
    """What a reaction comes to."""

    COUNTS = "counts"
    NOBODY = "nobody"
    OWN_WORK = "own_work"
    NOT_A_REVIEWER = "not_a_reviewer"
    OUTSIDER = "outsider"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"


@dataclass(frozen=True, kw_only=True, slots=True)
class Situation:
    """Everything the judge may look at.

    Attributes:
        named: their own user id stands among the reviewers.
        in_group: they are in a user group that stands among the reviewers.
        wrote_it: they asked for this final, opened the work, wrote its brief or a note to it.
    """

    state: ReviewState
    person: Person
    named: bool
    in_group: bool
    wrote_it: bool
    solo: bool


def judge(seen: Situation) -> Judgement:
    """Whether this person's word, either way, counts now; if not, what they should be told."""
    if seen.person.is_bot or seen.person.is_deactivated:
        return Judgement.NOBODY
    if seen.wrote_it and not seen.solo:
        return Judgement.OWN_WORK
    if not seen.named and not seen.in_group:
        return Judgement.NOT_A_REVIEWER
    if (seen.person.is_guest or seen.person.is_external) and not seen.named:
        return Judgement.OUTSIDER
    if seen.state is ReviewState.SUPERSEDED:
        return Judgement.SUPERSEDED
    if seen.state is ReviewState.EXPIRED:
        return Judgement.EXPIRED
    return Judgement.COUNTS


def standing(verdicts: Sequence[Verdict]) -> dict[str, VerdictKind]:
    """What each person has said and not taken back.

    A person may react on several messages: each reaction stands until that one is taken away. Slack's own times
    order them, so a delivery out of turn changes nothing. Somebody with both kinds standing sends the text back.
    """
    last: dict[tuple[str, str, str], Verdict] = {}
    for verdict in sorted(verdicts, key=lambda one: (one.at, one.seq)):
        last[(verdict.person, str(verdict.evidence.get("message")), _sort(verdict))] = verdict
    kinds: dict[str, set[VerdictKind]] = {}
    for verdict in last.values():
        if verdict.kind is not VerdictKind.WITHDRAW:
            kinds.setdefault(verdict.person, set()).add(verdict.kind)
    return {
        person: VerdictKind.SEND_BACK if VerdictKind.SEND_BACK in said else VerdictKind.APPROVE
        for person, said in kinds.items()
    }


def _sort(verdict: Verdict) -> str:
    """Which reaction it is about: a withdrawal names the emoji it takes away."""
    return verdict.emoji or verdict.via


def approvers(verdicts: Sequence[Verdict]) -> list[str]:
    """Who approves, in the order of their words."""
    stands = standing(verdicts)
    return [who for who in dict.fromkeys(v.person for v in verdicts) if stands.get(who) is VerdictKind.APPROVE]


def state_of(
    verdicts: Sequence[Verdict], *, quorum: int, superseded: bool, expires_at: datetime | None, now: datetime
) -> ReviewState:
    """The state that follows from what was said. A later change of the quorum undoes no approval."""
    if superseded:
        return ReviewState.SUPERSEDED
    said = sorted(verdicts, key=lambda one: (one.at, one.seq))
    was_approved = any(_approved(said[: end + 1], quorum) for end in range(len(said)))
    if any(kind is VerdictKind.SEND_BACK for kind in standing(said).values()):
        return ReviewState.CHANGES_REQUESTED
    if _approved(said, quorum):
        return ReviewState.APPROVED
    if expires_at is not None and now >= expires_at:
        return ReviewState.EXPIRED
    return ReviewState.WITHDRAWN if was_approved else ReviewState.AWAITING


def _approved(said: Sequence[Verdict], quorum: int) -> bool:
    if not said:
        return False
    stands = standing(said)
    needed = int(said[-1].evidence.get("quorum", quorum))
    return VerdictKind.SEND_BACK not in stands.values() and len(stands) >= needed
