"""Which pipeline somebody asks for, from which of its stages, and what goes on with one that is stuck (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from handlers import messages
from handlers.asking import nearly_a_stage, read_stage
from handlers.errors import Refusal
from handlers.incoming import Entrance, Request, Verb
from handlers.ports import NewId
from handlers.routing import NoRoute, route
from handlers.stack import Pipeline, Stack, StageName
from storage.records import Run, Walk, WalkState

_RUN_AT_THE_END = re.compile(
    r"(?:\A|\s)[`*_]*run\s+[`*_]*(?P<name>[a-z0-9](?:[a-z0-9._/-]{0,58}[a-z0-9_/-])?)[`*_]*\s*\Z",
    re.IGNORECASE | re.ASCII,
)
_IN_WORDS = frozenset({Entrance.COMMAND, Entrance.MENTION})
_NEARLY = 0.8  # of the letters, in their order: so that `node` is not nearly `code`


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A pipeline to be walked, from the stage at a place counted from 0."""

    name: str
    pipeline: Pipeline
    place: int


def meant(request: Request, stack: Stack) -> tuple[Request, Plan | None]:
    """The stage to begin with, and the pipeline if one is to be run.

    Raises:
        Refusal: there is no such pipeline, or it does not have that stage.
    """
    if request.verb is not Verb.STAGE:
        return request, None
    if request.pipeline:
        return _after_run(request, stack.pipelines)
    ends = _RUN_AT_THE_END.search(request.words) if request.entrance in _IN_WORDS else None
    if ends is None or request.stage is None:
        return request, None
    otherwise = f"If `run {ends['name']}` belongs to your words, put a full stop after it."
    name = _named(ends["name"], stack.pipelines)
    if name is not None:
        words = request.words[: ends.start()].rstrip()
        return _from(request.stage, name, stack.pipelines, replace(request, words=words), otherwise)
    if _close(ends["name"], stack.pipelines):
        raise Refusal(f"{_no_such(ends['name'], stack.pipelines)} {otherwise}")
    return request, None


def _after_run(request: Request, pipelines: Mapping[str, Pipeline]) -> tuple[Request, Plan | None]:
    name = _named(request.pipeline, pipelines)
    if name is not None:
        if request.start is None and (stage := nearly_a_stage(request.words)):
            raise Refusal(f"`{_first_two(request.words)}` names no stage. Did you mean `run {name} from {stage}`?")
        return _from(request.start or pipelines[name].stages[0], name, pipelines, request)
    since = f"from {request.start} " if request.start else ""
    asked = read_stage(f"{request.pipeline} {since}{request.words}")
    if asked.stage is None:
        raise Refusal(_no_such(request.pipeline, pipelines))
    plain = replace(request, pipeline="", start=None)
    return replace(plain, stage=asked.stage, revises=asked.revises, words=asked.words), None


def _first_two(words: str) -> str:
    return " ".join(words.split()[:2])


def _from(
    stage: StageName, name: str, pipelines: Mapping[str, Pipeline], request: Request, otherwise: str = ""
) -> tuple[Request, Plan | None]:
    pipeline = pipelines[name]
    if stage not in pipeline.stages:
        stages = f"its stages are {listed(pipeline.stages)}" if pipeline.stages[1:] else f"it is {pipeline.stages[0]}"
        raise Refusal(f"Pipeline {name} has no {stage}; {stages}. {otherwise}".rstrip())
    plan = Plan(name=name, pipeline=pipeline, place=pipeline.stages.index(stage))
    return replace(request, stage=stage, pipeline="", start=None), plan


def _named(word: str, pipelines: Iterable[str]) -> str | None:
    """The pipeline of that name; upper and lower case count only where they tell two apart."""
    names = list(pipelines)
    return word if word in names else next((name for name in names if name.lower() == word.lower()), None)


def _close(word: str, pipelines: Iterable[str]) -> bool:
    return bool(get_close_matches(word.lower(), [name.lower() for name in pipelines], n=1, cutoff=_NEARLY))


def _no_such(word: str, pipelines: Mapping[str, Pipeline]) -> str:
    if not pipelines:
        return f"There is no pipeline `{word}`: the stack has none. `{messages.BOT} help` says what can be asked for."
    there = f"there {'is' if len(pipelines) == 1 else 'are'} {listed([f'`{name}`' for name in pipelines])}"
    return f"There is no pipeline `{word}`; {there}."


def listed(words: Sequence[str]) -> str:
    """`scout, draft and final`."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else str(last)


def begin(plan: Plan, run: Run, *, request_key: str, new_id: NewId) -> tuple[Walk, Run]:
    """The walk that a run is the first step of, and the run as that."""
    walk = Walk(
        id=new_id("k"),
        work_id=run.work_id,
        request_key=request_key,
        name=plan.name,
        stages=tuple(plan.pipeline.stages),
        revise_rounds=plan.pipeline.revise_rounds,
        asked_by=run.asked_by,
        note=run.note,
        begun_at=run.asked_at,
        place=plan.place,
        run_id=run.id,
        text_id=run.target_id,
    )
    return walk, replace(run, walk=step_of(walk))


def step_of(walk: Walk) -> dict[str, Any]:
    """Where a walk is, as its run at that step remembers it."""
    return {
        "id": walk.id,
        "name": walk.name,
        "step": walk.place + 1,
        "of": len(walk.stages),
        "round": walk.rounds,
        "rounds": walk.revise_rounds,
    }


def check_begin(plan: Plan, walks: Sequence[Walk], stack: Stack, channel: str) -> None:
    """Refuse a second walk at a time, and one that would meet a stage nobody may do in this channel."""
    if (under_way := next((walk for walk in walks if walk.state is WalkState.WALKING), None)) is not None:
        raise Refusal(already(under_way))
    for stage in plan.pipeline.stages[plan.place :]:
        decided = route(stack, stage, channel)
        if isinstance(decided, NoRoute):
            raise Refusal(f"Pipeline {plan.name} cannot be run here. {decided.sentence}")


def already(walk: Walk) -> str:
    """Why no second walk begins in a thread, and what to do about the first."""
    where = messages.at_step(walk.stages[walk.place], step_of(walk))
    return f"{walk.name} is under way in this thread, at {where}. `{messages.BOT} cancel` stops it; then ask again."


def stuck(walks: Sequence[Walk], runs: Sequence[Run], *, at: str = "") -> Walk | None:
    """The walk that `again` goes on with: one that got stuck, where nobody asked for anything since.

    `at`: at the step that this run was, whatever was asked for since.
    """
    last = walks[-1] if walks else None
    if last is None or last.state is not WalkState.STUCK or last.ended_at is None:
        return None
    if at:
        return last if any(run.id == at and run.walk == step_of(last) for run in runs) else None
    asked = (run for run in runs if run.entrance != Entrance.POSTED_AGAIN)
    return None if any(run.asked_at > last.ended_at for run in asked) else last


def go_on(walk: Walk, run: Run) -> tuple[Walk, Run]:
    """The walk at work again, with this run for the step it was stuck at."""
    walk = replace(walk, state=WalkState.WALKING, run_id=run.id, ended_at=None)
    return walk, replace(run, walk=step_of(walk))
