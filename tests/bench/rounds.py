"""What is measured: each command alone and many at once, on the bot and on a listener that stores nothing."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.scene import Facts, Process, Timing, at_work

COMMANDS: Mapping[str, bool] = {
    "scout": False,
    "draft": False,
    "critique": True,
    "implement": False,
    "polish": True,
    "final": False,
}
"""Each slash command, and whether it is given a link to a draft; /final is the one clean pass on a brief."""

_CHANNELS = ("launch", "docs")


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """How much is measured."""

    alone: int  # repetitions of each command
    at_once: int
    model_seconds: float = 2.0  # of the round with a model that takes its time
    paced: int = 3  # requests with Slack's limits kept
    parts: frozenset[str] = frozenset({"alone", "crowd", "slow", "shipped"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Round:
    """Some requests of one command, and what they cost the process."""

    timings: Sequence[Timing]
    seconds: float  # from the first delivery to the last part of the last answer
    before: Facts
    after: Facts
    calls: Counter[str] = field(default_factory=Counter)

    @property
    def refused(self) -> Sequence[Timing]:
        return [timing for timing in self.timings if timing.problem]


@dataclass(frozen=True, kw_only=True, slots=True)
class Both:
    """The same round on the bot and on the bare listener."""

    bot: Round
    bare: Round


@dataclass(kw_only=True)
class Measured:
    """Everything, as it came."""

    plan: Plan
    alone: dict[str, Both] = field(default_factory=dict)
    at_once: dict[str, Both] = field(default_factory=dict)
    slow_model: Both | None = None
    paced: Sequence[Timing] = ()
    paced_429s: int = 0


async def measure(plan: Plan, folder: Path) -> Measured:
    """Run it all; the bot and the bare listener take turns, so that a busy machine slows both."""
    measured = Measured(plan=plan)
    for name in ("bot", "bare", "paced"):
        (folder / name).mkdir()
    async with AsyncExitStack() as scene:
        bot = await scene.enter_async_context(at_work("bot", folder / "bot"))
        bare = await scene.enter_async_context(at_work("bare", folder / "bare", roles=["bare"]))
        for process in (bot, bare):
            await alone(process, "draft", 2)  # whatever is done only once
            if "crowd" in plan.parts:
                await at_once(process, "draft", plan.at_once)  # whose answers are pointed at
        for stage in COMMANDS if "alone" in plan.parts else ():
            measured.alone[stage] = await _in_turn(bot, bare, stage, plan.alone)
        for stage in COMMANDS if "crowd" in plan.parts else ():
            measured.at_once[stage] = Both(
                bare=await at_once(bare, stage, plan.at_once), bot=await at_once(bot, stage, plan.at_once)
            )
        if plan.model_seconds and "slow" in plan.parts:
            for process in (bot, bare):
                process.models.pace = plan.model_seconds
            measured.slow_model = Both(
                bare=await at_once(bare, "draft", plan.at_once), bot=await at_once(bot, "draft", plan.at_once)
            )
    if plan.paced and "shipped" in plan.parts:
        async with at_work("paced", folder / "paced", as_shipped=True) as shipped:
            measured.paced = [await shipped.command("draft", channel=_CHANNELS[turn % 2]) for turn in range(plan.paced)]
            measured.paced_429s = sum(call.status == 429 for call in shipped.slack.calls)
    return measured


async def _in_turn(bot: Process, bare: Process, stage: str, times: int) -> Both:
    """One request after the other, the two processes by turns."""
    rounds = [(await alone(bot, stage, 1), await alone(bare, stage, 1)) for _ in range(times)]
    return Both(bot=_joined([one for one, _ in rounds]), bare=_joined([other for _, other in rounds]))


def _joined(rounds: Sequence[Round]) -> Round:
    return Round(
        timings=[timing for one in rounds for timing in one.timings],
        seconds=sum(one.seconds for one in rounds),
        before=rounds[0].before,
        after=rounds[-1].after,
        calls=sum((one.calls for one in rounds), Counter()),
    )


async def alone(process: Process, stage: str, times: int) -> Round:
    """One after the other, each when nothing of the one before is left."""
    before, calls, started = await process.facts(), process.calls(), time.perf_counter()
    timings = []
    for _ in range(times):
        timings.append(await process.command(stage, to=process.drafts[-1] if COMMANDS[stage] else None))
        await process.facts()
    return await _round(process, stage, timings, before, calls, started)


async def at_once(process: Process, stage: str, count: int) -> Round:
    """All delivered at the same moment."""
    before, calls, started = await process.facts(), process.calls(), time.perf_counter()
    targets = process.drafts[-count:] if COMMANDS[stage] else [None] * count
    timings = await asyncio.gather(*(process.command(stage, to=target) for target in targets))
    return await _round(process, stage, timings, before, calls, started)


async def _round(
    process: Process, stage: str, timings: Sequence[Timing], before: Facts, calls: Counter[str], started: float
) -> Round:
    if stage == "draft":
        process.drafts += [timing for timing in timings if not timing.problem]
    ended = max((timing.last for timing in timings if not timing.problem), default=started)
    after = await process.facts()
    done = process.calls() - calls
    return Round(timings=timings, seconds=ended - started, before=before, after=after, calls=done)
