"""Turns by the database's clock, which somebody may set."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text

from storage.database import Database
from tests.postgres import Server

PATIENCE = 60.0
NAME = "chat.postMessage C0JUNGLE"
LIMIT: dict[str, Any] = {"apart": 10.0, "burst": 3}


@pytest.fixture
async def database(postgres: Server) -> AsyncIterator[Database]:
    async with Database(await asyncio.to_thread(postgres.fresh)) as opened:
        yield opened


async def turn(database: Database) -> float:
    async with database.transaction(alone=False) as saved:
        return await saved.paces.reserve(NAME, **LIMIT)


async def shut_for(database: Database) -> float:
    async with database.transaction(alone=False) as saved:
        return await saved.paces.shut_for(NAME)


async def closed(database: Database, seconds: float) -> None:
    async with database.transaction(alone=False) as saved:
        await saved.paces.close(NAME, seconds=seconds, **LIMIT)


async def clock_is_set(database: Database, back: str) -> None:
    """By its own clock: all that was said lies so much further ahead, as if that clock had been set back."""
    async with database.transaction() as saved:
        await saved.connection.execute(text(f"UPDATE paces SET free_at = free_at + interval '{back}'"))


async def test_a_burst_is_free_and_then_each_turn_is_further_off(database: Database) -> None:
    assert [await turn(database) for _ in range(3)] == [0, 0, 0]
    first, second = await turn(database), await turn(database)
    assert 0 < first <= 10 < second <= 20


async def test_a_clock_set_back_puts_no_turn_further_off_than_those_before_it(database: Database) -> None:
    for _ in range(5):
        last = await turn(database)
    for number, back in enumerate(["1 hour", "1 hour", "10 days"], 1):
        await clock_is_set(database, back)
        assert 0 < await turn(database) <= last + number * 10, "and nothing is free that was not"


async def test_a_clock_set_ahead_frees_a_burst_and_no_more(database: Database) -> None:
    for _ in range(5):
        await turn(database)
    await clock_is_set(database, "-1 hour")
    assert [await turn(database) for _ in range(3)] == [0, 0, 0]
    assert await turn(database) > 0


async def test_what_is_shut_opens_at_its_time_by_whatever_clock(database: Database) -> None:
    await closed(database, 1.0)
    await clock_is_set(database, "1 hour")
    assert await shut_for(database) < 2
    async with asyncio.timeout(PATIENCE):
        while await shut_for(database):  # noqa: ASYNC110  time is what it waits for
            await asyncio.sleep(0.05)


async def test_what_is_shut_stays_so_when_the_clock_is_set_back_and_frees_no_burst_then(database: Database) -> None:
    await closed(database, 3_000.0)
    await clock_is_set(database, "1 hour")
    assert 2_900 < await shut_for(database) < 3_001
    assert 2_900 < await turn(database) < 3_011
