"""A pipeline, in users' words: asked for once, walked to its review; stopped, failed, undecided."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from bot.playground.scripted import Recorded, Reply, demo_answers
from bot.playground.server import Message
from tests.stories.workspace import Team, stage_of, team

BRIEF = "Say that the Fantacoptère has landed"
PIPELINES = """
[pipelines]
content = ["scout", "draft", "critique", "final"]

[pipelines.careful]
stages = ["draft", "critique", "final"]
revise_rounds = 2
"""
REVISE = "1. major · “landed” · nobody says where · say it\n\nVerdict: revise"
FINE = "Verdict: nothing serious found"
WHOLE = [(stage, "answered") for stage in ("scout", "draft", "critique", "final")]


def critic(*verdicts: str) -> Callable[[Recorded], Reply | str]:
    """The demo's answers, but for a critic who says these in turn, and the last one on and on."""
    other, left = demo_answers(), list(verdicts)

    def answer(recorded: Recorded) -> Reply | str:
        if stage_of(recorded.system) != "critique":
            said = other(recorded)
            assert isinstance(said, Reply | str)
            return said
        return left.pop(0) if len(left) > 1 else left[0]

    return answer


async def begins(us: Team, words: str = BRIEF, *, name: str = "content") -> Message:
    """A stage command that ends with the pipeline's name; returns the root when all is said."""
    stage = us.bot.live.stack.pipelines[name].stages[0]
    await us.commands(stage, f"{words} run {name}")
    await us.quiet()
    return await us.root_of(words)


async def test_a_pipeline_is_walked_to_its_review_card(tmp_path: Path) -> None:
    async with team(tmp_path, more=PIPELINES, repeat=2) as us:
        root = await begins(us)
        assert us.states(root) == WHOLE
        assert root.says("content, from scout, for <@U0ANN>")
        for number, card in enumerate(us.in_thread(root, "card"), 1):
            assert f"step {number} of 4 of content" in card.visible
        assert us.last(root, "review").state == "awaiting"
        await us.reacts("white_check_mark", us.last(root, "answer", stage="final"))
        assert us.last(root, "verdict").state == "approved"
        assert us.in_thread(root, "notice") == []
        await us.asks(root, "run content from critique be harsh")
        assert us.states(root) == [*WHOLE, ("critique", "answered"), ("final", "answered")]
        assert len(us.prompts("critique", holding="be harsh")) == 1
        assert us.prompts("final", holding="be harsh") == []


async def test_a_mention_begins_a_pipeline_in_a_thread_of_its_own(tmp_path: Path) -> None:
    async with team(tmp_path, more=PIPELINES) as us:
        asked = await us.person("ann").says(f"<@UBOT> run content {BRIEF}", channel="launch")
        await us.quiet()
        assert us.states(asked) == WHOLE
        assert "content · done · final (step 4 of 4)" in (await told(us, asked, "status")).replace("*", "")
        assert "There is no pipeline `contnet`; there are `content` and `careful`." in await told(
            us, asked, "run contnet"
        )


async def told(us: Team, root: Message, words: str) -> str:
    await us.asks(root, words)
    return us.last(root, "notice").visible


async def test_the_loop_ends_when_the_critic_finds_nothing_serious(tmp_path: Path) -> None:
    async with team(tmp_path, more=PIPELINES, answers=critic(REVISE, FINE)) as us:
        root = await begins(us, name="careful")
        walked = [stage for stage, _ in us.states(root)]
        assert walked == ["draft", "critique", "draft", "critique", "final"]
        assert "revise" in us.in_thread(root, "card")[2].visible
        assert us.last(root, "review").state == "awaiting"


async def test_at_the_last_round_a_person_chooses_between_both_texts(tmp_path: Path) -> None:
    async with team(tmp_path, more=PIPELINES, answers=critic(REVISE)) as us:
        root = await begins(us, name="careful")
        assert [stage for stage, _ in us.states(root)] == ["draft", "critique"] * 3
        (notice,) = us.in_thread(root, "notice")
        second, third = us.in_thread(root, "answer", stage="draft")[1:]
        for text in (second, third):
            assert text.payload["sha256"][:8] in notice.visible
        await us.clicks("final:1", notice)
        (final,) = us.prompts("final")
        assert us.last(root, "review").state == "awaiting"
        assert "draft 2" in us.card(root, stage="final")
        assert final


async def test_cancel_in_the_middle_stops_the_walk_in_one_line(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with team(tmp_path, more=PIPELINES, answers=held("draft", gate)) as us:
        await us.commands("scout", f"{BRIEF} run content")
        await us.slack.until(lambda: us.prompts("draft"))
        root = await us.root_of(BRIEF)
        await us.asks(root, "cancel")
        gate.set()
        assert us.states(root) == [("scout", "answered"), ("draft", "cancelled")]
        (notice,) = us.in_thread(root, "notice")
        assert notice.visible.replace("*", "") == "content stopped at draft (step 2 of 4) by <@U0ANN>."
        await us.asks(root, "run content")
        assert us.states(root)[2:] == WHOLE


def held(stage: str, gate: asyncio.Event) -> Callable[[Recorded], Awaitable[Reply | str]]:
    """The demo's answers, but this stage's first waits for the gate."""
    other = demo_answers()

    async def answer(recorded: Recorded) -> Reply | str:
        if stage_of(recorded.system) == stage:
            await gate.wait()
        said = other(recorded)
        assert isinstance(said, Reply | str)
        return said

    return answer


async def test_after_a_failure_again_goes_on_from_there(tmp_path: Path) -> None:
    away = True
    other = demo_answers()

    def answer(recorded: Recorded) -> Reply | str:
        if away and stage_of(recorded.system) == "critique":
            return Reply(status=400)
        said = other(recorded)
        assert isinstance(said, Reply | str)
        return said

    async with team(tmp_path, more=PIPELINES, answers=answer) as us:
        root = await begins(us)
        assert us.states(root)[2:] == [("critique", "failed")]
        assert "goes on from there" in us.last(root, "notice").visible
        away = False
        await us.asks(root, "again")
        assert us.states(root)[2:] == [("critique", "failed"), ("critique", "answered"), ("final", "answered")]
        assert us.last(root, "review").state == "awaiting"
