"""What a receiver is to be told: planned once, claimed by one, in the order of its work."""

from __future__ import annotations

import asyncio

import pytest

from storage.database import Database
from storage.records import Event, Handing
from tests.storage.records import answer, at, handing, keep, review, run, work

UNTIL = at(10)


@pytest.fixture
async def house(database: Database) -> Database:
    await keep(database, work(), run(), answer(), review(), handing())
    return database


async def due(house: Database, minutes: float) -> str | None:
    async with house.reading() as saved:
        found = await saved.handings.next(at(minutes))
    return found.id if found else None


async def claim(house: Database, name: str = "approval_nest", *, minutes: float = 1) -> int:
    async with house.transaction() as saved:
        found = await saved.handings.get(name)
        assert found is not None
        return await saved.handings.claim(found, payload="{}", at=at(minutes), until=UNTIL)


async def kept(house: Database, name: str = "approval_nest") -> Handing:
    async with house.reading() as saved:
        found = await saved.handings.get(name)
    assert found is not None
    return found


async def test_it_comes_back_as_it_was_planned_and_is_planned_once(house: Database) -> None:
    assert await keep(house, handing(head="ee" * 32)) == [False]
    async with house.reading() as saved:
        (found,) = await saved.handings.of_answer("a-nest")
        assert await saved.handings.of_work("w-palombia") == [found]
        assert await saved.handings.of_work("w-else") == []
        assert await saved.handings.get("approval_else") is None
    assert found == handing(seq=found.seq)
    assert found.is_open


async def test_it_is_due_when_its_time_has_come(house: Database) -> None:
    assert await due(house, 0.9) is None
    assert await due(house, 1) == "approval_nest"


async def test_while_one_attempts_it_nobody_else_does_until_the_time_for_that_is_over(house: Database) -> None:
    assert await claim(house) == 1
    assert await due(house, 9.9) is None
    assert await due(house, 10) == "approval_nest"
    assert await claim(house, minutes=10) == 2
    found = await kept(house)
    assert (found.begun_at, found.attempts, found.payload) == (at(1), 2, "{}")


async def test_one_of_many_gets_it(house: Database) -> None:
    async def take() -> bool:
        async with house.transaction() as saved:
            found = await saved.handings.next(at(2))
            if found is not None:
                await saved.handings.claim(found, payload="{}", at=at(2), until=UNTIL)
            return found is not None

    assert sorted(await asyncio.gather(*(take() for _ in range(8)))) == [False] * 7 + [True]


async def test_after_a_failure_it_is_due_again_later(house: Database) -> None:
    await claim(house)
    async with house.transaction() as saved:
        await saved.handings.failed("approval_nest", status=None, error="x" * 300, due_at=at(3))
    assert await due(house, 2.9) is None
    assert await due(house, 3) == "approval_nest"
    assert (await kept(house)).error == "x" * 200


@pytest.mark.parametrize("end", ["accepted", "given up", "withdrawn"])
async def test_what_is_over_is_never_due(house: Database, end: str) -> None:
    async with house.transaction() as saved:
        match end:
            case "accepted":
                await saved.handings.accepted("approval_nest", status=204, at=at(2))
            case "given up":
                gone = {"due_at": at(2), "given_up_at": at(2)}
                await saved.handings.failed("approval_nest", status=410, error="HTTP 410", **gone)
            case _:
                await saved.handings.withdraw("approval_nest", at=at(2))
    assert await due(house, 99) is None
    assert not (await kept(house)).is_open


async def test_the_events_of_one_work_are_told_in_their_order_and_those_of_others_meanwhile(house: Database) -> None:
    await keep(house, handing("withdrawal_nest", event=Event.WITHDRAWN, due_at=at(0)))
    await keep(house, work("w-2", channel="C0SEA"), handing("approval_sea", work_id="w-2", due_at=at(2)))
    assert await due(house, 0.5) is None
    assert await due(house, 1.5) == "approval_nest"
    await claim(house)
    assert await due(house, 5) == "approval_sea"
    async with house.transaction() as saved:
        await saved.handings.withdraw("approval_nest", at=at(2))
    assert await due(house, 1.5) is None  # the attempt is still under way
    async with house.transaction() as saved:
        await saved.handings.failed("approval_nest", status=500, error="HTTP 500", due_at=at(2))
    assert await due(house, 1.5) == "withdrawal_nest"


async def test_what_was_put_off_waits(house: Database) -> None:
    async with house.transaction() as saved:
        await saved.handings.put_off("approval_nest", due_at=at(4))
    assert await due(house, 3) is None
    assert await due(house, 4) == "approval_nest"
