"""What stands around a measured process: a Slack and a model endpoint over real HTTP, and a watch on what is posted."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import socket
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bot.playground.scripted import Recorded, ScriptedModels
from bot.playground.server import Playground
from bot.playground.shapes import Json, Message
from bot.settings import async_database_url
from tests.bench.child import MODEL_ID, MODEL_URL

START_SECONDS = 60.0
ROUND_SECONDS = 120.0

STACK = """
[models.quick]
wire = "openai"
id = "{id}"
base_url = "{url}"
trust = 2
concurrency = 1_000

[models.careful]
wire = "openai"
id = "careful-1"
base_url = "{url}"
trust = 5
concurrency = 1_000

[review]
reviewers = ["U0RAE", "U0SAM"]
"""

_TAG = re.compile(r"marsupilami-\w+")
_WORDS = (
    "{tag} has a tail of eight metres, lays eggs, and lives in the forests of Palombia, where nobody asks why. " * 6
)
_SHAPES = {
    "scout": "*Findings*\n\n- {words}\n- A second look changes nothing of it.",
    "draft": "{words}\n\nA second paragraph stands here, so that there is something to polish.",
    "critique": "1. major · “lays eggs” · nothing here carries it: {tag} · say where it comes from\nVerdict: revise",
    "implement": "## Plan\n{words}\n\n## Patch\n```diff\n--- a/tail\n+++ b/tail\n@@ -1 +1 @@\n-short\n+{tag}\n```",
    "polish": "{words}\n\n## Changed\nThe second paragraph became shorter.",
    "final": "## Decision\nready\n## Final text\n{words}\n## Owner's notes\nNothing was left out.",
}


def instant(asked: Recorded) -> str:
    """An answer in the shape its stage wants, marked with the tag of its request."""
    tag = _TAG.findall(asked.user)[-1]
    stage = asked.system.partition("\n")[0].removeprefix("Stage: ")
    return _SHAPES[stage].format(tag=tag, words=_WORDS.format(tag=tag))


@dataclass(kw_only=True, slots=True)
class Timing:
    """One request: seconds on one clock."""

    tag: str
    sent: float
    acked: float = 0.0
    first: float = 0.0
    last: float = 0.0
    problem: str = ""
    link: str = ""  # to the answer's last part
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Watch:
    """Notes when what was asked for shows in Slack; a request is known by its tag, then by its thread."""

    def __init__(self, slack: Playground) -> None:
        self._open: dict[str, Timing] = {}
        self._threads: dict[str, str] = {}  # ts of a thread's root -> tag
        slack.workspace.changed.append(self._changed)

    def expect(self, timing: Timing) -> None:
        self._open[timing.tag] = timing

    def _changed(self, change: Json) -> None:
        message = change.get("message")
        if change["type"] != "message" or message is None or not message.get("bot_id"):
            return
        now = time.perf_counter()
        timing = self._open.get(self._tag_of(message))
        if timing is None:
            return
        timing.first = timing.first or now
        if _is_last(message):
            timing.last, timing.link = now, link(message)
            del self._open[timing.tag]
            timing.done.set()

    def _tag_of(self, message: Message) -> str:
        root = message.thread_ts or message.ts
        if root not in self._threads:
            found = _TAG.search(json.dumps(message))
            self._threads[root] = found[0] if found else ""
        return self._threads[root]


def _is_last(message: Message) -> bool:
    """The last part of an answer; a message without our metadata is the bare listener's only one."""
    if not message.kind:
        return True
    return message.kind == "answer" and message.payload.get("part") == message.payload.get("parts")


