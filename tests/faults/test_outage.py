"""Slack is away for hours: what was accepted meanwhile arrives afterwards, in order; the rest is not said."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.later import Later
from bot.playground.pace import Pace
from bot.playground.server import Fault
from storage.records import Kind
from tests.bot.slack.desk import DOCS, LAUNCH, Desk, open_desk, said

SIX_HOURS = 6 * 3_600.0


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path / "outage.db", seconds=10) as opened:
        yield opened


async def _passes(desk: Desk, seconds: float) -> None:
    until = desk.time.tick() + seconds
    while desk.time.tick() < until:  # noqa: ASYNC110  lanes at rest make it pass
        await asyncio.sleep(0.01)


def _keeps_its_pace(desk: Desk) -> Pace:
    """Slack's limits in the time of this desk."""
    pace = desk.slack._api.pace = Pace(clock=desk.time.tick)
    return pace


async def test_after_six_hours_everything_arrives_in_order_and_at_slacks_pace(desk: Desk) -> None:
    desk.slack.go_down()
    works = [await desk.work(f"okapi-{number}", channel=(LAUNCH, DOCS)[number % 2]) for number in range(12)]
    cards = [await desk.owes(work, "card", said("queued", state="queued"), kind=Kind.CARD) for work in works]
    for work in works:
        await desk.owes(work, "n1", "striped")
    desk.starts()
    began = desk.time.tick()
    await _passes(desk, SIX_HOURS / 2)
    for state in ("running", "failed"):
        for card in cards:
            await desk.revises(card, said(state, state=state))
            await desk.chat.heartbeat(card, said("a beat", state="running"))
    await _passes(desk, SIX_HOURS / 2)
    assert desk.time.tick() - began >= SIX_HOURS
    assert desk.slack.by_bot() == []

    slacks = _keeps_its_pace(desk)
    desk.slack.come_back()
    before = len(desk.slack.calls)
    await desk.delivers()
    for work in works:
        rooted = await desk.again(work)
        assert desk.thread(rooted.thread_ts, work.channel) == [f"About {work.id}", "failed", "striped"]
    methods = Counter(call.method for call in desk.slack.calls[before:])
    assert 36 <= methods["chat.postMessage"] <= 42
    assert slacks.enabled
    assert sum(call.status == 429 for call in desk.slack.calls[before:]) <= 6, "we keep the pace ourselves"
    assert methods["chat.update"] == 0, "nobody sees what a card said meanwhile"


async def test_a_channel_that_owes_much_does_not_starve_another(desk: Desk) -> None:
    for number in range(300):
        await desk.work(f"crowd-{number}")
    await desk.work("alone", channel=DOCS)
    async with desk.database.reading() as saved:
        first = await saved.outbox.works_owing(each=50)
        rest = await saved.outbox.works_owing(each=50, without=set(first))
        everything = await saved.outbox.works_owing(limit=1_000)
    assert first[:2] == ["crowd-0", "alone"]
    assert len(first) == 51
    assert rest == []
    assert len(everything) == 301


async def test_works_that_are_stuck_leave_room_for_others_of_their_channel(desk: Desk) -> None:
    stuck = [await desk.work(f"stuck-{number}", thread_ts=f"1700000000.{number:06}") for number in range(55)]
    for work in stuck:
        await desk.owes(work, "n1", "mud")
    desk.slack.faults.add(
        "chat.postMessage", Fault.ERROR("token_revoked"), times=1_000_000, when=lambda call: "thread_ts" in call.args
    )
    free = await desk.work("free")
    desk.starts()
    await desk.slack.until(lambda: any(message.visible == "About free" for message in desk.slack.by_bot()))
    assert free.channel == LAUNCH


@pytest.mark.parametrize("doubt", [False, True])
async def test_a_lane_that_struggles_for_a_minute_is_handed_back(desk: Desk, doubt: bool) -> None:  # noqa: FBT001
    work = await desk.work("tapir")
    desk.slack.go_down()
    began = desk.time.tick()
    with pytest.raises(Later) as handed_back:
        await desk.chat.attend(work.id, doubt)
    assert handed_back.value.seconds == 60
    assert 60 <= desk.time.tick() - began < 120
    desk.slack.come_back()
    await desk.chat.attend(work.id, True)  # noqa: FBT003
    assert [message.visible for message in desk.slack.by_bot()] == ["About tapir"]


async def test_a_lane_of_a_shut_channel_is_handed_back_at_once(desk: Desk) -> None:
    work = await desk.work("tapir")
    await desk.chat.attend(work.id, False)  # noqa: FBT003
    desk.slack.channels["launch"].is_archived = True
    await desk.owes(work, "n1", "a long nose")
    desk.time.asked.clear()
    with pytest.raises(Later):
        await desk.chat.attend(work.id, False)  # noqa: FBT003
    assert desk.time.asked == []


async def test_whoever_waits_for_quiet_does_not_wait_for_a_slack_that_only_says_429(desk: Desk) -> None:
    desk.slack.faults.add("chat.postMessage", Fault.RATE_LIMITED(30), times=1_000_000)
    for number in range(3):
        await desk.work(f"sloth-{number}")
    desk.starts()
    async with asyncio.timeout(20):
        await desk.chat.settled()
    assert desk.slack.by_bot() == []
    desk.slack.faults.clear()
    await desk.delivers()
    assert len(desk.slack.by_bot()) == 3


@pytest.mark.parametrize("hours", [-2, 0, 2])
async def test_a_root_whose_reply_was_lost_is_found_however_wrong_our_clock_is(
    desk: Desk, hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong() -> datetime:
        return datetime.now(UTC) + timedelta(hours=hours)

    monkeypatch.setattr("tests.bot.slack.desk.now", wrong)
    await desk.dies()
    desk.slack.faults.add("chat.postMessage", Fault.LOSE_REPLY)
    await desk.work("quokka")
    await desk.delivers()
    assert [message.visible for message in desk.slack.by_bot()] == ["About quokka"]
