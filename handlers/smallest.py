"""The smallest call a stage can make, and the most it may cost: what a stack must at least have room and money for."""

from __future__ import annotations

from functools import lru_cache

from handlers.budget import cost, dollars, most_tokens
from handlers.context import Context, Item, compose
from handlers.stack import Model, Stack, StageName
from handlers.stages import STAGES

_MARKER = "smallest-call"


def smallest(stack: Stack, stage: StageName) -> Context:
    """The stage's instructions and one character of each thing it needs."""
    return _composed(stage, stack.rules(stage).instructions or "")


def most_it_may_cost(stack: Stack, stage: StageName, model: Model) -> float | None:
    """USD of the stage's smallest call, should the model use all the output it may; None without a price."""
    if model.price is None:
        return None
    call = smallest(stack, stage)
    return dollars(cost(model.price, most_tokens(call.system, call.user, stack.rules(stage).max_output_tokens)))


@lru_cache(maxsize=64)
def _composed(stage: StageName, instructions: str) -> Context:
    kind = STAGES[stage]
    items = [Item(reads=reads, title="-", text="-") for reads in kind.reads if reads in kind.needs]
    return compose(kind, items, marker=_MARKER, extra_instructions=instructions)
