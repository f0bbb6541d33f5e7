"""A desk for tests of the gateway: a database, the playground's Slack, and a Chat that may die and come back."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from bot.playground.server import Fault, Playground
from bot.slack.calls import build_client, build_session
from bot.slack.chat import Chat
from handlers.words import Body, line
from storage.database import Database
from storage.records import Kind, Message, Work
from storage.tables import metadata

TEAM, LAUNCH, DOCS = "T0PLAY", "C0LAUNCH", "C0DOCS"


class HurriedTime:
    """A clock and a sleep that skips what it is asked to wait; it keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self._skipped = 0.0

    def tick(self) -> float:
        return time.monotonic() + self._skipped

    async def sleep(self, seconds: float) -> None:
        self.asked.append(seconds)
        self._skipped += seconds
        await asyncio.sleep(0.002)


def now() -> datetime:
    return datetime.now(UTC)


LOSSES = {
    "the reply is lost": Fault.LOSE_REPLY,
    "a 500 after it was done": Fault.SERVER_ERROR_AFTER,
    "a 500 before it was done": Fault.SERVER_ERROR_BEFORE,
    "a reset before it was done": Fault.RESET_BEFORE,
    "a time-out before it was done": Fault.HANG,
    "a time-out after it was done": Fault.HANG_AFTER,
    "a page of HTML": Fault.HTML,
    "a 503": Fault.DOWN,
    "internal_error": Fault.ERROR("internal_error"),
    "fatal_error": Fault.ERROR("fatal_error"),
    "an error nobody knows": Fault.ERROR("moon_in_the_wrong_phase"),
}
"""Ways in which a call may end without our knowing what became of it, or as Slack says no."""


def said(text: str, **facts: Any) -> Body:
    return Body(lines=(line(text),), fallback="A word about the marsupilami", facts=facts)


class Desk:
    """Plans messages as the handlers would, and reads what Slack shows of them."""

    def __init__(self, slack: Playground, database: Database, session: aiohttp.ClientSession) -> None:
        self.slack = slack
        self.database = database
        self.session = session
        self.time = HurriedTime()
        self.client = build_client(slack.bot_token, slack.api_url, session)
        self.chat = self.another_chat()
        self._delivery: asyncio.Task[None] | None = None

    def another_chat(self, **more: Any) -> Chat:
        time = self.time
        return Chat(client=self.client, database=self.database, clock=now, sleep=time.sleep, tick=time.tick, **more)

    async def work(self, name: str, *, channel: str = LAUNCH, thread_ts: str | None = None) -> Work:
        work = Work(
            id=name,
            team=TEAM,
            channel=channel,
            brief=f"About {name}",
            opened_by="U0ANN",
            opened_at=now(),
            thread_ts=thread_ts,
            in_human_thread=thread_ts is not None,
        )
        async with self.database.transaction() as saved:
            await saved.works.open(work)
        if thread_ts is None:
            await self.owes(work, "root", f"About {name}", kind=Kind.ROOT)
        return work

    async def owes(
        self, work: Work, name: str, body: Body | str, *, kind: Kind = Kind.NOTICE, person: str | None = None
    ) -> str:
        slot = f"{work.id}/{name}"
        message = Message(
            slot=slot,
            work_id=work.id,
            kind=kind,
            team=TEAM,
            channel=work.channel,
            person=person,
            body=(said(body) if isinstance(body, str) else body).to_json(),
            planned_at=now(),
        )
        async with self.database.transaction() as saved:
            assert await saved.outbox.plan(message)
        self.chat.wake()
        return slot

    async def revises(self, slot: str, body: Body | str) -> None:
        async with self.database.transaction() as saved:
            await saved.outbox.revise(slot, (said(body) if isinstance(body, str) else body).to_json())
        self.chat.wake()

    async def row(self, slot: str) -> Message:
        async with self.database.reading() as saved:
            found = await saved.outbox.get(slot)
        assert found is not None
        return found

    async def again(self, work: Work) -> Work:
        async with self.database.reading() as saved:
            found = await saved.works.get(work.id)
        assert found is not None
        return found

    def starts(self) -> None:
        self._delivery = asyncio.create_task(self.chat.deliver())

    async def dies(self) -> None:
        """The process is gone; what it remembered in memory is, too."""
        if self._delivery:
            self._delivery.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._delivery
        self._delivery = None
        await self.chat.aclose()
        self.chat = self.another_chat()

    async def delivers(self, *, within: float = 20) -> None:
        """Everything owed is shown or given up, and nothing is under way."""
        if self._delivery is None:
            self.starts()
        async with asyncio.timeout(within):
            while not await self._owes_nothing():  # noqa: ASYNC110  the database tells nobody
                await asyncio.sleep(0.01)
            await self.chat.settled()

    async def _owes_nothing(self) -> bool:
        async with self.database.reading() as saved:
            return not await saved.outbox.owed(limit=1)

    def thread(self, work_ts: str | None, channel: str = LAUNCH) -> list[str]:
        """The words of the thread, root first."""
        assert work_ts is not None
        return [message.visible for message in self.slack.thread(channel, work_ts)]

    async def shown(self, work: Work) -> list[str]:
        """The words of a work's thread, wherever it is by now."""
        return self.thread((await self.again(work)).thread_ts, work.channel)


@asynccontextmanager
async def open_desk(file: Path, *, seconds: float = 2.0) -> AsyncIterator[Desk]:
    async with (
        Playground() as slack,
        build_session(seconds=seconds) as session,
        Database(f"sqlite+aiosqlite:///{file}") as database,
    ):
        async with database.engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        slack.pace(enabled=False)
        desk = Desk(slack, database, session)
        try:
            yield desk
        finally:
            await desk.dies()
        assert slack.violations == []
