"""A restart with ten thousand open runs: all of them go on, and finding them reads an index and no table."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert

from bot.queue import Embedded
from storage import tables
from storage.database import Database
from storage.records import Run, RunState
from storage.rows import values
from storage.schema import migrate
from tests.storage.records import run, work

OPEN = 10_000


def now() -> datetime:
    return datetime.now(UTC)


async def left_by_somebody_who_died(database: Database, count: int) -> set[str]:
    """One open run a work; every second one was under way."""
    states = (RunState.QUEUED, RunState.RUNNING)
    works = [work(f"w{number}", thread_ts=f"{number}.0") for number in range(count)]
    runs = [run(f"r{number}", f"w{number}", state=states[number % 2]) for number in range(count)]
    async with database.transaction() as saved:
        await saved.connection.execute(insert(tables.works), [values(one) for one in works])
        await saved.connection.execute(insert(tables.runs), [values(one) for one in runs])
    return {one.id for one in runs}


async def test_all_of_ten_thousand_open_runs_go_on(tmp_path: Path) -> None:
    async with Database(f"sqlite+aiosqlite:///{tmp_path / 'countersign.db'}") as database:
        await migrate(database)
        open_runs = await left_by_somebody_who_died(database, OPEN)
        begun: set[str] = set()
        all_begun = asyncio.Event()

        async def perform(one: Run) -> None:
            begun.add(one.id)
            if len(begun) == OPEN:
                all_begun.set()

        courier = Embedded(storage=database, perform=perform, now=now)
        serving = asyncio.create_task(courier.serve())
        async with asyncio.timeout(150):
            await all_begun.wait()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        assert begun == open_runs


@pytest.mark.parametrize("look", ["queue", "inbox", "outbox"])
async def test_what_is_open_is_found_by_an_index(look: str, tmp_path: Path) -> None:
    async with Database(f"sqlite+aiosqlite:///{tmp_path / 'countersign.db'}") as database:
        await migrate(database)
        asked: list[tuple[str, Any]] = []

        @event.listens_for(database._reading.sync_engine, "before_cursor_execute")
        @event.listens_for(database._writing.sync_engine, "before_cursor_execute")
        def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
            if statement.startswith(("SELECT", "UPDATE")):
                asked.append((statement, parameters))

        async with database.transaction() as saved:
            match look:
                case "queue":
                    await saved.runs.next_in_line()
                    await saved.runs.works_with_open_runs()
                    await saved.runs.back_in_line()
                case "inbox":
                    await saved.inbox.heads(now())
                    await saved.inbox.next_due()
                case _:
                    await saved.outbox.works_owing()
                    await saved.outbox.owed(limit=1_000_000)
            looks = tuple(asked)
            for statement, parameters in looks:
                plan = await saved.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                steps = [str(row.detail) for row in plan]
                assert [step for step in steps if step.startswith("SCAN") and "USING" not in step] == [], statement
        assert looks
