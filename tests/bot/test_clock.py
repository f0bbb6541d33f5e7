"""One wrong clock among several processes: the database's counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bot.clock import SharedClock, utc_now
from storage.database import Database
from tests.fakes import open_database
from tests.postgres import Server


@pytest.fixture
async def shared(postgres: Server) -> AsyncIterator[Database]:
    async with Database(await asyncio.to_thread(postgres.fresh)) as storage:
        yield storage


@pytest.mark.parametrize("minutes", [-600, -10, 10, 600])
async def test_a_clock_that_is_wrong_is_put_right_and_told_of_once(shared: Database, minutes: int) -> None:
    clock = SharedClock(shared, lambda: utc_now() + timedelta(minutes=minutes))
    with capture_logs() as lines:
        for _ in range(3):
            await clock.look()
    assert abs(clock() - utc_now()) < timedelta(seconds=2)
    assert [(line["log_level"], round(line["behind"] / 60)) for line in lines] == [("warning", -minutes)]


async def test_a_clock_that_is_nearly_right_is_left_alone(shared: Database) -> None:
    clock = SharedClock(shared, lambda: utc_now() + timedelta(seconds=0.5))
    with capture_logs() as lines:
        await clock.look()
    assert lines == []
    assert clock() - utc_now() > timedelta(seconds=0.4)


async def test_a_clock_that_is_set_right_again_counts_again(shared: Database) -> None:
    wrong = timedelta(hours=1)
    clock = SharedClock(shared, lambda: utc_now() + wrong)
    await clock.look()
    wrong = timedelta()
    await clock.look()
    assert abs(clock() - utc_now()) < timedelta(seconds=0.1)


async def test_alone_with_its_file_a_process_asks_nobody(tmp_path: Path) -> None:
    async with open_database(tmp_path, durable=False) as storage:
        clock = SharedClock(storage, lambda: utc_now() + timedelta(hours=1))
        await clock.look()
        assert clock() - utc_now() > timedelta(minutes=59)
