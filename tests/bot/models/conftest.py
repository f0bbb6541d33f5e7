"""A scripted endpoint, and models that wait in no real time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest

from bot.models.assigned import AssignedModels
from bot.playground.scripted import ScriptedModels
from bot.playground.scripted_reply import WireName
from handlers.errors import ModelFailed
from handlers.ports import Assignment, ModelAnswer, Prompt
from handlers.stack import Model
from tests.fakes import at_no_cost

CANARY = "sk-marsupilami-4711-houba+houba/=="
PROMPT = Prompt(system="Stage: draft\nWrite.", user="A note about marsupials", max_output_tokens=300, temperature=0.4)


@dataclass
class Asking:
    """The models under test and the endpoint they ask."""

    endpoint: ScriptedModels
    models: AssignedModels
    waits: list[float] = field(default_factory=list)

    def assignment(
        self,
        wire: WireName = "openai",
        *,
        seconds: float = 60,
        concurrency: int = 4,
        base_url: str | None = None,
        key_env: str | None = "MARSU_KEY",
    ) -> Assignment:
        own = self.endpoint.openai_url if wire == "openai" else self.endpoint.anthropic_url
        model = Model(wire=wire, id="houba-1", base_url=base_url or own, key_env=key_env, concurrency=concurrency)
        return Assignment(key="fast", model=model, timeout_seconds=seconds)

    def no_pause_beyond(self, seconds: float) -> None:
        """Lets no answer pause longer. Only a test of pauses wants few: a busy machine pauses too."""
        self.models._silence = seconds

    async def outcome(self, assignment: Assignment) -> ModelAnswer | ModelFailed:
        self.endpoint.requests.clear()
        try:
            return await self.models.ask(assignment, PROMPT, before=at_no_cost)
        except ModelFailed as failed:
            return failed


@pytest.fixture
async def endpoint() -> AsyncIterator[ScriptedModels]:
    async with ScriptedModels() as scripted:
        yield scripted


MakeModels = Callable[..., AssignedModels]


@pytest.fixture
async def asking(endpoint: ScriptedModels) -> AsyncIterator[Asking]:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    models = AssignedModels(environment={"MARSU_KEY": CANARY}, sleep=sleep, random=lambda: 0.5)
    yield Asking(endpoint, models, waits)
    await models.aclose()
