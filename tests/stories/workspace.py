"""A team at work: the real bot on the playground's Slack, with a scripted model endpoint over real HTTP."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import text

from bot.app import Countersign
from bot.playground.actors import Actor
from bot.playground.interactions import Answered
from bot.playground.scripted import Answers, ScriptedModels
from bot.playground.server import Message, Playground
from bot.settings import SlackAccess
from bot.slack.pace import Pace
from handlers.ports import Sources
from tests.fakes import FakeSources
from tests.postgres import Server
from tests.stories.oracles import nothing_is_wrong

PATIENCE = 60.0  # a busy machine is no fault of the bot's

STACK = """
[models.quick]
wire = "{wire}"
id = "quick-1"
base_url = "{url}"
trust = 2
price = {{ input = 0.5, output = 1.5, checked = 2026-11-01 }}

[models.careful]
wire = "{wire}"
id = "careful-1"
base_url = "{url}"
trust = 5

[review]
{review}
{more}
"""
REVIEWERS = 'reviewers = ["U0RAE", "U0SAM"]'

UNDONE = """
SELECT (SELECT count(*) FROM inbox WHERE handled_at IS NULL)
     + (SELECT count(*) FROM runs WHERE state IN ('queued', 'running'))
     + (SELECT count(*) FROM outbox WHERE shown < revision AND given_up IS NULL) AS undone
"""


_DATABASES: dict[Path, str] = {}
POSTGRESQL: Server | None = None
"""The server on which stories keep their works; without one each has a SQLite file."""


def database_url(folder: Path) -> str:
    """The database of whoever works in this folder."""
    if POSTGRESQL is None:
        return f"sqlite+aiosqlite:///{folder / 'countersign.db'}"
    if folder not in _DATABASES:
        _DATABASES[folder] = POSTGRESQL.fresh()
    return _DATABASES[folder]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@dataclass(kw_only=True)
class Team:
    """Everything a story needs: people, the bot, what it posted, what the models were sent."""

    slack: Playground
    models: ScriptedModels
    bot: Countersign
    folder: Path

    def person(self, name: str) -> Actor:
        return self.slack.as_person(name)

    # What people do

    async def starts(self, stage: str, brief: str, *, person: str = "ann", channel: str = "launch") -> Message:
        """A slash command that opens a work; waits until all is said and returns the root."""
        await self.commands(stage, brief, person=person, channel=channel)
        await self.quiet()
        return await self.root_of(brief)

    async def commands(self, stage: str, words: str, *, person: str = "ann", channel: str = "launch") -> Answered:
        """A slash command, acknowledged; its answer comes later."""
        answered = await self.person(person).command(f"/{stage}", words, channel=channel)
        assert answered.ok, answered.problem
        return answered

    async def asks(self, where: Message, words: str, *, person: str = "ann") -> Message:
        """A mention in the thread; waits until everything asked for has its outcome."""
        asked = await self.person(person).replies(where, f"<@UBOT> {words}")
        await self.quiet()
        return asked

    async def clicks(self, button: str, message: Message, *, person: str = "ann") -> None:
        """A button of a message; waits until everything asked for has its outcome."""
        answered = await self.person(person).clicks(button, message)
        assert answered.ok, answered.problem
        await self.quiet()

    async def reacts(self, emoji: str, message: Message, *, person: str = "rae") -> None:
        await self.person(person).reacts(emoji, message)
        await self.quiet()

    async def unreacts(self, emoji: str, message: Message, *, person: str = "rae") -> None:
        await self.person(person).unreacts(emoji, message)
        await self.quiet()

    # What is to be waited for

    async def quiet(self) -> None:
        """Wait until nothing is under way: no delivery, no letter, no run, nothing owed to Slack."""

        async def is_quiet() -> bool:
            if self.slack._delivery._tasks:
                return False
            (row,) = await self.rows(UNDONE)
            return not row["undone"] and not self.bot.chat._lanes  # a whisper counts as shown before it is sent

        await self.slack.until(is_quiet, timeout=PATIENCE)

    async def told(self, person: str, words: str) -> str:
        """Wait until this person alone has read these words; returns the whole message."""

        def heard() -> str | None:
            return next((said for said in self.whispers(person) if words in said), None)

        return str(await self.slack.until(heard, timeout=PATIENCE))

    # What is to be seen

    def whispers(self, person: str) -> list[str]:
        """What only this person reads, oldest first."""
        return [message.visible for message in self.slack.ephemerals(person)]

    def said(self, kind: str) -> list[Message]:
        return self.slack.by_bot(kind)

    def thread(self, root: Message) -> list[Message]:
        return self.slack.thread(root.channel, root.root_ts)

    def in_thread(self, root: Message, kind: str, *, stage: str | None = None) -> list[Message]:
        """The bot's messages of a kind in a thread, oldest first."""
        return [
            message
            for message in self.thread(root)
            if message.kind == kind and (stage is None or message.payload.get("stage") == stage)
        ]

    def last(self, root: Message, kind: str, *, stage: str | None = None) -> Message:
        found = self.in_thread(root, kind, stage=stage)
        assert found, f"no {kind} {stage or ''} in the thread:\n{self.slack.dump()}"
        return found[-1]

    def card(self, root: Message, *, stage: str | None = None) -> str:
        """What the newest card says, without its bold type."""
        return self.last(root, "card", stage=stage).visible.replace("*", "")

    def states(self, root: Message, kind: str = "card") -> list[tuple[str, str]]:
        """Stage and state of each message of a kind."""
        return [(message.payload["stage"], message.state) for message in self.in_thread(root, kind)]

    def prompts(self, stage: str, *, holding: str = "") -> list[str]:
        """What models were sent for a stage, whole, oldest first."""
        return [
            f"{one.system}\n{one.user}"
            for one in self.models.requests
            if stage_of(one.system) == stage and holding in one.user
        ]

    # What is remembered

    async def rows(self, statement: str, **values: Any) -> Sequence[Mapping[str, Any]]:
        """Rows of the database, read beside the bot."""
        async with self.bot.storage.reading() as saved:
            found = await saved.connection.execute(text(statement), values)
            return [dict(row._mapping) for row in found]

    async def root_of(self, brief: str) -> Message:
        """The first message of the newest work with this brief, once it is posted."""
        statement = "SELECT channel, thread_ts FROM works WHERE brief = :brief ORDER BY opened_at"

        async def posted() -> Message | None:
            found = await self.rows(statement, brief=brief)
            assert found, f"no work has the brief {brief!r}:\n{self.slack.dump()}"
            if (thread_ts := found[-1]["thread_ts"]) is None:
                return None
            return self.slack.thread(found[-1]["channel"], thread_ts)[0]

        return await self.slack.until(posted, timeout=PATIENCE)


