"""The ledger is chained over every column of every row: any change is found."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy import text

from storage.canonical import canonical
from storage.chain import hash_of_row
from storage.database import Database
from storage.ledger import first_fault, hash_of
from storage.records import Chained
from storage.rows import values
from storage.tables import ledger
from tests.storage.records import NOON, entry, keep

OURS, THEIRS = "T0ZOO", "T0CIRCUS"


async def chain(database: Database, team: str = OURS) -> list[Chained]:
    async with database.reading() as saved:
        return [one async for one in saved.ledger.chain(team)]


@pytest.fixture
async def house(database: Database) -> Database:
    for number in range(6):
        await keep(
            database, entry("approve", OURS if number % 3 else THEIRS, body={"hop": number}, work_id=f"w{number}")
        )
    return database


async def test_each_workspace_has_a_chain_of_its_own(house: Database) -> None:
    ours, theirs = await chain(house), await chain(house, THEIRS)
    assert [one.seq for one in ours] == [2, 3, 5, 6]
    assert [one.seq for one in theirs] == [1, 4]
    assert first_fault(ours) is None
    assert first_fault(theirs) is None
    assert ours[0].previous == theirs[0].previous == "0" * 64
    assert ours[2].previous == ours[1].hash
    async with house.reading() as saved:
        assert await saved.ledger.head(OURS) == ours[-1].hash
        assert await saved.ledger.head("T0NONE") == "0" * 64
        assert sorted(await saved.ledger.teams()) == [THEIRS, OURS]


async def test_what_was_recorded_about_a_work_is_told_in_its_order(house: Database) -> None:
    for what in ("send_back", "withdraw"):
        await keep(house, entry(what, OURS, work_id="w3"))
    async with house.reading() as saved:
        found = [one async for one in saved.ledger.of_work("w3")]
        assert [one async for one in saved.ledger.of_work("w-none")] == []
    assert [(one.seq, one.what, one.work_id) for one in found] == [
        (4, "approve", "w3"),
        (7, "send_back", "w3"),
        (8, "withdraw", "w3"),
    ]


async def test_entries_are_told_in_their_order_however_their_rows_lie(house: Database) -> None:
    """As they may after a copy: no database promises an order that nobody asked for."""
    await keep(house, entry("withdraw", OURS, work_id="w1"))
    rows = await chain(house)
    async with house.transaction() as saved:
        await saved.connection.execute(ledger.delete().where(ledger.c.team == OURS))
        for row in reversed(rows):
            await saved.connection.execute(ledger.insert(), values(row, without=()))
        about = [one.seq async for one in saved.ledger.of_work("w1")]
        last = await saved.ledger.append(entry("approve", OURS))
    assert about == [2, 7]
    assert last.previous == rows[-1].hash
    assert (await chain(house))[:-1] == rows


async def test_an_entry_is_kept_as_it_is_given_back(database: Database) -> None:
    async with database.transaction() as saved:
        first = await saved.ledger.append(entry("approve", OURS, work_id="w1", run_id="r1", answer_id="a1"))
        assert await saved.ledger.head(OURS) == first.hash
        second = await saved.ledger.append(entry("withdraw", THEIRS))
    assert (await chain(database), await chain(database, THEIRS)) == ([first], [second])
    assert (first.seq, first.previous, first.hash) == (1, "0" * 64, hash_of(first))
    assert (first.team, first.at, first.who, first.what) == (OURS, NOON, "U0ZORGLUB", "approve")
    assert (first.work_id, first.run_id, first.answer_id, first.body) == ("w1", "r1", "a1", '{"tail":8}')
    assert (second.seq, second.previous, second.work_id) == (2, "0" * 64, None)


def tampered(column: str, value: object) -> object:
    match value:
        case None:
            return "r-forged"
        case int():
            return value + 100
        case datetime():
            return value + timedelta(microseconds=1)
        case _:
            said = str(value)
            return ("0" if said[0] != "0" else "1") + said[1:]


@pytest.mark.parametrize("place", [0, 1, 3])
@pytest.mark.parametrize("column", [column.name for column in ledger.columns])
async def test_a_change_of_any_column_of_any_row_is_found(house: Database, column: str, place: int) -> None:
    row = (await chain(house))[place]
    async with house.transaction() as saved:
        change = {column: tampered(column, getattr(row, column))}
        await saved.connection.execute(ledger.update().where(ledger.c.seq == row.seq).values(change))
    fault = (
        first_fault(await chain(house)) if column != "team" else first_fault(await chain(house, str(change["team"])))
    )
    if column == "team":  # it left one chain, which breaks there unless it was the last, and fits into no other
        assert fault is not None
        return
    assert fault is not None
    assert fault.seq in {row.seq, row.seq + 100, *(one.seq for one in (await chain(house))[place : place + 2])}


def test_the_hash_covers_every_column_there_is() -> None:
    assert {field.name for field in fields(Chained)} == {column.name for column in ledger.columns}


async def test_removal_insertion_exchange_and_a_fork_are_found(house: Database) -> None:
    rows = await chain(house)
    assert first_fault(rows[1:]) is rows[1]
    assert first_fault([rows[0], *rows[2:]]) is rows[2]
    assert first_fault([rows[1], rows[0], *rows[2:]]) is rows[1]
    forged = replace(rows[1], who="U0FORGER", hash="")
    forged = replace(forged, hash=hash_of(forged))
    assert first_fault([rows[0], forged]) is None  # a fork fits by itself: the head that Slack has seen tells
    assert first_fault([rows[0], forged, rows[2]]) is rows[2]
    assert first_fault([*rows, *await chain(house, THEIRS)]) is not None
    assert first_fault([rows[0], rows[0]]) is rows[0]
    assert first_fault([]) is None


async def test_a_thousand_random_changes_of_one_character_are_all_found(house: Database) -> None:
    dice, rows = random.Random(1952), await chain(house)
    names = [field.name for field in fields(Chained) if isinstance(getattr(rows[0], field.name), str)]
    for _ in range(1_000):
        place, name = dice.randrange(len(rows)), dice.choice(names)
        value = getattr(rows[place], name)
        spot = dice.randrange(len(value))
        wrong = value[:spot] + chr((ord(value[spot]) + dice.randrange(1, 90)) % 0xD000) + value[spot + 1 :]
        forged = [*rows[:place], replace(rows[place], **{name: wrong}), *rows[place + 1 :]]
        assert first_fault(forged) is not None, (place, name, wrong)


async def test_the_zone_a_moment_was_told_in_makes_no_difference(database: Database) -> None:
    tokyo = NOON.astimezone(timezone(timedelta(hours=9)))
    await keep(database, entry(at=tokyo), entry(at=NOON.replace(microsecond=0)))
    assert first_fault(await chain(database)) is None


@pytest.fixture
def far_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine stands in Tokyo."""
    with monkeypatch.context() as there:
        there.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


