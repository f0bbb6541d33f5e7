"""What people see of a run under way: refreshed when there is room, and never over what is owed."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.playground.server import Fault
from storage.records import Kind
from tests.bot.slack.desk import Desk, said


async def card_of(desk: Desk, name: str) -> str:
    work = await desk.work(name)
    card = await desk.owes(work, "card", said("queued", state="queued"), kind=Kind.CARD)  # as it is remembered
    await desk.delivers()
    await desk.chat.settled()
    return card


def card_words(desk: Desk) -> str:
    return desk.slack.by_bot("card")[0].visible


async def test_a_heartbeat_refreshes_the_card_and_owes_nothing(desk: Desk) -> None:
    card = await card_of(desk, "tenrec")
    before = desk.database.commits
    await desk.chat.heartbeat(card, said("working · 4 s", state="running"))
    assert card_words(desk) == "working · 4 s"
    assert desk.database.commits == before


async def test_heartbeats_of_one_card_are_three_seconds_apart(desk: Desk) -> None:
    card = await card_of(desk, "vole")
    for seconds in range(1, 5):
        await desk.chat.heartbeat(card, said(f"working · {seconds} s", state="running"))
    assert card_words(desk) == "working · 1 s"
    await desk.time.sleep(3)
    await desk.chat.heartbeat(card, said("working · 9 s", state="running"))
    assert card_words(desk) == "working · 9 s"


async def test_a_heartbeat_never_follows_the_final_form(desk: Desk) -> None:
    card = await card_of(desk, "stoat")
    await desk.revises(card, said("answered", state="answered"))
    await desk.delivers()
    await desk.chat.heartbeat(card, said("working · 8 s", state="running"))
    assert card_words(desk) == "answered"


@pytest.mark.parametrize("over", ["answered", "failed", "cancelled", "refused"])
async def test_a_heartbeat_of_a_run_that_is_over_is_dropped(desk: Desk, over: str) -> None:
    work = await desk.work("linsang")
    card = await desk.owes(work, "card", said(over, state=over), kind=Kind.CARD)
    await desk.delivers()
    await desk.chat.heartbeat(card, said("working · 8 s", state="running"))
    assert card_words(desk) == over


async def test_a_heartbeat_says_nothing_while_a_newer_form_is_owed(desk: Desk) -> None:
    card = await card_of(desk, "polecat")
    await desk.dies()
    await desk.revises(card, said("working · glm-5 for kimi-k2", state="running"))
    await desk.chat.heartbeat(card, said("working · kimi-k2, 8 s", state="running"))
    assert card_words(desk) == "queued"


async def test_a_heartbeat_that_another_process_overtook_with_the_final_form_shows_it_once_more(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = await card_of(desk, "marten")
    await desk.dies()
    slow = desk.another_chat()
    send = AsyncWebClient.api_call
    is_first = True

    async def overtaken(client: AsyncWebClient, method: str, **more: Any) -> Any:
        nonlocal is_first
        if method == "chat.update" and is_first:
            is_first = False
            await desk.revises(card, said("cancelled", state="cancelled"))
            await desk.delivers()
        return await send(client, method, **more)

    monkeypatch.setattr(AsyncWebClient, "api_call", overtaken)
    await slow.heartbeat(card, said("working · 8 s", state="running"))
    desk.chat.wake()
    await desk.delivers()
    assert card_words(desk) == "cancelled"
    assert (await desk.row(card)).revision == 3


async def test_a_heartbeat_whose_caller_went_away_is_not_overtaken_by_the_final_form(desk: Desk) -> None:
    card = await card_of(desk, "ermine")
    desk.slack.faults.add("chat.update", Fault.SLOW(0.2))
    beat = asyncio.create_task(desk.chat.heartbeat(card, said("working · 8 s", state="running")))
    await desk.slack.until(lambda: card_words(desk) == "working · 8 s")
    beat.cancel()
    await desk.revises(card, said("answered", state="answered"))
    with contextlib.suppress(asyncio.CancelledError):
        await beat
    await desk.delivers()
    assert card_words(desk) == "answered"
    beating, final = desk.slack.calls_of("chat.update")
    assert beating.status == 200, "the final form waits for the heartbeat's reply"
    assert final.args["metadata"]["event_payload"]["state"] == "answered"


async def test_the_final_form_waits_for_a_heartbeat_of_unknown_outcome(desk: Desk) -> None:
    card = await card_of(desk, "weasel")
    desk.slack.faults.add("chat.update", Fault.LOSE_REPLY)
    desk.time.asked.clear()
    await desk.chat.heartbeat(card, said("working · 8 s", state="running"))
    assert desk.time.asked == [5.0]


async def test_heartbeats_give_way_when_there_is_little_room(desk: Desk) -> None:
    cards = [await card_of(desk, f"mouse-{number}") for number in range(60)]
    for card in cards:
        await desk.chat.heartbeat(card, said("working · 5 s", state="running"))
    beats = len(desk.slack.calls_of("chat.update"))
    assert 10 <= beats < 60, "a third of the bucket stays free for what is owed"
    await desk.revises(cards[0], said("answered", state="answered"))
    desk.time.asked.clear()
    await desk.delivers()
    assert desk.time.asked == []


async def test_heartbeats_in_a_storm_never_overtake_what_is_owed(desk: Desk) -> None:
    rng = random.Random(7)
    cards = [await card_of(desk, f"shrew-{number}") for number in range(6)]
    for _ in range(12):
        faults = [Fault.SLOW(0.02), Fault.LOSE_REPLY, Fault.SERVER_ERROR_AFTER, Fault.RATE_LIMITED(1)]
        desk.slack.faults.add("chat.update", rng.choice(faults))

    async def beats(card: str) -> None:
        while True:
            await desk.chat.heartbeat(card, said("working", state="running"))
            await asyncio.sleep(rng.random() / 50)
            await desk.time.sleep(3)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(beats(card)) for card in cards]
        await asyncio.sleep(0.1)
        for card in cards:
            await desk.revises(card, said("answered", state="answered"))
        await desk.delivers()
        await asyncio.sleep(0.1)
        for task in tasks:
            task.cancel()
    assert {card.visible for card in desk.slack.by_bot("card")} == {"answered"}
