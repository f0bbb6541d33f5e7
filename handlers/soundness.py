"""What makes a stack unusable although every single value can be read: the cross-checks."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType

from handlers.asking import is_taken
from handlers.remarks import Path, Remark, Remarks
from handlers.routing import assigned_model, barred_because, candidates, works
from handlers.stack import Gate, Pipeline, Stack, StageName
from handlers.stages import STAGES, Reads, is_text

CODES: Mapping[str, str] = MappingProxyType(
    {
        "E201": "The stack has no model.",
        "E202": "A stage names a model, as its own or as a fallback, that is not in [models].",
        "E203": "A stage waits for a review and nobody may give it.",
        "E204": "The quorum asks for more people than there are reviewers.",
        "E205": "A reviewer is not a Slack user id or user group id.",
        "E206": "A channel is not a Slack channel id or the word default.",
        "E207": "A channel allows no model to do any stage.",
        "E208": "A stage's model is below the stage's own trust floor.",
        "E209": "A pipeline is empty or names an unknown stage.",
        "E210": "The reactions that approve or send back cannot work.",
        "E211": "A name cannot be shown in a message.",
        "E212": "Handing on approvals needs both webhook_url and webhook_secret_env.",
        "E213": "A stage of a pipeline works on a text, and no stage before it makes one.",
        "E214": "A pipeline revises and has no critique to say when.",
        "E215": "A pipeline has the name of something else that can be asked for.",
        "E216": "Who may raise a limit is not a Slack user id or user group id.",
        "E301": "Regulated: a channel policy lists no jurisdictions.",
        "E302": "Regulated: a model has no jurisdiction.",
        "E303": "Regulated: a model has no price.",
        "E304": "Regulated: final has no review gate.",
        "E305": "Regulated: fewer than two reviewers.",
        "E306": "Regulated: solo mode lets people approve their own work.",
        "W201": "A channel leaves a stage without a model.",
        "W202": "A host is the host of no model.",
    }
)
_PERSON_OR_GROUP = re.compile(r"[UWS][A-Z0-9]{2,20}")
_CHANNEL = re.compile(r"[CGD][A-Z0-9]{2,20}")
_REACTION = re.compile(r"[a-z0-9_+'-]{1,100}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,59}")
_REGULATED_REVIEWERS = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """A cross-check and the places it reads; `*` stands for any one name."""

    find: Callable[[Stack], Remarks]
    reads: tuple[Path, ...]

    def can_tell(self, unread: Collection[Path]) -> bool:
        """Whether none of its places is one that could not be read."""
        return not any(_overlap(place, path) for place in self.reads for path in unread)


def unsound(stack: Stack, *, unread: Collection[Path] = ()) -> list[Remark]:
    """All cross-checks at once; those that read a place in `unread` keep silent rather than blame a consequence."""
    return [remark for check in _CHECKS if check.can_tell(unread) for remark in check.find(stack)]


def gated(stack: Stack) -> list[StageName]:
    return [stage for stage in StageName if stack.gate(stage) is Gate.REVIEW]


def is_group(reviewer: str) -> bool:
    """Whether an id is a user group's: how many people it stands for only Slack knows."""
    return reviewer.startswith("S")


def may_approve(stack: Stack, channel: str | None = None) -> frozenset[str]:
    """The reviewers of a channel, or of the stack; those who only step in later do not make a gate passable now."""
    own = stack.channels[channel].reviewers if channel else None
    return frozenset(stack.review.reviewers if own is None else own)


def _overlap(one: Path, other: Path) -> bool:
    return all("*" in (left, right) or left == right for left, right in zip(one, other, strict=False))


def _no_model(stack: Stack) -> Remarks:
    if not stack.models:
        yield Remark(code="E201", at=("models",), sentence="The stack has no model; add a [models.NAME] table.")


def _names(stack: Stack) -> Remarks:
    for table, names in (
        ("models", stack.models),
        ("pipelines", stack.pipelines),
        ("repositories", stack.repositories),
    ):
        for name in names:
            if not _NAME.fullmatch(name):
                rule = "must be letters, digits, dots, dashes, underscores and slashes, at most 60"
                yield Remark(code="E211", at=(table, name), sentence=f"A name in [{table}] {rule}.")
    for key, model in stack.models.items():
        if not model.id.isprintable():
            sentence = f"models.{key}.id must be one line of printable characters."
            yield Remark(code="E211", at=("models", key, "id"), sentence=sentence)


