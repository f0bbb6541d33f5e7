"""Places at the models: never more than there are, whichever process asks, and none kept by the dead."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bot.models.gate import LocalSeats
from bot.models.shared_seats import SharedSeats
from handlers.ports import Assignment, Seats
from handlers.result import NotOurs
from handlers.stack import Model
from storage.database import Database
from storage.records import RunState
from tests.postgres import Server
from tests.storage.records import keep, run, work

NOW = datetime(2026, 11, 3, tzinfo=UTC)


def assignment(name: str, *, key: str = "quick", at_host: int | None = None) -> Assignment:
    model = Model(wire="openai", id="m", base_url="http://127.0.0.1:1/v1", concurrency=3)
    return Assignment(key=key, model=model, timeout_seconds=5, run_id=name, host_concurrency=at_host)


@pytest.fixture
async def database(postgres: Server) -> AsyncIterator[Database]:
    async with Database(await asyncio.to_thread(postgres.fresh)) as opened:
        yield opened


async def running(database: Database, *names: str) -> None:
    for name in names:
        await keep(database, work(f"w-{name}", thread_ts=name), run(name, of=f"w-{name}", state=RunState.RUNNING))


class Room:
    """Counts who is inside at once."""

    def __init__(self) -> None:
        self.inside: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.served: list[str] = []

    async def visit(self, seats: Seats, one: Assignment) -> None:
        async with seats.within(one):
            for name in (one.key, "host"):
                self.inside[name] += 1
                self.most[name] = max(self.most[name], self.inside[name])
            await asyncio.sleep(0.02)
            for name in (one.key, "host"):
                self.inside[name] -= 1
        self.served.append(one.run_id)


@pytest.mark.parametrize("kind", ["local", "shared"])
async def test_never_more_than_there_are_places_for_at_a_model_and_at_its_host(kind: str, database: Database) -> None:
    asked = [assignment(f"r-{n}", key="quick" if n % 2 else "slow", at_host=4) for n in range(24)]
    await running(database, *(one.run_id for one in asked))
    local = LocalSeats()
    processes: list[Seats] = [local if kind == "local" else SharedSeats(database) for _ in range(3)]
    room = Room()
    await asyncio.gather(*(room.visit(processes[n % 3], one) for n, one in enumerate(asked)))
    assert len(room.served) == 24
    assert 1 < room.most["host"] <= 4
    assert 1 <= max(room.most["quick"], room.most["slow"]) <= 3


async def test_the_place_of_a_run_whose_process_died_is_free_once_the_run_waits_again(database: Database) -> None:
    await running(database, "a", "b", "c", "d")
    for name in "abc":
        async with database.transaction() as saved:
            assert await saved.runs.sit_down(name, epoch=0, seat="quick", most=3, host="h", most_at_host=None)
    waiting = asyncio.create_task(Room().visit(SharedSeats(database), assignment("d")))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    async with database.transaction() as saved:
        await saved.runs.back_in_line(only="a")
    await asyncio.wait_for(waiting, 20)


async def test_who_is_called_off_leaves_no_place_behind(database: Database) -> None:
    await running(database, "a")
    seats = SharedSeats(database)
    inside = asyncio.Event()

    async def stays() -> None:
        async with seats.within(assignment("a")):
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(stays())
    await inside.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with database.reading() as saved:
        found = await saved.connection.exec_driver_sql("SELECT count(*) FROM runs WHERE is_seated")
        assert found.scalar() == 0


async def test_who_stood_still_cannot_free_the_place_of_a_successor(database: Database) -> None:
    """It sat down under an epoch that is over, and gets up when it moves again."""
    await running(database, "a")
    inside, moves = asyncio.Event(), asyncio.Event()

    async def stands_still() -> None:
        async with SharedSeats(database).within(assignment("a")):
            inside.set()
            await moves.wait()

    frozen = asyncio.create_task(stands_still())
    await inside.wait()
    async with database.transaction() as saved:
        await saved.runs.back_in_line(only="a")
        begun = await saved.runs.begin("a", at=NOW)
    assert begun is not None
    async with SharedSeats(database).within(replace(assignment("a"), epoch=begun.epoch)):
        moves.set()
        await frozen
        async with database.reading() as saved:
            found = await saved.connection.exec_driver_sql("SELECT is_seated FROM runs")
            assert found.scalar() is True


async def test_who_lost_the_run_gets_no_place_and_asks_nobody(database: Database) -> None:
    await running(database, "a", "b")
    async with database.transaction() as saved:
        await saved.runs.back_in_line(only="a")
        await saved.runs.begin("a", at=NOW)
        await saved.runs.cancel("b", by="U0SPIROU", at=NOW)
    for name in "ab":
        with pytest.raises(NotOurs):
            await Room().visit(SharedSeats(database), assignment(name))
