"""Whose answers the last weeks brought, and at what cost, counted without an index of times."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from storage.database import Database
from storage.records import Run, RunState
from storage.usage import BY_MODEL, ModelUse
from tests.storage.records import NOON, at, keep, run, work

ZOO = "T0ZOO"


def done(name: str, minute: float, model: str | None = "hare", cost: float | None = 0.5, **more: Any) -> Run:
    facts: dict[str, Any] = {
        "state": RunState.ANSWERED,
        "model": model,
        "cost_usd": cost,
        "asked_at": at(minute),
        "attempts": 1,
        **more,
    }
    return run(name, **facts)


async def by_model(database: Database, since: datetime, team: str = ZOO) -> list[ModelUse]:
    async with database.reading() as saved:
        return await saved.usage.by_model(team, since)


async def test_where_nothing_ran_nothing_was_used(database: Database) -> None:
    assert await by_model(database, NOON) == []


async def test_answers_are_counted_by_model_with_their_cost_where_it_is_known(database: Database) -> None:
    await keep(
        database,
        work(),
        done("r1", 0, cost=0.25),
        done("r2", 1, cost=None),
        done("r3", 2, model="owl", cost=None),
        done("r4", 3, state=RunState.FAILED),
        done("r5", 4, state=RunState.QUEUED, model=None),
        done("r6", 5),
        done("r7", 6, attempts=0, cost=None),  # posted again, asked nobody
    )
    assert await by_model(database, NOON) == [
        ModelUse(model="hare", runs=3, priced=2, cost_usd=0.75),
        ModelUse(model="owl", runs=1, priced=0, cost_usd=0.0),
    ]


async def test_another_workspaces_runs_are_not_counted(database: Database) -> None:
    await keep(database, work(), work("w-abroad", team="T0FAR", thread_ts="1.1"))
    await keep(database, done("r1", 0), done("r2", 0, model="owl", cost=9.0, work_id="w-abroad"))
    assert [one.model for one in await by_model(database, NOON)] == ["hare"]
    assert [one.model for one in await by_model(database, NOON, "T0FAR")] == ["owl"]


@pytest.mark.parametrize("count", [1, 2, 7])
async def test_only_what_was_asked_for_since_counts_wherever_the_border_lies(database: Database, count: int) -> None:
    await keep(database, work(), *(done(f"r{number}", 10 * number) for number in range(count)))
    for border in range(-1, count + 1):
        for since in (at(10 * border), at(10 * border) + timedelta(seconds=1)):
            counted = sum(at(10 * number) >= since for number in range(count))
            assert [one.runs for one in await by_model(database, since)] == ([counted] if counted else [])


async def test_gaps_between_the_runs_do_not_matter(database: Database) -> None:
    await keep(database, work(), *(done(f"r{number}", number) for number in range(40)))
    async with database.transaction() as saved:
        await saved.connection.execute(text("DELETE FROM runs WHERE seq % 5 <> 0"))
    for minute in range(41):
        found = await by_model(database, at(minute))
        left = sum(1 for seq in range(1, 41) if seq % 5 == 0 and seq - 1 >= minute)
        assert sum(one.runs for one in found) == left


async def test_the_month_is_read_from_the_primary_key(database: Database) -> None:
    explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
    numbers = (
        "WITH RECURSIVE made(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM made WHERE n < 20000) SELECT n FROM made"
        if database.is_sqlite
        else "SELECT n FROM generate_series(1, 20000) AS series(n)"
    )
    async with database.transaction() as saved:
        await saved.works.open(work())
        await saved.connection.execute(
            text(
                "INSERT INTO runs (id, work_id, request_key, stage, lane, state, asked_by, entrance, note, note_by,"
                " revises, asked_at, epoch, attempts, estimated, is_seated, model) SELECT 'r' || n, 'w-palombia',"
                " 'command/' || n, 'draft', 'content', 'answered', 'U0ANN', 'command', '', '[]', FALSE,"
                f" '2026-11-03 12:00:00', 1, 1, FALSE, FALSE, 'hare' FROM ({numbers}) AS numbers"
            )
        )
        await saved.connection.execute(text("ANALYZE"))
    async with database.reading() as saved:
        query = BY_MODEL.params(first=19_990, of_team=ZOO)
        compiled = query.compile(saved.connection.engine, compile_kwargs={"literal_binds": True})
        plan = " ".join(str(row[-1]) for row in await saved.connection.execute(text(f"{explain} {compiled}")))
    assert re.search(r"runs USING INTEGER PRIMARY KEY|Index Scan using pk_runs", plan), plan
