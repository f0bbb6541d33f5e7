from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from handlers.lint import CODES, lint
from handlers.remarks import Level, Remark
from handlers.stack import Stack

TODAY = date(2026, 11, 22)
CHECKED = date(2026, 11, 1)
ALL_STAGES = ("scout", "draft", "critique", "implement", "polish", "final")


def a_model(**said: Any) -> dict[str, Any]:
    price = {"input": 1, "output": 2, "checked": CHECKED}
    return {"wire": "openai", "id": "llama-of-peru", "base_url": "https://api.peru.example/v1", "price": price, **said}


HARE = a_model(id="hare-1", trust=2, family="lepus")
OWL = a_model(id="owl-1", trust=5, family="strix", price={"input": 5, "output": 25, "checked": CHECKED})
GOOD: dict[str, Any] = {"models": {"hare": HARE, "owl": OWL}, "review": {"reviewers": ["U0OBELIX", "U0ASTERIX"]}}


def remarks(**tables: Any) -> list[Remark]:
    return lint(Stack.model_validate({**GOOD, **tables}), TODAY)


def codes(**tables: Any) -> list[str]:
    return [remark.code for remark in remarks(**tables)]


@pytest.mark.parametrize(
    "tables",
    [
        {},
        {"stages": {"final": {"model": "owl", "min_trust": 4, "gate": "review"}}},
        {"stages": {"scout": {"fallbacks": ["owl"]}}},
        {"stages": {"polish": {"posture": "final-owner", "gate": "review"}}},
        {"review": {"reviewers": ["S0EDITORS"], "quorum": 3}},
        {"review": {"reviewers": ["U0OBELIX"], "solo": True}},
        {"channels": {"default": {"external": True}, "C0GAUL": {"external": False}}},
        {"budgets": {"day_usd": 50.0}},
        {"models": {"hare": {**HARE, "price": None, "base_url": "http://127.0.0.1:8080/v1"}, "owl": OWL}},
        {"models": {"hare": {**HARE, "trust": 5}, "owl": OWL}},
    ],
    ids=[f"good-{nth}" for nth in range(10)],
)
def test_a_good_stack_is_left_in_peace(tables: dict[str, Any]) -> None:
    assert remarks(**tables) == []


ON_OWL = {stage: {"model": "owl"} for stage in ALL_STAGES}


