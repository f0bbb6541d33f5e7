"""Runs wait in line within their thread, and whoever holds an older epoch changes nothing."""

from __future__ import annotations

import pytest

from storage.database import Database
from storage.records import Run, RunState, StoredContext
from tests.storage.records import NOON, at, keep, run, work

OVER = [RunState.ANSWERED, RunState.FAILED, RunState.CANCELLED, RunState.REFUSED]


@pytest.fixture
async def house(database: Database) -> Database:
    await keep(database, work(), work("w-champignac"))
    return database


async def in_line(database: Database, *without: str, limit: int = 100) -> list[str]:
    async with database.reading() as saved:
        return [one.id for one in await saved.runs.next_in_line(without=without, limit=limit)]


async def begin(database: Database, name: str) -> Run | None:
    async with database.transaction() as saved:
        return await saved.runs.begin(name, at=at(1))


async def leave(database: Database, held: Run, state: RunState = RunState.ANSWERED, **facts: object) -> bool:
    async with database.transaction() as saved:
        return await saved.runs.leave(held, state, at=at(2), **facts)


async def get(database: Database, name: str) -> Run:
    async with database.reading() as saved:
        found = await saved.runs.get(name)
    assert found is not None
    return found


async def test_a_run_comes_back_as_it_was_added(house: Database) -> None:
    added = run(note="be harsh", target_id="a-1", revises=True, route={"model": "owl"}, estimated=True, cost_usd=0.25)
    await keep(house, added)
    kept = await get(house, "r-hop")
    assert kept.seq > 0
    fields = [name for name in Run.__slots__ if name != "seq"]
    assert {name: getattr(kept, name) for name in fields} == {name: getattr(added, name) for name in fields}
    async with house.reading() as saved:
        assert await saved.runs.get("r-none") is None


async def test_a_request_makes_one_run(house: Database) -> None:
    same = run("r-again", request_key="command/r-hop")
    assert await keep(house, run(), same, run()) == [True, False, False]
    assert await in_line(house) == ["r-hop"]


async def test_a_run_needs_its_work(house: Database) -> None:
    with pytest.raises(Exception, match=r"(?i)foreign key"):
        await keep(house, run(of="w-nowhere"))


async def test_a_thread_runs_one_at_a_time_and_in_order(house: Database) -> None:
    await keep(house, run("r-1"), run("r-2"), run("r-3"), run("r-other", of="w-champignac"))
    assert await in_line(house) == ["r-1", "r-other"]
    first = await begin(house, "r-1")
    assert first is not None
    assert await in_line(house) == ["r-other"]
    assert await in_line(house, "r-other") == []
    await leave(house, first)
    assert await in_line(house) == ["r-2", "r-other"]
    assert await in_line(house, limit=1) == ["r-2"]


@pytest.mark.parametrize("state", OVER)
async def test_a_run_that_is_over_holds_nobody_up(house: Database, state: RunState) -> None:
    await keep(house, run("r-1", state=state), run("r-2"))
    assert await in_line(house) == ["r-2"]


async def test_a_run_begins_once_and_under_a_new_epoch(house: Database) -> None:
    await keep(house, run())
    begun = await begin(house, "r-hop")
    assert begun is not None
    assert (begun.state, begun.epoch, begun.started_at) == (RunState.RUNNING, 1, at(1))
    assert await begin(house, "r-hop") is None
    assert await begin(house, "r-none") is None


async def test_a_late_worker_cannot_end_a_run_that_was_begun_again(house: Database) -> None:
    await keep(house, run())
    late = await begin(house, "r-hop")
    async with house.transaction() as saved:
        assert await saved.runs.back_in_line() == ["r-hop"]
    newer = await begin(house, "r-hop")
    assert late is not None
    assert newer is not None
    assert newer.epoch == late.epoch + 1
    async with house.transaction() as saved:
        assert await saved.runs.note_facts(late, model="the late one's") is False
    assert await leave(house, late) is False
    assert (await get(house, "r-hop")).model is None
    assert await leave(house, newer, model="owl", attempts=2) is True
    kept = await get(house, "r-hop")
    assert (kept.state, kept.model, kept.attempts, kept.ended_at) == (RunState.ANSWERED, "owl", 2, at(2))
    assert await leave(house, newer, RunState.FAILED) is False


