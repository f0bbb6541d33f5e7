"""What the four routing questions come to: a stage with its model, boundary and gate, or not to route at all (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from handlers.case import reviewers_of
from handlers.routing import NoRoute, Route, in_words, route, works
from handlers.soundness import unsound
from handlers.stack import Gate, Posture, Priority, Stack, StageName
from handlers.stages import STAGES, Reads


class Job(StrEnum):
    """What the job is right now, not what the whole project is."""

    SOURCES = "sources"
    FIRST_PASS = "first_pass"  # noqa: S105  a pass, not a password
    CRITIQUE = "critique"
    CHANGE = "change"
    POLISH = "polish"
    OWNERSHIP = "ownership"
    SIMPLE = "simple"


class Matters(StrEnum):
    """What matters most."""

    SPEED = "speed"
    COST = "cost"
    TRUST = "trust"


class Stakes(StrEnum):
    """A final owner, because others see it or a mistake is expensive; or a fast pass."""

    HIGH = "final_owner"
    LOW = "fast_pass"


class Eyes(StrEnum):
    """Whether what is there may be read on, or a clean context is part of the quality."""

    HERE = "here"
    FRESH = "fresh"


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """The four answers of a person."""

    job: Job
    matters: Matters
    stakes: Stakes
    eyes: Eyes


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """Where the questions were asked.

    Attributes:
        in_thread: there is a thread in which the run would land.
        points: the brief begins with a link to a message.
        has_text: the thread has a text that could be worked on.
    """

    in_thread: bool = False
    points: bool = False
    has_text: bool = False


class Rule(StrEnum):
    """What decided."""

    CONTROLS = "the stack is regulated and a control is missing"
    OWNER = "nobody stands behind what goes out"
    SIMPLE = "the job is one clean pass"
    SMALL = "the stakes are small"
    CALL = "the final call is wanted"
    LAST_HANDS = "whoever polishes last makes the call"
    JOB = "each job has its stage"


NOT_ROUTED = frozenset({Rule.CONTROLS, Rule.OWNER, Rule.SIMPLE, Rule.SMALL})
"""One clean pass and one human review are better than stages."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Advice:
    """What to run, and why.

    Attributes:
        reason: what decided, in one or two sentences.
        in_new_thread: it begins in a thread of its own.
        is_fresh: nothing of the thread it was asked in crosses but the brief, and the newest text if `takes_text`.
        needs_text: it works on a text, and none is there yet.
        then: the stages that would come after.
    """

    rule: Rule
    stage: StageName
    route: Route
    reason: str
    in_new_thread: bool
    is_fresh: bool
    needs_text: bool
    then: tuple[StageName, ...]

    @property
    def is_routed(self) -> bool:
        return self.rule not in NOT_ROUTED

    @property
    def takes_text(self) -> bool:
        """Whether a fresh start of this stage has a text to work on."""
        return self.stage in _TAKES_A_TEXT_ALONG


_STAGES: Mapping[Job, StageName] = MappingProxyType(
    {
        Job.SOURCES: StageName.SCOUT,
        Job.FIRST_PASS: StageName.DRAFT,
        Job.CRITIQUE: StageName.CRITIQUE,
        Job.CHANGE: StageName.IMPLEMENT,
        Job.POLISH: StageName.POLISH,
        Job.OWNERSHIP: StageName.FINAL,
        Job.SIMPLE: StageName.FINAL,
    }
)
_JOBS: Mapping[Job, str] = MappingProxyType(
    {
        Job.SOURCES: "The job right now is gathering sources: broad, early, and cheap to do again.",
        Job.FIRST_PASS: "The job right now is a first pass: it wants momentum, and it is cheap to revise.",
        Job.CRITIQUE: "The job right now is a critique, and whoever wrote a text is not the one to ask.",
        Job.CHANGE: "The job right now is a change: it has to fit in, and people have to be able to review it.",
        Job.POLISH: "The job right now is the wording: cleaner, and nothing new.",
    }
)
_HIGH = "goes out or is expensive to get wrong"
_WORKS_FROM_BRIEF = frozenset({StageName.SCOUT, StageName.DRAFT, StageName.IMPLEMENT})
_TAKES_A_TEXT_ALONG = frozenset({StageName.POLISH, StageName.FINAL})  # a critic sees no more of a thread anyway
_SERVES: Mapping[Matters, frozenset[Priority]] = MappingProxyType(
    {
        Matters.SPEED: frozenset({Priority.SPEED, Priority.BREADTH, Priority.COST}),
        Matters.COST: frozenset({Priority.COST, Priority.SPEED}),
        Matters.TRUST: frozenset({Priority.TRUST, Priority.CLARITY, Priority.CAUTION, Priority.SKEPTICISM}),
    }
)


