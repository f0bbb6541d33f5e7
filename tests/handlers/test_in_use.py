"""`/stack` tells who does what here, how each model is doing, and what it cost."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from handlers.in_use import Happenings, in_use, somebody_wants_stack
from handlers.incoming import Verb
from handlers.ports import Place
from handlers.stack import Stack
from storage.records import Cooldown
from storage.usage import ModelUse
from tests.handlers.house import LAUNCH, House, words_of

NOW = datetime(2026, 11, 3, 14, 2, tzinfo=UTC)
LOADED = datetime(2026, 11, 3, 13, 5, tzinfo=UTC)


def a_model(**said: Any) -> dict[str, Any]:
    return {"wire": "openai", "id": "llama-of-peru", "base_url": "http://127.0.0.1:9/v1", **said}


def a_price(checked: date = date(2026, 11, 1), **said: float) -> dict[str, Any]:
    return {"input": 0.15, "output": 0.6, "checked": checked, **said}


def a_stack(**tables: Any) -> Stack:
    models = {
        "hare": a_model(trust=2, jurisdiction="cn", price=a_price()),
        "owl": a_model(id="owl", trust=5, jurisdiction="eu"),
    }
    return Stack.model_validate({"models": models, "review": {"reviewers": ["U0OBELIX"]}, **tables})


def told(stack: Stack, *, now: datetime = NOW, **happened: Any) -> list[str]:
    said: dict[str, Any] = {"cooling": {}, "used": (), "loaded_at": LOADED, **happened}
    return words_of(in_use(stack, "C0GAUL", Happenings(**said), now)).split("\n")


def the(lines: list[str], begin: str) -> str:
    (found,) = [line for line in lines if line.startswith(begin)]
    return found


def failing(stack: Stack, key: str, **more: Any) -> dict[str, Cooldown]:
    endpoint = stack.models[key].endpoint
    said = {"failures": 3, "code": "http_429", "at": NOW, "until": NOW + timedelta(minutes=30), **more}
    return {endpoint: Cooldown(endpoint=endpoint, **said)}


def test_the_table_reads_like_this() -> None:
    stack = a_stack(
        stages={"draft": {"model": "hare", "fallbacks": ["owl"]}, "final": {"min_trust": 4}},
        budgets={"run_usd": 1.0, "day_usd": 50.0},
        pipelines={"code": ["implement", "final"], "content": {"stages": ["draft", "critique"], "revise_rounds": 2}},
    )
    used = [
        ModelUse(model="hare", runs=5, priced=5, cost_usd=0.041),
        ModelUse(model="owl", runs=3, priced=0, cost_usd=0),
    ]
    assert told(stack, cooling=failing(stack, "owl"), used=used) == [
        "Who does what in this channel",
        "scout · hare · trust 2 · fast pass",
        "draft · hare, else owl · trust 2 · fast pass",
        "critique · owl · trust 5 · fast pass",
        "implement · hare · trust 2 · fast pass",
        "polish · owl · trust 5 · fast pass",
        "final · owl · trust 5 of at least 4 · final owner, then a reviewer",
        "",
        "The models",
        "hare (llama-of-peru) · answers · $0.15 / $0.60, checked 1 Nov 2026 · 62 % of runs, about $0.041",
        "owl · cooling down until 14:32 UTC: answered HTTP 429, 3 times in a row · no price · 38 % of runs",
        "`run code`: implement, final",
        "`run content`: draft, critique, at most 2 revisions",
        "Prices: USD per million tokens, in / out. Runs: those of the last 30 days that gave an answer.",
        "Budgets: $1.00 a run, $50.00 a day.",
        f"Stack {stack.digest[:8]}, loaded 13:05 UTC. `python -m bot check` looks for mistakes in it.",
    ]


@pytest.mark.parametrize(
    ("change", "health"),
    [
        ({}, "cooling down until 14:32 UTC: answered HTTP 429, 3 times in a row"),
        ({"failures": 1, "code": "unreachable"}, "cooling down until 14:32 UTC: could not be reached ·"),
        ({"until": NOW}, "answers"),
        ({"until": None}, "answers"),
    ],
)
def test_a_model_answers_unless_nobody_asks_it_now(change: dict[str, Any], health: str) -> None:
    stack = a_stack()
    assert f" · {health}" in the(told(stack, cooling=failing(stack, "hare", **change)), "hare")
    assert " · answers · " in the(told(stack, cooling=failing(stack, "hare", **change)), "owl")


@pytest.mark.parametrize(
    ("days", "price"), [(60, "$0.15 / $0.60, checked "), (61, "$0.15 / $0.60, stale: checked 3 Sep 2026 ·")]
)
def test_a_price_that_nobody_looked_up_for_two_months_is_said_to_be_stale(days: int, price: str) -> None:
    models = {"hare": a_model(price=a_price(checked=NOW.date() - timedelta(days=days)))}
    assert price in the(told(a_stack(models=models)), "hare")


def test_a_price_of_less_than_a_cent_keeps_its_digits() -> None:
    models = {"hare": a_model(price=a_price(input=0.0375, output=1200))}
    assert "$0.0375 / $1,200.00" in the(told(a_stack(models=models)), "hare")


def test_what_the_channel_forbids_is_said_where_it_matters() -> None:
    stack = a_stack(
        channels={"C0GAUL": {"jurisdictions": ["eu"]}}, stages={"draft": {"model": "hare", "fallbacks": ["owl"]}}
    )
    lines = told(stack)
    forbidden = "not here: hare is operated in cn and this channel allows eu"
    assert the(lines, "scout") == f"scout · {forbidden}"
    at = lines.index("draft · owl · trust 5 · fast pass")
    assert lines[at + 1].strip() == forbidden


def test_a_model_below_the_floor_is_said_too() -> None:
    stack = a_stack(stages={"polish": {"model": "owl", "fallbacks": ["hare"], "min_trust": 4}})
    lines = told(stack)
    at = lines.index("polish · owl · trust 5 of at least 4 · fast pass")
    assert lines[at + 1].strip() == "not here: hare has trust 2, below the stage's floor of 4"


def test_a_stack_without_models_still_shows() -> None:
    assert the(told(Stack()), "final") == "final · not here: the stack names no model"


def test_a_share_is_of_all_runs_and_a_cost_says_of_how_many_it_is() -> None:
    used = [
        ModelUse(model="hare", runs=999, priced=990, cost_usd=12.0),
        ModelUse(model="fox", runs=1, priced=1, cost_usd=0.5),
    ]
    lines = told(a_stack(), used=used)
    assert the(lines, "hare").endswith("100 % of runs, about $12.00 for 990 of 999")
    assert the(lines, "owl").endswith(" · no runs")
    assert the(lines, "No longer in the stack") == "No longer in the stack: fox under 1 % of runs, about $0.50"


def test_without_budgets_none_are_told_and_another_day_is_named() -> None:
    lines = told(a_stack(), loaded_at=LOADED - timedelta(days=3))
    assert not any(line.startswith("Budgets") for line in lines)
    assert ", loaded 31 Oct 2026, 13:05 UTC." in lines[-1]


async def test_it_is_read_from_the_tables(house: House) -> None:
    await house.asks("draft", "Announce the open cage")
    await house.runs_all()
    model = house.stack.models["careful"]
    async with house.storage.transaction() as saved:
        until = house.later(minutes=5)
        await saved.cooldowns.note(
            Cooldown(endpoint=model.endpoint, failures=2, code="cut", at=house.now(), until=until)
        )

    async def lines() -> list[str]:
        request = house.request(None, verb=Verb.STACK)
        found = await somebody_wants_stack(
            request, storage=house.storage, slack=house.slack, stack=house.stack, loaded_at=LOADED, now=house.now
        )
        return words_of(found).split("\n")

    assert "cooling down until 14:37 UTC: broke off, 2 times in a row" in the(await lines(), "careful")
    assert sum("100 % of runs" in line for line in await lines()) == 1
    house.now.goes_on(days=31)
    assert " · answers · " in the(await lines(), "careful")
    assert not any("100 % of runs" in line for line in await lines())


@pytest.mark.parametrize(
    ("place", "says"),
    [
        (Place(id=LAUNCH), None),
        (Place(id=LAUNCH, is_external=True), "Nothing, for now. This channel is shared with another organisation"),
        (Place(id=LAUNCH, is_member=False), "Nothing, for now. I am not in this channel."),
        (None, None),
    ],
)
async def test_where_nothing_may_be_asked_for_it_says_so_first(
    house: House, place: Place | None, says: str | None
) -> None:
    if place is None:
        house.slack.silent_about.add(LAUNCH)
    else:
        house.slack.places[LAUNCH] = place
    request = house.request(None, verb=Verb.STACK)
    found = await somebody_wants_stack(
        request,
        storage=house.storage,
        slack=house.slack,
        stack=house.stack,
        loaded_at=LOADED,
        newer="E207 in line 4.",
        now=house.now,
    )
    second = words_of(found).split("\n")[1]
    assert second.startswith(says) if says else second.startswith("scout · ")
    assert "this stack stays: E207 in line 4." in words_of(found)
