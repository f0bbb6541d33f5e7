"""A team at work: the real bot on the playground's Slack, with a scripted model endpoint over real HTTP."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from bot.app import Countersign
from bot.playground.scripted import Answers, ScriptedModels
from bot.playground.server import Message, Playground
from bot.settings import SlackAccess
from bot.slack.pace import Pace

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
reviewers = ["U0RAE", "U0SAM"]
{review}
{more}
"""


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
    by_http: bool = False
    errors: list[str] = field(default_factory=list)

    async def starts(self, stage: str, brief: str, *, person: str = "ann", channel: str = "launch") -> Message:
        """A slash command that opens a work; waits for its first answer and returns the root."""
        before = {m.ts for m in self.said("root")}
        await self.slack.as_person(person).command(f"/{stage}", brief, channel=channel)
        root = await self.slack.until(lambda: next((m for m in self.said("root") if m.ts not in before), None))
        assert isinstance(root, Message)
        await self.settled(root)
        return root

    async def asks(self, root: Message, words: str, *, person: str = "ann") -> None:
        """A mention in the thread; waits until everything asked for has its outcome."""
        before = len(self.thread(root))
        await self.slack.as_person(person).replies(root, f"<@UBOT> {words}")
        await self.slack.until(lambda: len(self.thread(root)) > before + 1)
        await self.settled(root)

    async def settled(self, root: Message) -> None:
        """Every run of the thread has an outcome, and all that is owed stands in the thread."""

        async def done() -> bool:
            async with self.bot.storage.reading() as saved:
                work = await saved.works.in_thread("T0PLAY", root.channel, root.root_ts)
                work = work or await self._work_of(root, saved)
                if work is None:
                    return False
                runs = await saved.runs.open_of_work(work.id)
                return not runs and not await saved.outbox.owed_to(work.id) and await saved.inbox.next_due() is None

        await self.slack.until(done)

    async def _work_of(self, root: Message, saved: Any) -> Any:
        message = await saved.outbox.posted_as(root.channel, root.ts)
        return await saved.works.get(message.work_id) if message else None

    def said(self, kind: str) -> list[Message]:
        return self.slack.by_bot(kind)

    def thread(self, root: Message) -> list[Message]:
        return self.slack.thread(root.channel, root.root_ts)

    def in_thread(self, root: Message, kind: str, *, stage: str | None = None) -> list[Message]:
        """The bot's messages of a kind in a thread, oldest first."""
        found = []
        for message in self.thread(root):
            facts = facts_of(message)
            if facts.get("kind") == kind and (stage is None or facts.get("stage") == stage):
                found.append(message)
        return found

    def last(self, root: Message, kind: str, *, stage: str | None = None) -> Message:
        found = self.in_thread(root, kind, stage=stage)
        assert found, f"no {kind} {stage or ''} in the thread:\n{self.slack.dump()}"
        return found[-1]


def facts_of(message: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata of a message of ours."""
    payload = (message.get("metadata") or {}).get("event_payload") or {}
    return dict(payload)


def words_of(message: Mapping[str, Any]) -> str:
    """Everything a person reads in a message, as one string."""
    found: list[str] = []

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if isinstance(node.get("text"), str):
                found.append(node["text"])
            elif node.get("type") == "user":
                found.append(f"<@{node['user_id']}>")
            for key, value in node.items():
                if key not in {"text", "metadata"} or isinstance(value, dict | list):
                    walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(message.get("blocks") or [])
    return " ".join(found)


@asynccontextmanager
async def team(  # noqa: PLR0913  a story sets what it is about and leaves the rest
    folder: Path,
    *,
    answers: Answers | None = None,
    wire: str = "openai",
    by_http: bool = False,
    review: str = "",
    more: str = "",
    repeat: int = 1,
) -> AsyncIterator[Team]:
    """Set the scene; leaving checks that nothing forbidden was ever sent."""
    async with AsyncExitStack() as scene:
        models = await scene.enter_async_context(ScriptedModels(answers=answers))
        slack = await scene.enter_async_context(Playground())
        slack.pace(enabled=False)  # the limits have tests of their own
        url = models.openai_url if wire == "openai" else models.anthropic_url
        stack = folder / "stack.toml"
        stack.write_text(STACK.format(wire=wire, url=url, review=review, more=more))
        port = free_port() if by_http else None
        access = SlackAccess(
            bot_token=SecretStr(slack.bot_token),
            app_token=None if by_http else SecretStr(slack.app_token),
            signing_secret=SecretStr(slack.signing_secret) if by_http else None,
            api_url=slack.api_url,
        )
        bot = Countersign(
            slack=access,
            database_url=f"sqlite+aiosqlite:///{folder / 'countersign.db'}",
            stack_path=stack,
            port=port,
            environment={},
            pace=Pace(tick=lambda: time.monotonic() * 100),
        )
        await scene.enter_async_context(bot)
        if by_http:
            slack.deliver_to(f"http://127.0.0.1:{port}/slack/events")
        await bot.ready()
        slack.repeat_deliveries = repeat
        yield Team(slack=slack, models=models, bot=bot, folder=folder, by_http=by_http)
        assert slack.violations == []
