"""Models that answer with what they were asked: each answer names the digest of its prompt."""

from __future__ import annotations

import asyncio
import re

from handlers.context import digest
from handlers.errors import ModelFailed
from handlers.ports import Assignment, Before, ModelAnswer, Prompt, Source, SourceUnread, StopReason, Unanswered, Usage
from tests.faults.world.dice import Dice
from tests.faults.world.seed import Rates
from tests.faults.world.trace import Trace

SEEN = re.compile(r"I saw ([0-9a-f]{16})")
_STAGE = re.compile(r"Stage:\s*(\w+)")


def print_of(system: str, user: str) -> str:
    """A short name of a prompt, byte for byte."""
    return digest(f"{system}\n{user}")[:16]


class DrawnModels:
    """The port Models: mostly quick, sometimes slow, sometimes of no use."""

    def __init__(self, dice: Dice, rates: Rates, trace: Trace) -> None:
        self._dice, self._rates, self._trace = dice, rates, trace

    async def ask(self, assignment: Assignment, prompt: Prompt, *, before: Before) -> ModelAnswer:
        settle = await before()
        slow = self._dice.happens(self._rates.model_is_slow)
        self._trace.note("model", "asked", assignment.key)
        self._trace.count("models asked")
        await asyncio.sleep(self._dice.wait(60.0 if slow else 3.0))
        if self._dice.happens(self._rates.model_fails):
            self._trace.count("models failed")
            await settle(Unanswered.MAYBE_BILLED)
            raise ModelFailed(f"{assignment.key} did not answer.", code="timeout")
        stage = _STAGE.search(prompt.system)
        text = _answer(stage.group(1).lower() if stage else "draft", f"I saw {print_of(prompt.system, prompt.user)}.")
        self._trace.note("model", "answered", text[-40:])
        answer = ModelAnswer(
            text=text,
            stop=StopReason.FINISHED,
            served_id=assignment.model.id,
            usage=Usage(input_tokens=120, output_tokens=40),
        )
        await settle(answer)
        return answer


def _answer(stage: str, seen: str) -> str:
    match stage:
        case "critique":
            return f"1. major · “{seen}” · nothing carries it · say less\n\nVerdict: revise"
        case "final":
            return f"## Decision\nready\n\n## Final text\nThe cage is open. {seen}\n\n## Owner's notes\nnone"
        case _:
            return f"The cage is *open*. {seen}"


class DrawnSources:
    """The port Sources: a page, or nothing."""

    def __init__(self, dice: Dice) -> None:
        self._dice = dice

    async def read(self, url: str) -> Source:
        await asyncio.sleep(self._dice.between(0.0, 2.0))
        if self._dice.happens(0.3):
            raise SourceUnread("it answered HTTP 404")
        return Source(url=url, title="Palombia", text="Marsupilamis live here.", kind="html", fetched_bytes=30)
