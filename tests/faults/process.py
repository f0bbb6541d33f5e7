"""The bot as processes of its own, which can be killed, on the playground's Slack and a scripted endpoint."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import text

from bot.playground.delivery import Ack, Kind, Retry, Transport
from bot.playground.scripted import Answers, ScriptedModels
from bot.playground.server import Message, Playground
from bot.settings import async_database_url
from storage.database import Database
from tests.faults.doom import ENDED_AT, VARIABLE
from tests.faults.nursery import NURSERY, ROOT, Life
from tests.stories.oracles import nothing_is_wrong
from tests.stories.workspace import REVIEWERS, STACK, UNDONE

PATIENCE = 60.0
RETRIES = (0.5, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0)


@dataclass(frozen=True, slots=True)
class Acked:
    """A delivery that was acknowledged, and when its sender knew."""

    at: float
    kind: Kind
    payload: dict[str, Any]


@dataclass
class Witness:
    """A way to the app that remembers what it acknowledged."""

    transport: Transport
    acked: list[Acked] = field(default_factory=list)

    async def attempt(self, kind: Kind, payload: dict[str, Any], retry: Retry) -> Ack:
        ack = await self.transport.attempt(kind, payload, retry)
        if ack.ok:
            self.acked.append(Acked(time.time(), kind, payload))
        return ack


@dataclass(kw_only=True)
class Host:
    """Machines that run the bot's processes, one life of each after the other.

    Attributes:
        roles: the command of each process by its name; one that does everything, or `web` and some `worker`s.
        more: what else stands in their environment.
    """

    slack: Playground
    models: ScriptedModels
    folder: Path
    storage: Database
    database_url: str
    witness: Witness
    roles: Mapping[str, str] = field(default_factory=lambda: {"run": "run"})
    more: dict[str, str] = field(default_factory=dict)
    lives: dict[str, Life] = field(default_factory=dict)
    begun: int = 0

    @property
    def life(self) -> Life | None:
        """The only process, where there is one."""
        (name,) = self.roles
        return self.lives.get(name)

    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH", ""),
            "PYTHONPATH": str(ROOT),
            "SLACK_API_URL": self.slack.api_url,
            "SLACK_BOT_TOKEN": self.slack.bot_token,
            "SLACK_APP_TOKEN": self.slack.app_token,
            "DATABASE_URL": self.database_url,
            "STACK_FILE": str(self.folder / "stack.toml"),
            "LOG_LEVEL": "warning",
            VARIABLE: f"@{self.folder / 'doom'}",
            **self.more,
        }

    async def spawn(self) -> Process:
        """A program of its own, as an operator begins it; whether it gets anywhere is another question."""
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", "run", cwd=self.folder, env=self.environment(), stdout=DEVNULL, stderr=PIPE
        )

    def doom(self, told: str = "") -> None:
        """Where the next process to pass is to die, as tests/faults/doom.py reads it; nowhere by default."""
        (self.folder / "doom").write_text(told)

    def begin(self, name: str, *, waits: bool = False) -> Life:
        """A new life of a process. `waits`: it stands still at first, so that it can be watched."""
        assert name not in self.lives
        self.begun += 1
        said = self.folder / f"{name}.{self.begun}.said"
        self.lives[name] = NURSERY.begin(
            [self.roles[name]], environment=self.environment(), folder=self.folder, said=said, waits=waits
        )
        return self.lives[name]

    async def start(self) -> None:
        """A new life of each process that has none, up to the connection to Slack."""
        self.begin_missing()
        await self.connected()

    def begin_missing(self) -> None:
        for name in self.roles:
            if name not in self.lives:
                self.begin(name)

    async def connected(self) -> None:
        await self.slack.until(lambda: self.slack.connections, timeout=PATIENCE)

    async def kill(self, *names: str) -> None:
        """SIGKILL, of all by default: no last words."""
        for name in names or tuple(self.lives):
            code = await self._ends(name, signal.SIGKILL)
            assert code == -signal.SIGKILL, code

    async def lose_power(self) -> None:
        """All of them end, with their machine; some may have ended by themselves, for it takes their database along."""
        for life in self.lives.values():
            life.send_signal(signal.SIGKILL)
        for name in tuple(self.lives):
            await self._ends(name, None)

    async def terminate(self, *names: str) -> float:
        """SIGTERM, to all by default; the seconds it took to end.

        Everybody must end well, but for who is so young that it listens to no signals yet, and has done nothing.
        """
        began = time.monotonic()
        told = {name: self.lives[name] for name in names or tuple(self.lives)}
        well = {name: {0} if life.heeds(signal.SIGTERM) else {0, -signal.SIGTERM} for name, life in told.items()}
        for life in told.values():
            life.send_signal(signal.SIGTERM)
        for name, life in told.items():
            assert await self._ends(name, None) in well[name], life.last_words
        return time.monotonic() - began

    @property
    def dead(self) -> str | None:
        """A process that has ended by itself."""
        return next((name for name, life in self.lives.items() if life.returncode is not None), None)

    async def dies(self, seconds: float = PATIENCE) -> str:
        """Wait until a process dies of its doom; the point at which it did, if a point it was."""
        async with asyncio.timeout(seconds):
            while (name := self.dead) is None:  # noqa: ASYNC110  another process does it
                await asyncio.sleep(0.005)
        life = self.lives[name]
        assert await self._ends(name, None) == -signal.SIGKILL, life.last_words
        return life.last_words.rpartition(ENDED_AT)[2].strip() if ENDED_AT in life.last_words else ""

    async def _ends(self, name: str, how: signal.Signals | None) -> int:
        life = self.lives.pop(name)
        if how is not None:
            life.send_signal(how)
        code = await life.ended(40)
        if self.roles[name] != "worker":
            await self.slack.until(lambda: not self.slack.connections, timeout=PATIENCE)
        return code

    async def rows(self, statement: str, **values: Any) -> Sequence[Mapping[str, Any]]:
        async with self.storage.reading() as saved:
            return [dict(row._mapping) for row in await saved.connection.execute(text(statement), values)]

    async def quiet(self, patience: float = PATIENCE) -> None:
        """Wait until nothing is under way."""

        async def is_quiet() -> bool:
            return not self.slack._delivery._tasks and not (await self.rows(UNDONE))[0]["undone"]

        await self.slack.until(is_quiet, timeout=patience)

    async def root_of(self, brief: str) -> Message:
        """The first message of the work with this brief, once it is posted."""

        async def posted() -> Message | None:
            (work,) = await self.rows("SELECT channel, thread_ts FROM works WHERE brief = :brief", brief=brief)
            return self.slack.thread(work["channel"], work["thread_ts"])[0] if work["thread_ts"] else None

        return await self.slack.until(posted, timeout=PATIENCE)

    def said_in(self, root: Message) -> list[tuple[str, str, str]]:
        """Kind, stage and state of each of the bot's messages in a thread."""
        thread = self.slack.thread(root.channel, root.root_ts)
        return [(m.kind, str(m.payload.get("stage", "")), m.state) for m in thread if m.kind]


