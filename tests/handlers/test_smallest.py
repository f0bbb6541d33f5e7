"""The smallest call of a stage: what it sends, and the most it may cost."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from handlers.context import Context, Item, compose
from handlers.smallest import most_it_may_cost, smallest
from handlers.stack import Model, Stack, StageName
from handlers.stages import STAGES, Reads


def a_stack(**rules: Any) -> Stack:
    return Stack.model_validate({"stages": dict.fromkeys(StageName, rules)})


def a_model(**price: float) -> Model:
    said = {"checked": date(2026, 11, 1), **price} if price else None
    at = "https://api.hare.example/v1"
    return Model.model_validate({"wire": "openai", "id": "hare-1", "base_url": at, "price": said})


def bytes_of(context: Context) -> int:
    return len((context.system + context.user).encode())


@pytest.mark.parametrize("stage", list(StageName))
def test_no_real_call_is_smaller(stage: StageName) -> None:
    items = [Item(reads=reads, title=reads, text="Obelix is not fat") for reads in STAGES[stage].needs]
    real = compose(STAGES[stage], items, marker="marker-of-gaul")
    least = smallest(a_stack(), stage)
    assert 0 < least.tokens < real.tokens
    assert least.tokens < bytes_of(least) < bytes_of(real)


def test_what_the_operator_adds_to_the_instructions_is_part_of_it() -> None:
    plain, more = smallest(a_stack(), StageName.DRAFT), smallest(a_stack(instructions="é" * 500), StageName.DRAFT)
    assert bytes_of(more) - bytes_of(plain) > 1_000
    assert more.tokens > plain.tokens


def test_the_most_it_may_cost_is_every_byte_in_and_the_whole_output_limit() -> None:
    stack = a_stack(max_output_tokens=2_000)
    taken = bytes_of(smallest(stack, StageName.FINAL)) + 64  # which frame the messages
    assert most_it_may_cost(stack, StageName.FINAL, a_model(input=3, output=15)) == pytest.approx(
        (taken * 3 + 2_000 * 15) / 1_000_000
    )


def test_a_model_without_a_price_cannot_be_reckoned() -> None:
    assert most_it_may_cost(a_stack(), StageName.DRAFT, a_model()) is None


def test_only_what_a_stage_needs_is_in_it() -> None:
    assert Reads.SOURCES not in STAGES[StageName.SCOUT].needs
    assert bytes_of(smallest(a_stack(), StageName.SCOUT)) < 4_000
