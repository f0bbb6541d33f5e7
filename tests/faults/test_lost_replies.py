"""A thousand replies are lost, in every way in which they can be: nothing is doubled, swallowed or said out of turn."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bot.playground.server import Call, Fault
from bot.slack.chat import digest_of
from storage.records import Kind, Work
from tests.bot.slack.desk import DOCS, LAUNCH, Desk, open_desk, said
from tests.bot.slack.test_chat import answer_of

PAGE = "<!DOCTYPE html><title>Slack</title><p>Something went wrong."


def _another_ts(body: dict[str, Any]) -> dict[str, Any]:
    return body | {"ts": "1700000000.000100"}


def _a_page(_: dict[str, Any]) -> str:
    return PAGE


def _half(body: dict[str, Any]) -> dict[str, Any]:
    """A page that ends too early, and does not say where the next one begins."""
    shown = body.get("messages") or []
    return {**body, "messages": shown[: len(shown) // 2], "has_more": True, "response_metadata": {}}


LOST = {
    "reply lost": Fault.LOSE_REPLY,
    "500 after": Fault.SERVER_ERROR_AFTER,
    "502 after": Fault.TWISTED(_a_page, status=502),
    "503 after": Fault.TWISTED(_a_page, status=503),
    "no JSON after": Fault.TWISTED(_a_page),
    "another ts": Fault.TWISTED(_another_ts),
    "time-out before": Fault.HANG,
    "time-out after": Fault.HANG_AFTER,
    "reset before": Fault.RESET_BEFORE,
}
UNREAD = (Fault.RATE_LIMITED(3), Fault.SERVER_ERROR_BEFORE, Fault.DOWN, Fault.HTML, Fault.TWISTED(_half))
POSTS = {
    "card": Kind.CARD,
    "a1": Kind.ANSWER,
    "a2": Kind.ANSWER,
    "a3": Kind.ANSWER,
    "notes": Kind.NOTES,
    "review": Kind.REVIEW,
    "verdict": Kind.VERDICT,
    "notice": Kind.NOTICE,
}
EDITED = ("card", "review")
WORKS = 100


class Weather:
    """Loses the first reply to each post and to each edit, and every fourth look at what is there."""

    def __init__(self, seed: int) -> None:
        self.lost: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._met: set[tuple[str, str, str]] = set()
        self._drawn: dict[int, str] = {}

    def begins(self, desk: Desk) -> None:
        for method in ("chat.postMessage", "chat.update"):
            for name, fault in LOST.items():
                desk.slack.faults.add(method, fault, times=1_000_000, when=partial(self._is, name))
        for method in ("conversations.history", "conversations.replies"):
            for fault in UNREAD:
                desk.slack.faults.add(method, fault, times=1_000_000, when=lambda _: self._random.random() < 0.05)

    def _is(self, name: str, call: Call) -> bool:
        """Whether this is the way in which this call's reply is lost; drawn once for each call."""
        if id(call) not in self._drawn:
            told = call.args["metadata"]["event_payload"]
            what = (call.method, told["slot"], str(told.get("state")))
            self._drawn[id(call)] = "" if what in self._met else self._random.choice(list(LOST))
            self._met.add(what)
            self.lost[self._drawn[id(call)]] += 1
        return self._drawn[id(call)] == name


async def _plan(desk: Desk, number: int) -> Work:
    """A work that owes a message of every kind; every fourth in somebody's thread."""
    channel = (LAUNCH, DOCS)[number % 2]
    asked = await desk.slack.as_person("ann").says(f"Quagga {number}?", channel=channel) if number % 4 == 0 else None
    work = await desk.work(f"quagga-{number}", channel=channel, thread_ts=asked.ts if asked else None)
    for name, kind in POSTS.items():
        body = answer_of(f"{name} of {work.id}") if kind in {Kind.ANSWER, Kind.NOTES} else said(f"{name} of {work.id}")
        await desk.owes(work, name, body, kind=kind)
    return work


@pytest.mark.parametrize("seed", [7])
async def test_a_thousand_lost_replies_double_swallow_and_reorder_nothing(tmp_path: Path, seed: int) -> None:
    async with open_desk(tmp_path / "outbox.db", seconds=0.5) as desk:
        weather = Weather(seed)
        weather.begins(desk)
        works = [await _plan(desk, number) for number in range(WORKS)]
        desk.starts()
        for _ in range(5):  # the process dies between sends and their commits
            await asyncio.sleep(1)
            await desk.dies()
            desk.starts()
        await desk.delivers(within=120)
        for work in works:
            for name in EDITED:
                await desk.revises(f"{work.id}/{name}", said(f"{name} of {work.id}, done", state="answered"))
        await desk.delivers(within=120)

        lost = sum(count for name, count in weather.lost.items() if name)
        assert lost >= 1_000, weather.lost
        assert min(weather.lost[name] for name in LOST) > 50
        shown = Counter(message.slot for message in desk.slack.by_bot())
        assert set(shown.values()) == {1}
        for work in works:
            await _stands_as_planned(desk, work)


async def _stands_as_planned(desk: Desk, work: Work) -> None:
    work = await desk.again(work)
    assert work.thread_ts is not None
    first, *replies = desk.slack.thread(work.channel, work.thread_ts)
    assert [message.slot for message in replies] == [f"{work.id}/{name}" for name in POSTS]
    assert first.slot == ("" if work.in_human_thread else f"{work.id}/root")
    for name, message in zip(POSTS, replies, strict=True):
        assert f"{name} of {work.id}" in message.visible
        assert message.visible.endswith("done") == (name in EDITED)
        row = await desk.row(message.slot)
        assert (row.shown, row.ts, row.digest) == (row.revision, message.ts, digest_of(message))
