"""Hypothesis plays people, Slack and the operator against the real gate; a small model of its own watches P7 to P10."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from handlers.incoming import Click, Reaction, Wish
from handlers.ports import LookupFailed
from handlers.review import NotYet
from storage.crashpoints import arm
from storage.ledger import first_fault
from storage.records import Answer, Kind, Message, Verdict, VerdictKind
from tests.fakes import a_stack
from tests.gate.hall import Moment, a_hall, at_once, go_back, keep, or_raised, wait_for
from tests.handlers.house import ANN, LAUNCH, RAE, SAM, STAN

IN_CI = bool(os.environ.get("CI"))
EXAMPLES = 2_000 if IN_CI else 200
DESK, GRO = "S0DESK", "U0GRO"
PEOPLE = (RAE, SAM, GRO, ANN, STAN)
CHECK, CROSS = "white_check_mark", "x"
LASTS = timedelta(days=7)
Word = Reaction | Click
TAKES = {Wish.APPROVE: Wish.WITHDRAW, Wish.SEND_BACK: Wish.TAKE_BACK}


class Died(Exception):  # noqa: N818  reads as a fact
    """The process was killed here."""


@contextmanager
def dying_at(point: str | None) -> Iterator[None]:
    def meet(name: str) -> None:
        if name == point:
            raise Died

    arm(meet)
    try:
        yield
    finally:
        arm(lambda _: None)


@dataclass
class Text:
    """A final text as the model has it."""

    answer: Answer
    spots: dict[Kind, Message]
    intact: bool = True
    announced: int = 0


@cache
def the_beginning(quorum: int) -> tuple[Moment, Answer]:
    house = a_hall(a_stack({"reviewers": [RAE, SAM, ANN, DESK], "quorum": quorum}))
    for who in PEOPLE:
        house.slack.knows(who)
    house.slack.groups[DESK] = frozenset({GRO})
    text = wait_for(house.final())
    return keep(house), text


def _has_lapsed(row: Verdict, rows: list[Verdict]) -> bool:
    return any(one.via == "lapsed" and one.request_key.startswith(f"lapsed/{row.seq}/") for one in rows)


class Gate(RuleBasedStateMachine):
    """Whatever happens, in whatever order it is told."""

    played = 0

    @initialize(quorum=st.sampled_from([1, 2]), solo=st.booleans())
    def opens(self, quorum: int, *, solo: bool) -> None:
        Gate.played += 1
        moment, text = the_beginning(quorum)
        self.house = go_back(moment)
        self.house.rules(solo=solo)
        self.quorum, self.solo, self.buttons = quorum, solo, True
        self.named, self.group, self.off = {RAE, SAM, ANN}, {GRO}, set[str]()
        self.standing: set[tuple[str, str, str]] = set()
        self.pending: list[Word] = []
        self.delivered: list[Word] = []
        self.kept: set[str] = set()
        self.texts: list[Text] = []
        self.is_new = True
        self._takes_in(text)

    def _takes_in(self, answer: Answer) -> None:
        spots = {kind: at_once(self.house.message_of(answer, kind)) for kind in (Kind.ANSWER, Kind.REVIEW)}
        self.texts.append(Text(answer=answer, spots=spots))

    def _is_posted_again(self, text: Text) -> None:
        """Who would have approved what does not stand as it was posted gets the same text as a new version."""
        for answer in at_once(self.house.answers(text.answer.work_id)):
            if answer.id not in {one.answer.id for one in self.texts}:
                assert not text.intact, "a text was posted again although it stands as it was posted"
                assert answer.sha256 == text.answer.sha256, "P7: another text was posted again"
                at_once(self.house.posts())
                self._takes_in(answer)

    # what people do

    @rule(
        who=st.sampled_from(PEOPLE),
        emoji=st.sampled_from([CHECK, CHECK, CROSS]),
        on=st.sampled_from([Kind.ANSWER, Kind.REVIEW]),
        newest=st.booleans(),
        tell=st.booleans(),
    )
    def reacts_or_takes_it_away(self, who: str, emoji: str, on: Kind, *, newest: bool, tell: bool) -> None:
        message = self.texts[-1 if newest else 0].spots[on]
        reaction = (who, str(message.ts), emoji)
        self.standing ^= {reaction}
        self.pending.append(self.house.reaction(who, emoji, message, added=reaction in self.standing))
        if tell:
            self._deliver(self.pending.pop())

    @rule(who=st.sampled_from(PEOPLE), on=st.sampled_from([Kind.ANSWER, Kind.REVIEW]))
    def takes_it_away_and_that_is_told_first(self, who: str, on: Kind) -> None:
        message = self.texts[-1].spots[on]
        if (who, str(message.ts), CHECK) in self.standing:
            return
        given = self.house.reaction(who, CHECK, message)
        taken = self.house.reaction(who, CHECK, message, added=False)
        self._deliver(taken)
        self._deliver(given)

    @rule(
        who=st.sampled_from(PEOPLE),
        wish=st.sampled_from([Wish.APPROVE, *Wish]),
        newest=st.booleans(),
        is_its_own=st.sampled_from([True, True, True, False]),
        there_are_buttons=st.sampled_from([True, True, False]),
        tell=st.booleans(),
    )
    def presses_a_button(
        self, who: str, wish: Wish, *, newest: bool, is_its_own: bool, there_are_buttons: bool, tell: bool
    ) -> None:
        text = self.texts[-1 if newest else 0]
        self.pending.append(self._presses(who, wish, text, is_its_own=is_its_own, there_are_buttons=there_are_buttons))
        if tell:
            self._deliver(self.pending.pop())

    @rule(
        who=st.sampled_from([RAE, SAM]),
        wish=st.sampled_from(Wish),
        odd=st.sampled_from(["", "", "the buttons are switched off", "it was made for another text"]),
    )
    def a_reviewer_presses_a_button_and_that_is_told(self, who: str, wish: Wish, odd: str) -> None:
        is_its_own = odd != "it was made for another text"
        there_are_buttons = odd != "the buttons are switched off"
        self._deliver(
            self._presses(who, wish, self.texts[-1], is_its_own=is_its_own, there_are_buttons=there_are_buttons)
        )

    def _presses(self, who: str, wish: Wish, text: Text, *, is_its_own: bool, there_are_buttons: bool) -> Click:
        self.buttons = there_are_buttons
        self.house.rules(buttons=self.buttons)
        sha256 = text.answer.sha256 if is_its_own else "0" * 64
        return self.house.click(who, wish, text.answer, text.spots[Kind.REVIEW], sha256=sha256)

    @rule(who=st.sampled_from(PEOPLE), wish=st.sampled_from([Wish.APPROVE, Wish.SEND_BACK]))
    def presses_and_takes_it_back_and_that_is_told_first(self, who: str, wish: Wish) -> None:
        text, card = self.texts[-1].answer, self.texts[-1].spots[Kind.REVIEW]
        given = self.house.click(who, wish, text, card)
        taken = self.house.click(who, TAKES[wish], text, card)
        self._deliver(taken)
        self._deliver(given)

    @precondition(lambda self: self.quorum == 2)
    @rule(first=st.sampled_from([RAE, SAM]), how=st.sampled_from(["is no reviewer", "left"]))
    def approves_and_goes_before_the_other_approves(self, first: str, how: str) -> None:
        self._approves(first)
        if how == "left":
            self.off.add(first)
            self.house.slack.knows(first, is_deactivated=True)
        else:
            self.named.discard(first)
            self.house.rules(reviewers=(*sorted(self.named), DESK))
        self._approves(SAM if first == RAE else RAE)

    def _approves(self, who: str) -> None:
        message = self.texts[-1].spots[Kind.REVIEW]
        reaction = (who, str(message.ts), CHECK)
        if reaction not in self.standing:
            self.standing.add(reaction)
            self._deliver(self.house.reaction(who, CHECK, message))

    @precondition(lambda self: len(self.texts) < 3)
    @rule()
    def revises(self) -> None:
        self.is_new = True
        self._takes_in(wait_for(self.house.another_final(self.texts[-1].answer)))

    @rule(how=st.sampled_from(["edits", "is edited silently", "deletes"]))
    def tampers(self, how: str) -> None:
        text = self.texts[-1]
        ts = str(text.spots[Kind.ANSWER].ts)
        if (LAUNCH, ts) not in self.house.slack.posted:
            return
        text.intact = False
        if how == "deletes":
            del self.house.slack.posted[LAUNCH, ts]
        elif how == "edits":
            self.house.slack.tampers(LAUNCH, ts, edited=True)
        else:
            self.house.slack.tampers(LAUNCH, ts, digest="0" * 64)

    # what the operator and the world do

    @rule(who=st.sampled_from([RAE, SAM, ANN]))
    def grants_or_revokes(self, who: str) -> None:
        self.named ^= {who}
        self.house.rules(reviewers=(*sorted(self.named), DESK))

    @rule()
    def the_group_changes(self) -> None:
        self.group ^= {GRO}
        self.house.slack.groups[DESK] = frozenset(self.group)

    @rule(who=st.sampled_from([RAE, SAM, GRO]))
    def comes_or_leaves(self, who: str) -> None:
        self.off ^= {who}
        self.house.slack.knows(who, is_deactivated=who in self.off)

    @rule(what=st.sampled_from(["person", "group", "messages", RAE]))
    def slack_falls_silent_or_speaks_again(self, what: str) -> None:
        self.house.slack.silent_about ^= {what}

    @rule(hours=st.sampled_from([0.01, 1, 169]))
    def time_passes(self, hours: float) -> None:
        self.house.now.goes_on(hours=hours)
        self.is_new = True

    @rule()
    def restarts(self) -> None:
        self.house = go_back(keep(self.house))
        self.is_new = True

    # what is told

    @precondition(lambda self: self.pending)
    @rule(which=st.integers(0, 20), dies_at=st.sampled_from([None, None, None, "cp21", "cp22", "cp24", "cp26"]))
    def is_told(self, which: int, dies_at: str | None) -> None:
        self._deliver(self.pending.pop(which % len(self.pending)), dies_at)

    @precondition(lambda self: self.delivered)
    @rule(which=st.integers(0, 20))
    def is_told_again(self, which: int) -> None:
        before = self._rows()
        at_once(or_raised(self.house.delivers(self.delivered[which % len(self.delivered)]), NotYet, LookupFailed))
        assert self._rows() == before, "a repeat changed something"

    def _deliver(self, told: Word, dies_at: str | None = None) -> None:
        text = next(t for t in self.texts if told.message_ts in {m.ts for m in t.spots.values()})
        self.is_new = True
        before, was = self._rows(), self._state(text)
        is_known = isinstance(told, Click) and self._approved_already(told, text)
        with dying_at(dies_at):
            raised = at_once(or_raised(self.house.delivers(told), NotYet, LookupFailed, Died))
        new = self._rows()[len(before) :]
        if raised is None:
            self.delivered.append(told)
        else:
            self.pending.insert(0, told)
        self._is_posted_again(text)
        committed = raised is None or (raised == "Died" and dies_at == "cp24")
        assert committed or not new, "something is remembered of what was not handled"
        for row in new:
            self._may_be_written(row, told, text)
        is_silent = bool(self.house.slack.silent_about) or not text.intact
        is_first = told.key not in self.kept and not is_known
        if not told.takes_away and committed and is_first and not is_silent and self._should_count(told, text):
            assert any(row.request_key == told.key for row in new), "what should count does not"
        if committed:
            self.kept.add(told.key)
        if was != "approved" and self._state(text) == "approved":
            assert text.intact, "P7: approved, and it does not stand there as it was posted"
            assert all(self._may(row.person) for row in self._stand(text, VerdictKind.APPROVE)), "P8: at the seal"

    # the model

    def _may(self, who: str) -> bool:
        """P8, of everybody who plays here."""
        return who not in self.off and who in self.named | self.group and (who != ANN or self.solo)

    def _should_count(self, told: Word, text: Text) -> bool:
        if isinstance(told, Click) and (told.sha256 != text.answer.sha256 or not self.buttons):
            return False
        is_open = text is self.texts[-1] and (
            self.house.now() < text.answer.made_at + LASTS or self._state(text) == "approved"
        )
        return self._may(told.person) and is_open

    def _may_be_written(self, row: Verdict, told: Word, text: Text) -> None:
        assert row.answer_id == text.answer.id
        if row.via == "lapsed":
            assert not self._may(row.person) or not text.intact, "an approval was taken away without a reason"
        elif row.kind is VerdictKind.WITHDRAW:
            key = (row.person, row.evidence["message"], row.emoji)
            assert any(
                (one.person, one.message_ts, one.emoji) == key and one.takes_away for one in [*self.delivered, told]
            )
        else:
            if isinstance(told, Click):
                assert (row.via, told.sha256, self.buttons) == ("button", text.answer.sha256, True), "P7: its own text"
            assert (row.person, row.request_key) == (told.person, told.key)
            assert row.evidence["sha256"] == hashlib.sha256(text.answer.text.encode()).hexdigest(), "P7"
            assert self._may(row.person), "P8: whose word may not count has counted"
            assert text is self.texts[-1], "P7: a word about an older version counted"
            assert row.kind is not VerdictKind.APPROVE or text.intact, "P7: not what was posted"

    def _rows(self) -> list[Verdict]:
        rows = [row for text in self.texts for row in at_once(self.house.verdicts(text.answer))]
        return sorted(rows, key=lambda row: row.seq)

    def _stand(self, text: Text, kind: VerdictKind) -> list[Verdict]:
        """What was counted and neither taken away, as far as we were told, nor lapsed."""
        rows = at_once(self.house.verdicts(text.answer))
        gone = {
            (one.person, one.message_ts, one.emoji): one.at
            for one in sorted(self.delivered, key=lambda one: one.at)
            if one.takes_away and not isinstance(one, Click)
        }
        shown = [
            row
            for row in rows
            if row.kind is kind
            and row.via == "reaction"
            and gone.get((row.person, row.evidence["message"], str(row.emoji)), row.at - LASTS) < row.at
            and not _has_lapsed(row, rows)
        ]
        pressed = [self._pressed(text, who) for who in PEOPLE]
        return [*shown, *(row for row in pressed if row is not None and row.kind is kind)]

    def _pressed(self, text: Text, who: str, until: datetime | None = None) -> Verdict | None:
        """What somebody's last press of a button left standing."""
        rows = [row for row in at_once(self.house.verdicts(text.answer)) if row.person == who]
        given = [row for row in rows if row.kind is not VerdictKind.WITHDRAW]
        takes = [one for one in self.delivered if isinstance(one, Click) and one.takes_away and one.person == who]
        here = [one for one in takes if (one.answer_id, one.sha256) == (text.answer.id, text.answer.sha256)]
        said: list[Verdict | Click] = [*given, *here]
        held: Verdict | None = None
        for one in sorted(said, key=lambda one: one.at):
            if until is not None and one.at > until:
                break
            if isinstance(one, Click):
                held = None if held is not None and held.kind is one.wish.takes else held
            elif one.via == "button":
                held = None if _has_lapsed(one, rows) else one
            elif one.kind is VerdictKind.SEND_BACK and held is not None and held.kind is VerdictKind.APPROVE:
                held = None
        return held

    def _approved_already(self, told: Click, text: Text) -> bool:
        held = self._pressed(text, told.person, told.at)
        return told.wish is Wish.APPROVE and held is not None and held.kind is VerdictKind.APPROVE

    def _state(self, text: Text) -> str:
        return at_once(self.house.state(text.answer))

    @invariant()
    def what_is_remembered_is_sound(self) -> None:
        if self.is_new:
            self._each_text_is_in_the_state_of_the_model()
            self._nothing_is_approved_without_its_entry_nor_the_other_way_round()
        self.is_new = False

    def _each_text_is_in_the_state_of_the_model(self) -> None:
        for text in self.texts:
            approving = {row.person for row in self._stand(text, VerdictKind.APPROVE)}
            against = self._stand(text, VerdictKind.SEND_BACK)
            state = self._state(text)
            if text is not self.texts[-1]:
                assert state == "superseded"
            elif against:
                assert state == "changes_requested"
            elif len(approving) >= self.quorum:
                assert state == "approved"
            elif self.house.now() >= text.answer.made_at + LASTS:
                assert state == "expired"
            else:
                assert state in {"awaiting", "withdrawn"}, "P9"

    def _nothing_is_approved_without_its_entry_nor_the_other_way_round(self) -> None:
        entries = at_once(self.house.ledger())
        assert first_fault(entries) is None
        said = {one.seq: one for one in entries if one.what in set(VerdictKind)}
        rows = {row.ledger_seq: row for row in self._rows()}
        assert said.keys() == rows.keys(), "P10"
        for seq, row in rows.items():
            entry = said[seq]
            assert (entry.who, entry.what, entry.answer_id) == (row.person, row.kind, row.answer_id), "P10"
            assert json.loads(entry.body)["sha256"] == next(
                text.answer.sha256 for text in self.texts if text.answer.id == row.answer_id
            ), "P10"
        announced = at_once(self.house.said(self.texts[0].answer.work_id, Kind.VERDICT))
        for text in self.texts:
            told = [one.body["facts"]["state"] for one in announced if one.answer_id == text.answer.id]
            if text is self.texts[-1]:
                assert (told[-1:] == ["approved"]) is (self._state(text) == "approved"), "P10: what the thread says"


@pytest.mark.timeout(600)
def test_whatever_happens_in_whatever_order_an_approval_is_what_it_says() -> None:
    Gate.played = 0
    run_state_machine_as_test(
        Gate,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=10,
            derandomize=IN_CI,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    print(f"{Gate.played} examples")
    assert Gate.played >= EXAMPLES