def link(message: Message) -> str:
    """A permalink, as Slack's menu copies it."""
    place = f"https://playground.slack.com/archives/{message.channel}/p{message.ts.replace('.', '')}"
    return f"{place}?thread_ts={message.thread_ts}&cid={message.channel}" if message.thread_ts else place


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What was measured, all its processes together, while nothing was under way.

    Attributes:
        locked: how often somebody was the only writer to PostgreSQL, for `locked_seconds` in all.
    """

    rss_kib: float = 0
    cpu_seconds: float = 0.0
    commits: int = 0
    transactions: int = 0
    locked: int = 0
    locked_seconds: float = 0.0

    def __add__(self, other: Facts) -> Facts:
        return Facts(**{name: value + getattr(other, name) for name, value in asdict(self).items()})


@dataclass(kw_only=True)
class Process:
    """What is measured, one process as a rule, with the Slack it works in."""

    name: str
    slack: Playground
    watch: Watch
    models: ScriptedModels
    _processes: Sequence[asyncio.subprocess.Process]
    ready_seconds: float = 0.0  # from its beginning to when deliveries can arrive
    patience: float = ROUND_SECONDS
    drafts: list[Timing] = field(default_factory=list)  # whose answers later commands point at
    _asked: int = 0

    async def facts(self) -> Facts:
        """Wait until nothing is under way, and ask."""
        return sum(await self.facts_of_each(), Facts())

    async def facts_of_each(self) -> list[Facts]:
        """The intake first, where there are several."""
        return [await _ask(process) for process in self._processes]

    def calls(self) -> Counter[str]:
        return Counter(call.method for call in self.slack.calls)

    async def command(self, stage: str, *, to: Timing | None = None, channel: str = "launch") -> Timing:
        """A slash command, from its delivery to the last part of its answer; `to` points at that request's answer."""
        self._asked += 1
        tag = to.tag if to else f"marsupilami-{self.name}{self._asked:05}"
        words = f"<{to.link}> Mind {tag}." if to else f"Tell what is known about {tag}, in a paragraph."
        timing = Timing(tag=tag, sent=time.perf_counter())
        self.watch.expect(timing)
        answered = await self.slack.as_person("ann").command(f"/{stage}", words, channel=channel)
        timing.acked, timing.problem = time.perf_counter(), answered.problem or answered.text
        if not timing.problem:
            async with asyncio.timeout(self.patience):
                await timing.done.wait()
        return timing


async def _ask(process: asyncio.subprocess.Process) -> Facts:
    stdin = process.stdin
    assert stdin is not None
    stdin.write(b"facts\n")
    await stdin.drain()
    said = await _line(process)
    return Facts(**{name: said[name] for name in asdict(Facts())})


async def _line(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    async with asyncio.timeout(START_SECONDS):
        line = await process.stdout.readline()
    if not line:
        raise RuntimeError("the measured process ended; its log says why")
    said = json.loads(line)
    assert isinstance(said, dict)
    return said


def environment(
    slack: Playground, models: ScriptedModels, folder: Path, database_url: str | None = None
) -> Mapping[str, str]:
    """What the measured program finds in its environment; nothing of ours but what a process needs."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}}
    stack = folder / "stack.toml"
    stack.write_text(STACK.format(id=MODEL_ID, url=models.openai_url))
    return kept | {
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_APP_TOKEN": slack.app_token,
        "SLACK_API_URL": slack.api_url,
        "DATABASE_URL": database_url or async_database_url(f"sqlite:///{folder / 'countersign.db'}"),
        "STACK_FILE": str(stack),
        MODEL_URL: models.openai_url,
    }


@asynccontextmanager
async def at_work(
    name: str,
    folder: Path,
    *,
    roles: Sequence[str] = ("run",),
    as_shipped: bool = False,
    database_url: str | None = None,
    clean_end: bool = True,
) -> AsyncIterator[Process]:
    """Processes of their own, in a Slack of their own, the intake first.

    Args:
        name: what its requests are marked with.
        roles: the command of each process; ("bare",) is the listener that stores nothing.
        as_shipped: `python -m bot …`, and Slack's limits are kept on both sides.
        clean_end: whether they are given the time to finish what they do.
    """
    async with AsyncExitStack() as scene:
        models = await scene.enter_async_context(ScriptedModels(answers=instant))
        slack = await scene.enter_async_context(Playground(ack_seconds=60.0))
        slack.pace(enabled=as_shipped)
        log = scene.enter_context((folder / "log.txt").open("ab"))
        told = environment(slack, models, folder, database_url)
        began, processes = time.perf_counter(), []
        for role in roles:
            command = ("-m", "bot") if as_shipped else ("-m", "tests.bench.child")
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *command,
                role,
                env={**told, "PORT": str(_free_port())} if as_shipped and role == "web" else told,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
            scene.push_async_callback(_end, process, told=as_shipped, clean=clean_end)
            processes.append(process)
        for process in [] if as_shipped else processes:
            await _line(process)
        first = processes[0]
        await slack.until(lambda: slack.connections or first.returncode is not None, timeout=START_SECONDS)
        if first.returncode is not None:
            raise RuntimeError((folder / "log.txt").read_text())
        ready = time.perf_counter() - began
        yield Process(
            name=name, slack=slack, watch=Watch(slack), models=models, _processes=processes, ready_seconds=ready
        )


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def _end(process: asyncio.subprocess.Process, *, told: bool, clean: bool) -> None:
    """Ask it to stop, by a signal or by the end of its questions, and see to it that it does."""
    assert process.stdin is not None
    process.stdin.close()
    if process.returncode is None and not clean:
        process.kill()
    elif process.returncode is None and told:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
    try:
        async with asyncio.timeout(25):
            await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
