"""Slack's limits kept by several processes together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from bot.slack.shared_pace import SharedPace
from storage.database import Database
from tests.postgres import Server

POST, EDIT, HERE, THERE = "chat.postMessage", "chat.update", "C0LAUNCH", "C0DOCS"


@pytest.fixture
async def database(postgres: Server) -> AsyncIterator[Database]:
    async with Database(await asyncio.to_thread(postgres.fresh)) as opened:
        yield opened


async def known(paces: SharedPace) -> None:
    """Until what one was told stands where the others look."""
    await asyncio.gather(*paces._telling)


async def takes_turn(pace: SharedPace, channel: str = HERE) -> asyncio.Task[bool]:
    """Somebody who has a turn, or waits for one."""
    task = asyncio.create_task(pace.turn(POST, channel))
    await asyncio.wait([task], timeout=0.7)
    return task


async def test_what_one_process_is_told_holds_for_all_at_once(database: Database) -> None:
    one, other = SharedPace(database), SharedPace(database)
    one.close(POST, HERE, 2.0)
    await known(one)
    waits, elsewhere = await takes_turn(other), await takes_turn(other, THERE)
    assert elsewhere.done()
    assert not waits.done()
    assert await asyncio.wait_for(waits, 20)


async def test_who_waited_for_a_turn_already_waits_on_when_another_is_told_429(database: Database) -> None:
    one, meanwhile = SharedPace(database), asyncio.Event()
    waited: list[float] = []

    async def sleeps(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 1:  # its turn is given out; before it comes, the other one is told
            one.close(POST, HERE, 30.0)
            await known(one)
            meanwhile.set()
        elif len(waited) > 2:
            await asyncio.Event().wait()

    other = SharedPace(database, sleep=sleeps)
    for _ in range(6):  # the burst
        await one.turn(POST, HERE)
    waits = await takes_turn(other)
    await asyncio.wait_for(meanwhile.wait(), 10)
    assert not waits.done()
    assert max(waited) > 20
    waits.cancel()
    await asyncio.gather(waits, return_exceptions=True)


async def test_what_could_not_be_told_is_told_with_the_next_turn(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = SharedPace(database), SharedPace(database)
    with monkeypatch.context() as broken:
        broken.setattr(database, "transaction", _unreachable)
        one.close(POST, HERE, 3.0)
        await known(one)
    mine = await takes_turn(one)
    assert not mine.done()
    assert not (await takes_turn(other)).done()


def _unreachable(**_: object) -> Callable[[], Awaitable[None]]:
    raise ConnectionError


async def test_what_is_not_owed_gives_way_to_what_is_in_whichever_process_it_waited(database: Database) -> None:
    """A refresh of a card takes no room that owed edits took, and none while Slack says 429."""

    async def no_time(_: float) -> None:
        return

    one, other = SharedPace(database, sleep=no_time), SharedPace(database, sleep=no_time)
    assert one.spare(EDIT)
    for _ in range(20):  # the burst
        await one.turn(EDIT)
    assert not one.spare(EDIT)
    await other.turn(EDIT)  # it has to wait, and so knows
    assert not other.spare(EDIT)
    assert other.spare("reactions.get")