def test_nor_does_the_zone_of_the_machine(far_east: None) -> None:
    written = Chained(
        seq=7, team=OURS, at=NOON, who="U0ZORGLUB", what="approve", body='{"tail":8}', previous="0" * 64, hash=""
    )
    assert time.tzname[0] == "JST"
    said = (
        '{"answer_id":null,"at":"2026-11-03T12:00:00.123456+00:00","body":"{\\"tail\\":8}","previous":"'
        + "0" * 64
        + '","run_id":null,"seq":7,"team":"T0ZOO","what":"approve","who":"U0ZORGLUB","work_id":null}'
    )
    columns = ("answer_id", "at", "body", "previous", "run_id", "seq", "team", "what", "who", "work_id", "hash")
    assert hash_of(written) == hashlib.sha256(said.encode()).hexdigest()
    assert hash_of_row([getattr(written, name) for name in columns]) == hash_of(written)


async def test_a_rolled_back_entry_leaves_no_gap(house: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        await keep(house, entry("lost"), then=ZeroDivisionError())
    await keep(house, entry("kept"))
    rows = await chain(house)
    assert [one.what for one in rows][-1] == "kept"
    assert rows[-1].seq == 7
    assert first_fault(rows) is None


def test_canonical_json_has_one_spelling() -> None:
    assert canonical({"b": 1, "a": [True, None, "ß\n"]}) == '{"a":[true,null,"ß\\n"],"b":1}'
    with pytest.raises(ValueError, match="Out of range"):
        canonical({"cost": float("nan")})


async def test_the_body_is_stored_as_it_was_hashed(house: Database) -> None:
    async with house.reading() as saved:
        stored = (await saved.connection.execute(text("SELECT body FROM ledger WHERE seq = 2"))).scalar()
    assert stored == '{"hop":1}'
