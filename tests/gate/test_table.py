"""The gate's table: every kind of person, way, state, rule and silence, each judged by the real service."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache

import pytest

from handlers.incoming import Wish
from handlers.ports import LookupFailed
from handlers.stack import Stack
from storage.records import Answer, Kind
from tests.fakes import a_stack
from tests.gate.hall import Moment, a_hall, go_back, keep, or_raised, wait_for
from tests.handlers.house import ANN, SAM, TAO, House

DESK = "S0DESK"
EXPIRES = timedelta(hours=48)


@dataclass(frozen=True)
class Kin:
    """A kind of person: their id, whether the stack names them or their group, and what Slack says of them."""

    id: str
    named: bool = False
    in_group: bool = False
    wrote_it: bool = False
    traits: dict[str, bool] = field(default_factory=dict)


PEOPLE = {
    "a reviewer by name": Kin("U0RAE", named=True),
    "a reviewer by group": Kin("U0GRO", in_group=True),
    "a stranger": Kin("U0STAN"),
    "a backup reviewer before their time": Kin("U0BAK"),
    "a reviewer by name and by group": Kin("U0TWI", named=True, in_group=True),
    "the opener, no reviewer": Kin(ANN, wrote_it=True),
    "the requester, a reviewer": Kin("U0REQ", named=True, wrote_it=True),
    "a note's writer, a reviewer by group": Kin("U0NOE", in_group=True, wrote_it=True),
    "a guest by name": Kin("U0GNA", named=True, traits={"is_guest": True}),
    "a guest by group": Kin("U0GGR", in_group=True, traits={"is_guest": True}),
    "an external by name": Kin("U0XNA", named=True, traits={"is_external": True}),
    "an external by group": Kin("U0XGR", in_group=True, traits={"is_external": True}),
    "a deactivated reviewer": Kin("U0OFF", named=True, traits={"is_deactivated": True}),
    "a bot by name": Kin("U0BOT", named=True, traits={"is_bot": True}),
}
WAYS = {
    "approves on the text": ("white_check_mark", Kind.ANSWER),
    "approves on the card": ("white_check_mark", Kind.REVIEW),
    "sends back on the text": ("x", Kind.ANSWER),
    "approves by the button": (Wish.APPROVE, Kind.REVIEW),
    "sends back by the button": (Wish.SEND_BACK, Kind.REVIEW),
    "sends back in words": ("too long", Kind.NOTICE),
}
"""How a word is given; another entrance is another row."""
STATES = ("awaiting", "approved", "changes_requested", "withdrawn", "expired", "sent back, then late", "superseded")
SILENCES = ("none", "the person", "the group", "the thread")

# What follows from a word that counts: in which state, with which quorum, by an approval.
APPROVAL_LEADS_TO = {
    ("awaiting", 1): "approved",
    ("awaiting", 2): "awaiting",
    ("approved", 1): "approved",
    ("approved", 2): "approved",
    ("changes_requested", 1): "changes_requested",
    ("changes_requested", 2): "changes_requested",
    ("withdrawn", 1): "approved",
    ("withdrawn", 2): "approved",  # one of the two approvals still stands
}
STAYS = {"sent back, then late": "changes_requested"}


@dataclass(frozen=True)
class Case:
    who: str
    way: str
    state: str
    solo: bool
    quorum: int
    silence: str

    def __str__(self) -> str:
        rules = f"{'solo' if self.solo else 'team'}, quorum {self.quorum}"
        return f"{self.who} {self.way}; {self.state}; {rules}; silent: {self.silence}"


def verdict_by_the_rules(case: Case) -> str:
    """The first rule that applies, in the order in which the contract has them."""
    kin = PEOPLE[case.who]
    if case.silence == "the person":
        return "waits"
    if case.silence == "the group" and not kin.named:
        return "waits"
    if kin.traits.keys() & {"is_bot", "is_deactivated"}:
        return "nobody"
    if kin.wrote_it and not case.solo:
        return "own_work"
    if not (kin.named or kin.in_group):
        return "not_a_reviewer"
    if kin.traits and not kin.named:
        return "outsider"
    if case.state == "superseded":
        return "superseded"
    if case.state in {"expired", "sent back, then late"}:
        return "expired"
    if case.silence == "the thread" and case.way.startswith("approves"):
        return "waits"
    return "counts"


def state_by_the_rules(case: Case, verdict: str) -> str:
    if verdict != "counts":
        return STAYS.get(case.state, case.state)
    return APPROVAL_LEADS_TO[case.state, case.quorum] if case.way.startswith("approves") else "changes_requested"


def is_told_by_the_rules(case: Case, verdict: str) -> bool:
    """Why a word does not count is told to whoever gave it; and of a click, too, what shows nowhere else."""
    if verdict in {"own_work", "not_a_reviewer", "outsider", "superseded", "expired"}:
        return True
    shows = case.state != "changes_requested" or (case.way.startswith("approves") and case.quorum > 1)
    return verdict == "counts" and case.way.endswith(("by the button", "in words")) and not shows


# the real service


@cache
def the_stack(quorum: int, *, solo: bool = False) -> Stack:
    named = [SAM, TAO, *(kin.id for kin in PEOPLE.values() if kin.named), DESK]
    review = {
        "reviewers": named,
        "quorum": quorum,
        "solo": solo,
        "backup_reviewers": ["U0BAK"],
        "expire_after": EXPIRES,
    }
    return a_stack(review)


async def brings_about(house: House, state: str) -> Answer:
    """A final text of Ann's brief, Noe's note and Req's asking, in the state that others led it to."""
    drafted = await house.asks("draft", "Announce the open cage", person=ANN)
    await house.runs_all()
    work = await house.work(drafted.work_id)
    await house.asks("draft", "shorter", work=work, person="U0NOE")
    await house.runs_all()
    asked = await house.asks("final", work=work, person="U0REQ")
    await house.runs_all()
    text = await house.answer_of(asked)
    if state in {"approved", "withdrawn"}:
        await house.reacts(SAM, text)
        await house.reacts(TAO, text)
    if state == "withdrawn":
        await house.unreacts(SAM, text)
        if house.stack.review.quorum == 1:
            await house.unreacts(TAO, text)
    if state in {"changes_requested", "sent back, then late"}:
        await house.reacts(SAM, text, "x")
    if state in {"expired", "sent back, then late"}:
        house.now.time += EXPIRES
    if state == "superseded":
        await house.another_final(text, by="U0REQ")
    return text


