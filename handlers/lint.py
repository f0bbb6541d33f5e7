"""The mistakes the routing idea warns of, found in a stack that is otherwise sound."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import date
from types import MappingProxyType
from urllib.parse import urlsplit

from handlers import limits, lint_pairs
from handlers.limits import no_money, no_room
from handlers.lint_pairs import at_model
from handlers.remarks import Path, Remark, Remarks
from handlers.routing import assigned_model, barred_because
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
        "N409": "What a reviewer asks for, too few are left to approve.",
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
        "W423": "A budget is too small for any call of a stage.",
        "N424": "A fallback would make the critic the author.",
        "N425": "A pipeline ends without a final owner.",
        "N426": "Two names are one model.",
        "N427": "A budget is larger than the one around it.",
        "N428": "The critic is the model whose patch it criticises.",
        "W429": "Nobody is the final owner.",
        "N431": "One pass of a pipeline may cost more than its thread.",
    }
)
PLACEHOLDER_PERSONS = frozenset({"U0REPLACEME", "U0REPLACETOO"})
PLACEHOLDER_ID = "replace-with-"
_ENOUGH_FOR_ONE = 3  # models that own a stage, where one person asks and approves
_FAST_STAGES = (StageName.SCOUT, StageName.DRAFT)


def lint(stack: Stack, today: date) -> list[Remark]:
    """Warnings and notes, each with its fix, in the order of their codes."""
    if not stack.models or not _all_named(stack):
        return []  # soundness has said it; nothing that follows would be true
    remarks = [remark for look in _LOOKS for remark in look(stack)]
    remarks += _prices(stack, today)
    return sorted(remarks, key=lambda remark: remark.code[1:])


def _all_named(stack: Stack) -> bool:
    return all(assigned_model(stack, stage) in stack.models for stage in StageName)


def _strongest_everywhere(stack: Stack) -> Remarks:
    trusts = [model.trust for model in stack.models.values()]
    owners = {assigned_model(stack, stage) for stage in StageName}
    if min(trusts) < max(trusts) and all(stack.models[key].trust == max(trusts) for key in owners):
        weaker = next(key for key, model in stack.models.items() if model.trust < max(trusts))
        sentence = (
            "The strongest model does every stage, which wastes money and time where a text is cheap to revise; "
            f"give scout and draft a faster one, such as {weaker}."
        )
        yield Remark(code="W401", at=at_model(stack, _FAST_STAGES[0]), sentence=sentence)


def _weak_final_owners(stack: Stack) -> Remarks:
    trusts = [model.trust for model in stack.models.values()]
    for stage in StageName:
        if stage is not StageName.FINAL and stack.posture(stage) is not Posture.FINAL_OWNER:
            continue
        key = assigned_model(stack, stage)
        better = next((name for name, model in stack.models.items() if model.trust == max(trusts)), key)
        owner = "the final owner" if stage is StageName.FINAL else f"a final owner, of {stage}"
        at = at_model(stack, stage)
        if stack.models[key].trust == min(trusts) < max(trusts):
            sentence = f"{key} is the least trusted model and {owner}; speed is not trust: give {stage} to {better}."
            yield Remark(code="W402", at=at, sentence=sentence)
        elif _is_cheapest(stack, key) and stack.models[key].trust < max(trusts):
            sentence = (
                f"{key} is the cheapest model and {owner}, and {better} is trusted more: give {stage} to {better}."
            )
            yield Remark(code="W403", at=at, sentence=sentence)


def _is_cheapest(stack: Stack, key: str) -> bool:
    prices = {name: model.price.output for name, model in stack.models.items() if model.price}
    return key in prices and prices[key] == min(prices.values()) < max(prices.values())


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
    yield from _too_few_left(stack)


def _too_few_left(stack: Stack) -> Remarks:
    """Whoever asked for a text does not approve it: are enough others left?"""
    places: list[tuple[Path, frozenset[str], str]] = [(("review", "reviewers"), may_approve(stack), "")]
    for channel, policy in stack.channels.items():
        if policy.reviewers is not None:
            places.append((("channels", channel, "reviewers"), may_approve(stack, channel), f" in {channel}"))
    quorum = stack.review.quorum
    for at, people, where in places:
        if stack.review.solo or any(map(is_group, people)) or len(people) - 1 >= quorum or len(people) < quorum:
            continue
        if len(people) == 1:
            sentence = (
                f"{min(people)} is the only reviewer{where}, so nobody can approve what they ask for themselves; "
                "name a second one, or set solo = true if they work alone."
            )
        else:
            sentence = (
                f"All {len(people)} reviewers{where} must approve, so what one of them asks for never is; "
                "name one more, or lower the quorum."
            )
        yield Remark(code="N409", at=at, sentence=sentence)


def _heavy_for_one(stack: Stack) -> Remarks:
    people, owners = may_approve(stack), {assigned_model(stack, stage) for stage in StageName}
    alone = stack.review.solo and len(people) == 1 and not any(map(is_group, people))
    if alone and len(owners) > _ENOUGH_FOR_ONE:
        sentence = (
            f"{len(owners)} models for one person who approves their own work: two, one fast and one trusted, "
            "may do the same with less to look after."
        )
        yield Remark(code="N421", at=("models",), sentence=sentence)


def _no_final_owner(stack: Stack) -> Remarks:
    if all(stack.posture(stage) is not Posture.FINAL_OWNER for stage in StageName):
        sentence = 'No stage is a final owner, so nobody makes the call on what goes out; set posture = "final-owner".'
        yield Remark(code="W429", at=("stages", StageName.FINAL, "posture"), sentence=sentence)


def _pipelines_without_end(stack: Stack) -> Remarks:
    for name, pipeline in stack.pipelines.items():
        stages = pipeline.stages
        if stages and stack.posture(stages[-1]) is not Posture.FINAL_OWNER:
            sentence = (
                f"Pipeline {name} ends with {stages[-1]}, so what it makes has no owner and no gate; end it with final."
            )
            yield Remark(code="N425", at=("pipelines", name), sentence=sentence)


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
    if None not in reasons:
        return reasons[0]
    if why := no_room(stack, stage, key):
        return why
    too_dear = no_money(stack, stage, key)
    return too_dear[1] if too_dear else None


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
    _weak_final_owners,
    lint_pairs.critics,
    lint_pairs.stand_ins,
    lint_pairs.names,
    _owner_without_gate,
    _no_final_owner,
    _pipelines_without_end,
    _gate_nobody_passes,
    _heavy_for_one,
    _reminders,
    _fallbacks,
    _wider_channels,
    _idle_models,
    limits.rooms,
    limits.budgets,
    limits.pipelines,
    _placeholders,
    _pipelines_on_texts,
)
