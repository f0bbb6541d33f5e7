"""The judge of the gate (pure): whose reaction counts, and what state a review is in.

awaiting ──approvals reach the quorum──▶ approved ──approval taken back──▶ withdrawn ──approved again──▶ approved
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

Which = tuple[str, str, str]
"""A person, and which of their words: a message with an emoji on it, or two empty texts for the buttons."""
_FIRST_AT_ONCE = (VerdictKind.APPROVE, VerdictKind.SEND_BACK, VerdictKind.WITHDRAW)


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
    """What a reaction or a click comes to."""

    COUNTS = "counts"
    NOBODY = "nobody"
    OWN_WORK = "own_work"
    NOT_A_REVIEWER = "not_a_reviewer"
    OUTSIDER = "outsider"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"
    NO_BUTTONS = "no_buttons"
    APPROVED_ALREADY = "approved_already"


@dataclass(frozen=True, kw_only=True, slots=True)
class Situation:
    """Everything the judge may look at.

    Attributes:
        named: their own user id stands among the reviewers.
        in_group: they are in a user group that stands among the reviewers; `groups` are those.
        wrote_it: they asked for this final, opened the work, wrote its brief or a note to it.
        late: the time for approvals has run out, even where a standing send-back keeps the state from saying so.
        no_buttons: they pressed one, and the stack has none.
        approved_already: they approve by the button now, and that stands: the click changes nothing.
    """

    state: ReviewState
    person: Person
    named: bool
    in_group: bool
    wrote_it: bool
    solo: bool
    groups: tuple[str, ...] = ()
    late: bool = False
    no_buttons: bool = False
    approved_already: bool = False


def judge(seen: Situation) -> Judgement:
    """Whether this person's word, either way, counts now; if not, what they should be told."""
    if seen.person.is_bot or seen.person.is_deactivated:
        return Judgement.NOBODY
    if seen.no_buttons:
        return Judgement.NO_BUTTONS
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
    return Judgement.APPROVED_ALREADY if seen.approved_already else Judgement.COUNTS


def standing(verdicts: Sequence[Verdict]) -> dict[str, VerdictKind]:
    """What each person has said and not taken back.

    A person may react on several messages: each reaction stands until that one is taken away, and what they pressed
    last stands beside. Somebody with both kinds standing sends the text back.
    """
    kinds: dict[str, VerdictKind] = {}
    for verdict in words_standing(verdicts):
        if kinds.get(verdict.person) is not VerdictKind.SEND_BACK:
            kinds[verdict.person] = verdict.kind
    return kinds


def words_standing(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """What was given and not taken back, oldest first. Slack's own times order it, not its delivery.

    By the buttons a person has one word, the last one pressed; an approval among them does not outlive a later
    send-back of theirs, however that was given and whatever becomes of it: no reaction shows that it is there.
    """
    last: dict[Which, Verdict] = {}
    for verdict in _in_order(verdicts):
        before, takes = last.get(word_of(verdict)), verdict.evidence.get("takes")
        if takes is not None and (before is None or before.kind != takes):
            continue
        last[word_of(verdict)] = verdict
        if verdict.kind is VerdictKind.SEND_BACK:
            pressed = last.get(_pressed_by(verdict.person))
            if pressed is not None and pressed.kind is VerdictKind.APPROVE:
                del last[_pressed_by(verdict.person)]
    return _in_order([verdict for verdict in last.values() if verdict.kind is not VerdictKind.WITHDRAW])


def word_of(verdict: Verdict) -> Which:
    """Which word a verdict gives or takes back: a reaction on a message (skin tones differ), or what was pressed."""
    if verdict.emoji is None:
        return _pressed_by(verdict.person)
    return verdict.person, str(verdict.evidence.get("message")), verdict.emoji


def _pressed_by(person: str) -> Which:
    return person, "", ""


def pressed(verdicts: Sequence[Verdict], person: str, at: datetime) -> VerdictKind | None:
    """What stood at a moment of what somebody said by the buttons."""
    stood = words_standing([verdict for verdict in verdicts if verdict.at <= at])
    return next((verdict.kind for verdict in stood if word_of(verdict) == _pressed_by(person)), None)


def pressed_kinds(verdicts: Sequence[Verdict]) -> set[VerdictKind]:
    """What stands of all that was said by the buttons."""
    return {verdict.kind for verdict in words_standing(verdicts) if verdict.emoji is None}


def _in_order(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Where two have the same time, an approval is the earlier one: in doubt nothing is approved."""
    return sorted(verdicts, key=lambda one: (one.at, _FIRST_AT_ONCE.index(one.kind), one.seq))


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
    stands = words_standing(said)
    if any(verdict.kind is VerdictKind.SEND_BACK for verdict in stands):
        return ReviewState.CHANGES_REQUESTED
    if _reach_quorum(stands, quorum):
        return ReviewState.APPROVED
    if expires_at is not None and now >= expires_at:
        return ReviewState.EXPIRED
    was_approved = any(_reach_quorum(words_standing(said[:end]), quorum) for end in range(1, len(said)))
    return ReviewState.WITHDRAWN if was_approved else ReviewState.AWAITING


def _reach_quorum(stands: Sequence[Verdict], quorum: int) -> bool:
    """Whether nobody sends the text back and, at one of the approvals, there were as many as were needed then."""
    if any(verdict.kind is VerdictKind.SEND_BACK for verdict in stands):
        return False
    return any(
        len({verdict.person for verdict in stands[: place + 1]}) >= int(approval.evidence.get("quorum", quorum))
        for place, approval in enumerate(stands)
    )