def _hosts_of_nobody(stack: Stack) -> Remarks:
    known = {model.host for model in stack.models.values()}
    for name in stack.hosts:
        if name not in known:
            rule = "is the host of no model's base_url, so it limits nothing; write it as there, with the port if any."
            yield Remark(code="W202", at=("hosts", name), sentence=f"A name in [hosts] {rule}")


def _missing_models(stack: Stack) -> Remarks:
    for stage, rules in stack.stages.items():
        named: list[tuple[Path, str | None]] = [(("stages", stage, "model"), rules.model)]
        named += [(("stages", stage, "fallbacks", nth), key) for nth, key in enumerate(rules.fallbacks)]
        for at, key in named:
            if key is not None and key not in stack.models:
                # The value itself is repeated only as a known name close to it: it may be anything.
                close = get_close_matches(key, stack.models, n=1)
                hint = f'did you mean "{close[0]}"?' if close else f"there is {_listed(stack.models)}."
                what = "model" if at[-1] == "model" else "fallback"
                yield Remark(code="E202", at=at, sentence=f"The {what} of {stage} is not in [models]; {hint}")


def _below_floor(stack: Stack) -> Remarks:
    for stage, rules in stack.stages.items():
        key = rules.model or (assigned_model(stack, stage) if stack.models else None)
        if key is not None and key in stack.models and stack.models[key].trust < rules.min_trust:
            has = f"{key} has trust {stack.models[key].trust}"
            sentence = (
                f"{stage} asks for min_trust {rules.min_trust}, and {has}; assign another model or lower the floor."
            )
            yield Remark(code="E208", at=("stages", stage, "model" if rules.model else "min_trust"), sentence=sentence)


def _gate_without_reviewers(stack: Stack) -> Remarks:
    stages = gated(stack)
    if not stages:
        return
    waits = f"{_listed(stages)} {'waits' if len(stages) == 1 else 'wait'} for a review"
    if not may_approve(stack):
        sentence = f"{waits}, and [review] reviewers names nobody who could give it."
        yield Remark(code="E203", at=("review", "reviewers"), sentence=sentence)
    for channel, policy in stack.channels.items():
        if policy.reviewers is not None and not may_approve(stack, channel):
            sentence = f"{waits}, and channel {channel} has an empty list of reviewers."
            yield Remark(code="E203", at=("channels", channel, "reviewers"), sentence=sentence)


def _quorum(stack: Stack) -> Remarks:
    places: list[tuple[Path, frozenset[str], str]] = [(("review", "quorum"), may_approve(stack), "")]
    for channel, policy in stack.channels.items():
        if policy.reviewers is not None:
            at: Path = ("channels", channel, "reviewers")
            places.append((at, may_approve(stack, channel), f" in channel {channel}"))
    for at, people, where in places:
        if people and not any(map(is_group, people)) and stack.review.quorum > len(people):
            there = "is one reviewer" if len(people) == 1 else f"are {len(people)} reviewers"
            sentence = (
                f"review.quorum is {stack.review.quorum} and there {there}{where}: nothing could ever be approved."
            )
            yield Remark(code="E204", at=at, sentence=sentence)


def _reviewer_ids(stack: Stack) -> Remarks:
    lists: dict[Path, tuple[str, ...]] = {
        ("review", "reviewers"): stack.review.reviewers,
        ("review", "backup_reviewers"): stack.review.backup_reviewers,
    }
    lists |= {("channels", name, "reviewers"): policy.reviewers or () for name, policy in stack.channels.items()}
    for at, reviewers in lists.items():
        for nth, reviewer in enumerate(reviewers):
            if not _PERSON_OR_GROUP.fullmatch(reviewer):
                rule = 'must be a Slack user id such as "U0ANN42" or a user group id such as "S0EDITORS"'
                yield Remark(code="E205", at=(*at, nth), sentence=f"A reviewer {rule}, not a name or a handle.")


def _raiser_ids(stack: Stack) -> Remarks:
    for nth, raiser in enumerate(stack.budgets.may_raise or ()):
        if not _PERSON_OR_GROUP.fullmatch(raiser):
            rule = 'must be a Slack user id such as "U0ANN42" or a user group id such as "S0EDITORS"'
            sentence = f"Who may raise a limit {rule}, not a name or a handle."
            yield Remark(code="E216", at=("budgets", "may_raise", nth), sentence=sentence)


