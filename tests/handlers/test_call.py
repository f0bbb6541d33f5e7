"""Whom a run asks, in which order, and what it says of those it did not ask."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from handlers.call import PATIENCE, Question, ask_in_order
from handlers.context import Context, Manifest
from handlers.errors import ModelFailed
from handlers.purse import Purse
from handlers.result import Answered
from handlers.routing import Route, route
from handlers.stack import Stack, StageName
from storage.records import Cooldown, Lane, Run, RunState, Work
from tests.fakes import FakeModels, a_model, always
from tests.handlers.house import LAUNCH, TEAM, House

BUSY = ModelFailed("hare answered HTTP 503, tried 3 times.", code="http_503", retryable=True)
NO_KEY = ModelFailed("hare answered HTTP 401, tried once.", code="http_401")
NOTHING = Manifest(stage=StageName.DRAFT, items=(), instructions_sha256="0" * 64, marker="m")
FORBIDDEN = {"channels": {"default": {"jurisdictions": ["us", "eu"]}}}


def a_stack(**more: Any) -> Stack:
    models = {
        "hare": a_model(id="hare-1", trust=3, jurisdiction="us"),
        "crane": a_model(id="crane-1", trust=4, jurisdiction="cn"),
        "mole": a_model(id="mole-1", trust=1, jurisdiction="us"),
        "owl": a_model(id="owl-1", trust=5, jurisdiction="eu"),
    }
    stages = {"draft": {"model": "hare", "fallbacks": ["crane", "mole", "owl"], "min_trust": 2}}
    said: dict[str, Any] = {"models": models, "stages": stages, "review": {"reviewers": ["U0RAE"]}}
    return Stack.model_validate(said | more)


@dataclass
class Desk:
    """One question to the models of a route, with a clock that goes on while somebody sleeps."""

    house: House
    stack: Stack = field(default_factory=a_stack)
    models: FakeModels = field(default_factory=FakeModels)
    waits: list[str] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.house.now.goes_on(seconds=seconds)

    async def asks(self, *, tokens: int = 100) -> Answered:
        decided = route(self.stack, StageName.DRAFT, LAUNCH)
        assert isinstance(decided, Route)
        context = Context(system="Stage: draft", user="Of cranes", manifest=NOTHING, tokens=tokens)
        run = a_run(self.house.now)
        return await ask_in_order(
            Question(run=run, channel=LAUNCH, decided=decided, context=context, stack=self.stack),
            models=self.models,
            purse=Purse(run, a_work(self.house.now), self.stack, storage=self.house.storage, now=self.house.now),
            storage=self.house.storage,
            now=self.house.now,
            may=always,
            waits=self.waits.append,
            sleep=self.sleep,
        )

    async def fails(self, **more: Any) -> str:
        with pytest.raises(ModelFailed) as failed:
            await self.asks(**more)
        return failed.value.sentence

    @property
    def asked(self) -> list[str]:
        return [assignment.key for assignment, _ in self.models.asked]

    async def rests(self, key: str, **for_: float) -> None:
        now = self.house.now()
        resting = Cooldown(
            endpoint=self.stack.models[key].endpoint,
            failures=2,
            code="http_429",
            at=now,
            until=now + timedelta(**for_),
        )
        async with self.house.storage.transaction() as saved:
            await saved.cooldowns.note(resting)

    async def cooling(self) -> dict[str, Cooldown]:
        async with self.house.storage.reading() as saved:
            return await saved.cooldowns.all()


def a_work(now: Callable[[], Any]) -> Work:
    return Work(id="w1", team=TEAM, channel=LAUNCH, brief="Of cranes", opened_by="U0ANN", opened_at=now())


def a_run(now: Callable[[], Any]) -> Run:
    return Run(
        id="r1",
        work_id="w1",
        request_key="k1",
        stage="draft",
        lane=Lane.CONTENT,
        state=RunState.RUNNING,
        asked_by="U0ANN",
        entrance="command",
        asked_at=now(),
    )


@pytest.fixture
def desk(house: House) -> Desk:
    return Desk(house)


async def test_a_is_down_b_is_forbidden_here_c_is_below_the_floor_and_d_answers(desk: Desk) -> None:
    desk.stack, desk.models = a_stack(**FORBIDDEN), FakeModels(hare=BUSY)
    got = await desk.asks()
    assert desk.asked == ["hare", "owl"]
    assert (got.key, got.instead_of) == ("owl", "hare")
    assert got.because == (
        "hare answered HTTP 503, tried 3 times. Not asked: crane is operated in cn and this channel allows us and eu; "
        "mole has trust 1, below the stage's floor of 2."
    )


async def test_a_is_down_b_is_forbidden_here_c_is_below_the_floor_and_nobody_is_left(desk: Desk) -> None:
    stages = {"draft": {"model": "hare", "fallbacks": ["crane", "mole"], "min_trust": 2}}
    desk.stack, desk.models = a_stack(stages=stages, **FORBIDDEN), FakeModels(hare=BUSY)
    assert await desk.fails() == (
        "hare answered HTTP 503, tried 3 times. Not asked: crane is operated in cn and this channel allows us and eu; "
        "mole has trust 1, below the stage's floor of 2. "
        "Nothing was lost: `@Countersign again`, or pick another model in the stack."
    )
    assert desk.asked == ["hare"]


async def test_who_answers_first_needs_no_excuses(desk: Desk) -> None:
    got = await desk.asks()
    assert (got.key, got.instead_of, got.because) == ("hare", "", "")


async def test_who_rests_is_spared_while_a_fallback_answers(desk: Desk) -> None:
    await desk.rests("hare", seconds=40)
    got = await desk.asks()
    assert desk.asked == ["crane"]
    assert got.because.startswith("hare rests until ")
    assert desk.slept == []


async def test_the_only_one_who_may_is_waited_for(desk: Desk) -> None:
    desk.stack = a_stack(stages={"draft": {"model": "hare"}})
    await desk.rests("hare", seconds=40)
    got = await desk.asks()
    assert (got.key, got.because, desk.slept) == ("hare", "", [40])
    assert desk.waits[0].startswith("hare rests until ")
    assert desk.waits[-1] == ""
    assert await desk.cooling() == {}


async def test_whoever_rests_for_long_is_not_waited_for(desk: Desk) -> None:
    desk.stack = a_stack(stages={"draft": {"model": "hare"}})
    await desk.rests("hare", seconds=PATIENCE.total_seconds() + 1)
    told = await desk.fails()
    assert told.startswith("hare rests until ")
    assert "it answered HTTP 429, 2 times in a row" in told
    assert (desk.asked, desk.slept) == ([], [])


async def test_when_the_others_fail_too_whoever_rests_is_asked_in_the_end(desk: Desk) -> None:
    desk.stack = a_stack(stages={"draft": {"model": "hare", "fallbacks": ["owl"]}})
    desk.models = FakeModels(owl=BUSY)
    await desk.rests("hare", seconds=10)
    got = await desk.asks()
    assert desk.asked == ["owl", "hare"]
    assert (got.key, got.instead_of) == ("hare", "")


async def test_the_second_failure_in_a_row_makes_an_endpoint_rest_and_an_answer_forgives_it(desk: Desk) -> None:
    desk.stack = a_stack(stages={"draft": {"model": "hare"}})
    desk.models = FakeModels(hare=[BUSY, BUSY, "Here it is."])
    await desk.fails()
    (once,) = (await desk.cooling()).values()
    assert (once.failures, once.until) == (1, None)
    await desk.fails()
    (twice,) = (await desk.cooling()).values()
    assert (twice.failures, twice.until) == (2, desk.house.now() + timedelta(seconds=15))
    got = await desk.asks()
    assert (got.answer.text, desk.slept) == ("Here it is.", [15])
    assert await desk.cooling() == {}


async def test_two_names_for_one_endpoint_rest_together_and_another_model_there_does_not(desk: Desk) -> None:
    models = {"hare": a_model(id="hare-1"), "rabbit": a_model(id="hare-1"), "owl": a_model(id="owl-1")}
    stages = {"draft": {"model": "rabbit", "fallbacks": ["owl"]}}
    desk.stack = a_stack(models=models, stages=stages)
    await desk.rests("hare", minutes=5)
    await desk.asks()
    assert desk.asked == ["owl"]


async def test_a_wrong_key_is_nothing_that_waiting_mends(desk: Desk) -> None:
    desk.stack, desk.models = a_stack(stages={"draft": {"model": "hare"}}), FakeModels(hare=NO_KEY)
    for _ in range(3):
        await desk.fails()
    assert await desk.cooling() == {}
    assert desk.asked == ["hare"] * 3


async def test_a_context_too_long_for_one_goes_to_one_that_takes_it(desk: Desk) -> None:
    models = {"hare": a_model(id="hare-1", context_tokens=5_000), "owl": a_model(id="owl-1", context_tokens=50_000)}
    desk.stack = a_stack(models=models, stages={"draft": {"model": "hare", "fallbacks": ["owl"]}})
    got = await desk.asks(tokens=3_000)
    assert desk.asked == ["owl"]
    assert "it takes 5,000 in all" in got.because


async def test_trouble_with_the_database_costs_no_answer(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await desk.rests("hare", seconds=-1)  # so that an answer would be noted

    def full(*_: Any, **__: Any) -> Any:
        raise ConnectionError("the database is away")

    monkeypatch.setattr("handlers.call.is_trouble", lambda problem: isinstance(problem, ConnectionError))
    monkeypatch.setattr("storage.cooldowns.Cooldowns.forget", full)
    assert (await desk.asks()).key == "hare"


async def test_nobody_is_ever_asked_whom_floor_policy_or_context_size_bars(desk: Desk) -> None:
    """Three hundred stacks by chance, the same each time, with models that fail; the rules are worked out anew here."""
    places = ["us", "eu", "cn", None]
    dice = random.Random(28)
    answered = failed = 0
    for _ in range(300):
        keys = [f"m{number}" for number in range(dice.randint(1, 5))]
        models = {
            key: a_model(
                id=key,
                trust=dice.randint(1, 5),
                context_tokens=dice.choice([4_500, 6_000, 50_000]),
                **({"jurisdiction": place} if (place := dice.choice(places)) else {}),
            )
            for key in keys
        }
        floor, tokens = dice.randint(1, 4), dice.choice([10, 1_000, 3_000])
        allowed = dice.choice([None, [], ["us"], ["eu", "us"], ["cn"]])
        stages = {"draft": {"model": dice.choice(keys), "fallbacks": dice.sample(keys, len(keys)), "min_trust": floor}}
        channels = {LAUNCH: {} if allowed is None else {"jurisdictions": allowed}}
        desk.stack = a_stack(models=models, stages=stages, channels=channels)
        desk.models = FakeModels(**{key: BUSY for key in keys if dice.random() < 0.4})
        for key in keys:
            if dice.random() < 0.2:
                await desk.rests(key, seconds=dice.choice([5, 500]))
        may = {
            key
            for key, said in desk.stack.models.items()
            if said.trust >= floor
            and (allowed is None or said.jurisdiction in allowed)
            and tokens + 4_000 <= said.context_tokens
        }
        decided = route(desk.stack, StageName.DRAFT, LAUNCH)
        if isinstance(decided, Route):
            try:
                got = await desk.asks(tokens=tokens)
            except ModelFailed:
                failed += 1
            else:
                answered += 1
                assert got.key in may
        else:
            assert not may
        assert set(desk.asked) <= may
        assert len(desk.asked) == len(set(desk.asked))
    assert answered > 30
    assert failed > 60