@asynccontextmanager
async def host(
    folder: Path,
    *,
    answers: Answers | None = None,
    pace: float = 0.0,
    database_url: str | None = None,
    roles: Mapping[str, str] | None = None,
    more: Mapping[str, str] | None = None,
    retries: tuple[float, ...] = RETRIES,
    ack_seconds: float = 3.0,
) -> AsyncIterator[Host]:
    """Machines with nothing running yet; leaving checks what must hold whatever was killed.

    `database_url` is a SQLite file in the folder by default; `more` stands in every process's environment. `retries`
    and `ack_seconds` are Slack's patience.
    """
    url = database_url or f"sqlite:///{folder / 'countersign.db'}"
    workspace = Playground(retry_delays=retries, ack_seconds=ack_seconds)
    async with ScriptedModels(answers=answers, pace=pace) as models, workspace as slack:
        slack.pace(enabled=False)
        slack._delivery.transport = witness = Witness(slack)
        stack = STACK.format(wire="openai", url=models.openai_url, review=REVIEWERS, more="")
        (folder / "stack.toml").write_text(stack)
        async with Database(async_database_url(url)) as storage:
            machine = Host(
                slack=slack, models=models, folder=folder, storage=storage, database_url=url, witness=witness
            )
            machine.roles = roles or machine.roles
            machine.more.update(more or {})
            try:
                yield machine
                machine.doom()
                if machine.lives.keys() != machine.roles.keys():  # what came since has to be heard
                    await machine.start()
                await machine.quiet()
                await nothing_is_wrong(slack, models, storage, killed=True)
                assert slack.given_up == []
            finally:
                for life in machine.lives.values():
                    life.send_signal(signal.SIGKILL)
                    await life.ended(40)
