"""Which model owns a stage in a channel, and why: the four routing questions, answered from the stack alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from handlers.permission import barred_by
from handlers.stack import Gate, Model, Posture, Priority, Stack, StageName


@dataclass(frozen=True, kw_only=True, slots=True)
class Questions:
    """How a stage answers the four questions where the file is silent: the starter table."""

    job: str
    subject: str
    priority: tuple[Priority, ...]
    boundary: str


QUESTIONS: Mapping[StageName, Questions] = MappingProxyType(
    {
        StageName.SCOUT: Questions(
            job="gather sources and scan broadly",
            subject="scanning rewards",
            priority=(Priority.SPEED, Priority.BREADTH),
            boundary="the brief and the sources it names; never the thread",
        ),
        StageName.DRAFT: Questions(
            job="turn raw material into a usable first pass",
            subject="first drafts reward",
            priority=(Priority.SPEED, Priority.COST),
            boundary="the brief and the newest scout notes; earlier drafts only when revising",
        ),
        StageName.CRITIQUE: Questions(
            job="find what is weak, unsupported or missing",
            subject="a critique rewards",
            priority=(Priority.SKEPTICISM, Priority.STRUCTURE),
            boundary="the one text it criticises and the brief; never how that text came about",
        ),
        StageName.IMPLEMENT: Questions(
            job="make the actual change",
            subject="code work rewards",
            priority=(Priority.FIT,),
            boundary="the brief and the chosen draft or plan; never the thread",
        ),
        StageName.POLISH: Questions(
            job="make the wording clean without adding to it",
            subject="polish rewards",
            priority=(Priority.TRUST, Priority.CLARITY),
            boundary="the text, the brief and the newest critique of that text; never raw sources",
        ),
        StageName.FINAL: Questions(
            job="make the call on the version that goes out",
            subject="what goes out rewards",
            priority=(Priority.TRUST, Priority.CAUTION),
            boundary="the brief, the newest text and its critiques; never raw sources or the thread",
        ),
    }
)

_IN_WORDS: Mapping[Priority, str] = MappingProxyType(
    {
        Priority.SPEED: "speed",
        Priority.BREADTH: "breadth",
        Priority.COST: "cheap iteration",
        Priority.SKEPTICISM: "skepticism",
        Priority.STRUCTURE: "an eye for structure",
        Priority.FIT: "fit with the workflow",
        Priority.TRUST: "trust",
        Priority.CLARITY: "clarity",
        Priority.CAUTION: "caution",
    }
)
_MOST_TRUSTED = frozenset({StageName.CRITIQUE, StageName.POLISH, StageName.FINAL})


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """What a run is assigned: the model by its stack key, the fallbacks allowed here, in order, and the reason.

    `passed_over` says of each candidate that may not be asked here why that is so, but of the assigned one: that is
    part of the reason.
    """

    stage: StageName
    model: str
    fallbacks: tuple[str, ...]
    posture: Posture
    boundary: str
    gate: Gate
    job: str
    priority: tuple[Priority, ...]
    reason: str
    stack_digest: str
    passed_over: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As a run keeps it."""
        return {
            "model": self.model,
            "fallbacks": list(self.fallbacks),
            "posture": self.posture,
            "boundary": self.boundary,
            "gate": self.gate,
            "priority": list(self.priority),
            "reason": self.reason,
            "passed_over": list(self.passed_over),
            "stack": self.stack_digest,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class NoRoute:
    """Nobody may do this stage here: the sentence names the rule and the stages that still work."""

    stage: StageName
    sentence: str
    still_work: tuple[StageName, ...]


def assigned_model(stack: Stack, stage: StageName) -> str:
    """The model that owns the stage: the file's word, else the contract's default. LookupError for an empty stack.

    The default is the only model; else the least trusted for scout, draft and implement, the most trusted for
    polish and final, and for critique the most trusted that is not draft's. Models that keep the stage's floor
    come first; ties go by the order in the file.
    """
    rules = stack.rules(stage)
    if rules.model is not None:
        return rules.model
    keys = list(stack.models)
    if stage is StageName.CRITIQUE and len(keys) > 1:
        drafter = assigned_model(stack, StageName.DRAFT)
        keys = [key for key in keys if key != drafter]
    keys = [key for key in keys if stack.models[key].trust >= rules.min_trust] or keys
    if not keys:
        raise LookupError("The stack names no model.")
    choose = max if stage in _MOST_TRUSTED else min
    return choose(keys, key=lambda key: stack.models[key].trust)


def candidates(stack: Stack, stage: StageName) -> tuple[str, ...]:
    """Whom the stage may ask at all: the assigned model and then its fallbacks, each once."""
    if not stack.models:
        return ()
    named = (assigned_model(stack, stage), *stack.rules(stage).fallbacks)
    return tuple(key for key in dict.fromkeys(named) if key in stack.models)


def barred_because(stack: Stack, key: str, stage: StageName, channel: str) -> str | None:
    """The rule that keeps a model from a stage in a channel, in words; None where it may work."""
    return barred_by(
        key,
        stack.models[key],
        min_trust=stack.rules(stage).min_trust,
        jurisdictions=stack.policy(channel).jurisdictions,
    )


def route(stack: Stack, stage: StageName, channel: str, *, exclude: Collection[str] = ()) -> Route | NoRoute:
    """Decide who does the stage in the channel; `exclude` leaves out models that are known not to answer."""
    asked = candidates(stack, stage)
    barred = {key: why for key in asked if (why := _why_not(stack, key, stage, channel, exclude))}
    open_to = [key for key in asked if key not in barred]
    if not open_to:
        return _no_route(stack, stage, channel, tuple(barred.values()))
    rules, defaults = stack.rules(stage), QUESTIONS[stage]
    return Route(
        stage=stage,
        model=open_to[0],
        fallbacks=tuple(open_to[1:]),
        posture=stack.posture(stage),
        boundary=rules.context or defaults.boundary,
        gate=stack.gate(stage),
        job=rules.job or defaults.job,
        priority=rules.priority or defaults.priority,
        reason=_reason(stack, stage, barred.get(asked[0])),
        stack_digest=stack.digest,
        passed_over=tuple(why for key, why in barred.items() if key != asked[0]),
    )


def too_long(stack: Stack, stage: StageName, key: str, tokens: int) -> str | None:
    """Why a context of about so many tokens is too much for a model, as a sentence; None if it fits."""
    room, model = stack.rules(stage).max_output_tokens, stack.models[key]
    if tokens + room <= model.context_tokens:
        return None
    return (
        f"{stage} would hand {key} about {tokens:,} tokens and needs {room:,} for the answer; "
        f"it takes {model.context_tokens:,} in all. Start fresh with a shorter brief or text."
    )


def works(stack: Stack, stage: StageName, channel: str) -> bool:
    """Whether some model may do the stage in the channel."""
    return any(barred_because(stack, key, stage, channel) is None for key in candidates(stack, stage))


def _why_not(stack: Stack, key: str, stage: StageName, channel: str, exclude: Collection[str]) -> str | None:
    return f"{key} was left out" if key in exclude else barred_because(stack, key, stage, channel)


def _no_route(stack: Stack, stage: StageName, channel: str, why: Sequence[str]) -> NoRoute:
    still = tuple(name for name in StageName if name is not stage and works(stack, name, channel))
    cause = "; ".join(why) or "the stack names no model"
    match len(still):
        case 0:
            rest = "No other stage works here."
        case 1:
            rest = f"{still[0]} still works here."
        case _:
            rest = f"{_listed(still, 'and')} still work here."
    return NoRoute(stage=stage, sentence=f"{stage} cannot run here: {cause}. {rest}", still_work=still)


def _reason(stack: Stack, stage: StageName, passed_over: str | None) -> str:
    rules, defaults = stack.rules(stage), QUESTIONS[stage]
    posture = "final owner" if stack.posture(stage) is Posture.FINAL_OWNER else "fast pass"
    reason = f"{posture}: {defaults.subject} {in_words(rules.priority or defaults.priority)}"
    return f"{reason}; {passed_over}" if passed_over else reason


def in_words(priorities: Iterable[Priority]) -> str:
    """What a stage is chosen for: "speed and breadth"."""
    return _listed([_IN_WORDS[priority] for priority in priorities], "and")


def _listed(words: Iterable[str], joint: str) -> str:
    *most, last = words
    return f"{', '.join(most)} {joint} {last}" if most else last


def same_family(one: Model, other: Model) -> bool:
    """Whether both models are said to come from one maker."""
    return one.family is not None and other.family is not None and one.family.casefold() == other.family.casefold()


def another(stack: Stack, stage: StageName, channel: str, *, than: str, heard: Collection[str] = ()) -> Route | NoRoute:
    """Who gives a second opinion: any model but the first one's that keeps the stage's floor and the channel's policy.

    One of another family goes first, and then the most trusted one. What is the same model under another name comes
    after all that are not, and who was `heard` on this already, after all others. Fallbacks are as far from the first
    one as whom they stand in for.
    """
    others = [key for key in stack.models if key != than]
    barred = {key: why for key in others if (why := barred_because(stack, key, stage, channel))}
    first = stack.models.get(than)

    def nearness(key: str) -> tuple[bool, bool, bool]:
        model = stack.models[key]
        return key in heard, _is_same(model, first), not _is_of_another_family(model, first)

    open_to = [key for key in others if key not in barred]
    open_to.sort(key=lambda key: (nearness(key), -stack.models[key].trust))
    if not open_to:
        cause = "; ".join(barred.values()) or f"the stack has no other model than {than}"
        told = f"Nobody can give a second opinion on this {stage}: {cause}. It takes another model in the stack."
        return NoRoute(stage=stage, sentence=told, still_work=())
    chosen, rules, defaults = stack.models[open_to[0]], stack.rules(stage), QUESTIONS[stage]
    remark = ", of another family" if _is_of_another_family(chosen, first) else ""
    remark = ", though it serves the same model" if _is_same(chosen, first) else remark
    return Route(
        stage=stage,
        model=open_to[0],
        fallbacks=tuple(key for key in open_to[1:] if nearness(key) == nearness(open_to[0])),
        posture=stack.posture(stage),
        boundary="what the first one had, and never its answer",
        gate=Gate.NONE,
        job=rules.job or defaults.job,
        priority=rules.priority or defaults.priority,
        reason=f"separate model{remark}, separate context",
        stack_digest=stack.digest,
    )


def _is_same(one: Model, other: Model | None) -> bool:
    return other is not None and (one.base_url, one.id) == (other.base_url, other.id)


def _is_of_another_family(one: Model, other: Model | None) -> bool:
    """Whether two models are said to come from different makers; what is not said proves nothing."""
    return other is not None and None not in {one.family, other.family} and not same_family(one, other)
