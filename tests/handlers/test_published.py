"""A price beside a published one: one sentence a model, and a code where they differ."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from handlers.published import CODES, Published, beside
from handlers.remarks import Path
from handlers.stack import Model


def a_model(taken: float | None = 0.15, given: float = 0.6, **said: Any) -> Model:
    price = None if taken is None else {"input": taken, "output": given, "checked": date(2026, 11, 1)}
    return Model.model_validate(
        {"wire": "openai", "id": "hare-1", "base_url": "https://api.hare.example/v1", "price": price, **said}
    )


def listed(taken: float = 0.15, given: float = 0.6, **said: Any) -> Published:
    whose: dict[str, Any] = {"by": "lepus", "model": "hare", "at_its_host": True}
    return Published(input=taken, output=given, **(whose | said))


AT, PRICE = ("models", "fast"), ("models", "fast", "price")
CASES: list[tuple[Model, Published | str, str | None, Path, str]] = [
    (
        a_model(),
        listed(),
        None,
        PRICE,
        "fast: $0.15 in, $0.60 out here; the same there (hare at lepus: $0.15 in, $0.60 out).",
    ),
    (a_model(0.1501, 0.5999), listed(), None, PRICE, "the same there"),
    (a_model(0, 0), listed(0, 0), None, PRICE, "the same there"),
    (a_model(0.1), listed(), "W432", PRICE, "$0.60 out: input costs 50% more there; look at the provider's page"),
    (a_model(0.2, 0.8), listed(), "W432", PRICE, "input costs 25% less and output costs 25% less there"),
    (a_model(0.15, 0.1), listed(), "W432", PRICE, "output costs 6.0 times as much there"),
    (a_model(0, 0), listed(), "W432", PRICE, "input costs something and output costs something there"),
    (a_model(), listed(0, 0), "W432", PRICE, "input costs nothing and output costs nothing there"),
    (a_model(), listed(0.1512), "W432", PRICE, "input costs 1% more there"),
    (a_model(0.2), listed(at_its_host=False), "N430", PRICE, "your endpoint may charge otherwise than its maker"),
    (a_model(None), listed(), None, AT, "fast: no price here; hare at lepus: $0.15 in, $0.60 out."),
    (a_model(), "not known there", None, AT, "fast: $0.15 in, $0.60 out here; not known there."),
    (a_model(None), "not known there", None, AT, "fast: no price here; not known there."),
    (a_model(None), listed(steps_at=200_000), None, AT, "$0.60 out, other prices from 200,000 tokens on."),
    (a_model(9, base_url="http://127.0.0.1:8080/v1"), listed(), None, AT, "it runs on this machine"),
    (a_model(1234.5, 0.0001), listed(1234.5, 0.0001), None, PRICE, "$1,234.50 in, $0.0001 out"),
]


@pytest.mark.parametrize(("model", "found", "code", "at", "words"), CASES)
def test_each_model_has_one_sentence(
    model: Model, found: Published | str, code: str | None, at: Path, words: str
) -> None:
    told = beside("fast", model, found)
    assert (told.code, told.at) == (code, at)
    assert words in told.sentence


def test_every_code_is_said() -> None:
    assert {case[2] for case in CASES} - {None} == set(CODES)
