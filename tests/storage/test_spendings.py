"""What attempts may cost and came to, summed by run, work and day; and a limit raised once for a work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import text

from handlers.budget import DOLLAR, OverBudget
from handlers.ports import Prompt
from handlers.purse import Purse
from storage import schema
from storage.database import Database
from storage.records import Costs, Raised, Run, RunState, Spending, Sums
from tests.fakes import a_model, a_stack, open_database
from tests.storage.records import NOON, at, keep, run, work
from tests.storage.test_schema import alembic

TODAY, TEAM = "2026-11-03", "T0ZOO"


def spending(attempt: int = 1, **more: Any) -> Spending:
    said: dict[str, Any] = {
        "team": TEAM,
        "day": TODAY,
        "work_id": "w-palombia",
        "run_id": "r-hop",
        "epoch": 1,
        "attempt": attempt,
        "stage": "draft",
        "model": "owl",
        "reserved": 100,
        "at": NOON,
    }
    return Spending(**(said | more))


@pytest.fixture
async def zoo(database: Database) -> Database:
    await keep(database, work(), work("w-champignac"), work("w-moon", team="T0MOON"))
    begun: dict[str, Any] = {"state": RunState.RUNNING, "epoch": 1}
    await keep(database, run(**begun), run("r-2", **begun), run("r-c", of="w-champignac", **begun))
    await keep(database, run("r-moon", of="w-moon", **begun))
    return database


async def reserve(database: Database, *spendings: Spending) -> None:
    async with database.transaction() as saved:
        for one in spendings:
            await saved.spendings.reserve(one)


async def settle(database: Database, attempt: int, spent: int, *, epoch: int = 1, estimated: bool = False) -> None:
    async with database.transaction() as saved:
        await saved.spendings.settle("r-hop", epoch, attempt, spent=spent, estimated=estimated)


async def sums(database: Database, run_id: str = "r-hop", work_id: str = "w-palombia", day: str = TODAY) -> Sums:
    async with database.reading() as saved:
        return await saved.spendings.sums(run_id, work_id, team=TEAM, day=day)


async def costs(database: Database, stage: str = "draft") -> Costs:
    async with database.reading() as saved:
        return await saved.spendings.costs("w-palombia", team=TEAM, day=TODAY, stage=stage)


async def of_run(database: Database, run_id: str = "r-hop") -> list[Spending]:
    async with database.reading() as saved:
        return await saved.spendings.of_run(run_id)


async def test_a_spending_comes_back_as_it_was_set_aside(zoo: Database) -> None:
    set_aside = spending(reserved=10**15, over_day=True)
    await reserve(zoo, set_aside)
    (kept,) = await of_run(zoo)
    assert replace(kept, seq=0) == set_aside
    await settle(zoo, 1, 7, estimated=True)
    (kept,) = await of_run(zoo)
    assert (kept.spent, kept.estimated) == (7, True)


async def test_what_was_spent_counts_else_what_is_set_aside(zoo: Database) -> None:
    assert await sums(zoo) == Sums()
    await reserve(zoo, spending(), spending(2), spending(3))
    assert await sums(zoo) == Sums(run=300, work=300, day=300)
    await settle(zoo, 1, 0)
    await settle(zoo, 2, 40)
    assert await sums(zoo) == Sums(run=140, work=140, day=140)


async def test_each_sum_is_of_its_own(zoo: Database) -> None:
    await reserve(
        zoo,
        spending(),
        spending(run_id="r-2", day="2026-11-02", reserved=10),
        spending(run_id="r-c", work_id="w-champignac", reserved=1_000),
        spending(run_id="r-moon", work_id="w-moon", team="T0MOON", reserved=10_000),
        spending(2, reserved=100_000, over_day=True),
    )
    assert await sums(zoo) == Sums(run=100_100, work=100_110, day=1_100, over_day=100_000)
    assert await sums(zoo, "r-c", "w-champignac") == Sums(run=1_000, work=1_000, day=1_100)
    assert await sums(zoo, "r-2", day="2026-11-02") == Sums(run=10, work=100_110, day=10, over_day=100_000)


async def test_an_attempt_is_settled_once_and_by_its_own_number(zoo: Database) -> None:
    await reserve(zoo, spending(), spending(epoch=2))
    await settle(zoo, 1, 60)
    await settle(zoo, 1, 0)
    await settle(zoo, 9, 0)
    assert [one.spent for one in await of_run(zoo)] == [60, None]


async def test_an_attempt_is_set_aside_once(zoo: Database) -> None:
    await reserve(zoo, spending())
    with pytest.raises(Exception, match=r"(?i)unique"):
        await reserve(zoo, spending())


async def test_what_earlier_epochs_left_unsettled_costs_all_it_may_have(zoo: Database) -> None:
    await reserve(zoo, spending(), spending(2), spending(epoch=2), spending(run_id="r-2"))
    await settle(zoo, 1, 60)
    async with zoo.transaction() as saved:
        await saved.spendings.write_off("r-hop", before=2)
    assert [one.spent for one in await of_run(zoo)] == [60, 100, None]
    assert [one.spent for one in await of_run(zoo, "r-2")] == [None]


async def test_people_are_told_what_was_spent_and_what_is_set_aside_for_runs_that_are_not_over(zoo: Database) -> None:
    await reserve(
        zoo,
        spending(),
        spending(2, stage="final"),
        spending(run_id="r-c", work_id="w-champignac", reserved=1_000),
        spending(2, run_id="r-c", work_id="w-champignac", reserved=500),
        spending(3, day="2026-11-02", reserved=7),
    )
    await settle(zoo, 1, 40)
    assert await costs(zoo) == Costs(work=147, stage=47, day=40, under_way=1_600)
    async with zoo.transaction() as saved:
        assert await saved.runs.cancel("r-c", by="U0SPIROU", at=at(1))
        assert await saved.spendings.of_work("w-palombia") == 147
    assert await costs(zoo, "final") == Costs(work=147, stage=100, day=1_540, under_way=100)


async def test_a_limit_is_raised_once_for_a_work(zoo: Database) -> None:
    first = Raised(work_id="w-palombia", run_id="r-hop", which="run", amount=10**15, who="U0ZORGLUB", at=NOON)
    async with zoo.transaction() as saved:
        assert await saved.spendings.raised("w-palombia") is None
        assert await saved.spendings.let_more(first)
        assert not await saved.spendings.let_more(replace(first, run_id="r-2", who="U0SPIROU"))
        assert await saved.spendings.raised("w-palombia") == first
        assert await saved.spendings.raised("w-champignac") is None


async def test_sums_look_at_what_they_need_by_an_index(tmp_path: Path) -> None:
    async with open_database(tmp_path) as database, database.reading() as saved:
        for where in ("run_id = 'r'", "work_id = 'w'", "team = 't' AND day = 'd'"):
            plan = await saved.connection.execute(text(f"EXPLAIN QUERY PLAN SELECT spent FROM spendings WHERE {where}"))
            assert "INDEX" in str([row.detail for row in plan])


def before_spendings() -> str:
    """The schema before the one that brings them."""
    scripts = ScriptDirectory.from_config(schema._config()).walk_revisions()
    return str(next(script.down_revision for script in scripts if script.path.endswith("_spending.py")))


async def test_what_runs_have_cost_before_counts_on(zoo: Database) -> None:
    async with zoo.transaction() as saved:
        for name in ("r-hop", "r-c"):
            held = await saved.runs.get(name)
            assert held is not None
            facts = {"model": "owl", "cost_usd": 0.0123456789} if name == "r-hop" else {"cost_usd": 0.0}
            await saved.runs.leave(held, RunState.ANSWERED, at=at(11 * 60 + 59), estimated=True, **facts)
    await alembic(zoo, "downgrade", before_spendings())
    await alembic(zoo, "upgrade", schema.newest())
    (kept,) = await of_run(zoo)
    assert (kept.spent, kept.reserved, kept.day, kept.stage, kept.model) == (
        12_345_679,
        12_345_679,
        TODAY,
        "draft",
        "owl",
    )
    assert (kept.estimated, kept.over_day, kept.at) == (True, False, at(11 * 60 + 59))
    assert await sums(zoo) == Sums(run=12_345_679, work=12_345_679, day=12_345_679)
    assert await of_run(zoo, "r-c") == []


# many at once


@pytest.fixture
async def processes(zoo: Database) -> AsyncIterator[list[Database]]:
    """Several on one PostgreSQL; a SQLite file has one, in which many run side by side."""
    async with AsyncExitStack() as open_ones:
        if zoo.is_sqlite:
            yield [zoo] * 4
        else:
            url = zoo.url.render_as_string(hide_password=False)
            yield [await open_ones.enter_async_context(Database(url)) for _ in range(4)]


@pytest.mark.parametrize(("limit", "allowed"), [("run_usd", 3), ("thread_usd", 5), ("day_usd", 7)])
async def test_of_many_at_once_no_more_are_let_through_than_there_is_room_for(
    processes: list[Database], limit: str, allowed: int
) -> None:
    price = {"input": 0.0, "output": 100.0, "checked": "2026-11-01"}
    stack = a_stack(models={"owl": a_model(price=price)}, budgets={limit: 0.10 * allowed + 0.05})
    prompt = Prompt(system="s", user="u", max_output_tokens=1_000)  # $0.10
    names = {"r-hop": "w-palombia", "r-2": "w-palombia", "r-c": "w-champignac"}
    tried = {"run_usd": ["r-hop"], "thread_usd": ["r-hop", "r-2"], "day_usd": list(names)}[limit]

    async def attempts(nth: int, database: Database) -> int:
        """How many attempts one process was let make for the runs, one after the other."""
        let_through = 0
        for name in tried:
            held: Run = run(name, of=names[name], state=RunState.RUNNING, epoch=1)
            purse = Purse(held, work(names[name]), stack, storage=database, now=lambda: NOON)
            purse._attempts = 100 * nth  # as if each were another epoch's
            for _ in range(3):
                with suppress(OverBudget):
                    await purse.before("owl", stack.models["owl"], prompt)()
                    let_through += 1
        return let_through

    done = await asyncio.gather(*(attempts(nth, one) for nth, one in enumerate(processes)))
    assert sum(done) == allowed
    total = await sums(processes[0])
    assert total.day == allowed * DOLLAR // 10
