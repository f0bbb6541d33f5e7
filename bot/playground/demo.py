"""The whole job on one machine: the playground's Slack, the real bot on it, and a model that needs no key."""

from __future__ import annotations

import errno
import os
import re
from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from bot.app import Countersign
from bot.clock import utc_now
from bot.playground.embedded import embedded_model
from bot.playground.scripted import ScriptedModels
from bot.playground.server import Playground
from bot.process import work
from bot.queue import Alone
from bot.settings import Settings, SlackAccess
from handlers.errors import Refusal

_LOOPBACK = re.compile(r"http://127\.0\.0\.1:\d+")
_PACE_SECONDS = 4.0
_BRIEF = "Announce that our bot now asks a reviewer before anything is published"

_HEAD = """\
# The demo's routed stack. Change a model and save: the next run uses it, without a restart.
# {about}
"""

_LOCAL = """
[models.quick]                  # fast passes: scout, draft, implement
wire = "openai"
id = "{quick}"
base_url = "{url}"
trust = 2
context_tokens = {context}
concurrency = 2

[models.careful]                # critique, polish, final
wire = "openai"
id = "{careful}"
base_url = "{url}"
trust = 4
context_tokens = {context}
concurrency = 2
"""

_STAGES = """
[stages.scout]
max_output_tokens = {fast}

[stages.draft]
max_output_tokens = {fast}

[stages.critique]
max_output_tokens = {fast}

[stages.implement]
max_output_tokens = {room}

[stages.polish]
max_output_tokens = {room}

[stages.final]
max_output_tokens = {room}
"""

_REVIEW = """
[review]
reviewers = ["U0RAE", "U0SAM"]  # the playground's reviewers
"""

_PIPELINE = """
[pipelines]                     # several stages in a row: /scout <brief> run content
content = ["scout", "draft", "critique", "final"]
"""

_PIPELINE_WITH_A_LOOP = """
[pipelines.content]             # several stages in a row: /scout <brief> run content
stages = ["scout", "draft", "critique", "final"]
revise_rounds = 1               # so often is a text revised while its critic says so
"""

