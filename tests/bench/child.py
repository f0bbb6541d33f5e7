"""The process that is measured: the real bot, or the least that could answer; it tells facts over a pipe."""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import httpx
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.web.async_client import AsyncWebClient
from sqlalchemy import event, text

from bot.app import Countersign, Role
from bot.logs import set_up_logging
from bot.settings import Settings, read_settings
from bot.slack.chat import build_client, build_session
from bot.slack.pace import Pace
from bot.slack.plain import take_permalink
from storage.database import ALONE, Database

MODEL_URL, MODEL_ID = "BENCH_MODEL_URL", "quick-1"
_HURRY = 1_000_000
_UNDONE = """
SELECT (SELECT count(*) FROM inbox WHERE handled_at IS NULL)
     + (SELECT count(*) FROM runs WHERE state IN ('queued', 'running'))
     + (SELECT count(*) FROM outbox WHERE shown < revision AND given_up IS NULL)
"""


class Measured(Protocol):
    """One of the two, at work."""

    async def at_rest(self) -> None: ...
    def counts(self) -> dict[str, float]: ...


class TheBot:
    """Countersign as it is, but that Slack's limits are a million times wider."""

    def __init__(self, bot: Countersign) -> None:
        self._bot = bot
        self._locked = Locked(bot.storage)

    async def at_rest(self) -> None:
        """Wait until nothing is under way."""
        while await self._undone():  # noqa: ASYNC110  the database has no event to wait for
            await asyncio.sleep(0.01)

    async def _undone(self) -> int:
        async with self._bot.storage.reading() as saved:
            return int((await saved.connection.execute(text(_UNDONE))).scalar_one())

    def counts(self) -> dict[str, float]:
        storage = self._bot.storage
        locked = {"locked": self._locked.times, "locked_seconds": self._locked.seconds}
        return {"commits": storage.commits, "transactions": storage.transactions, **locked}


class Locked:
    """How often and how long this process was the only one that writes to PostgreSQL."""

    def __init__(self, storage: Database) -> None:
        self.times, self.seconds = 0, 0.0
        since: dict[Any, float] = {}
        if storage.is_sqlite:
            return

        @event.listens_for(storage.engine.sync_engine, "after_cursor_execute")
        def begun(connection: Any, _: Any, statement: str, *__: Any) -> None:
            if statement.startswith(str(ALONE).partition("(")[0]):
                since[connection.connection.dbapi_connection] = time.perf_counter()

        @event.listens_for(storage.engine.sync_engine, "checkin")
        def ended(connection: Any, _: Any) -> None:
            if (began := since.pop(connection, None)) is not None:
                self.times += 1
                self.seconds += time.perf_counter() - began


class TheLeast:
    """A listener that stores nothing: it acknowledges, asks the model and posts the answer."""

    async def at_rest(self) -> None:
        return

    def counts(self) -> dict[str, float]:
        return {"commits": 0, "transactions": 0, "locked": 0, "locked_seconds": 0.0}


@asynccontextmanager
async def the_bot(settings: Settings, role: Role) -> AsyncIterator[Measured]:
    bot = Countersign(
        slack=settings.slack(intake=role is not Role.WORK),
        role=role,
        database_url=settings.database_url.get_secret_value(),
        stack_path=settings.stack_file,
        pace=Pace(tick=lambda: time.monotonic() * _HURRY),
    )
    async with bot:
        await bot.ready()
        yield TheBot(bot)


@asynccontextmanager
async def the_least(settings: Settings) -> AsyncIterator[Measured]:
    access = settings.slack()
    assert access.app_token is not None, "the benchmark speaks Socket Mode"
    async with AsyncExitStack() as opened:
        session = await opened.enter_async_context(build_session())
        client = build_client(access.bot_token.get_secret_value(), access.api_url, session)
        limits = httpx.Limits(max_connections=1_000, max_keepalive_connections=1_000)
        models = await opened.enter_async_context(httpx.AsyncClient(limits=limits, timeout=60, trust_env=False))
        app = least_app(client, models, os.environ[MODEL_URL])
        handler = AsyncSocketModeHandler(app, access.app_token.get_secret_value())
        await handler.connect_async()  # type: ignore[no-untyped-call]  # slack_bolt gives it no types
        opened.push_async_callback(handler.close_async)
        yield TheLeast()


def least_app(client: AsyncWebClient, models: httpx.AsyncClient, model_url: str) -> AsyncApp:
    app = AsyncApp(client=client, signing_secret="", logger=None)

    @app.command(re.compile(".*"))
    async def answer(ack: AsyncAck, body: dict[str, Any]) -> None:
        await ack()
        pointer, words = take_permalink(body["text"])
        asked = {
            "model": MODEL_ID,
            "messages": [
                {"role": "system", "content": f"Stage: {body['command'].removeprefix('/')}\n"},
                {"role": "user", "content": words},
            ],
        }
        reply = await models.post(f"{model_url}/chat/completions", json=asked)
        said = reply.json()["choices"][0]["message"]["content"]
        place = {"thread_ts": pointer.thread_ts or pointer.ts} if pointer else {}
        await client.api_call("chat.postMessage", json={"channel": body["channel_id"], "text": said, **place})

    return app


async def answer_questions(measured: Measured) -> None:
    """Each line that comes in asks for the facts once nothing is under way; the end of the lines ends us."""
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    _say({"ready": True})
    while await lines.readline():
        await measured.at_rest()
        _say({"rss_kib": resident_kib(), "cpu_seconds": _cpu_seconds(), **measured.counts()})


def _say(facts: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def resident_kib() -> int:
    """Memory of this process now; where /proc is missing, the most it ever had."""
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * resource.getpagesize() // 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1024 if sys.platform == "darwin" else peak


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def main(kind: str) -> None:
    settings = read_settings(os.environ)
    set_up_logging(settings)
    async with the_least(settings) if kind == "bare" else the_bot(settings, Role(kind)) as measured:
        await answer_questions(measured)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
