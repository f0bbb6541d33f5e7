"""The mistakes the routing idea warns of, found in a stack that is otherwise sound."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import date
from types import MappingProxyType
from urllib.parse import urlsplit

from handlers.remarks import Path, Remark
from handlers.routing import assigned_model, barred_because, same_family
from handlers.soundness import is_group, may_approve, works_on_a_text
from handlers.stack import ChannelPolicy, Gate, Model, Posture, Stack, StageName, is_loopback

CODES: Mapping[str, str] = MappingProxyType(
    {
        "W401": "The strongest model does every stage.",
        "W402": "The least trusted model is the final owner.",
        "W403": "The cheapest model is the final owner.",
        "W404": "The critic is the model whose draft it criticises.",
        "N405": "With one model the critic is the author, in a fresh context.",
        "N406": "The critic comes from the same family as the drafter.",
        "W407": "A final owner has no review gate.",
        "W408": "A gate closes before anybody could pass it.",
        "N409": "What the only reviewer asks for, nobody can approve.",
        "W410": "A price was checked too long ago.",
        "W411": "A price was checked in the future.",
        "N412": "A model has no price.",
        "W413": "A budget cannot count a model without a price.",
        "W414": "A fallback never qualifies.",
        "W415": "A channel allows more than the default does.",
        "N416": "A model does nothing.",
        "W417": "A reminder comes after the review has expired.",
        "W418": "A stage's output limit leaves its model no room to read.",
        "W419": "A value of the preset was not replaced.",
        "N420": "A fallback of a final owner is less trusted than the owner.",
        "N421": "One person keeps up more models than their work may need.",
        "N422": "A pipeline can only be run where there is a text already.",
    }
)
PLACEHOLDER_PERSONS = frozenset({"U0REPLACEME", "U0REPLACETOO"})
PLACEHOLDER_ID = "replace-with-"
_ENOUGH_FOR_ONE = 3  # models that own a stage, where one person asks and approves
_FAST_STAGES = (StageName.SCOUT, StageName.DRAFT)

Remarks = Iterator[Remark]


def lint(stack: Stack, today: date) -> list[Remark]:
    """Warnings and notes, each with its fix, in the order of their codes."""
    if not stack.models or not _all_named(stack):
        return []  # soundness has said it; nothing that follows would be true
    remarks = [remark for look in _LOOKS for remark in look(stack)]
    remarks += _prices(stack, today)
    return sorted(remarks, key=lambda remark: remark.code[1:])


def _all_named(stack: Stack) -> bool:
    return all(assigned_model(stack, stage) in stack.models for stage in StageName)


def _owner(stack: Stack, stage: StageName) -> Model:
    return stack.models[assigned_model(stack, stage)]


def _at_model(stack: Stack, stage: StageName) -> Path:
    """Where the file says who does a stage; where it does not say, the models."""
    if stack.rules(stage).model is not None:
        return ("stages", stage, "model")
    return ("models", assigned_model(stack, stage))


def _strongest_everywhere(stack: Stack) -> Remarks:
    trusts = [model.trust for model in stack.models.values()]
    owners = {assigned_model(stack, stage) for stage in StageName}
    if min(trusts) < max(trusts) and all(stack.models[key].trust == max(trusts) for key in owners):
        weaker = next(key for key, model in stack.models.items() if model.trust < max(trusts))
        sentence = (
            "The strongest model does every stage, which wastes money and time where a text is cheap to revise; "
            f"give scout and draft a faster one, such as {weaker}."
        )
        yield Remark(code="W401", at=_at_model(stack, _FAST_STAGES[0]), sentence=sentence)


def _weak_final_owner(stack: Stack) -> Remarks:
    key = assigned_model(stack, StageName.FINAL)
    trusts = [model.trust for model in stack.models.values()]
    better = next((name for name, model in stack.models.items() if model.trust == max(trusts)), key)
    at = _at_model(stack, StageName.FINAL)
    if stack.models[key].trust == min(trusts) < max(trusts):
        sentence = f"{key} is the least trusted model and the final owner; speed is not trust: give final to {better}."
        yield Remark(code="W402", at=at, sentence=sentence)
    elif _is_cheapest(stack, key) and stack.models[key].trust < max(trusts):
        sentence = (
            f"{key} is the cheapest model and the final owner, and {better} is trusted more: give final to {better}."
        )
        yield Remark(code="W403", at=at, sentence=sentence)


def _is_cheapest(stack: Stack, key: str) -> bool:
    prices = {name: model.price.output for name, model in stack.models.items() if model.price}
    return key in prices and prices[key] == min(prices.values()) < max(prices.values())


def _critic(stack: Stack) -> Remarks:
    critic, author = assigned_model(stack, StageName.CRITIQUE), assigned_model(stack, StageName.DRAFT)
    at = _at_model(stack, StageName.CRITIQUE)
    if critic != author:
        if same_family(stack.models[critic], stack.models[author]):
            sentence = (
                f"The critic {critic} and the drafter {author} are of the family {stack.models[critic].family}, "
                "which tends to share blind spots; a critic of another family sees other things."
            )
            yield Remark(code="N406", at=at, sentence=sentence)
    elif len(stack.models) == 1:
        sentence = f"{critic} criticises its own drafts, in a fresh context; a second model would doubt more."
        yield Remark(code="N405", at=at, sentence=sentence)
    else:
        other = next(key for key in stack.models if key != author)
        sentence = f"{critic} drafts and criticises; give critique to another model, such as {other}."
        yield Remark(code="W404", at=at, sentence=sentence)


def _owner_without_gate(stack: Stack) -> Remarks:
    for stage in StageName:
        ungated = stack.gate(stage) is Gate.NONE
        if ungated and (stage is StageName.FINAL or stack.posture(stage) is Posture.FINAL_OWNER):
            key = "gate" if stack.rules(stage).gate else "posture"
            sentence = f'{stage} is a final owner and nobody reviews what it makes; set gate = "review".'
            yield Remark(code="W407", at=("stages", stage, key), sentence=sentence)


def _gate_nobody_passes(stack: Stack) -> Remarks:
    review = stack.review
    if not any(stack.gate(stage) is Gate.REVIEW for stage in StageName):
        return
    if not review.expire_after:
        sentence = "Reviews expire at once, so nothing could be approved; set expire_after to some days."
        yield Remark(code="W408", at=("review", "expire_after"), sentence=sentence)
    people = may_approve(stack)
    if len(people) == 1 and not any(map(is_group, people)) and not review.solo:
        sentence = (
            f"{min(people)} is the only reviewer, so nobody can approve what they ask for themselves; "
            "name a second one, or set solo = true if they work alone."
        )
        yield Remark(code="N409", at=("review", "reviewers"), sentence=sentence)


def _heavy_for_one(stack: Stack) -> Remarks:
    people, owners = may_approve(stack), {assigned_model(stack, stage) for stage in StageName}
    alone = stack.review.solo and len(people) == 1 and not any(map(is_group, people))
    if alone and len(owners) > _ENOUGH_FOR_ONE:
        sentence = (
            f"{len(owners)} models for one person who approves their own work: two, one fast and one trusted, "
            "may do the same with less to look after."
        )
        yield Remark(code="N421", at=("models",), sentence=sentence)


def _reminders(stack: Stack) -> Remarks:
    if stack.review.expire_after and stack.review.remind_after >= stack.review.expire_after:
        sentence = "Reviews expire before anybody is reminded; set remind_after below expire_after."
        yield Remark(code="W417", at=("review", "remind_after"), sentence=sentence)


def _fallbacks(stack: Stack) -> Remarks:
    for stage, rules in stack.stages.items():
        owner = assigned_model(stack, stage)
        for nth, key in enumerate(rules.fallbacks):
            at: Path = ("stages", stage, "fallbacks", nth)
            if key not in stack.models:
                continue
            if why := _never(stack, stage, key, (owner, *rules.fallbacks[:nth])):
                sentence = f"{key} never stands in for {owner} at {stage}: {why}; remove it or name another."
                yield Remark(code="W414", at=at, sentence=sentence)
            elif stack.posture(stage) is Posture.FINAL_OWNER and stack.models[key].trust < stack.models[owner].trust:
                sentence = (
                    f"{key} is less trusted than {owner}, whom it may stand in for at {stage}; min_trust sets a floor."
                )
                yield Remark(code="N420", at=at, sentence=sentence)


def _never(stack: Stack, stage: StageName, key: str, before: Collection[str]) -> str | None:
    if key in before:
        return "it is asked already"
    channels = [*stack.channels, *(() if "default" in stack.channels else ("default",))]
    reasons = [barred_because(stack, key, stage, channel) for channel in channels]
    return None if None in reasons else reasons[0]


def _wider_channels(stack: Stack) -> Remarks:
    default = stack.channels.get("default", ChannelPolicy()).jurisdictions
    for name, policy in stack.channels.items():
        if default is not None and policy.jurisdictions is None:
            sentence = (
                f"Channel {name} lists no jurisdictions, so it allows any, while channels.default allows some; "
                "a channel's own table replaces the default's whole."
            )
            yield Remark(code="W415", at=("channels", name), sentence=sentence)


def _idle_models(stack: Stack) -> Remarks:
    busy = {assigned_model(stack, stage) for stage in StageName}
    busy |= {key for rules in stack.stages.values() for key in rules.fallbacks}
    for key in stack.models:
        if key not in busy:
            sentence = f"No stage has {key} as its model or fallback; assign it, or keep it for comparisons only."
            yield Remark(code="N416", at=("models", key), sentence=sentence)


def _room(stack: Stack) -> Remarks:
    for stage in StageName:
        key, limit = assigned_model(stack, stage), stack.rules(stage).max_output_tokens
        if limit >= stack.models[key].context_tokens:
            sentence = (
                f"{stage} may write {limit} tokens and {key} holds {stack.models[key].context_tokens} in all, "
                "which leaves nothing to read; lower max_output_tokens or correct context_tokens."
            )
            given = "max_output_tokens" in stack.rules(stage).model_fields_set
            at: Path = ("stages", stage, "max_output_tokens") if given else ("models", key)
            yield Remark(code="W418", at=at, sentence=sentence)


def _placeholders(stack: Stack) -> Remarks:
    for key, model in stack.models.items():
        if model.id.startswith(PLACEHOLDER_ID):
            sentence = f"models.{key}.id is still the preset's; put the name your provider knows the model by."
            yield Remark(code="W419", at=("models", key, "id"), sentence=sentence)
    for nth, person in enumerate(stack.review.reviewers):
        if person in PLACEHOLDER_PERSONS:
            sentence = f"{person} is the preset's; put a Slack user id (profile, three dots, Copy member ID)."
            yield Remark(code="W419", at=("review", "reviewers", nth), sentence=sentence)


def _prices(stack: Stack, today: date) -> Remarks:
    counted = any(
        limit is not None for limit in (stack.budgets.run_usd, stack.budgets.thread_usd, stack.budgets.day_usd)
    )
    for key, model in stack.models.items():
        at: Path = ("models", key, "price", "checked")
        if model.price is None:
            if not stack.policy_rules.regulated:  # there it is an error
                yield from _no_price(key, model, counted=counted)
        elif model.price.checked > today:
            sentence = (
                f"The price of {key} was checked on {model.price.checked}, which is still to come; correct the day."
            )
            yield Remark(code="W411", at=at, sentence=sentence)
        elif model.price.is_stale(today):
            days = (today - model.price.checked).days
            sentence = f"The price of {key} was checked {days} days ago; look again and set checked to that day."
            yield Remark(code="W410", at=at, sentence=sentence)


def _no_price(key: str, model: Model, *, counted: bool) -> Remarks:
    if is_loopback(urlsplit(model.base_url).hostname or ""):
        return  # a model on this machine sends no bill
    if counted:
        sentence = f"Budgets are set and {key} has no price, so its runs cannot be counted; add price."
        yield Remark(code="W413", at=("models", key), sentence=sentence)
    else:
        sentence = f"{key} has no price, so cards cannot say what a run costs; add price with the day you checked it."
        yield Remark(code="N412", at=("models", key), sentence=sentence)


def _pipelines_on_texts(stack: Stack) -> Remarks:
    for name, pipeline in stack.pipelines.items():
        if pipeline.stages and works_on_a_text(pipeline.stages[0]):
            first = pipeline.stages[0]
            sentence = (
                f"Pipeline {name} begins with {first}, so it can only be run in a thread that has a text already."
            )
            yield Remark(code="N422", at=("pipelines", name), sentence=sentence)


_LOOKS: tuple[Callable[[Stack], Remarks], ...] = (
    _strongest_everywhere,
    _weak_final_owner,
    _critic,
    _owner_without_gate,
    _gate_nobody_passes,
    _heavy_for_one,
    _reminders,
    _fallbacks,
    _wider_channels,
    _idle_models,
    _room,
    _placeholders,
    _pipelines_on_texts,
)