def advise(answers: Answers, stack: Stack, channel: str, scene: Scene) -> Advice | NoRoute:
    """What the answers come to in a channel; NoRoute where the stage that they ask for has no model there."""
    rule, why = _rule(answers, stack, channel)
    stage = _STAGES[answers.job] if rule is Rule.JOB else StageName.FINAL
    decided = route(stack, stage, channel)
    if isinstance(decided, NoRoute):
        return decided
    is_fresh = (
        answers.eyes is Eyes.FRESH
        and scene.in_thread
        and not scene.points
        and (stage in _WORKS_FROM_BRIEF or (stage in _TAKES_A_TEXT_ALONG and scene.has_text))
    )
    then = tuple(name for name in _then(answers, rule) if works(stack, name, channel))
    more = _more(answers, decided, then) if rule is Rule.JOB else ""
    return Advice(
        rule=rule,
        stage=stage,
        route=decided,
        reason=f"{why} {more}".strip(),
        in_new_thread=is_fresh or not (scene.in_thread or scene.points),
        is_fresh=is_fresh,
        needs_text=Reads.TARGET in STAGES[stage].needs and not (scene.points or scene.has_text),
        then=then,
    )


def _rule(answers: Answers, stack: Stack, channel: str) -> tuple[Rule, str]:
    """The first rule that applies, and what it says."""
    job, is_high = answers.job, answers.stakes is Stakes.HIGH
    if stack.policy_rules.regulated and any(remark.code.startswith("E3") for remark in unsound(stack)):
        why = "This stack is regulated, and controls that it must have are missing: `check` names them."
        return Rule.CONTROLS, f"{why} Until they are there, more models make it less trustworthy."
    goes_out = is_high or (job is Job.OWNERSHIP and answers.matters is Matters.TRUST)
    if goes_out and (lack := _nobody_stands_behind(stack, channel)):
        return Rule.OWNER, f"{lack}, so more models would only look safer. Read it as if you signed it."
    if job is Job.SIMPLE:
        return Rule.SIMPLE, "It is one simple thing: handing it from stage to stage would cost more than it brings."
    if job is Job.OWNERSHIP and not is_high and answers.matters is not Matters.TRUST:
        first = f"A fast pass is enough for it and {answers.matters} matters most"
        return Rule.SMALL, f"{first}: more stages would cost more than they bring."
    if job is Job.OWNERSHIP:
        why = f"on what {_HIGH}" if is_high else "and put trust first"
        return Rule.CALL, f"You want the final call {why}: the final owner makes it, and a person approves it."
    if job is Job.POLISH and is_high:
        why = f"It {_HIGH}, so the last to touch it is the final owner"
        return Rule.LAST_HANDS, f"{why}, and a person approves it."
    return Rule.JOB, _JOBS[job]


def _nobody_stands_behind(stack: Stack, channel: str) -> str:
    """Which of review, reviewers and owner is missing for what goes out; empty if none is."""
    if stack.gate(StageName.FINAL) is not Gate.REVIEW:
        return "No review stands before what goes out"
    if not reviewers_of(stack, channel):
        return "Nobody here may approve what goes out"
    if stack.posture(StageName.FINAL) is not Posture.FINAL_OWNER:
        return "No model of this stack is a final owner"
    return ""


def _more(answers: Answers, decided: Route, then: tuple[StageName, ...]) -> str:
    """What else the person said, and where it counts, if not in the choice of this stage."""
    is_high, is_served = answers.stakes is Stakes.HIGH, bool(_SERVES[answers.matters] & set(decided.priority))
    if not is_high and is_served:
        return ""
    if not is_high and answers.matters is not Matters.TRUST:
        return f"You put {answers.matters} first, but this stage is chosen for {in_words(decided.priority)}."
    first = f"It {_HIGH}" if is_high else "Trust matters most"
    if StageName.FINAL not in then:
        return f"{first}, and `final` does not work in this channel: finish it in another."
    return f"{first}, so {'a final owner and a reviewer come' if is_high else 'a final owner comes'} after it."


def _then(answers: Answers, rule: Rule) -> tuple[StageName, ...]:
    """What would come after, of the usual way of a text or a patch."""
    if rule is not Rule.JOB:
        return ()
    matters_later = answers.stakes is Stakes.HIGH or answers.matters is Matters.TRUST
    to_the_end = (StageName.CRITIQUE, StageName.FINAL) if matters_later else ()
    match answers.job:
        case Job.SOURCES:
            return (StageName.DRAFT, *to_the_end)
        case Job.FIRST_PASS:
            return to_the_end
        case Job.CHANGE:
            return to_the_end or (StageName.CRITIQUE,)
        case Job.CRITIQUE:
            return to_the_end[1:]
        case Job.POLISH | Job.OWNERSHIP | Job.SIMPLE:
            return ()