def _channel_ids(stack: Stack) -> Remarks:
    for name in stack.channels:
        if name != "default" and not _CHANNEL.fullmatch(name):
            sentence = 'A channel must be a Slack channel id such as C0NEWS, or "default"; names change, ids do not.'
            yield Remark(code="E206", at=("channels", name), sentence=sentence)


def _channels_without_models(stack: Stack) -> Remarks:
    for channel, policy in stack.channels.items():
        if policy.jurisdictions is None:
            continue
        staffed = [stage for stage in StageName if candidates(stack, stage)]
        idle = [stage for stage in staffed if not works(stack, stage, channel)]
        if staffed and idle == staffed:
            sentence = f"{_channel_said(channel)} allows no model at all: {_why_idle(stack, channel)}."
            yield Remark(code="E207", at=("channels", channel, "jurisdictions"), sentence=sentence)
            continue
        for stage in idle:
            why = barred_because(stack, candidates(stack, stage)[0], stage, channel)
            sentence = f"{_channel_said(channel)} leaves {stage} without a model: {why}."
            yield Remark(code="W201", at=("channels", channel, "jurisdictions"), sentence=sentence)


def _why_idle(stack: Stack, channel: str) -> str:
    allowed = stack.channels[channel].jurisdictions
    if not allowed:
        return "its jurisdictions are an empty list"
    return f"it allows {_listed(allowed)}, and no stage has a model operated there that keeps its floor"


def _channel_said(channel: str) -> str:
    return "channels.default" if channel == "default" else f"Channel {channel}"


def _pipelines(stack: Stack) -> Remarks:
    for name, pipeline in stack.pipelines.items():
        at: Path = ("pipelines", name)
        if not pipeline.stages:
            yield Remark(code="E209", at=at, sentence=f"Pipeline {name} is empty; name its stages.")
            continue
        if is_taken(name):
            sentence = (
                f"Pipeline {name} has the name of something else: `run {name}` would mean that. Call it otherwise."
            )
            yield Remark(code="E215", at=at, sentence=sentence)
        if (nth := _works_on_nothing(pipeline)) is not None:
            stage = pipeline.stages[nth]
            sentence = (
                f"Pipeline {name} has {stage} before any stage that makes a text, and {stage} works on one; "
                "put draft or implement before it."
            )
            yield Remark(code="E213", at=(*at, "stages", nth), sentence=sentence)
        if pipeline.revise_rounds and StageName.CRITIQUE not in pipeline.stages:
            sentence = (
                f"Pipeline {name} has revise_rounds and no critique to say what to revise; add critique or drop it."
            )
            yield Remark(code="E214", at=(*at, "revise_rounds"), sentence=sentence)


def works_on_a_text(stage: StageName) -> bool:
    """Whether a stage cannot begin before there is a text."""
    return Reads.TARGET in STAGES[stage].needs


def _works_on_nothing(pipeline: Pipeline) -> int | None:
    """Which stage, counted from 0, comes too early. A first one is none: where there is a text, it can begin."""
    has_text = works_on_a_text(pipeline.stages[0])
    for nth, stage in enumerate(pipeline.stages):
        if works_on_a_text(stage) and not has_text:
            return nth
        has_text = has_text or is_text(stage)
    return None


def _reactions(stack: Stack) -> Remarks:
    review = stack.review
    for key, names in (("approve", review.approve), ("send_back", review.send_back)):
        for nth, name in enumerate(names):
            if not _REACTION.fullmatch(name):
                rule = 'must be a reaction\'s name without colons, such as "white_check_mark"'
                yield Remark(code="E210", at=("review", key, nth), sentence=f"review.{key}, item {nth + 1}, {rule}.")
            elif key == "send_back" and name in review.approve:
                sentence = f"The reaction {name} cannot both approve and send back."
                yield Remark(code="E210", at=("review", key, nth), sentence=sentence)


def _no_approval(stack: Stack) -> Remarks:
    if not stack.review.approve and gated(stack):
        yield Remark(
            code="E210",
            at=("review", "approve"),
            sentence="review.approve names no reaction: nothing could be approved.",
        )


