"""`verify --with-slack`: what Slack shows of approvals, held against what the database says of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import text as sql

from bot.audit import Verified, verify
from bot.playground.demo_answers import demo_answers
from bot.playground.scripted import ScriptedModels
from bot.playground.server import Fault, Message, Playground
from bot.settings import Settings, SettingsError
from handlers.errors import Refusal
from tests.stories.workspace import REVIEWERS, STACK, Team, at_work, database_url, team

CHECK = "white_check_mark"


async def approved(us: Team, brief: str = "Announce that Spip may vote") -> Message:
    """The message that says that a final text is approved."""
    root = await us.starts("final", brief)
    await us.reacts(CHECK, us.last(root, "answer"), person="rae")
    return us.last(root, "verdict")


@asynccontextmanager
async def unwatched(folder: Path) -> AsyncIterator[Team]:
    """A scene at whose end nobody looks whether Slack and the ledger agree."""
    async with AsyncExitStack() as scene:
        models = await scene.enter_async_context(ScriptedModels(answers=demo_answers()))
        slack = await scene.enter_async_context(Playground())
        slack.pace(enabled=False)
        stack = STACK.format(wire="openai", url=models.openai_url, review=REVIEWERS, more="")
        await asyncio.to_thread((folder / "stack.toml").write_text, stack)
        yield await scene.enter_async_context(at_work(slack, models, folder))


def settings(us: Team, folder: Path, *, token: str | None = None) -> Settings:
    access = {"slack_bot_token": SecretStr(token or us.slack.bot_token), "slack_api_url": us.slack.api_url}
    return Settings(**access).with_database(database_url(folder))


async def verified(us: Team, folder: Path) -> Verified:
    return await verify(settings(us, folder), [], with_slack=True)


async def test_what_slack_shows_is_what_happened(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        await approved(us)
        await approved(us, "Announce that Fantasio may not")
        found = await verified(us, tmp_path)
        assert found.is_well, found.lines
        assert "Slack: 2 approvals compared." in found.lines


async def test_an_approval_that_was_taken_out_of_the_database_still_stands_in_slack(tmp_path: Path) -> None:
    """Whoever did it took out everything that speaks of it, so that the database alone is in good order."""
    async with unwatched(tmp_path) as us:
        said = await approved(us)
        head = said.visible.partition("Ledger ")[2][:12]
        async with us.bot.storage.engine.begin() as connection:
            (last,) = (await connection.execute(sql("SELECT max(seq) FROM ledger"))).one()
            await connection.execute(sql("DELETE FROM verdicts"))
            await connection.execute(sql("DELETE FROM outbox WHERE kind = 'verdict'"))
            await connection.execute(sql("DELETE FROM ledger WHERE seq = :last"), {"last": last})
        assert (await verify(settings(us, tmp_path), [])).is_well
        found = await verified(us, tmp_path)
        assert not found.is_well
        (told,) = [line for line in found.lines if "no entry begins so" in line]
        assert told.startswith(f"Slack's message {said.ts} in C0LAUNCH, work ")
        assert f"names the ledger's {head}," in told


async def test_an_approval_that_is_gone_from_slack_is_told(tmp_path: Path) -> None:
    async with unwatched(tmp_path) as us:
        said = await approved(us)
        await us.slack.as_person("ann").deletes(said)
        found = await verified(us, tmp_path)
        assert not found.is_well
        assert any(f"message {said.ts}" in line and line.endswith("is gone from Slack.") for line in found.lines)


async def test_without_a_token_or_with_a_wrong_one_it_says_so(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        await approved(us)
        with pytest.raises(SettingsError, match="SLACK_BOT_TOKEN is not set"):
            await verify(Settings().with_database(database_url(tmp_path)), [], with_slack=True)
        with pytest.raises(Refusal, match=r"does not let the bot read \(invalid_auth\)"):
            await verify(settings(us, tmp_path, token="xoxb-of-somebody-else"), [], with_slack=True)


async def test_while_slack_is_away_it_says_so(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        await approved(us)
        us.slack.faults.add("auth.test", Fault.SERVER_ERROR_BEFORE, times=9)
        with pytest.raises(Refusal, match=r"cannot be asked now \(http_500\)"):
            await verified(us, tmp_path)
