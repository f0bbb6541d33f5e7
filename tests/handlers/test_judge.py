"""Whose word counts, and what state follows from the words that were said."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from handlers.judge import Judgement, ReviewState, Situation, approvers, judge, pressed, standing, state_of
from handlers.ports import Person
from storage.records import Verdict, VerdictKind

START = datetime(2026, 11, 3, 14, 0, tzinfo=UTC)
RAE, SAM = "U0RAE", "U0SAM"

# Who somebody is, the traits they have, and what becomes of their word while a review waits: without and with solo.
PEOPLE: dict[str, tuple[dict[str, bool], Judgement, Judgement]] = {
    "reviewer by name": ({"named": True}, Judgement.COUNTS, Judgement.COUNTS),
    "reviewer by group": ({"in_group": True}, Judgement.COUNTS, Judgement.COUNTS),
    "stranger": ({}, Judgement.NOT_A_REVIEWER, Judgement.NOT_A_REVIEWER),
    "requester, opener or note-writer who is a reviewer": (
        {"named": True, "wrote_it": True},
        Judgement.OWN_WORK,
        Judgement.COUNTS,
    ),
    "the same by group": ({"in_group": True, "wrote_it": True}, Judgement.OWN_WORK, Judgement.COUNTS),
    "requester who is no reviewer": ({"wrote_it": True}, Judgement.OWN_WORK, Judgement.NOT_A_REVIEWER),
    "guest, named": ({"named": True, "is_guest": True}, Judgement.COUNTS, Judgement.COUNTS),
    "guest in a group": ({"in_group": True, "is_guest": True}, Judgement.OUTSIDER, Judgement.OUTSIDER),
    "guest, unnamed": ({"is_guest": True}, Judgement.NOT_A_REVIEWER, Judgement.NOT_A_REVIEWER),
    "guest who asked for it": (
        {"named": True, "is_guest": True, "wrote_it": True},
        Judgement.OWN_WORK,
        Judgement.COUNTS,
    ),
    "external, named": ({"named": True, "is_external": True}, Judgement.COUNTS, Judgement.COUNTS),
    "external in a group": ({"in_group": True, "is_external": True}, Judgement.OUTSIDER, Judgement.OUTSIDER),
    "external, unnamed": ({"is_external": True}, Judgement.NOT_A_REVIEWER, Judgement.NOT_A_REVIEWER),
    "deactivated reviewer": ({"named": True, "is_deactivated": True}, Judgement.NOBODY, Judgement.NOBODY),
    "deactivated in a group": ({"in_group": True, "is_deactivated": True}, Judgement.NOBODY, Judgement.NOBODY),
    "bot by name": ({"named": True, "is_bot": True}, Judgement.NOBODY, Judgement.NOBODY),
    "bot that asked": ({"named": True, "is_bot": True, "wrote_it": True}, Judgement.NOBODY, Judgement.NOBODY),
}
TRAITS = ("is_bot", "is_guest", "is_deactivated", "is_external")


def situation(
    state: ReviewState = ReviewState.AWAITING, *, solo: bool = False, late: bool = False, **is_: bool
) -> Situation:
    return Situation(
        state=state,
        person=Person(id=RAE, **{trait: is_.get(trait, False) for trait in TRAITS}),
        named=is_.get("named", False),
        in_group=is_.get("in_group", False),
        wrote_it=is_.get("wrote_it", False),
        solo=solo,
        late=late,
    )


@pytest.mark.parametrize("state", list(ReviewState))
@pytest.mark.parametrize("solo", [False, True], ids=["team", "solo"])
@pytest.mark.parametrize("who", PEOPLE)
def test_each_kind_of_person_gets_its_judgement_in_each_state(who: str, *, solo: bool, state: ReviewState) -> None:
    traits, in_team, in_solo = PEOPLE[who]
    expected = in_solo if solo else in_team
    closed = {ReviewState.SUPERSEDED: Judgement.SUPERSEDED, ReviewState.EXPIRED: Judgement.EXPIRED}
    if expected is Judgement.COUNTS:
        expected = closed.get(state, Judgement.COUNTS)
    assert judge(situation(state, solo=solo, **traits)) is expected


def test_over_all_combinations_nobody_counts_who_must_not() -> None:
    names = (*TRAITS, "named", "in_group", "wrote_it")
    facts = list(itertools.product([False, True], repeat=4))
    for flags in itertools.product([False, True], repeat=len(names)):
        is_ = dict(zip(names, flags, strict=True))
        for (solo, late, no_buttons, already), state in itertools.product(facts, ReviewState):
            outsider = is_["is_guest"] or is_["is_external"]
            may = (
                not (is_["is_bot"] or is_["is_deactivated"])
                and (solo or not is_["wrote_it"])
                and (is_["named"] or (is_["in_group"] and not outsider))
                and state not in {ReviewState.SUPERSEDED, ReviewState.EXPIRED}
                and not (late and state is ReviewState.CHANGES_REQUESTED)
                and not (no_buttons or already)
            )
            seen = replace(
                situation(state, solo=solo, late=late, **is_), no_buttons=no_buttons, approved_already=already
            )
            assert (judge(seen) is Judgement.COUNTS) is may, seen


# what follows from what was said


def said(
    person: str, kind: VerdictKind, minute: float, *, message: str = "1.1", emoji: str = "", **evidence: int
) -> Verdict:
    named = emoji or ("x" if kind is VerdictKind.SEND_BACK else "white_check_mark")
    return Verdict(
        answer_id="a-cage",
        person=person,
        kind=kind,
        via="reaction",
        emoji=named,
        request_key=f"reaction/{person}/{minute}/{message}/{named}",
        evidence={"message": message, "quorum": 1, **evidence},
        at=START + timedelta(minutes=minute),
        seq=int(minute * 100),
    )


def approves(person: str, minute: float, **more: object) -> Verdict:
    return said(person, VerdictKind.APPROVE, minute, **more)  # type: ignore[arg-type]


def sends_back(person: str, minute: float, **more: object) -> Verdict:
    return said(person, VerdictKind.SEND_BACK, minute, **more)  # type: ignore[arg-type]


def takes_back(verdict: Verdict, minute: float) -> Verdict:
    return said(
        verdict.person,
        VerdictKind.WITHDRAW,
        minute,
        message=str(verdict.evidence["message"]),
        emoji=verdict.emoji or "",
    )


def state(
    *verdicts: Verdict, quorum: int = 1, superseded: bool = False, ends: float = 600, at: float = 500
) -> ReviewState:
    return state_of(
        verdicts,
        quorum=quorum,
        superseded=superseded,
        expires_at=START + timedelta(minutes=ends),
        now=START + timedelta(minutes=at),
    )


@dataclass
class Model:
    """A small independent account of the gate: sets, flags, and nothing of the code under test."""

    quorum: int
    approving: set[str] = field(default_factory=set)
    against: set[str] = field(default_factory=set)
    was_approved: bool = False
    expired: bool = False
    superseded: bool = False

    def copy(self) -> Model:
        return Model(
            self.quorum, set(self.approving), set(self.against), self.was_approved, self.expired, self.superseded
        )

    def does(self, action: str) -> Model | None:
        """The model after an action; None where it cannot happen."""
        after = self.copy()
        what, _, who = action.partition(" ")
        match what:
            case "approve" if who not in self.approving:
                if not self.expired:
                    after.approving.add(who)
            case "unapprove" if who in self.approving:
                after.approving.discard(who)
            case "refuse" if who not in self.against:
                after.against.add(who)
            case "unrefuse" if who in self.against:
                after.against.discard(who)
            case "expire" if not self.expired:
                after.expired = True
            case "supersede" if not self.superseded:
                after.superseded = True
            case _:
                return None
        after.was_approved = after.was_approved or after.is_approved
        return after

    @property
    def is_approved(self) -> bool:
        return not self.against and len(self.approving) >= self.quorum

    @property
    def state(self) -> str:
        if self.superseded:
            return "superseded"
        if self.against:
            return "changes_requested"
        if self.is_approved:
            return "approved"
        if self.expired:
            return "expired"
        return "withdrawn" if self.was_approved else "awaiting"


ACTIONS = [
    *(f"{what} {who}" for who in (RAE, SAM) for what in ("approve", "unapprove", "refuse", "unrefuse")),
    "expire",
    "supersede",
]


def rows_of(actions: tuple[str, ...], quorum: int) -> tuple[list[Verdict], float, bool]:
    """The verdict rows of a sequence of actions, when the review expires, and whether it is superseded."""
    rows: list[Verdict] = []
    ends = 10_000.0
    kinds = {"approve": VerdictKind.APPROVE, "refuse": VerdictKind.SEND_BACK}
    for minute, action in enumerate(actions, 1):
        what, _, who = action.partition(" ")
        if what == "expire":
            ends = minute
        elif what in kinds:
            rows.append(said(who, kinds[what], minute, quorum=quorum))
        elif what.startswith("un"):
            emoji = "x" if what == "unrefuse" else "white_check_mark"
            rows.append(said(who, VerdictKind.WITHDRAW, minute, emoji=emoji))
    return rows, ends, "supersede" in actions


def walks(model: Model, depth: int, done: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Model]]:
    """Every sequence that can happen, with the model at its end."""
    yield done, model
    if len(done) < depth and not model.superseded:
        for action in ACTIONS:
            if (after := model.does(action)) is not None:
                yield from walks(after, depth, (*done, action))


@pytest.mark.parametrize("quorum", [1, 2])
def test_every_sequence_of_eight_actions_ends_in_the_models_state(quorum: int) -> None:
    checked = 0
    for actions, model in walks(Model(quorum), 8):
        rows, ends, superseded = rows_of(actions, quorum)
        got = state(*rows, quorum=quorum, superseded=superseded, ends=ends, at=100)
        assert got == model.state, actions
        checked += 1
    assert checked > 200_000


def test_any_order_of_the_rows_gives_the_same_state_and_the_same_approvers() -> None:
    dice = random.Random(1924)
    for actions, _ in itertools.islice(walks(Model(2), 6), 0, None, 37):
        rows, ends, superseded = rows_of(actions, 2)
        shuffled = dice.sample(rows, len(rows))
        assert standing(shuffled) == standing(rows)
        assert approvers(shuffled) == approvers(rows)
        settings = {"quorum": 2, "superseded": superseded, "ends": ends, "at": 100}
        assert state(*shuffled, **settings) is state(*rows, **settings)  # type: ignore[arg-type]


# what is said by the buttons


def presses(person: str, kind: VerdictKind, minute: float, *, takes: VerdictKind | None = None) -> Verdict:
    verdict = said(person, kind, minute, message="1.9", **({"takes": takes.value} if takes else {}))  # type: ignore[arg-type]
    return replace(verdict, via="button", emoji=None, request_key=f"click/{person}/{minute}")


def clicks(person: str, what: str, minute: float) -> Verdict:
    match what:
        case "press yes":
            return presses(person, VerdictKind.APPROVE, minute)
        case "press no":
            return presses(person, VerdictKind.SEND_BACK, minute)
        case "take yes":
            return presses(person, VerdictKind.WITHDRAW, minute, takes=VerdictKind.APPROVE)
        case "take no":
            return presses(person, VerdictKind.WITHDRAW, minute, takes=VerdictKind.SEND_BACK)
        case "give ❌":
            return sends_back(person, minute)
        case "give ✅":
            return approves(person, minute)
        case "take ❌":
            return takes_back(sends_back(person, 0), minute)
        case _:
            return takes_back(approves(person, 0), minute)


def one_persons_word(deeds: tuple[str, ...]) -> VerdictKind | None:
    """An independent account: the reactions that are there, and the last word of the buttons beside them."""
    shown, held = set[str](), ""
    for deed in deeds:
        how, _, what = deed.partition(" ")
        match how, what:
            case "press", _:
                held = what
            case "take", "yes" | "no":
                held = "" if held == what else held
            case "give", _:
                shown.add(what)
                held = "" if (what, held) == ("❌", "yes") else held
            case _:
                shown.discard(what)
    if "❌" in shown or held == "no":
        return VerdictKind.SEND_BACK
    return VerdictKind.APPROVE if "✅" in shown or held == "yes" else None


DEEDS = ("press yes", "press no", "take yes", "take no", "give ✅", "give ❌", "take ✅", "take ❌")


def test_every_sequence_of_five_clicks_and_reactions_leaves_one_word_of_one_person() -> None:
    for count in range(6):
        for deeds in itertools.product(DEEDS, repeat=count):
            rows = [clicks(RAE, deed, minute) for minute, deed in enumerate(deeds, 1)]
            expected = one_persons_word(deeds)
            assert standing(rows).get(RAE) is expected, deeds
            assert (approvers(rows) == [RAE]) is (expected is VerdictKind.APPROVE), deeds


def test_a_click_and_a_reaction_of_one_person_are_one_voice() -> None:
    both = [
        replace(one, evidence={**one.evidence, "quorum": 2}) for one in (approves(RAE, 1), clicks(RAE, "press yes", 2))
    ]
    assert state(*both, quorum=2) is ReviewState.AWAITING
    assert approvers(both) == [RAE]
    taken = takes_back(both[0], 3)
    assert state(*both, taken, approves(SAM, 4, quorum=2), quorum=2) is ReviewState.APPROVED


def test_what_was_pressed_at_a_moment_stands_at_that_moment() -> None:
    given = clicks(RAE, "press yes", 1)
    assert pressed([given], RAE, given.at) is VerdictKind.APPROVE
    assert pressed([given], RAE, given.at - timedelta(microseconds=1)) is None
    assert pressed([given], SAM, given.at) is None


def test_taking_a_reaction_away_leaves_what_was_pressed() -> None:
    pressed = clicks(RAE, "press yes", 1)
    assert state(pressed, takes_back(approves(RAE, 0), 2)) is ReviewState.APPROVED
    assert state(pressed, clicks(RAE, "take yes", 2)) is ReviewState.WITHDRAWN


def test_of_two_clicks_at_one_moment_the_send_back_stands() -> None:
    both = (clicks(RAE, "press no", 1), clicks(RAE, "press yes", 1))
    assert state(*both) is state(*reversed(both)) is ReviewState.CHANGES_REQUESTED


def test_a_button_that_is_switched_off_or_says_what_stands_counts_for_nobody() -> None:
    reviewer = situation(named=True)
    assert judge(replace(reviewer, no_buttons=True)) is Judgement.NO_BUTTONS
    assert judge(replace(reviewer, approved_already=True)) is Judgement.APPROVED_ALREADY
    closed = situation(ReviewState.SUPERSEDED, named=True)
    assert judge(replace(closed, approved_already=True)) is Judgement.SUPERSEDED
    assert judge(replace(situation(), no_buttons=True)) is Judgement.NO_BUTTONS


def test_a_removal_at_the_same_moment_as_its_reaction_is_the_later_of_the_two() -> None:
    given = approves(RAE, 3)
    assert state(given, takes_back(given, 3)) is ReviewState.WITHDRAWN
    assert state(takes_back(given, 3), given) is ReviewState.WITHDRAWN


def test_each_of_several_reactions_stands_until_that_one_is_taken_away() -> None:
    on_text, on_card = approves(RAE, 1), approves(RAE, 2, message="1.2")
    assert state(on_text, on_card, takes_back(on_text, 3)) is ReviewState.APPROVED
    assert state(on_text, on_card, takes_back(on_text, 3), takes_back(on_card, 4)) is ReviewState.WITHDRAWN


def test_two_skin_tones_are_two_reactions() -> None:
    light, dark = (sends_back(RAE, at, emoji=f"-1::skin-tone-{tone}") for at, tone in ((1, 2), (2, 6)))
    assert state(light, dark, takes_back(light, 3), approves(SAM, 4)) is ReviewState.CHANGES_REQUESTED


def test_one_person_is_one_voice_however_many_reactions_they_give() -> None:
    several = [approves(RAE, at, message=f"1.{at}", quorum=2) for at in (1, 2, 3)]
    assert state(*several, quorum=2) is ReviewState.AWAITING
    assert state(*several, approves(SAM, 4, quorum=2), quorum=2) is ReviewState.APPROVED


def test_one_send_back_stands_against_any_number_of_approvals() -> None:
    assert state(approves(RAE, 1), sends_back(SAM, 2), approves("U0TAO", 3)) is ReviewState.CHANGES_REQUESTED


def test_who_says_both_sends_the_text_back() -> None:
    for both in ((approves(RAE, 1), sends_back(RAE, 2)), (sends_back(RAE, 1), approves(RAE, 2))):
        assert state(*both) is ReviewState.CHANGES_REQUESTED
        assert standing(both) == {RAE: VerdictKind.SEND_BACK}
        assert approvers(both) == []


def test_a_higher_quorum_later_undoes_no_approval() -> None:
    assert state(approves(RAE, 1, quorum=1), quorum=3) is ReviewState.APPROVED


def test_one_more_approval_under_a_higher_quorum_undoes_none_either() -> None:
    both = (approves(RAE, 1, quorum=1), approves(SAM, 2, quorum=3))
    assert state(*both, quorum=3) is ReviewState.APPROVED
    assert state(*both, takes_back(both[0], 3), quorum=3) is ReviewState.WITHDRAWN


def test_a_quorum_raised_while_waiting_must_be_reached_by_the_approval_that_comes() -> None:
    assert state(approves(RAE, 1, quorum=2), approves(SAM, 2, quorum=3), quorum=3) is ReviewState.AWAITING


def test_a_lower_quorum_later_approves_nothing_by_itself() -> None:
    first = approves(RAE, 1, quorum=2)
    assert state(first, quorum=1) is ReviewState.AWAITING
    assert state(first, approves(SAM, 2, quorum=1), quorum=1) is ReviewState.APPROVED


def test_an_approval_after_the_end_does_not_count_even_when_a_send_back_kept_the_review_open() -> None:
    against = sends_back(SAM, 1)
    late = approves(RAE, 20)
    assert state(against, late, ends=10, at=21) is ReviewState.CHANGES_REQUESTED
    assert state(against, late, takes_back(against, 30), ends=10, at=31) is ReviewState.EXPIRED


def test_an_approval_in_time_outlives_the_end() -> None:
    assert state(approves(RAE, 1), ends=10, at=500) is ReviewState.APPROVED


def test_a_review_without_an_end_never_expires() -> None:
    far = START + timedelta(days=4_000)
    assert state_of([], quorum=1, superseded=False, expires_at=None, now=far) is ReviewState.AWAITING


def test_the_moment_of_the_end_is_too_late() -> None:
    assert state(ends=10, at=10) is ReviewState.EXPIRED
    assert state(approves(RAE, 10), ends=10, at=10) is ReviewState.EXPIRED
    assert state(approves(RAE, 9.99), ends=10, at=10) is ReviewState.APPROVED
