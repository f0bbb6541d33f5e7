"""What a process performs: each run is stopped by its own name, and by what the tables say of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import pytest

from bot import held
from bot.held import Held
from bot.queue import perform_in_order
from handlers.result import NotOurs
from storage.database import Database
from storage.records import Run, RunState
from tests.postgres import Server
from tests.storage.records import keep, run, work


def now() -> datetime:
    return datetime.now(UTC)


class Calls:
    """Runs under way, and how each ended."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.stopped: list[str] = []
        self.go_on = asyncio.Event()

    async def perform(self, run: Run) -> None:
        self.begun.append(run.id)
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.stopped.append(run.id)
            raise

    async def until(self, *names: str) -> None:
        async with asyncio.timeout(10):
            while self.begun != list(names):  # noqa: ASYNC110  another task of this loop does it
                await asyncio.sleep(0.01)


@pytest.fixture
async def database(postgres: Server) -> AsyncIterator[Database]:
    async with Database(await asyncio.to_thread(postgres.fresh)) as opened:
        yield opened


@asynccontextmanager
async def performing(database: Database, holds: Held, calls: Calls) -> AsyncIterator[asyncio.Task[None]]:
    """One process performs the runs of a work."""

    async def one(begun: Run) -> None:
        await holds.perform(begun, calls.perform)

    task = asyncio.create_task(perform_in_order("w-palombia", storage=database, perform=one, now=now))
    watch = asyncio.create_task(holds.watch())
    try:
        yield task
    finally:
        task.cancel()
        watch.cancel()
        await asyncio.gather(task, watch, return_exceptions=True)


async def cancel(database: Database, name: str) -> Run:
    async with database.transaction() as saved:
        cancelled = await saved.runs.cancel(name, by="U0SPIROU", at=now())
    assert cancelled is not None
    return cancelled


async def test_a_cancel_of_which_no_word_arrives_stops_the_call_and_the_next_run_begins(database: Database) -> None:
    await keep(database, work(), run("r-1"), run("r-2"))
    calls = Calls()
    async with performing(database, Held(database), calls) as task:
        await calls.until("r-1")
        await cancel(database, "r-1")
        await calls.until("r-1", "r-2")
        assert calls.stopped == ["r-1"]
        calls.go_on.set()
        async with database.transaction() as saved:
            second = await saved.runs.get("r-2")
            assert second is not None
            await saved.runs.leave(second, RunState.ANSWERED, at=now())
        await asyncio.wait_for(task, 10)


async def test_word_of_a_cancel_that_comes_late_does_not_hit_the_next_run_of_the_work(database: Database) -> None:
    await keep(database, work(), run("r-1"), run("r-2"))
    calls, holds = Calls(), Held(database)
    async with performing(database, holds, calls):
        await calls.until("r-1")
        first = await cancel(database, "r-1")
        await calls.until("r-1", "r-2")
        holds.stop(first)
        await asyncio.sleep(3 * held.LOOK)
        assert calls.stopped == ["r-1"]


async def test_a_run_that_another_process_began_anew_is_let_go(database: Database) -> None:
    await keep(database, work(), run("r-1"))
    calls, holds = Calls(), Held(database)
    async with database.transaction() as saved:
        mine = await saved.runs.begin("r-1", at=now())
        await saved.runs.back_in_line(only="r-1")
        assert await saved.runs.begin("r-1", at=now())
    assert mine is not None
    watch = asyncio.create_task(holds.watch())
    with pytest.raises(NotOurs):
        await asyncio.wait_for(holds.perform(mine, calls.perform), 10)
    watch.cancel()
    with suppress(asyncio.CancelledError):
        await watch


async def test_a_run_that_we_have_just_ended_is_left_to_its_end(database: Database) -> None:
    await keep(database, work(), run("r-1"))
    calls = Calls()
    async with performing(database, Held(database), calls) as task:
        await calls.until("r-1")
        async with database.transaction() as saved:
            ours = await saved.runs.get("r-1")
            assert ours is not None
            await saved.runs.leave(ours, RunState.ANSWERED, at=now())
        await asyncio.sleep(3 * held.LOOK)
        assert calls.stopped == []
        calls.go_on.set()
        await asyncio.wait_for(task, 10)


async def test_looking_goes_on_when_the_database_was_away(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    await keep(database, work(), run("r-1"))
    calls, holds = Calls(), Held(database)
    look, broken = holds._look, 0

    async def breaks_twice() -> None:
        nonlocal broken
        broken += 1
        if broken < 3:
            raise ZeroDivisionError if broken == 1 else ConnectionError
        await look()

    monkeypatch.setattr(holds, "_look", breaks_twice)
    async with performing(database, holds, calls):
        await calls.until("r-1")
        await cancel(database, "r-1")
        async with asyncio.timeout(10):
            while not calls.stopped:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
