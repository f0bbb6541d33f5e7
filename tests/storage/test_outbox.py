"""What we owe is planned once, revised until it is shown, and found again by its slot or its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Select

from storage.database import Database
from storage.outbox import _WORKS_OWING, _WORKS_OWING_FAIRLY
from storage.records import Kind, Message
from storage.schema import migrate
from tests.storage.records import NOON, at, keep, message, work

SLOT = "w-palombia/r-hop/card"


@pytest.fixture
async def house(database: Database) -> Database:
    await keep(database, work(), work("w-champignac"))
    return database


async def owed(database: Database, *without: str, limit: int = 200) -> list[str]:
    async with database.reading() as saved:
        return [one.slot for one in await saved.outbox.owed(without=without, limit=limit)]


async def get(database: Database, slot: str = SLOT) -> Message:
    async with database.reading() as saved:
        found = await saved.outbox.get(slot)
    assert found is not None
    return found


async def sent(database: Database, shown: int, *, slot: str = SLOT, ts: str | None = "1.1") -> None:
    async with database.transaction() as saved:
        await saved.outbox.sent(slot, shown=shown, ts=ts, digest="d" * 64, at=at(1))


async def revise(database: Database, tail: int) -> None:
    async with database.transaction() as saved:
        await saved.outbox.revise(SLOT, {"tail": tail})


async def test_a_message_comes_back_as_it_was_planned(house: Database) -> None:
    planned = message(kind=Kind.NOTICE, person="U0SPIROU", run_id="r-hop", answer_id="a-nest")
    await keep(house, planned)
    kept = await get(house)
    fields = [name for name in Message.__slots__ if name != "seq"]
    assert {name: getattr(kept, name) for name in fields} == {name: getattr(planned, name) for name in fields}


async def test_a_slot_is_planned_once(house: Database) -> None:
    assert await keep(house, message(), message(body={"fallback": "another"})) == [True, False]
    assert (await get(house)).body == {"fallback": "a tail"}


async def test_what_is_owed_comes_oldest_first_and_leaves_out_works(house: Database) -> None:
    await keep(house, message("b"), message("a"), message("c", work_id="w-champignac"))
    assert await owed(house) == ["b", "a", "c"]
    assert await owed(house, "w-palombia") == ["c"]
    assert await owed(house, limit=1) == ["b"]
    async with house.reading() as saved:
        assert [one.slot for one in await saved.outbox.owed_to("w-palombia")] == ["b", "a"]


async def test_only_the_newest_body_is_ever_owed(house: Database) -> None:
    await keep(house, message())
    await revise(house, 1)
    await revise(house, 2)
    kept = await get(house)
    assert (kept.body, kept.revision, kept.shown) == ({"tail": 2}, 3, 0)
    await sent(house, 3)
    assert await owed(house) == []


async def test_a_revision_made_while_an_older_one_was_sent_is_still_owed(house: Database) -> None:
    await keep(house, message())
    await revise(house, 1)
    await sent(house, 1)
    assert await owed(house) == [SLOT]
    await sent(house, 2)
    assert await owed(house) == []
    kept = await get(house)
    assert (kept.ts, kept.digest, kept.sent_at) == ("1.1", "d" * 64, at(1))


async def test_what_is_given_up_is_owed_no_more(house: Database) -> None:
    await keep(house, message())
    async with house.transaction() as saved:
        await saved.outbox.give_up(SLOT, "is_archived")
    assert await owed(house) == []
    async with house.reading() as saved:
        assert await saved.outbox.owed_to("w-palombia") == []
    assert (await get(house)).given_up == "is_archived"


async def test_a_message_is_found_by_its_place(house: Database) -> None:
    await keep(house, message())
    await sent(house, 1)
    async with house.reading() as saved:
        assert (found := await saved.outbox.posted_as("C0JUNGLE", "1.1")) is not None
        assert found.slot == SLOT
        assert await saved.outbox.posted_as("C0ELSEWHERE", "1.1") is None
        assert await saved.outbox.posted_as("C0JUNGLE", "1.2") is None


async def test_no_two_messages_stand_at_one_place_but_many_at_none(house: Database) -> None:
    await keep(house, message("a"), message("b"), message("c"))
    await sent(house, 1, slot="a", ts=None)
    await sent(house, 1, slot="b", ts=None)
    await sent(house, 1, slot="a")
    with pytest.raises(Exception, match=r"(?i)unique"):
        await sent(house, 1, slot="b")


async def test_the_messages_of_an_answer_and_of_a_work_come_in_order(house: Database) -> None:
    await keep(house, message("2", answer_id="a-nest"), message("1", answer_id="a-nest"), message("0"))
    async with house.reading() as saved:
        assert [one.slot for one in await saved.outbox.of_answer("a-nest")] == ["2", "1"]
        assert [one.slot for one in await saved.outbox.of_work("w-palombia")] == ["2", "1", "0"]
        assert await saved.outbox.get("none") is None


async def test_a_message_needs_its_work(house: Database) -> None:
    with pytest.raises(Exception, match=r"(?i)foreign key"):
        await keep(house, message(work_id="w-nowhere"))


async def test_moments_keep_their_microseconds_and_their_zone(house: Database) -> None:
    await keep(house, message())
    assert (await get(house)).planned_at == NOON
    assert (await get(house)).planned_at.tzinfo is not None


@pytest.mark.parametrize("look", [_WORKS_OWING, _WORKS_OWING_FAIRLY])
async def test_what_is_owed_is_found_without_going_through_what_was_sent(look: Select[Any], tmp_path: Path) -> None:
    async with Database(f"sqlite+aiosqlite:///{tmp_path / 'countersign.db'}") as database:
        await migrate(database)
        async with database.transaction() as saved:
            plan = f"EXPLAIN QUERY PLAN {look.compile(dialect=database.engine.dialect)}"
            asked = (5, 5, 0)[: plan.count("?")]
            steps = [str(row.detail) for row in await saved.connection.exec_driver_sql(plan, asked)]
        scans = [step for step in steps if step.startswith("SCAN outbox")]
        assert scans
        assert all("ix_outbox_owed" in step for step in scans), steps
