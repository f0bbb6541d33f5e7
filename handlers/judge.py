"""The judge of the gate (pure): whose reaction counts, and what state a review is in.

awaiting ──approvals reach the quorum──▶ approved ──reaction taken away──▶ withdrawn ──approved again──▶ approved
    │  ▲                                    │                                  │
    │  └────send-back taken away────┐       │                                  │
    └──one send-back──▶ changes_requested ◀─┴──────────────────────────────────┘
awaiting, withdrawn ──time runs out──▶ expired          anything ──a newer final──▶ superseded

A send-back taken away leads back to where the standing approvals are: to approved, if they reach the quorum.
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
        late: the time for approvals has run out, even where a standing send-back keeps the state from saying so.
    """

    state: ReviewState
    person: Person
    named: bool
    in_group: bool
    wrote_it: bool
    solo: bool
    late: bool = False


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
    if seen.state is ReviewState.EXPIRED or (seen.late and seen.state is ReviewState.CHANGES_REQUESTED):
        return Judgement.EXPIRED
    return Judgement.COUNTS


def standing(verdicts: Sequence[Verdict]) -> dict[str, VerdictKind]:
    """What each person has said and not taken back.

    A person may react on several messages: each reaction stands until that one is taken away. Somebody with both
    kinds standing sends the text back.
    """
    kinds: dict[str, VerdictKind] = {}
    for verdict in reactions_standing(verdicts):
        if kinds.get(verdict.person) is not VerdictKind.SEND_BACK:
            kinds[verdict.person] = verdict.kind
    return kinds


def reactions_standing(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The reactions that were not taken away, oldest first. Slack's own times order them, not their delivery."""
    last: dict[tuple[str, str, str], Verdict] = {}
    for verdict in _in_order(verdicts):
        last[reaction_of(verdict)] = verdict
    return _in_order([verdict for verdict in last.values() if verdict.kind is not VerdictKind.WITHDRAW])


def reaction_of(verdict: Verdict) -> tuple[str, str, str]:
    """Which reaction a verdict gives or takes away: whose, on which message, and which one (skin tones differ)."""
    return verdict.person, str(verdict.evidence.get("message")), verdict.emoji or verdict.via


def _in_order(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Where two have the same time, the withdrawal is the later one: in doubt nothing is approved."""
    return sorted(verdicts, key=lambda one: (one.at, one.kind is VerdictKind.WITHDRAW, one.seq))


def in_time(verdicts: Sequence[Verdict], expires_at: datetime | None) -> list[Verdict]:
    """Without approvals that came after the review's time had run out; a send-back may have kept it from closing."""
    return [
        verdict
        for verdict in verdicts
        if verdict.kind is not VerdictKind.APPROVE or expires_at is None or verdict.at < expires_at
    ]


def approvers(verdicts: Sequence[Verdict]) -> list[str]:
    """Who approves, in the order of their words."""
    return [person for person, kind in standing(verdicts).items() if kind is VerdictKind.APPROVE]


def state_of(
    verdicts: Sequence[Verdict], *, quorum: int, superseded: bool, expires_at: datetime | None, now: datetime
) -> ReviewState:
    """The state that follows from what was said. A later change of the quorum neither makes nor undoes an approval."""
    if superseded:
        return ReviewState.SUPERSEDED
    said = _in_order(in_time(verdicts, expires_at))
    stands = reactions_standing(said)
    if any(verdict.kind is VerdictKind.SEND_BACK for verdict in stands):
        return ReviewState.CHANGES_REQUESTED
    if _reach_quorum(stands, quorum):
        return ReviewState.APPROVED
    if expires_at is not None and now >= expires_at:
        return ReviewState.EXPIRED
    was_approved = any(_reach_quorum(reactions_standing(said[:end]), quorum) for end in range(1, len(said)))
    return ReviewState.WITHDRAWN if was_approved else ReviewState.AWAITING


def _reach_quorum(stands: Sequence[Verdict], quorum: int) -> bool:
    """Whether nobody sends the text back and, at one of the approvals, there were as many as were needed then."""
    if any(verdict.kind is VerdictKind.SEND_BACK for verdict in stands):
        return False
    return any(
        len({verdict.person for verdict in stands[: place + 1]}) >= int(approval.evidence.get("quorum", quorum))
        for place, approval in enumerate(stands)
    )
