"""Limits that nothing fits into: a context its stage fills by writing, a budget below what one call may cost."""

from __future__ import annotations

from itertools import pairwise

from handlers.figures import money
from handlers.remarks import Path, Remark, Remarks
from handlers.routing import assigned_model
from handlers.smallest import most_it_may_cost, smallest
from handlers.stack import Stack, StageName

_BUDGETS = ("run_usd", "thread_usd", "day_usd")


def no_room(stack: Stack, stage: StageName, key: str) -> str | None:
    """Why a model could not even read the stage's instructions, in words; None if it could."""
    limit, holds = stack.rules(stage).max_output_tokens, stack.models[key].context_tokens
    told = smallest(stack, stage).tokens
    if limit + told < holds:
        return None
    return f"{stage} may write {limit} tokens, its instructions take about {told}, and {key} holds {holds} in all"


def no_money(stack: Stack, stage: StageName, key: str) -> tuple[str, str] | None:
    """The first budget that no call of the stage to this model fits into, and why; None if one fits into all."""
    cost = most_it_may_cost(stack, stage, stack.models[key])
    for name in _BUDGETS:
        limit = getattr(stack.budgets, name)
        if cost is not None and limit is not None and cost > limit:
            return name, f"one call to {key} may cost {money(cost)} at its smallest, and {name} is {limit:g}"
    return None


def rooms(stack: Stack) -> Remarks:
    for stage in StageName:
        key = assigned_model(stack, stage)
        if why := no_room(stack, stage, key):
            sentence = f"{why}, which leaves nothing to read; lower max_output_tokens or correct context_tokens."
            given = "max_output_tokens" in stack.rules(stage).model_fields_set
            at: Path = ("stages", stage, "max_output_tokens") if given else ("models", key)
            yield Remark(code="W418", at=at, sentence=sentence)


def budgets(stack: Stack) -> Remarks:
    for stage in StageName:
        if found := no_money(stack, stage, assigned_model(stack, stage)):
            name, why = found
            sentence = f"{stage} would never run: {why}; raise the limit or lower the stage's max_output_tokens."
            yield Remark(code="W423", at=("budgets", name), sentence=sentence)
    given = [(name, limit) for name in _BUDGETS if (limit := getattr(stack.budgets, name)) is not None]
    for (inner, within), (outer, around) in pairwise(given):
        if around < within:
            sentence = f"{outer} is {around:g}, so {inner} of {within:g} can never be spent; correct one of both."
            yield Remark(code="N427", at=("budgets", outer), sentence=sentence)


def pipelines(stack: Stack) -> Remarks:
    """One pass, each stage at its smallest and with all the output it may write, is more than the thread may cost."""
    limits = [(name, getattr(stack.budgets, name)) for name in _BUDGETS if name != "run_usd"]
    for name, pipeline in stack.pipelines.items():
        costs = [
            most_it_may_cost(stack, stage, stack.models[assigned_model(stack, stage)]) for stage in pipeline.stages
        ]
        known = sum(cost for cost in costs if cost is not None)
        for budget, limit in limits:
            if limit is not None and known > limit:
                sentence = (
                    f"One pass of pipeline {name} may cost {money(known)}, and {budget} is {limit:g}, so it may stop "
                    "half-way; leave stages out, take cheaper models, or raise the limit."
                )
                yield Remark(code="N431", at=("pipelines", name), sentence=sentence)
                break