def _webhook(stack: Stack) -> Remarks:
    has = {"webhook_url": stack.review.webhook_url, "webhook_secret_env": stack.review.webhook_secret_env}
    missing = [key for key, value in has.items() if value is None]
    if len(missing) == 1:
        (given,) = has.keys() - set(missing)
        sentence = f"review.{given} needs review.{missing[0]}: an approval is never handed on unsigned."
        yield Remark(code="E212", at=("review", given), sentence=sentence)


def _regulated(stack: Stack) -> Remarks:
    if not stack.policy_rules.regulated:
        return
    yield from _regulated_places(stack)
    for key, model in stack.models.items():
        if model.jurisdiction is None:
            sentence = f"A regulated stack must say where {key} is operated: models.{key}.jurisdiction."
            yield Remark(code="E302", at=("models", key), sentence=sentence)
        if model.price is None:
            sentence = f"A regulated stack must say what {key} costs and when that was checked: models.{key}.price."
            yield Remark(code="E303", at=("models", key), sentence=sentence)


def _regulated_places(stack: Stack) -> Remarks:
    if "default" not in stack.channels:
        sentence = "A regulated stack must list jurisdictions in [channels.default]; until then any would be allowed."
        yield Remark(code="E301", at=("channels",), sentence=sentence)
    for name, policy in stack.channels.items():
        if policy.jurisdictions is None:
            sentence = f"A regulated stack must list jurisdictions in [channels.{name}]; without them any is allowed."
            yield Remark(code="E301", at=("channels", name), sentence=sentence)


def _regulated_review(stack: Stack) -> Remarks:
    if not stack.policy_rules.regulated:
        return
    if stack.gate(StageName.FINAL) is not Gate.REVIEW:
        sentence = 'A regulated stack must keep gate = "review" for final.'
        yield Remark(code="E304", at=("stages", "final", "gate"), sentence=sentence)
    people = frozenset(stack.review.reviewers)
    if len(people) < _REGULATED_REVIEWERS and not any(map(is_group, people)):
        sentence = f"A regulated stack must name two reviewers, and there {'is one' if people else 'is none'}."
        yield Remark(code="E305", at=("review", "reviewers"), sentence=sentence)
    if stack.review.solo:
        sentence = "A regulated stack must not let people approve what they asked for: solo = false."
        yield Remark(code="E306", at=("review", "solo"), sentence=sentence)


def _listed(words: Collection[str]) -> str:
    *most, last = words or ("nothing",)
    return f"{', '.join(most)} and {last}" if most else last


_WHOLE = ""  # no name is empty, so only the loss of the whole table counts
_GATES: Path = ("stages", "*", "gate")
_REVIEWERS: tuple[Path, ...] = (
    ("review", "reviewers"),
    ("review", "backup_reviewers"),
    ("channels", "*", "reviewers"),
)
_CHECKS = (
    Check(find=_no_model, reads=(("models", _WHOLE),)),
    Check(find=_names, reads=()),
    Check(find=_hosts_of_nobody, reads=(("models", "*", "base_url"),)),
    Check(find=_missing_models, reads=(("models", _WHOLE),)),
    Check(find=_below_floor, reads=(("models", "*", "trust"), ("stages", "*", "min_trust"), ("stages", "*", "model"))),
    Check(find=_gate_without_reviewers, reads=(_GATES, *_REVIEWERS)),
    Check(find=_quorum, reads=(("review", "quorum"), *_REVIEWERS)),
    Check(find=_reviewer_ids, reads=()),
    Check(find=_raiser_ids, reads=()),
    Check(find=_channel_ids, reads=()),
    Check(
        find=_channels_without_models,
        reads=(
            ("models", "*", "jurisdiction"),
            ("models", "*", "trust"),
            ("stages", "*", "model"),
            ("stages", "*", "fallbacks"),
            ("stages", "*", "min_trust"),
            ("channels", "*", "jurisdictions"),
        ),
    ),
    Check(find=_pipelines, reads=()),
    Check(find=_reactions, reads=()),
    Check(find=_no_approval, reads=(("review", "approve"), _GATES)),
    Check(find=_webhook, reads=(("review", "webhook_url"), ("review", "webhook_secret_env"))),
    Check(find=_regulated, reads=(("models", "*", "jurisdiction"), ("models", "*", "price"), ("channels",))),
    Check(find=_regulated_review, reads=(("stages", "final", "gate"), ("review", "reviewers"), ("review", "solo"))),
)
