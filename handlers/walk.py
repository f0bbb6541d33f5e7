"""A walk goes on: what the end of one step leads to, put in line in the transaction that ends it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from handlers import messages
from handlers.answers import CriticVerdict, Decision
from handlers.incoming import Entrance
from handlers.material import counts_as_text, lane_for
from handlers.pipelines import step_of
from handlers.ports import Clock, NewId
from handlers.request import owed
from handlers.stack import StageName
from handlers.stages import REVISE, STAGES, Reads, is_text
from handlers.words import Body
from storage.database import Saved
from storage.records import Answer, Kind, Run, RunState, Walk, WalkState, Work

_IN_HAND = frozenset({Reads.TARGET, Reads.PLAN})


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """How the run of a walk's step ended; the last three only where it gave an answer.

    `revised`: it made the next version of the text instead of the stage's own answer.
    """

    state: RunState
    revised: bool = False
    is_cut: bool = False
    verdict: str | None = None
    is_blocked: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """The next run: the stage at a place, or a revision for the critique there."""

    place: int
    rounds: int = 0
    revises: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """That was the last step."""


class Why(StrEnum):
    """What a walk halts for."""

    CANCELLED = "cancelled"
    FAILED = "failed"
    CUT = "cut"
    BLOCKED = "blocked"
    UNDECIDED = "undecided"  # all rounds are done, and the critic still says to revise


@dataclass(frozen=True, kw_only=True, slots=True)
class Halt:
    """The walk goes no further by itself."""

    why: Why

    @property
    def state(self) -> WalkState:
        return WalkState.STOPPED if self.why in {Why.CANCELLED, Why.UNDECIDED} else WalkState.STUCK


def next_step(walk: Walk, ended: Ended) -> Step | Done | Halt:
    """What follows from the end of the walk's step."""
    stage = StageName(walk.stages[walk.place])
    if (why := _halts(stage, ended)) is not None:
        return Halt(why=why)
    if stage is StageName.CRITIQUE and ended.revised:
        return Step(place=walk.place, rounds=walk.rounds)
    if stage is StageName.CRITIQUE and walk.revise_rounds and ended.verdict != CriticVerdict.NOTHING_SERIOUS:
        if walk.rounds == walk.revise_rounds:
            return Halt(why=Why.UNDECIDED)
        return Step(place=walk.place, rounds=walk.rounds + 1, revises=True)
    return Step(place=walk.place + 1) if walk.place + 1 < len(walk.stages) else Done()


def _halts(stage: StageName, ended: Ended) -> Why | None:
    match ended.state:
        case RunState.CANCELLED:
            return Why.CANCELLED
        case RunState.FAILED | RunState.REFUSED:
            return Why.FAILED
        case RunState.ANSWERED if ended.is_blocked:
            return Why.BLOCKED
        case RunState.ANSWERED if ended.is_cut and (ended.revised or is_text(stage)):
            return Why.CUT
        case RunState.ANSWERED:
            return None
        case RunState.QUEUED | RunState.RUNNING:
            raise ValueError(f"a run that is {ended.state} has not ended")


async def step_answered(
    run: Run, work: Work, answer: Answer, *, is_cut: bool, saved: Saved, now: Clock, new_id: NewId
) -> None:
    """The walk's run gave an answer: its next step is in line, or it is over."""
    if (walk := await _walk_at(run, saved)) is None:
        return
    answers = await saved.answers.of_work(work.id)
    walk = replace(walk, text_id=_in_hand(walk, answer, answers))
    ended = Ended(
        state=RunState.ANSWERED,
        revised=run.revises,
        is_cut=is_cut,
        verdict=answer.verdict,
        is_blocked=answer.decision == Decision.BLOCKED,
    )
    match next_step(walk, ended):
        case Step() as step:
            await _put_in_line(step, walk, work, answers, saved=saved, now=now, new_id=new_id)
        case Done():
            await saved.walks.move(replace(walk, state=WalkState.DONE, ended_at=now()), held=run.id)
        case Halt() as halt:
            await _halt(halt, walk, run, work, answers, saved=saved, now=now)


async def step_failed(run: Run, state: RunState, *, saved: Saved, now: Clock) -> None:
    """The walk's run ended without an answer: it stays at that step, and the thread hears how it goes on."""
    walk, work = await _walk_at(run, saved), await saved.works.get(run.work_id)
    if walk is None or work is None:
        return
    halt = next_step(walk, Ended(state=state, revised=run.revises))
    assert isinstance(halt, Halt)
    await _halt(halt, walk, run, work, (), saved=saved, now=now)


