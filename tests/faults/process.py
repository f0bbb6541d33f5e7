"""The bot as a process of its own, which can be killed, on the playground's Slack and a scripted endpoint."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import text

from bot.playground.scripted import Answers, ScriptedModels
from bot.playground.server import Message, Playground
from storage.database import Database
from tests.stories.oracles import nothing_is_wrong
from tests.stories.workspace import REVIEWERS, STACK, UNDONE

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0


@dataclass(kw_only=True)
class Host:
    """A machine that runs `python -m bot run`, one life after the other."""

    slack: Playground
    models: ScriptedModels
    folder: Path
    storage: Database
    life: Process | None = None
    lives: int = field(default=0)

    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH", ""),
            "PYTHONPATH": str(ROOT),
            "SLACK_API_URL": self.slack.api_url,
            "SLACK_BOT_TOKEN": self.slack.bot_token,
            "SLACK_APP_TOKEN": self.slack.app_token,
            "DATABASE_URL": f"sqlite:///{self.folder / 'countersign.db'}",
            "STACK_FILE": str(self.folder / "stack.toml"),
            "LOG_LEVEL": "warning",
        }

    async def spawn(self) -> Process:
        """A process, begun; whether it gets anywhere is another question."""
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", "run", cwd=self.folder, env=self.environment(), stdout=DEVNULL, stderr=PIPE
        )

    async def start(self) -> None:
        """A new life, up to its connection to Slack."""
        assert self.life is None
        self.life = await self.spawn()
        self.lives += 1
        await self.slack.until(lambda: self.slack.connections, timeout=PATIENCE)

    async def kill(self) -> None:
        """SIGKILL: no last words."""
        await self._ends(signal.SIGKILL)

    async def terminate(self) -> float:
        """SIGTERM; the seconds it took to end. It must end well."""
        began = asyncio.get_running_loop().time()
        code, said = await self._ends(signal.SIGTERM)
        assert code == 0, said
        return asyncio.get_running_loop().time() - began

    async def _ends(self, how: signal.Signals) -> tuple[int, str]:
        assert self.life is not None
        life, self.life = self.life, None
        life.send_signal(how)
        _, said = await asyncio.wait_for(life.communicate(), 40)
        await self.slack.until(lambda: not self.slack.connections, timeout=PATIENCE)
        assert life.returncode is not None
        return life.returncode, said.decode()

    async def rows(self, statement: str, **values: Any) -> Sequence[Mapping[str, Any]]:
        async with self.storage.reading() as saved:
            return [dict(row._mapping) for row in await saved.connection.execute(text(statement), values)]

    async def quiet(self) -> None:
        """Wait until nothing is under way."""

        async def is_quiet() -> bool:
            return not self.slack._delivery._tasks and not (await self.rows(UNDONE))[0]["undone"]

        await self.slack.until(is_quiet, timeout=PATIENCE)  # type: ignore[arg-type]  # mypy picks the wrong half

    async def root_of(self, brief: str) -> Message:
        (work,) = await self.rows("SELECT channel, thread_ts FROM works WHERE brief = :brief", brief=brief)
        return self.slack.thread(work["channel"], work["thread_ts"])[0]

    def said_in(self, root: Message) -> list[tuple[str, str, str]]:
        """Kind, stage and state of each of the bot's messages in a thread."""
        thread = self.slack.thread(root.channel, root.root_ts)
        return [(m.kind, str(m.payload.get("stage", "")), m.state) for m in thread if m.kind]


@asynccontextmanager
async def host(folder: Path, *, answers: Answers | None = None, pace: float = 0.0) -> AsyncIterator[Host]:
    """A machine with nothing running yet; leaving checks what must hold whatever was killed."""
    retries = (0.5, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0)
    async with ScriptedModels(answers=answers, pace=pace) as models, Playground(retry_delays=retries) as slack:
        slack.pace(enabled=False)
        stack = STACK.format(wire="openai", url=models.openai_url, review=REVIEWERS, more="")
        (folder / "stack.toml").write_text(stack)
        async with Database(f"sqlite+aiosqlite:///{folder / 'countersign.db'}") as storage:
            machine = Host(slack=slack, models=models, folder=folder, storage=storage)
            try:
                yield machine
                if machine.life is None:  # what came since has to be heard, and nothing more is to be said
                    await machine.start()
                await machine.quiet()
                await nothing_is_wrong(slack, models, storage, killed=True)
                assert slack.given_up == []
            finally:
                if machine.life is not None:
                    await machine.kill()
