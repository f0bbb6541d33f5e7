"""The stack may change while the bot works: the next run takes the new one, a broken file changes nothing."""

from __future__ import annotations

import json
from pathlib import Path

from bot.playground.scripted import Recorded, Reply
from tests.stories.workspace import Team, team

BRIEF = "Say that Spip has found a nut"
OF_STACKS = "SELECT body FROM ledger WHERE what = 'stack' ORDER BY seq"
DRAFTS = "draft: quick (quick-1) to careful (careful-1)"
CAREFUL_DRAFTS = '\n[stages.draft]\nmodel = "careful"\n'


async def replaced(us: Team, text: str) -> None:
    """A new file in the old one's place; waits until the bot has looked at it."""
    before = us.bot.live.stack
    stack = us.folder / "stack.toml"
    aside = us.folder / "stack.new"
    aside.write_text(text)
    aside.replace(stack)
    if "[models" in text:
        await us.slack.until(lambda: us.bot.live.stack is not before)


async def test_the_next_draft_uses_the_model_the_file_names_now(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        root = await us.starts("draft", BRIEF)
        assert us.models.requests[-1].model == "quick-1"
        stack = us.folder / "stack.toml"
        await replaced(us, stack.read_text() + CAREFUL_DRAFTS)
        await us.asks(root, "draft")
        assert us.models.requests[-1].model == "careful-1"
        assert "careful" in us.card(root)
        noted = [json.loads(row["body"]) for row in await us.rows(OF_STACKS)]
        assert [one["changed"] for one in noted] == [[], [DRAFTS, "critique: careful (careful-1) to quick (quick-1)"]]
        answered = await us.rows("SELECT body FROM ledger WHERE what = 'answered' ORDER BY seq")
        assert [json.loads(row["body"])["stack"] for row in answered] == [one["stack"] for one in noted]


async def test_a_broken_file_leaves_the_old_stack_live(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        whole = (us.folder / "stack.toml").read_text()
        before = us.bot.live.stack
        await replaced(us, "[stages.draft]\nmodel = 'nobody'\n")
        root = await us.starts("draft", BRIEF)
        for _ in range(3):
            await us.asks(root, "draft")
        assert {asked.model for asked in us.models.requests} == {"quick-1"}
        assert us.bot.live.stack is before
        await replaced(us, whole + CAREFUL_DRAFTS)
        await us.asks(root, "draft")
        assert us.models.requests[-1].model == "careful-1"


async def test_other_reviewers_stand_on_the_cards_that_wait(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        root = await us.starts("final", BRIEF)
        assert "<@U0RAE>" in us.last(root, "review").visible
        stack = (us.folder / "stack.toml").read_text()
        await replaced(us, stack.replace('"U0RAE", ', ""))
        await us.bot.look_at_what_waits()
        await us.quiet()
        shown = us.last(root, "review").visible
        assert "<@U0SAM>" in shown
        assert "<@U0RAE>" not in shown


async def test_a_policy_narrowed_in_the_middle_of_a_run_keeps_its_model_from_being_asked_again(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        stack = us.folder / "stack.toml"
        free = stack.read_text()
        placed = free.replace('id = "quick-1"', 'id = "quick-1"\njurisdiction = "us"').replace(
            'id = "careful-1"', 'id = "careful-1"\njurisdiction = "eu"'
        )

        async def narrows(_: Recorded) -> Reply:
            stack.write_text(f'{placed}\n[channels.default]\njurisdictions = ["eu"]\n')
            before = us.bot.live.stack
            while us.bot.live.stack is before:
                await us.bot.live.look()
            return Reply(status=500)

        us.models.answers = narrows
        root = await us.starts("draft", BRIEF)
        assert [asked.model for asked in us.models.requests] == ["quick-1"]
        assert us.states(root) == [("draft", "failed")]
        assert "quick was not asked again: quick is operated in us and this channel allows eu" in us.card(root)
