"""Stopping ends, whatever hangs, and every step is tried."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from bot import app
from bot import parts as running
from bot.playground.scripted import ScriptedModels
from bot.playground.server import Fault, Playground
from bot.settings import SlackAccess
from handlers.errors import Refusal
from handlers.words import Body, line
from tests.postgres import Server
from tests.storage.records import keep, message, work
from tests.stories import workspace


class Hanging:
    """A part that never ends its step by itself, or ends at once."""

    def __init__(self, hangs: set[str], tried: list[str]) -> None:
        self.hangs, self.tried, self.released = hangs, tried, asyncio.Event()

    async def step(self, name: str) -> None:
        self.tried.append(name)
        while name in self.hangs and not self.released.is_set():
            try:
                await self.released.wait()
            except asyncio.CancelledError:
                continue  # a part that does not listen

    async def drain(self, _: float) -> None:
        await self.step("drain")

    async def settled(self) -> None:
        await self.step("settle")


STEPS = ["door", "drain", "queue", "settle", "outbox", "close"]


@pytest.mark.parametrize("hangs", [set(), *({step} for step in STEPS), set(STEPS)])
async def test_stopping_ends_whatever_hangs(hangs: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "STOP_SECONDS", 0.3)
    access = SlackAccess(
        bot_token=SecretStr("not-a-token"), app_token=None, signing_secret=None, api_url="http://127.0.0.1:9/api/"
    )
    bot = app.Countersign(slack=access, database_url="sqlite+aiosqlite://", stack_path=tmp_path / "none.toml")
    tried: list[str] = []
    parts = Hanging(hangs, tried)
    bot.courier = bot.chat = parts  # type: ignore[assignment]

    async def part(step: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await parts.step(step)

    for name, step in (("socket", "door"), ("queue", "queue"), ("outbox", "outbox")):
        task: asyncio.Task[Any] = asyncio.create_task(part(step), name=name)
        bot._tasks.append(task)
    bot._exit.push_async_callback(parts.step, "close")
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await bot.stop()
    assert tried == STEPS
    parts.released.set()
    await asyncio.gather(*bot._tasks, return_exceptions=True)
    await asyncio.sleep(0.01)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    server: Server | None = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    monkeypatch.setattr(workspace, "POSTGRESQL", server)


@pytest.mark.usefixtures("database")
async def test_no_refresh_of_a_card_outlives_the_stop(tmp_path: Path) -> None:
    (tmp_path / "stack.toml").write_text(
        workspace.STACK.format(wire="openai", url="http://127.0.0.1:9/v1", review=workspace.REVIEWERS, more="")
    )
    queued, working = (
        Body(lines=(line(state),), fallback=state, facts={"state": state}) for state in ("queued", "running")
    )
    async with ScriptedModels() as models, Playground() as slack:
        async with workspace.at_work(slack, models, tmp_path) as us:
            card = message(body=queued.to_json(), ts="1777000000.000100", shown=1)
            await keep(us.bot.storage, work(thread_ts="1777000000.000000"), card)
            slack.faults.add("chat.update", Fault.HANG)
            beat = asyncio.create_task(us.bot.chat.heartbeat(card.slot, working))
            await slack.until(lambda: slack.calls_of("chat.update"))
        assert us.bot.chat._heartbeats._beating == set()
        with pytest.raises(asyncio.CancelledError):
            await beat


class Unlucky(running.Parts):
    """A process whose start fails while a part of it does not listen."""

    def __init__(self, parts: Hanging) -> None:
        super().__init__()
        self._parts = parts

    async def _start(self) -> None:
        self._beside("deaf", self._parts.step("deaf"))
        await asyncio.sleep(0)
        raise Refusal("Not today.")

    async def stop(self) -> None:
        raise NotImplementedError


async def test_a_start_that_fails_ends_whatever_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "STOP_SECONDS", 0.3)
    parts = Hanging({"deaf"}, [])
    unlucky = Unlucky(parts)
    async with asyncio.timeout(20):
        with pytest.raises(Refusal, match="Not today"):
            await unlucky.__aenter__()
    parts.released.set()
    await asyncio.gather(*unlucky._tasks, return_exceptions=True)
