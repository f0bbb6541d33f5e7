"""What one person sees in App Home: what waits for them, what they asked for, what was approved lately."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from handlers.case import deciders
from handlers.figures import clock, count, short
from handlers.judge import OPEN, Judgement, ReviewState, Situation, judge, state_of
from handlers.ports import LookupFailed, Person, Slack
from handlers.stack import ReviewRules, Stack
from handlers.words import Line, Who, line
from storage.database import Saved
from storage.homes import Gate, Homes, OpenRun, Spot

MOST = 10
_LATELY = timedelta(days=7)
UNSURE = "Slack did not say who you are among the reviewers, so reviews may be missing here. I ask again shortly."


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One piece of work: where it is, and a line about it in our own words."""

    spot: Spot
    about: Line


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A part of Home: the first of its items, how many there are beyond them, and what else is to be said."""

    title: str
    items: tuple[Item, ...]
    more: int = 0
    remark: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Everything:
    """All that any Home may show at a moment."""

    at: datetime
    runs: Sequence[OpenRun]
    gates: Sequence[Gate]


@dataclass(frozen=True, kw_only=True, slots=True)
class Self:
    """A person as the gate would see them; `unsure` if Slack did not say all of it."""

    person: Person
    groups: frozenset[str] = frozenset()
    unsure: bool = False


async def look_at_everything(saved: Saved, now: datetime) -> Everything:
    homes = Homes(saved.connection)
    return Everything(at=now, runs=await homes.open_runs(), gates=await homes.gates(now, now - _LATELY))


async def who_is(person: str, groups: Sequence[str], slack: Slack) -> Self:
    """Somebody with those user groups they are in; what Slack does not say is left out, and `unsure` says so."""
    found: set[str] = set()
    unsure = False
    for group in groups:
        try:
            if person in await slack.members_of(group):
                found.add(group)
        except LookupFailed:
            unsure = True
    if not found:
        return Self(person=Person(id=person), unsure=unsure)
    try:
        return Self(person=await slack.person(person), groups=frozenset(found), unsure=unsure)
    except LookupFailed:
        return Self(person=Person(id=person), unsure=True)


def groups_of(stack: Stack) -> list[str]:
    """Every user group that a stack names as reviewers, each once."""
    named = [*stack.review.reviewers, *stack.review.backup_reviewers]
    named += [reviewer for policy in stack.channels.values() for reviewer in policy.reviewers or ()]
    return [name for name in dict.fromkeys(named) if name.startswith("S")]


def home_of(one: Self, team: str, seen: Everything, stack: Stack) -> list[Section]:
    """The sections of somebody's Home; those with nothing to say are left out."""
    rules, me = stack.review, one.person.id
    gates = [gate for gate in seen.gates if gate.spot.team == team]
    states = {gate.review.answer_id: _state(gate, rules, seen.at) for gate in gates}
    opened = [gate for gate in gates if states[gate.review.answer_id] in OPEN]
    posted = [gate for gate in opened if gate.spot.ts]  # nobody can decide what Slack has not taken
    waiting = [_waiting(gate) for gate in posted if _may(one, gate, states[gate.review.answer_id], stack, seen.at)]
    mine = [_running(run) for run in seen.runs if run.asked_by == me and run.spot.team == team]
    mine += [_at_gate(gate) for gate in opened if gate.review.asked_by == me]
    approved = []
    for gate in gates:
        concerned = gate.review.asked_by == me or any(said.person == me for said in gate.verdicts)
        if concerned and states[gate.review.answer_id] is ReviewState.APPROVED:
            at, head = _approval(gate, rules, seen.at)
            if at >= seen.at - _LATELY:
                approved.append((at, _approved(gate, at, head)))
    newest = [item for _, item in sorted(approved, key=lambda pair: pair[0], reverse=True)]
    sections = [
        _section("Waiting for you", waiting, UNSURE if one.unsure else ""),
        _section("Your open works", mine),
        _section("Recently approved", newest),
    ]
    return [section for section in sections if section.items or section.remark]


def _section(title: str, items: Sequence[Item], remark: str = "") -> Section:
    return Section(title=title, items=tuple(items[:MOST]), more=max(0, len(items) - MOST), remark=remark)


def _state(gate: Gate, rules: ReviewRules, now: datetime, said: int | None = None) -> ReviewState:
    """The state after the first so many verdicts, or after all."""
    return state_of(
        gate.verdicts[:said],
        quorum=rules.quorum,
        superseded=gate.superseded,
        expires_at=gate.review.expires_at,
        now=now,
    )


def _may(one: Self, gate: Gate, state: ReviewState, stack: Stack, now: datetime) -> bool:
    reviewers = deciders(stack, gate.spot.channel, reminded=gate.review.reminded)
    situation = Situation(
        state=state,
        person=one.person,
        named=one.person.id in reviewers,
        in_group=any(group in one.groups for group in reviewers),
        wrote_it=one.person.id in gate.review.authors,
        solo=stack.review.solo,
        late=gate.review.expires_at is not None and now >= gate.review.expires_at,
    )
    return judge(situation) is Judgement.COUNTS


def _approval(gate: Gate, rules: ReviewRules, now: datetime) -> tuple[datetime, str]:
    """When the text became what it is, approved, and the ledger's head of that moment."""
    said = len(gate.verdicts)
    while said > 1 and _state(gate, rules, now, said - 1) is ReviewState.APPROVED:
        said -= 1
    verdict = gate.verdicts[said - 1]
    return verdict.at, gate.heads[verdict.ledger_seq]


def _waiting(gate: Gate) -> Item:
    """Without the brief: not every reviewer is in every channel, and whoever is there reads it behind the link."""
    asked = f"{gate.stage} for "
    since = f" · text {short(gate.sha256)} · since {_day(gate.review.opened_at)}"
    return Item(spot=replace(gate.spot, brief=""), about=line(asked, Who(person=gate.review.asked_by), since))


def _at_gate(gate: Gate) -> Item:
    told = f"{gate.stage} · waiting for a reviewer · since {_day(gate.review.opened_at)}"
    return Item(spot=gate.spot, about=line(told))


def _running(run: OpenRun) -> Item:
    told = f"{'revise' if run.revises else run.stage} · {run.state} · since {_day(run.asked_at)}"
    return Item(spot=run.spot, about=line(told))


def _approved(gate: Gate, at: datetime, head: str) -> Item:
    told = f"{gate.stage} · text {short(gate.sha256)} · {_day(at)} · Ledger {head[:12]}"
    return Item(spot=gate.spot, about=line(told))


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d} {clock(at)}"


def more(section: Section) -> str:
    return f"and {count(section.more, 'more', 'more')}"