PLANTED: list[tuple[dict[str, Any], str, tuple[str | int, ...], str]] = [
    ({"stages": {**ON_OWL, "critique": {"model": "owl"}}}, "W401", ("stages", "scout", "model"), "such as hare"),
    ({"stages": {"final": {"model": "hare"}}}, "W402", ("stages", "final", "model"), "give final to owl"),
    (
        {
            "models": {
                "hare": HARE,
                "owl": OWL,
                "fox": a_model(trust=3, price={"input": 0, "output": 0.1, "checked": CHECKED}),
            },
            "stages": {"final": {"model": "fox"}, "scout": {"fallbacks": ["fox"]}},
        },
        "W403",
        ("stages", "final", "model"),
        "cheapest",
    ),
    ({"stages": {"critique": {"model": "hare"}}}, "W404", ("stages", "critique", "model"), "such as owl"),
    ({"models": {"hare": HARE}}, "N405", ("models", "hare"), "its own drafts"),
    (
        {"models": {"hare": HARE, "owl": {**OWL, "family": "Lepus"}}},
        "N406",
        ("models", "owl"),
        "of the family Lepus",
    ),
    ({"stages": {"final": {"gate": "none"}}}, "W407", ("stages", "final", "gate"), 'set gate = "review"'),
    (
        {"stages": {"polish": {"posture": "final-owner"}}},
        "W407",
        ("stages", "polish", "posture"),
        "polish is a final",
    ),
    (
        {"review": {"reviewers": ["U0A1", "U0B1"], "expire_after": "0s"}},
        "W408",
        ("review", "expire_after"),
        "expire",
    ),
    (
        {
            "models": {**GOOD["models"], "fox": a_model(trust=3), "elk": a_model(id="elk-1", trust=4)},
            "stages": {"draft": {"model": "fox"}, "critique": {"model": "elk"}},
            "review": {"reviewers": ["U0OBELIX"], "solo": True},
        },
        "N421",
        ("models",),
        "4 models for one person",
    ),
    ({"review": {"reviewers": ["U0OBELIX"]}}, "N409", ("review", "reviewers"), "U0OBELIX is the only reviewer"),
    (
        {
            "models": {
                "hare": a_model(trust=2, price={"input": 1, "output": 2, "checked": date(2026, 9, 22)}),
                "owl": OWL,
            }
        },
        "W410",
        ("models", "hare", "price", "checked"),
        "61 days ago",
    ),
    (
        {
            "models": {
                "hare": a_model(trust=2, price={"input": 1, "output": 2, "checked": date(2026, 11, 23)}),
                "owl": OWL,
            }
        },
        "W411",
        ("models", "hare", "price", "checked"),
        "still to come",
    ),
    ({"models": {"hare": {**HARE, "price": None}, "owl": OWL}}, "N412", ("models", "hare"), "add price"),
    (
        {"models": {"hare": {**HARE, "price": None}, "owl": OWL}, "budgets": {"run_usd": 1.0}},
        "W413",
        ("models", "hare"),
        "cannot be counted",
    ),
    (
        {"stages": {"final": {"model": "owl", "fallbacks": ["hare"], "min_trust": 4}}},
        "W414",
        ("stages", "final", "fallbacks", 0),
        "below the stage's floor of 4",
    ),
    (
        {"stages": {"scout": {"model": "hare", "fallbacks": ["owl", "hare"]}}},
        "W414",
        ("stages", "scout", "fallbacks", 1),
        "asked already",
    ),
    (
        {
            "models": {"hare": {**HARE, "jurisdiction": "us"}, "owl": OWL},
            "channels": {"default": {"jurisdictions": ["us"]}},
            "stages": {"scout": {"fallbacks": ["owl"]}},
        },
        "W414",
        ("stages", "scout", "fallbacks", 0),
        "names no jurisdiction",
    ),
    (
        {"channels": {"default": {"jurisdictions": ["eu"]}, "C0GAUL": {"external": True}}},
        "W415",
        ("channels", "C0GAUL"),
        "allows any",
    ),
    ({"models": {**GOOD["models"], "fox": a_model(trust=3)}}, "N416", ("models", "fox"), "No stage has fox"),
    (
        {"review": {"reviewers": ["U0A1", "U0B1"], "remind_after": "8d"}},
        "W417",
        ("review", "remind_after"),
        "before anybody is reminded",
    ),
    (
        {"stages": {"scout": {"max_output_tokens": 32_000}}},
        "W418",
        ("stages", "scout", "max_output_tokens"),
        "nothing to read",
    ),
    (
        {"models": {"hare": {**HARE, "context_tokens": 4_000}, "owl": OWL}},
        "W418",
        ("models", "hare"),
        "context_tokens",
    ),
    (
        {"models": {"hare": {**HARE, "id": "replace-with-a-fast-model"}, "owl": OWL}},
        "W419",
        ("models", "hare", "id"),
        "still the preset's",
    ),
    ({"review": {"reviewers": ["U0A1", "U0REPLACEME"]}}, "W419", ("review", "reviewers", 1), "member ID"),
    (
        {"stages": {"final": {"model": "owl", "fallbacks": ["hare"]}}},
        "N420",
        ("stages", "final", "fallbacks", 0),
        "less trusted than owl",
    ),
    (
        {"pipelines": {"second-look": ["critique", "polish"], "whole": ["draft", "polish"]}},
        "N422",
        ("pipelines", "second-look"),
        "begins with critique",
    ),
    ({"budgets": {"run_usd": 0.10}}, "W423", ("budgets", "run_usd"), "one call to owl may cost about $0.11"),
    ({"budgets": {"day_usd": 0.001}}, "W423", ("budgets", "day_usd"), "would never run"),
    (
        {
            "models": {"hare": HARE, "owl": {**OWL, "base_url": "http://[::1]:8080/v1", "price": None}},
            "budgets": {"thread_usd": 0.001},
        },
        "W423",
        ("budgets", "thread_usd"),
        "one call to hare",
    ),
    (
        {"stages": {"critique": {"model": "owl", "fallbacks": ["hare"]}}},
        "N424",
        ("stages", "critique", "fallbacks", 0),
        "the critic is the author",
    ),
    (
        {"stages": {"draft": {"fallbacks": ["owl"]}}},
        "N424",
        ("stages", "draft", "fallbacks", 0),
        "the author is the critic",
    ),
    ({"pipelines": {"content": ["scout", "draft"]}}, "N425", ("pipelines", "content"), "ends with draft"),
    ({"models": {"hare": HARE, "owl": OWL, "twin": HARE}}, "N426", ("models", "twin"), "twin and hare are one"),
    ({"budgets": {"run_usd": 5, "day_usd": 2}}, "N427", ("budgets", "day_usd"), "run_usd of 5 can never be spent"),
    ({"budgets": {"thread_usd": 5, "day_usd": 2}}, "N427", ("budgets", "day_usd"), "thread_usd of 5"),
    (
        {"pipelines": {"content": ["scout", "critique", "final"]}, "budgets": {"thread_usd": 0.2}},
        "N431",
        ("pipelines", "content"),
        "may cost about $0.24, and thread_usd is 0.2",
    ),
    (
        {"pipelines": {"all": ["final"] * 4}, "budgets": {"run_usd": 0.12, "day_usd": 0.4}},
        "N431",
        ("pipelines", "all"),
        "day_usd is 0.4",
    ),
    ({"stages": {"implement": {"model": "owl"}}}, "N428", ("models", "owl"), "patches it makes itself"),
    ({"stages": {"final": {"posture": "fast-pass"}}}, "W429", ("stages", "final", "posture"), "nobody makes the call"),
    (
        {"stages": {"polish": {"model": "hare", "posture": "final-owner", "gate": "review"}}},
        "W402",
        ("stages", "polish", "model"),
        "a final owner, of polish",
    ),
    (
        {"models": {"hare": HARE, "owl": OWL, "twin": HARE}, "stages": {"critique": {"model": "twin"}}},
        "W404",
        ("stages", "critique", "model"),
        "twin is hare by another name",
    ),
    ({"models": {"hare": HARE, "twin": HARE}}, "N405", ("models", "twin"), "its own drafts"),
    (
        {"review": {"reviewers": ["U0OBELIX", "U0ASTERIX"], "quorum": 2}},
        "N409",
        ("review", "reviewers"),
        "All 2 reviewers must approve",
    ),
    (
        {"channels": {"C0GAUL": {"reviewers": ["U0OBELIX"]}}},
        "N409",
        ("channels", "C0GAUL", "reviewers"),
        "the only reviewer in C0GAUL",
    ),
    (
        {"models": {"hare": {**HARE, "context_tokens": 4_500}, "owl": OWL}},
        "W418",
        ("models", "hare"),
        "its instructions take about",
    ),
    (
        {
            "models": {"hare": HARE, "owl": OWL, "wren": a_model(context_tokens=4_000)},
            "stages": {"scout": {"fallbacks": ["wren"]}},
        },
        "W414",
        ("stages", "scout", "fallbacks", 0),
        "wren holds 4000 in all",
    ),
    (
        {
            "models": {
                "hare": HARE,
                "owl": OWL,
                "roc": a_model(price={"input": 90, "output": 900, "checked": CHECKED}),
            },
            "stages": {"scout": {"fallbacks": ["roc"]}},
            "budgets": {"run_usd": 1},
        },
        "W414",
        ("stages", "scout", "fallbacks", 0),
        "run_usd is 1",
    ),
]