_PROVIDERS = {
    "openai": """
[models.quick]
wire = "openai"
id = "gpt-5-mini"               # names change: put the ones you use
base_url = "https://api.openai.com/v1"
key_env = "OPENAI_API_KEY"
trust = 2
family = "openai"
jurisdiction = "us"

[models.careful]
wire = "openai"
id = "gpt-5"
base_url = "https://api.openai.com/v1"
key_env = "OPENAI_API_KEY"
trust = 5
family = "openai"
jurisdiction = "us"
""",
    "anthropic": """
[models.quick]
wire = "anthropic"
id = "claude-haiku-4-5"         # names change: put the ones you use
base_url = "https://api.anthropic.com"
key_env = "ANTHROPIC_API_KEY"
trust = 2
family = "anthropic"
jurisdiction = "us"

[models.careful]
wire = "anthropic"
id = "claude-opus-4-5"
base_url = "https://api.anthropic.com"
key_env = "ANTHROPIC_API_KEY"
trust = 5
family = "anthropic"
jurisdiction = "us"
""",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Cast:
    """Who answers in this demo: the stack that says so, and what the page says of it."""

    stack: str
    label: str


def _price(read: float, written: float) -> str:
    """A made-up price, so that the cards show where the cost stands."""
    return f"price = {{ input = {read:.2f}, output = {written:.2f}, checked = {utc_now().date()} }}  # made up\n"


@asynccontextmanager
async def _scripted(pace: float) -> AsyncIterator[Cast]:
    async with ScriptedModels(pace=pace) as endpoint:
        ids = {key: f"scripted-{key}" for key in ("quick", "careful")}  # by which the endpoint knows whose voice it has
        models = _LOCAL.format(**ids, url=endpoint.openai_url, context=128_000)
        models = models.replace("trust = 2\n", "trust = 2\n" + _price(0.15, 0.60)).replace(
            "trust = 4\n", "trust = 4\n" + _price(3.00, 15.00)
        )
        about = "Canned answers: no model is asked."
        yield Cast(
            stack=_HEAD.format(about=about) + models + _REVIEW + _PIPELINE_WITH_A_LOOP,
            label="Scripted answers: canned texts, no model is asked",
        )


@asynccontextmanager
async def _embedded() -> AsyncIterator[Cast]:
    async with embedded_model() as model:
        models = _LOCAL.format(
            quick=model.model_id, careful=model.model_id, url=model.base_url, context=model.context_tokens
        )
        about = "Both are the embedded SmolLM2-135M, a very small model: it shows the way a text takes, not a good one."
        stages = _STAGES.format(fast=400, room=500)
        yield Cast(
            stack=_HEAD.format(about=about) + models + stages + _REVIEW + _PIPELINE,
            label="Embedded model: SmolLM2-135M, very small; judge the way, not the words",
        )


@asynccontextmanager
async def _provider(name: str) -> AsyncIterator[Cast]:
    about = f"Real models of {name}: every run costs money there."
    yield Cast(stack=_HEAD.format(about=about) + _PROVIDERS[name] + _REVIEW + _PIPELINE, label=f"Real models of {name}")


def _cast(kind: str, pace: float) -> AbstractAsyncContextManager[Cast]:
    match kind:
        case "scripted":
            return _scripted(pace)
        case "embedded":
            return _embedded()
        case provider:
            return _provider(provider)


async def demo(_: Settings, args: Namespace) -> None:
    """Serve the page until told to stop. What was said there is found again at the next start."""
    kind = "scripted" if args.scripted else args.provider or "embedded"
    folder = Path(args.folder or ".countersign") / kind
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "embedded":
        print("Loading the embedded model (a few seconds) …", flush=True)  # noqa: T201  this command talks
    async with _cast(kind, _PACE_SECONDS if args.pace is None else args.pace) as cast:
        await _serve(folder, args.port, cast)


async def _serve(folder: Path, port: int, cast: Cast) -> None:
    stack, database = folder / "stack.toml", folder / "countersign.db"
    with Alone(str(database)):
        pass  # another demo at work in this folder must not find its stack changed
    async with AsyncExitStack() as scene:
        slack = Playground(port=port, label=cast.label, keep=folder / "workspace.json")
        try:
            await scene.enter_async_context(slack)
        except OSError as problem:
            if problem.errno == errno.EADDRINUSE:
                raise Refusal(f"Port {port} is taken. Choose another: `make demo PORT={port + 1}`.") from None
            raise
        stack.write_text(_as_changed(stack, cast.stack))
        access = SlackAccess(
            bot_token=SecretStr(slack.bot_token),
            app_token=SecretStr(slack.app_token),
            signing_secret=None,
            api_url=slack.api_url,
        )
        bot = Countersign(slack=access, database_url=f"sqlite+aiosqlite:///{database}", stack_path=stack)
        await work(bot, announce=lambda: _welcome(slack.url, database, stack))


def _as_changed(stack: Path, fresh: str) -> str:
    """What somebody changed in the file stays; only the local endpoint has another port at each start."""
    endpoint = _LOOPBACK.search(fresh)
    if not stack.exists() or endpoint is None:
        return stack.read_text() if stack.exists() else fresh
    return _LOOPBACK.sub(endpoint.group(), stack.read_text())


def _welcome(url: str, database: Path, stack: Path) -> None:
    lines = [
        "",
        f"  Countersign is at work:  {url}",
        "",
        f"  1. As Ann, in #launch:   /draft {_BRIEF}",
        "  2. In its thread:        @Countersign critique be harsh about the second paragraph",
        "  3. Then:                 @Countersign final",
        "  4. React with ✅ as Ann, as Stan, then as Rae, and see whose counts.",
        "  5. All of it in one go:  /scout … run content",
        "",
        f"  Stack (change a model while it runs):  {stack}",
        f"  Database:                              {database}",
    ]
    offers = [name for name in _PROVIDERS if os.environ.get(f"{name.upper()}_API_KEY")]
    lines += [
        f"  {name.upper()}_API_KEY is set. Real models:  make demo DEMO_OPTS=--provider={name}" for name in offers
    ]
    lines += ["", "  Ctrl-C ends it; the next start goes on where this one ended.", ""]
    print("\n".join(lines), flush=True)  # noqa: T201  this command talks
