"""Walks: one under way in a work, and each moved by the run it is at and by no other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from storage.database import Database
from storage.records import Walk, WalkState
from tests.storage.records import at, keep, run, walk, work


@pytest.fixture
async def house(database: Database) -> Database:
    assert await keep(database, work(), work("w-nest", channel="C0NEST"), run(), walk()) == [True] * 4
    return database


async def kept(house: Database, of: str = "w-palombia") -> list[Walk]:
    async with house.reading() as saved:
        return [replace(one, seq=0) for one in await saved.walks.of_work(of)]


async def move(house: Database, to: Walk, *, held: str = "r-hop") -> bool:
    async with house.transaction() as saved:
        return await saved.walks.move(to, held=held)


async def test_a_walk_is_kept_as_it_was_begun(house: Database) -> None:
    assert await kept(house) == [walk()]
    async with house.reading() as saved:
        assert await saved.walks.get("k-hop") is not None
        assert await saved.walks.get("k-nobody") is None


async def test_a_second_one_begins_only_when_the_first_is_over(house: Database) -> None:
    assert await keep(house, walk("k-second")) == [False]
    assert await keep(house, walk("k-nest", "w-nest")) == [True]
    assert await move(house, walk(state=WalkState.STUCK, ended_at=at(1)))
    assert await keep(house, walk("k-second")) == [True]
    assert [one.id for one in await kept(house)] == ["k-hop", "k-second"]


async def test_one_request_begins_one_walk(house: Database) -> None:
    assert await move(house, walk(state=WalkState.DONE, ended_at=at(1)))
    assert await keep(house, walk("k-twice", request_key="mention/k-hop")) == [False]


async def test_only_the_run_it_is_at_moves_it(house: Database) -> None:
    there = walk(place=1, rounds=2, run_id="r-next", text_id="a-text")
    assert not await move(house, there, held="r-other")
    assert await move(house, there)
    assert not await move(house, walk(state=WalkState.STUCK))
    assert await kept(house) == [there]


async def test_what_is_under_way_is_stopped_and_nothing_else(house: Database) -> None:
    await keep(house, walk("k-nest", "w-nest"))
    for stopped in (walk(state=WalkState.STOPPED, ended_at=at(3)), None):
        async with house.transaction() as saved:
            found = await saved.walks.stop("w-palombia", at=at(3))
        assert (replace(found, seq=0) if found else None) == stopped
    assert [one.state for one in await kept(house, "w-nest")] == [WalkState.WALKING]


async def test_a_run_remembers_its_step(house: Database) -> None:
    step = {"id": "k-hop", "name": "content", "step": 1, "of": 2, "round": 0, "rounds": 0}
    await keep(house, run("r-step", walk=step))
    async with house.reading() as saved:
        assert [one.walk for one in await saved.runs.of_work("w-palombia")] == [None, step]