@cache
def the_moment(state: str, quorum: int) -> tuple[Moment, Answer]:
    house = a_hall(the_stack(quorum))
    for who in (SAM, TAO):
        house.slack.knows(who)
    for kin in PEOPLE.values():
        house.slack.knows(kin.id, **kin.traits)
    house.slack.groups[DESK] = frozenset(kin.id for kin in PEOPLE.values() if kin.in_group)
    text = wait_for(brings_about(house, state))
    return keep(house), text


async def the_word(house: House, who: str, how: str, on: Kind, text: Answer) -> tuple[str, str, Awaitable[None]]:
    """A word's key, its way, and its delivery."""
    if on is Kind.NOTICE:
        asked = house.words(who, how, await house.work(text.work_id))
        asked = replace(asked, target_id=text.id)  # else it is about the newest text
        return asked.key, "reply", house.hears(asked)
    where = await house.message_of(text, on)
    word = house.click(who, how, text, where) if isinstance(how, Wish) else house.reaction(who, how, where)
    return word.key, "button" if isinstance(how, Wish) else "reaction", house.delivers(word)


async def what_is_wrong(case: Case, moment: Moment, text: Answer) -> list[str]:
    house, kin = go_back(moment), PEOPLE[case.who]
    house.stack = the_stack(case.quorum, solo=case.solo)
    house.slack.silent_about = {"the person": {kin.id}, "the group": {DESK}, "the thread": {"messages"}}.get(
        case.silence, set()
    )
    how, on = WAYS[case.way]
    before, entries = await house.verdicts(text), len(await house.ledger())
    key, via, delivered = await the_word(house, kin.id, how, on, text)
    raised = await or_raised(delivered, LookupFailed)
    expected = verdict_by_the_rules(case)
    written = [(one.person, str(one.kind), one.via) for one in (await house.verdicts(text))[len(before) :]]
    kind = "approve" if case.way.startswith("approves") else "send_back"
    found = {
        "verdict": (await house.outcome(key) or "waits", expected),
        "raised": (raised, "LookupFailed" if expected == "waits" else None),
        "rows": (written, [(kin.id, kind, via)] if expected == "counts" else []),
        "new ledger entries": (len(await house.ledger()) - entries, int(expected == "counts")),
        "state": (await house.state(text), state_by_the_rules(case, expected)),
        "told": (len(await house.told(kin.id, text.work_id)), int(is_told_by_the_rules(case, expected))),
    }
    return [f"{case}: {what} is {got}, not {due}" for what, (got, due) in found.items() if got != due]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("who", PEOPLE)
def test_each_word_gets_the_verdict_of_the_rules(who: str, state: str) -> None:
    cases = [
        Case(who, way, state, solo=solo, quorum=quorum, silence=silence)
        for way, solo, quorum, silence in itertools.product(WAYS, [False, True], [1, 2], SILENCES)
    ]
    wrong = [
        sentence for case in cases for sentence in wait_for(what_is_wrong(case, *the_moment(case.state, case.quorum)))
    ]
    assert not wrong, "\n".join(wrong)


def test_the_table_has_more_than_seven_thousand_cases() -> None:
    assert len(PEOPLE) == 14
    assert len(PEOPLE) * len(WAYS) * len(STATES) * 2 * 2 * len(SILENCES) > 7_000