async def stop_walk(work: Work, by: str, slot: str, *, saved: Saved, now: Clock) -> bool:
    """Somebody stops the walk of a thread; False where none is under way."""
    walk = await saved.walks.stop(work.id, at=now())
    if walk is not None:
        body = messages.walk_stopped(walk.stages[walk.place], step_of(walk), by)
        await saved.outbox.plan(owed(work, None, Kind.NOTICE, slot, body, now=now))
    return walk is not None


async def _walk_at(run: Run, saved: Saved) -> Walk | None:
    """The walk that this run moves: one that is under way, and at this run and no other."""
    walk = await saved.walks.get(run.walk["id"]) if run.walk else None
    return walk if walk and walk.state is WalkState.WALKING and walk.run_id == run.id else None


def _in_hand(walk: Walk, answer: Answer, answers: Sequence[Answer]) -> str | None:
    """The text the next step works on: the one just made, or the one just criticised."""
    if is_text(StageName(answer.stage)):
        return answer.id
    about = _by_id(answers, answer.about_id)
    return about.id if about and counts_as_text(about) else walk.text_id


def _by_id(answers: Sequence[Answer], answer_id: str | None) -> Answer | None:
    return next((answer for answer in answers if answer.id == answer_id), None)


async def _put_in_line(
    step: Step, walk: Walk, work: Work, answers: Sequence[Answer], *, saved: Saved, now: Clock, new_id: NewId
) -> None:
    held = walk.run_id
    run = _run(step, walk, answers, now=now, new_id=new_id)
    walk = replace(walk, place=step.place, rounds=step.rounds, run_id=run.id)
    run = replace(run, walk=step_of(walk))
    ahead = len(await saved.runs.open_of_work(work.id))
    if await saved.walks.move(walk, held=held) and await saved.runs.add(run):
        card = messages.queued(run, ahead=ahead)
        await saved.outbox.plan(owed(work, run, Kind.CARD, f"{run.id}/card", card, now=now))


def _run(step: Step, walk: Walk, answers: Sequence[Answer], *, now: Clock, new_id: NewId) -> Run:
    """A step like any other request, in the name of whoever asked for the walk; its note was for the first step."""
    stage = REVISE if step.revises else STAGES[StageName(walk.stages[step.place])]
    target = _by_id(answers, walk.text_id) if _IN_HAND.intersection(stage.reads) else None
    return Run(
        id=new_id("r"),
        work_id=walk.work_id,
        request_key=key_of(walk, step),
        stage=stage.name,
        lane=lane_for(stage.name, target=target, answers=(), in_thread=True),
        state=RunState.QUEUED,
        asked_by=walk.asked_by,
        entrance=Entrance.PIPELINE,
        asked_at=now(),
        target_id=target.id if target else None,
        revises=step.revises,
    )


def key_of(walk: Walk, step: Step) -> str:
    """The key of a step's request: each step of a walk can be put in line once."""
    return f"walk/{walk.id}/{step.place + 1}/{step.rounds}{'/revise' if step.revises else ''}"


async def _halt(
    halt: Halt, walk: Walk, run: Run, work: Work, answers: Sequence[Answer], *, saved: Saved, now: Clock
) -> None:
    if await saved.walks.move(replace(walk, state=halt.state, ended_at=now()), held=run.id):
        body = _said(halt.why, run, walk, answers)
        await saved.outbox.plan(owed(work, run, Kind.NOTICE, f"{run.id}/walk", body, now=now))


def _said(why: Why, run: Run, walk: Walk, answers: Sequence[Answer]) -> Body:
    match why:
        case Why.CANCELLED | Why.FAILED:
            told = "its card says why"
        case Why.CUT:
            told = f"the text was cut at the output limit, `max_output_tokens` of {run.stage}"
        case Why.BLOCKED:
            told = "its owner blocked the text"
        case Why.UNDECIDED:
            newest = _by_id(answers, walk.text_id)
            older = _by_id(answers, newest.about_id) if newest else None
            versions = [text for text in (older, newest) if text is not None]
            return messages.walk_undecided(run, versions, rounds=walk.rounds)
    return messages.walk_stuck(run, told)
