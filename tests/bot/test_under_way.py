"""The last line of a process says what became of the runs that its end met."""

from __future__ import annotations

import asyncio

import pytest

from bot.fence import Displaced
from bot.under_way import UnderWay
from handlers.result import NotOurs


async def perform(under_way: UnderWay, ends: asyncio.Event, problem: BaseException | None = None) -> None:
    with under_way.performing():
        await ends.wait()
        if problem is not None:
            raise problem


async def test_a_stop_that_meets_no_run_says_so() -> None:
    under_way, ends = UnderWay(), asyncio.Event()
    ends.set()
    await perform(under_way, ends)
    under_way.stop_begins()
    assert under_way.last_words() == "stopped: no run was under way"


@pytest.mark.parametrize("problem", [NotOurs(), Displaced()])
async def test_a_run_that_somebody_else_has_ended_is_not_told(problem: Exception) -> None:
    under_way, ends = UnderWay(), asyncio.Event()
    ends.set()
    under_way.stop_begins()
    with pytest.raises(type(problem)):
        await perform(under_way, ends, problem)
    assert under_way.last_words() == "stopped: no run was under way"


async def test_runs_that_the_stop_met_are_told_by_how_they_ended() -> None:
    under_way, ends, never = UnderWay(), asyncio.Event(), asyncio.Event()
    finishing = [asyncio.create_task(perform(under_way, ends)) for _ in range(2)]
    cancelled = asyncio.create_task(perform(under_way, never))
    hanging = asyncio.create_task(perform(under_way, never))
    await asyncio.sleep(0)
    under_way.stop_begins()
    ends.set()
    await asyncio.gather(*finishing)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    assert under_way.last_words() == "stopped: 2 runs finished, 2 runs handed back to begin again"
    hanging.cancel()
    await asyncio.gather(hanging, return_exceptions=True)
