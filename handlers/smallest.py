"""The smallest call a stage can make, and the most it may cost: what a stack must at least have room and money for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from handlers.context import Item, compose
from handlers.stack import Model, Stack, StageName, is_loopback
from handlers.stages import STAGES

_MARKER = "smallest-call"
_MILLION = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Smallest:
    """What a stage sends when there is next to nothing to say.

    Attributes:
        tokens: as a context is estimated before it is sent.
        most_tokens: what no tokenizer goes beyond: a token is at least one byte.
    """

    tokens: int
    most_tokens: int


def smallest(stack: Stack, stage: StageName) -> Smallest:
    """The stage's instructions and one character of each thing it needs."""
    return _composed(stage, stack.rules(stage).instructions or "")


def most_it_may_cost(stack: Stack, stage: StageName, model: Model) -> float | None:
    """USD of the stage's smallest call, should the model use all the output it may; None without a price.

    A model on this machine costs nothing.
    """
    if is_loopback(urlsplit(model.base_url).hostname or ""):
        return 0.0
    if model.price is None:
        return None
    taken, given = smallest(stack, stage).most_tokens, stack.rules(stage).max_output_tokens
    return (taken * model.price.input + given * model.price.output) / _MILLION


@lru_cache(maxsize=64)
def _composed(stage: StageName, instructions: str) -> Smallest:
    kind = STAGES[stage]
    items = [Item(reads=reads, title="-", text="-") for reads in kind.reads if reads in kind.needs]
    context = compose(kind, items, marker=_MARKER, extra_instructions=instructions)
    return Smallest(tokens=context.tokens, most_tokens=len(context.system.encode()) + len(context.user.encode()))
