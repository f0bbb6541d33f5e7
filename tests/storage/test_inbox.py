"""Letters are kept once, handled once, and looked at in order within their line."""

from __future__ import annotations

import pytest

from storage.database import Database
from tests.storage.records import NOON, at, keep, letter


async def heads(
    database: Database, minutes: float = 0, *, without: tuple[str, ...] = (), limit: int = 100
) -> list[str]:
    async with database.reading() as saved:
        return [one.key for one in await saved.inbox.heads(at(minutes), without=without, limit=limit)]


async def done(database: Database, key: str) -> bool:
    async with database.transaction() as saved:
        return await saved.inbox.handled(key, at=at(1), outcome="hop")


async def test_a_letter_comes_back_as_it_was_put_in(database: Database) -> None:
    await keep(database, letter("mention/1", kind="reason", line="a line", body={"ß": ["é", None, 1.5]}))
    async with database.reading() as saved:
        kept = await saved.inbox.get("mention/1")
        assert await saved.inbox.get("mention/2") is None
    assert kept is not None
    assert (kept.kind, kept.line, kept.body) == ("reason", "a line", {"ß": ["é", None, 1.5]})
    assert (kept.received_at, kept.due_at, kept.tries) == (NOON, NOON, 0)


async def test_a_letter_put_again_changes_nothing(database: Database) -> None:
    assert await keep(database, letter()) == [True]
    assert await keep(database, letter(body={"hop": 2}), letter(line="elsewhere")) == [False, False]
    async with database.reading() as saved:
        kept = await saved.inbox.get("command/spirou")
    assert kept is not None
    assert (kept.body, kept.line) == ({"hop": 1}, "houba")


async def test_a_letter_put_again_after_it_was_handled_stays_handled(database: Database) -> None:
    await keep(database, letter())
    await done(database, "command/spirou")
    assert await keep(database, letter()) == [False]
    assert await heads(database) == []


async def test_only_one_can_mark_a_letter_as_handled(database: Database) -> None:
    await keep(database, letter())
    assert [await done(database, "command/spirou") for _ in range(3)] == [True, False, False]
    assert await done(database, "command/nobody") is False


async def test_handling_may_forget_what_was_private(database: Database) -> None:
    await keep(database, letter(body={"reply_url": "https://hooks.slack.com/secret"}))
    async with database.transaction() as saved:
        await saved.inbox.handled("command/spirou", at=NOON, outcome="hop", body={"reply_url": None})
    async with database.reading() as saved:
        kept = await saved.inbox.get("command/spirou")
    assert kept is not None
    assert kept.body == {"reply_url": None}


async def test_each_line_shows_its_first_letter_only(database: Database) -> None:
    await keep(database, *(letter(f"{line}{n}", line=line) for n in (1, 2) for line in "ab"))
    assert await heads(database) == ["a1", "b1"]
    assert await heads(database, without=("a",)) == ["b1"]
    assert await heads(database, limit=1) == ["a1"]
    await done(database, "a1")
    assert await heads(database) == ["b1", "a2"]


async def test_a_letter_put_off_holds_its_line_and_no_other(database: Database) -> None:
    await keep(database, letter("a1", line="a"), letter("a2", line="a"), letter("b1", line="b"))
    async with database.transaction() as saved:
        await saved.inbox.later(letter("a1", line="a"), due_at=at(10))
    assert await heads(database, 9) == ["b1"]
    assert await heads(database, 10) == ["a1", "b1"]
    async with database.reading() as saved:
        kept = await saved.inbox.get("a1")
    assert kept is not None
    assert kept.tries == 1


async def test_next_due_is_of_the_letters_that_could_be_handled(database: Database) -> None:
    async def due(*without: str) -> object:
        async with database.reading() as saved:
            return await saved.inbox.next_due(without=without)

    assert await due() is None
    await keep(database, letter("a1", line="a"), letter("a2", line="a"), letter("b1", line="b", due_at=at(30)))
    assert await due() == NOON
    assert await due("a") == at(30)  # a2 waits behind a1, however due it is
    async with database.transaction() as saved:
        await saved.inbox.later(letter("a1", line="a"), due_at=at(10))
    assert await due() == at(10)
    assert await due("a", "b") is None


async def test_what_was_handled_in_a_line_can_be_looked_up(database: Database) -> None:
    await keep(database, letter("a1", line="a"), letter("a2", line="a"), letter("b1", line="b"))
    await done(database, "a1")
    await done(database, "b1")
    async with database.reading() as saved:
        assert [one.key for one in await saved.inbox.handled_in_line("a")] == ["a1"]


@pytest.mark.parametrize("many", [500])
async def test_many_lines_are_found_in_the_order_of_arrival(database: Database, many: int) -> None:
    await keep(database, *(letter(f"key {n}", line=f"line {n % 50}") for n in range(many)))
    assert await heads(database) == [f"key {n}" for n in range(50)]


async def test_forgetting_takes_the_oldest_and_no_more_than_it_was_told(database: Database) -> None:
    names = [f"hop {number}" for number in range(5)]
    await keep(database, *(letter(name, line=name) for name in [*names, "unhandled"]))
    for name in names:
        await done(database, name)

    async def forget() -> int:
        async with database.transaction() as saved:
            return await saved.inbox.forget(before=at(2), limit=2)

    assert await forget() == 2
    async with database.reading() as saved:
        left = [name for name in names if await saved.inbox.get(name)]
    assert left == names[2:]
    assert [await forget() for _ in range(3)] == [2, 1, 0]
    assert await heads(database) == ["unhandled"]