def link(message: Message) -> str:
    """A message's permalink, as Slack's menu copies it."""
    place = f"https://playground.slack.com/archives/{message.channel}/p{message.ts.replace('.', '')}"
    return f"{place}?thread_ts={message.thread_ts}&cid={message.channel}" if message.is_reply else place


def stage_of(system: str) -> str:
    """The stage a model was asked for, as its instructions name it."""
    return system.partition("\n")[0].removeprefix("Stage: ")


@asynccontextmanager
async def team(
    folder: Path,
    *,
    answers: Answers | None = None,
    wire: str = "openai",
    by_http: bool = False,
    review: str = REVIEWERS,
    more: str = "",
    repeat: int = 1,
    hurry: bool = True,
    sources: Sources | None = None,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Team]:
    """Set the scene; leaving checks what must hold at the end of every story.

    `review` is the body of the stack's [review] table, `more` whatever else it should say. `hurry` shortens the waits
    between attempts at a model a hundredfold. `sources` is the web; without it there is none. `environment` holds what
    the stack names.
    """
    async with AsyncExitStack() as scene:
        models = await scene.enter_async_context(ScriptedModels(answers=answers))
        slack = await scene.enter_async_context(Playground())
        slack.pace(enabled=False)  # the limits have tests of their own
        url = models.openai_url if wire == "openai" else models.anthropic_url
        stack = folder / "stack.toml"
        stack.write_text(STACK.format(wire=wire, url=url, review=review, more=more))
        us = await scene.enter_async_context(
            at_work(slack, models, folder, by_http=by_http, hurry=hurry, sources=sources, environment=environment)
        )
        slack.repeat_deliveries = repeat
        yield us
        await us.quiet()
        await nothing_is_wrong(slack, models, us.bot.storage)


@asynccontextmanager
async def at_work(
    slack: Playground,
    models: ScriptedModels,
    folder: Path,
    *,
    by_http: bool = False,
    hurry: bool = True,
    sources: Sources | None = None,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Team]:
    """One process's life of the bot, on a stack and a database in this folder."""
    port = free_port() if by_http else None
    access = SlackAccess(
        bot_token=SecretStr(slack.bot_token),
        app_token=None if by_http else SecretStr(slack.app_token),
        signing_secret=SecretStr(slack.signing_secret) if by_http else None,
        api_url=slack.api_url,
    )
    bot = Countersign(
        slack=access,
        database_url=await asyncio.to_thread(database_url, folder),
        stack_path=folder / "stack.toml",
        port=port,
        environment=dict(environment or {}),
        pace=Pace(tick=lambda: time.monotonic() * 100),
        sources=sources or FakeSources(),
    )
    async with bot:
        if hurry:
            bot.models._sleep = lambda seconds: asyncio.sleep(seconds / 100)
        if by_http:
            slack.deliver_to(f"http://127.0.0.1:{port}/slack/events")
        await bot.ready()
        yield Team(slack=slack, models=models, bot=bot, folder=folder)