async def test_a_queued_run_cannot_be_left(house: Database) -> None:
    await keep(house, run())
    assert await leave(house, await get(house, "r-hop")) is False


@pytest.mark.parametrize("begun", [False, True])
async def test_an_open_run_can_be_cancelled_once(house: Database, *, begun: bool) -> None:
    await keep(house, run())
    held = await begin(house, "r-hop") if begun else await get(house, "r-hop")
    async with house.transaction() as saved:
        gone = await saved.runs.cancel("r-hop", by="U0FANTASIO", at=at(3))
        assert await saved.runs.cancel("r-hop", by="U0SPIROU", at=at(4)) is None
    assert gone is not None
    assert (gone.state, gone.cancel_by, gone.ended_at) == (RunState.CANCELLED, "U0FANTASIO", at(3))
    assert held is not None
    assert await leave(house, held) is False
    assert await begin(house, "r-hop") is None


async def test_only_running_runs_go_back_in_line(house: Database) -> None:
    await keep(house, run("r-1"), run("r-2", of="w-champignac"), *(run(f"r-{s}", state=s) for s in OVER))
    await begin(house, "r-1")
    await begin(house, "r-2")
    async with house.transaction() as saved:
        assert await saved.runs.back_in_line(only="r-2") == ["r-2"]
        assert await saved.runs.back_in_line(only="r-2") == []
        assert await saved.runs.back_in_line() == ["r-1"]
    assert await in_line(house) == ["r-1", "r-2"]


async def test_the_open_runs_of_a_work_are_the_queued_and_the_running(house: Database) -> None:
    await keep(house, run("r-1"), run("r-2"), *(run(f"r-{s}", state=s) for s in OVER), run("r-x", of="w-champignac"))
    await begin(house, "r-1")
    async with house.reading() as saved:
        assert [one.id for one in await saved.runs.open_of_work("w-palombia")] == ["r-1", "r-2"]
        assert len(await saved.runs.of_work("w-palombia")) == 6


async def test_the_last_attempts_context_is_the_one_that_is_kept(house: Database) -> None:
    await keep(house, run())

    def context(prompt: str) -> StoredContext:
        return StoredContext(run_id="r-hop", system="s", prompt=prompt, manifest={"items": []}, made_at=NOON)

    async with house.reading() as saved:
        assert await saved.runs.context("r-hop") is None
    for prompt in ("first try", "second try"):
        async with house.transaction() as saved:
            await saved.runs.keep_context(context(prompt))
    async with house.reading() as saved:
        assert await saved.runs.context("r-hop") == context("second try")


async def test_each_run_that_ends_is_told_once_it_is_committed_and_as_it_ended(house: Database) -> None:
    told: list[Run] = []
    house.on_ended(told.append)
    async with house.transaction() as saved:
        await saved.runs.add(run("r1"))
        await saved.runs.add(run("r2", stage="final"))
        begun = await saved.runs.begin("r1", at=at(1))
        assert begun
    async with house.transaction() as saved:
        assert await saved.runs.leave(begun, RunState.ANSWERED, at=at(2), model="fast", cost_usd=0.25)
        assert not await saved.runs.leave(begun, RunState.FAILED, at=at(2))
        await saved.runs.cancel("r2", by="U0ANN", at=at(3))
        assert told == []
    assert [(one.id, one.state, one.model, one.cost_usd, one.ended_at) for one in told] == [
        ("r1", RunState.ANSWERED, "fast", 0.25, at(2)),
        ("r2", RunState.CANCELLED, None, None, at(3)),
    ]


async def test_what_was_rolled_back_did_not_end(house: Database) -> None:
    told: list[Run] = []
    house.on_ended(told.append)
    async with house.transaction() as saved:
        await saved.runs.add(run("r1"))

    async def fails() -> None:
        async with house.transaction() as saved:
            await saved.runs.cancel("r1", by="U0ANN", at=at(1))
            raise OSError("disk full")

    with pytest.raises(OSError, match="full"):
        await fails()
    assert told == []
