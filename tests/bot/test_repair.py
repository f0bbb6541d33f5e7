"""When what was missed is looked for, and by which of many processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from bot.repair import Repair
from storage.database import Database
from tests.fakes import FakeClock, open_database

MINUTE = 60


class Watched(Repair):
    """Sweeps as it is told to, and lets the clock run where it would wait."""

    def __init__(self, storage: Database, clock: FakeClock, *outcomes: bool | Exception) -> None:
        nothing = cast("Any", None)
        super().__init__(storage=storage, backlog=nothing, stack=nothing, door=nothing, now=clock)
        self.clock, self.outcomes = clock, list(outcomes)
        self.did: list[str] = []
        self.wakes_after: list[int] = []
        self.during: Callable[[], Awaitable[None]] | None = None

    async def sweep(self) -> bool:
        self.did.append("sweep")
        if self.during is not None:
            await self.during()
        outcome = self.outcomes.pop(0) if self.outcomes else True
        if isinstance(outcome, Exception):
            raise outcome
        if outcome:
            async with self._storage.transaction() as saved:
                await saved.marks.set("repair/done", self.clock())
        return outcome

    async def _is_woken_within(self, seconds: float) -> bool:
        self.did.append(f"{seconds / MINUTE:g} min")
        if len(self.did) >= 18:
            raise Enough
        if self.wakes_after and self.wakes_after[0] == len(self.did):
            self.wakes_after.pop(0)
            self.clock.goes_on(seconds=1)
            self.reconnected()
            return True
        self.clock.goes_on(seconds=seconds)
        return False


class Enough(Exception):  # noqa: N818  ends a test
    """Seen enough."""


async def watched(repair: Watched) -> list[str]:
    with pytest.raises(Enough):
        await repair.run()
    return repair.did


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(tmp_path, durable=False) as opened:
        yield opened


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def test_it_is_on_start_once_slacks_retries_are_over_and_every_hour(storage: Database, clock: FakeClock) -> None:
    did = await watched(Watched(storage, clock))
    assert did[:6] == ["sweep", "10 min", "sweep", "60 min", "sweep", "60 min"]


async def test_a_reconnect_is_a_start(storage: Database, clock: FakeClock) -> None:
    repair = Watched(storage, clock)
    repair.wakes_after = [4]
    did = await watched(repair)
    assert did[:8] == ["sweep", "10 min", "sweep", "60 min", "sweep", "10 min", "sweep", "60 min"]


async def test_what_fails_is_tried_again_ever_more_seldom(storage: Database, clock: FakeClock) -> None:
    with capture_logs():
        outcomes: list[bool | Exception] = [False, ValueError(), *[False] * 6, True]
        did = await watched(Watched(storage, clock, *outcomes))
    assert did[1:16:2] == ["0.25 min", "0.5 min", "1 min", "2 min", "4 min", "8 min", "10 min", "10 min"]
    assert did[16:18] == ["sweep", "10 min"]


async def test_a_mark_from_the_future_keeps_nobody_from_looking(storage: Database, clock: FakeClock) -> None:
    async with storage.transaction() as saved:
        await saved.marks.set("repair/done", clock() + timedelta(days=400))
    did = await watched(Watched(storage, clock))
    assert did[:4] == ["sweep", "10 min", "sweep", "60 min"]


# Many processes


async def test_of_two_processes_one_looks_and_the_other_takes_its_word(postgresql: Database, clock: FakeClock) -> None:
    one, other = Watched(postgresql, clock), Watched(postgresql, clock)
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def waits() -> None:
        inside.set()
        await go_on.wait()

    one.during = waits
    began = clock()
    looking = asyncio.create_task(one._done_since(began))
    await inside.wait()
    assert await other._done_since(began) is None
    go_on.set()
    assert await looking == began
    assert await other._done_since(began) == began
    assert (one.did, other.did) == (["sweep"], [])


async def test_whoever_is_done_leaves_the_turn_to_the_next(postgresql: Database, clock: FakeClock) -> None:
    one, other = Watched(postgresql, clock, *[False]), Watched(postgresql, clock)
    began = clock()
    assert await one._done_since(began) is None
    assert await other._done_since(began) == began
    assert (one.did, other.did) == (["sweep"], ["sweep"])


async def test_another_takes_over_when_one_has_died(postgresql: Database, clock: FakeClock) -> None:
    one, other = Watched(postgresql, clock), Watched(postgresql, clock)

    async def dies() -> None:
        raise asyncio.CancelledError

    one.during = dies
    began: datetime = clock()
    with pytest.raises(asyncio.CancelledError):
        await one._done_since(began)
    assert await other._done_since(began) is None
    clock.goes_on(seconds=16)
    assert await other._done_since(began) == clock()


@pytest.fixture
async def postgresql(request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    url = await asyncio.to_thread(request.getfixturevalue("postgres").fresh)
    async with Database(url) as opened:
        yield opened


async def test_each_sweep_is_counted_by_how_it_went(storage: Database, clock: FakeClock) -> None:
    outcomes: list[bool | Exception] = [False, ValueError(), True]
    repair = Watched(storage, clock, *outcomes)
    with capture_logs():
        did = await watched(repair)

    def counted(outcome: str) -> float | None:
        labels = {"name": "repair", "outcome": outcome}
        return repair._metrics.registry.get_sample_value("countersign_sweeps_total", labels)

    assert counted("failed") == 2
    assert counted("ok") == did.count("sweep") - 2