@pytest.mark.parametrize(
    ("tables", "code", "at", "words"), PLANTED, ids=[f"{case[1]}-{nth}" for nth, case in enumerate(PLANTED)]
)
def test_a_planted_mistake_is_found_where_it_stands(
    tables: dict[str, Any], code: str, at: tuple[str | int, ...], words: str
) -> None:
    found = [remark for remark in remarks(**tables) if remark.code == code]
    assert {remark.at for remark in found} == {at}
    assert all(words in remark.sentence for remark in found)


def test_every_code_is_planted_at_least_once() -> None:
    assert {case[1] for case in PLANTED} == set(CODES)


@pytest.mark.parametrize(
    "tables",
    [
        {"review": {"reviewers": ["U0OBELIX", "U0ASTERIX", "U0GETAFIX"], "quorum": 2}},
        {"review": {"reviewers": ["U0OBELIX", "U0ASTERIX"], "quorum": 2, "solo": True}},
        {"channels": {"C0GAUL": {"reviewers": ["U0OBELIX", "U0GETAFIX"]}}},
        {
            "pipelines": {"content": ["draft", "polish"]},
            "stages": {"polish": {"posture": "final-owner", "gate": "review"}},
        },
        {"budgets": {"run_usd": 0.12, "thread_usd": 0.12, "day_usd": 0.12}},
        {"pipelines": {"content": ["scout", "critique", "final"]}, "budgets": {"run_usd": 0.12, "thread_usd": 0.25}},
        {"models": {"hare": {**HARE, "context_tokens": 4_900}, "owl": OWL}},
    ],
)
def test_what_is_just_enough_is_left_in_peace(tables: dict[str, Any]) -> None:
    assert remarks(**tables) == []


def test_a_price_is_fresh_for_sixty_days() -> None:
    hare = a_model(trust=2, price={"input": 1, "output": 2, "checked": date(2026, 9, 23)})
    assert codes(models={"hare": hare, "owl": OWL}) == []


def test_the_least_trusted_and_cheapest_final_owner_is_said_once() -> None:
    assert codes(stages={"final": {"model": "hare"}, "polish": {"model": "owl"}}) == ["W402"]


def test_an_unsound_stack_is_not_linted() -> None:
    assert remarks(stages={"final": {"model": "unicorn"}}) == []
    assert lint(Stack(), TODAY) == []


def test_the_codes_letter_is_its_level() -> None:
    levels = {code: Remark(code=code, at=(), sentence="").level for code in CODES}
    assert {levels[code] for code in CODES if code.startswith("N")} == {Level.NOTE}
    assert {levels[code] for code in CODES if code.startswith("W")} == {Level.WARNING}
    assert Remark(code="E101", at=(), sentence="").level is Level.ERROR
