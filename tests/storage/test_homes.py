"""What waits for its people: the newest run of each work that ended lately, found without going through all of them."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import text

from storage.database import Database
from storage.homes import Homes, LastRun, last_runs
from storage.records import RunState, WalkState
from tests.storage.records import NOON, answer, at, keep, review, run, walk, work
from tests.storage.test_gauges import fill

STORED = 20_000
WEEK = timedelta(days=7)


async def lasts(database: Database, days: int = 0) -> list[LastRun]:
    """So many days after noon."""
    async with database.reading() as saved:
        return await Homes(saved.connection).last_runs(NOON + timedelta(days=days) - WEEK)


async def test_of_each_work_the_newest_run_counts_for_seven_days_after_it_ended(database: Database) -> None:
    await keep(database, work(), work("w-nest", opened_by="U0FANTASIO"))
    await keep(database, run(state=RunState.ANSWERED, ended_at=at(1)))
    await keep(database, run("r-nest", "w-nest", state=RunState.REFUSED, ended_at=at(2)))
    await keep(database, run("r-late", state=RunState.FAILED, stage="final", ended_at=at(3)))
    newest, other = await lasts(database)
    assert (newest.spot.work_id, newest.stage, newest.state, newest.at) == (
        "w-palombia",
        "final",
        RunState.FAILED,
        at(3),
    )
    assert (other.spot.work_id, other.spot.opened_by, other.state) == ("w-nest", "U0FANTASIO", RunState.REFUSED)
    assert len(await lasts(database, 7)) == 2
    assert await lasts(database, 8) == []
    await keep(database, run("r-next", request_key="command/next"))
    assert [one.spot.work_id for one in await lasts(database)] == ["w-nest"]


async def test_a_pipeline_that_does_not_go_on_is_told_at_the_run_it_halted_at(database: Database) -> None:
    await keep(database, work(), run(state=RunState.ANSWERED, ended_at=at(1)))
    halted = walk(run_id="r-hop", state=WalkState.STUCK)
    await keep(database, halted)
    assert [one.stopped for one in await lasts(database)] == [halted.name]
    async with database.transaction() as saved:
        await saved.walks.move(replace(halted, state=WalkState.DONE), held="r-hop")
    assert [one.stopped for one in await lasts(database)] == [None]


async def test_a_review_of_long_ago_is_known_where_its_work_moved_since(database: Database) -> None:
    await keep(database, work(), run(state=RunState.ANSWERED, ended_at=at(1)), answer(stage="final"), review())
    now = NOON + timedelta(days=30)
    async with database.reading() as saved:
        assert await Homes(saved.connection).gates(now, now - WEEK) == []
    await keep(database, run("r-late", state=RunState.FAILED, asked_at=now, ended_at=now))
    async with database.reading() as saved:
        (gate,) = await Homes(saved.connection).gates(now, now - WEEK)
    assert gate.spot.work_id == "w-palombia"


async def test_however_much_is_stored_only_the_newest_runs_are_looked_at(database: Database) -> None:
    await keep(database, work("w-nest"), run("r-nest", "w-nest", state=RunState.FAILED, ended_at=at(1)))
    await fill(database, STORED)
    explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
    async with database.reading() as saved:
        compiled = last_runs(NOON).compile(saved.connection.engine, compile_kwargs={"literal_binds": True})
        rows = await saved.connection.execute(text(f"{explain} {compiled}"))
        plan = "\n".join(str(row[-1]) for row in rows)
    if database.is_sqlite:  # backwards by the key, as far as the limit: without an index and without sorting
        assert re.findall(r"(SCAN|SEARCH) runs\b(.*)", plan) == [
            ("SEARCH", " USING INTEGER PRIMARY KEY (rowid=?)"),
            ("SCAN", ""),
        ]
        assert "ORDER BY" not in plan
    else:
        assert "Index Scan Backward using pk_runs" in plan
        assert "Seq Scan on runs" not in plan
    assert [one.spot.work_id for one in await lasts(database)] == ["w-palombia"]
