"""What one person sees in App Home: what waits for them, what they asked for, what was approved lately."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from handlers.case import deciders
from handlers.figures import clock, count, short
from handlers.judge import OPEN, Judgement, ReviewState, Situation, in_time, judge, state_of, words_standing
from handlers.ports import LookupFailed, Person, Slack
from handlers.stack import ReviewRules, Stack
from handlers.words import Line, Who, line
from storage.database import Saved
from storage.homes import Gate, Homes, LastRun, OpenRun, Spot
from storage.records import RunState, VerdictKind

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
    lasts: Sequence[LastRun] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Self:
    """A person as the gate would see them; `unsure` if Slack did not say all of it."""

    person: Person
    groups: frozenset[str] = frozenset()
    unsure: bool = False


async def look_at_everything(saved: Saved, now: datetime) -> Everything:
    homes = Homes(saved.connection)
    return Everything(
        at=now,
        runs=await homes.open_runs(),
        gates=await homes.gates(now, now - _LATELY),
        lasts=await homes.last_runs(now - _LATELY),
    )


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
    mine = _open_works(me, team, seen, gates, states)
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


def _open_works(
    me: str, team: str, seen: Everything, gates: Sequence[Gate], states: Mapping[str, ReviewState]
) -> list[Item]:
    """What somebody opened or asked for and what it waits for, the newest first; one item for what waits by itself."""
    told: list[tuple[datetime, Item]] = []
    moving: set[str] = set()
    finals: dict[str, Gate] = {}
    for run in seen.runs:
        if run.spot.team == team:
            moving.add(run.spot.work_id)
            told += [(run.asked_at, _running(run))] * (me in {run.asked_by, run.spot.opened_by})
    for gate in gates:
        found = states[gate.review.answer_id]
        if found is not ReviewState.SUPERSEDED:
            finals[gate.spot.work_id] = gate
        if found in OPEN:
            moving.add(gate.spot.work_id)
            told += [(gate.review.opened_at, _at_gate(gate))] * (me in {gate.review.asked_by, gate.spot.opened_by})
    lasts = {run.spot.work_id: run for run in seen.lasts if run.spot.team == team}
    for work_id in {**finals, **lasts}.keys() - moving:
        final, last = finals.get(work_id), lasts.get(work_id)
        stands = states[final.review.answer_id] if final else None
        if stands is not ReviewState.APPROVED and (item := _left(me, final, stands, last, seen.at)) is not None:
            told.append(item)
    return [item for _, item in sorted(told, key=lambda pair: pair[0], reverse=True)]


def _left(
    me: str, final: Gate | None, state: ReviewState | None, last: LastRun | None, now: datetime
) -> tuple[datetime, Item] | None:
    """A work that waits for its people, and when something happened in it last; None where that is not for them."""
    came_to_nothing = last is not None and last.state is not RunState.ANSWERED
    is_over = final is not None and not came_to_nothing
    if last is not None and (last.stopped or not is_over):
        unmet = last.stopped or last.state in {RunState.FAILED, RunState.REFUSED}
        return (last.at, _ended(last)) if me == last.spot.opened_by or (unmet and me == last.asked_by) else None
    if final is None or me not in {final.spot.opened_by, final.review.asked_by}:
        return None
    at = max([final.review.opened_at, *(said.at for said in final.verdicts), *([last.at] if last else [])])
    return (at, _undecided(final, state, at)) if at >= now - _LATELY else None


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


def _undecided(gate: Gate, state: ReviewState | None, at: datetime) -> Item:
    """A final that was sent back, or whose time has run out."""
    if state is ReviewState.EXPIRED:
        return Item(spot=gate.spot, about=line(f"{gate.stage} expired, a new final is wanted · {_day(at)}"))
    stands = words_standing(in_time(gate.verdicts, gate.review.expires_at))
    by = next(said.person for said in reversed(stands) if said.kind is VerdictKind.SEND_BACK)
    wanted = "a reason or a new final is wanted" if gate.review.reason_wanted_from else "a new final is wanted"
    return Item(spot=gate.spot, about=line(f"{gate.stage} sent back by ", Who(person=by), f", {wanted} · {_day(at)}"))


def _ended(run: LastRun) -> Item:
    """A work whose newest run has ended without a final to decide on."""
    name = "revise" if run.revises else run.stage
    if run.stopped:
        return Item(spot=run.spot, about=line(f"{run.stopped} stopped at {name} · {_day(run.at)}"))
    told = "answered, the next step is yours" if run.state is RunState.ANSWERED else run.state
    return Item(spot=run.spot, about=line(f"{name} {told} · {_day(run.at)}"))


def _approved(gate: Gate, at: datetime, head: str) -> Item:
    told = f"{gate.stage} · text {short(gate.sha256)} · {_day(at)} · Ledger {head[:12]}"
    return Item(spot=gate.spot, about=line(told))


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d} {clock(at)}"


def more(section: Section) -> str:
    return f"and {count(section.more, 'more', 'more')}"
