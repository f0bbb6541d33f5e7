"""A worker says whether it can do a worker's part: it needs Slack's word and the queue, and no socket."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from pydantic import SecretStr

from bot.app import Countersign, Role
from bot.distributed import Distributed
from bot.playground.server import Playground
from bot.settings import SlackAccess, async_database_url
from tests.postgres import Server
from tests.stories.workspace import REVIEWERS, STACK


async def test_a_worker_needs_no_socket_and_names_the_queue_that_is_out_of_reach(
    tmp_path: Path, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = tmp_path / "stack.toml"
    stack.write_text(STACK.format(wire="openai", url="http://127.0.0.1:9/v1", review=REVIEWERS, more=""))
    url = async_database_url(postgres.url(await asyncio.to_thread(postgres.create)))
    async with Playground() as slack:
        access = SlackAccess(
            bot_token=SecretStr(slack.bot_token),
            app_token=SecretStr(slack.app_token),
            signing_secret=None,
            api_url=slack.api_url,
        )
        bot = Countersign(slack=access, database_url=url, stack_path=stack, role=Role.WORK, environment={})
        async with bot:
            await bot.ready()
            assert slack.connections == 0
            monkeypatch.setattr(Distributed, "is_out_of_reach", property(lambda _: True))
            health = await bot.readiness.look()
    assert health.missing.keys() == {"queue"}
    assert health.missing["queue"].startswith("The queue in the database is out of reach")
