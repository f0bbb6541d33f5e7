"""A process may die at any moment, without a last word: nothing is lost, and nothing is said twice."""

from __future__ import annotations

import asyncio
import json
import random
import secrets
from functools import partial
from pathlib import Path

from bot.playground.server import Call, Fault
from tests.faults.process import PATIENCE, Host, host

BRIEF = "Say that the Fantacoptère has landed"
FINAL = [
    ("root", "final", ""),
    ("card", "final", "answered"),
    ("answer", "final", ""),
    ("notes", "final", ""),
    ("review", "final", "awaiting"),
]


async def test_killed_while_a_model_is_answering_the_run_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    async with host(tmp_path, pace=60) as us:  # far longer than the kill takes to come
        await us.start()
        assert (await us.slack.as_person("ann").command("/final", BRIEF)).ok
        await us.slack.until(lambda: us.models.requests)
        await us.slack.until(lambda: us.slack.by_bot("card"))
        await us.kill()
        us.models.pace = 0.0
        await us.start()
        await us.quiet()
        root = await us.root_of(BRIEF)
        assert us.said_in(root) == FINAL
        assert len(us.models.requests) == 2
        await us.slack.as_person("rae").reacts("white_check_mark", us.slack.by_bot("answer")[0])
        await us.quiet()
        assert us.said_in(root)[-1] == ("verdict", "final", "approved")


async def test_killed_between_slacks_acceptance_and_our_commit_nothing_is_said_twice(tmp_path: Path) -> None:
    kinds = ("root", "card", "answer", "review")
    async with host(tmp_path) as us:
        await us.start()
        for kind in kinds:
            us.slack.faults.add("chat.postMessage", Fault.HANG_AFTER, when=partial(_is_a_post_of, kind))
        assert (await us.slack.as_person("ann").command("/final", BRIEF)).ok
        for kind in kinds:
            await us.slack.until(partial(us.slack.by_bot, kind), timeout=PATIENCE)
            await us.kill()
            await us.start()
        await us.quiet()
        assert us.said_in(await us.root_of(BRIEF)) == FINAL


def _is_a_post_of(kind: str, call: Call) -> bool:
    metadata = call.args["metadata"]
    shown = json.loads(metadata) if isinstance(metadata, str) else metadata
    return bool(shown["event_payload"]["kind"] == kind)


async def test_killed_a_dozen_times_at_any_moment_every_thread_is_whole(tmp_path: Path) -> None:
    seed = secrets.randbelow(10**6)
    dice = random.Random(seed)
    print(f"seed {seed}")
    async with host(tmp_path, pace=0.3) as us:
        await us.start()
        briefs = [f"{BRIEF} {number} times" for number in range(3)]
        for brief in briefs:
            assert (await us.slack.as_person("ann").command("/draft", brief, channel="docs")).ok
        await us.quiet()
        asked = [(brief, words) for words in ("critique", "final", "scout") for brief in briefs]
        for _ in range(12):
            for brief, words in asked[:1]:
                await us.slack.as_person("ann").replies(await us.root_of(brief), f"<@UBOT> {words}")
            del asked[:1]
            await asyncio.sleep(dice.choice([0.05, 0.2, 0.5, 1.0, 2.0]) * dice.random() * 2)
            await us.kill()
            await us.start()
        await us.quiet()
        for brief in briefs:
            await _is_whole(us, brief)


async def _is_whole(us: Host, brief: str) -> None:
    """Each stage that was asked for ran once, in whatever order Slack's retries brought the mentions.

    None of them needs another than the draft, which was there before.
    """
    said = us.said_in(await us.root_of(brief))
    assert sorted(stage for kind, stage, state in said if (kind, state) == ("card", "answered")) == [
        "critique",
        "draft",
        "final",
        "scout",
    ]
    assert sorted(stage for kind, stage, _ in said if kind == "answer") == ["critique", "draft", "final", "scout"]
    assert len([kind for kind, _, _ in said if kind == "review"]) == 1


async def test_a_second_process_on_the_same_database_is_refused_in_words(tmp_path: Path) -> None:
    async with host(tmp_path) as us:
        await us.start()
        second = await us.spawn()
        _, said = await asyncio.wait_for(second.communicate(), 60)
        assert second.returncode == 1
        (line,) = said.decode().strip().splitlines()
        assert line.startswith("Another Countersign is already working on")
        assert (await us.slack.as_person("ann").command("/final", BRIEF)).ok
        await us.quiet()
        assert us.said_in(await us.root_of(BRIEF)) == FINAL


async def test_told_to_stop_it_finishes_what_is_quick_and_ends_in_time(tmp_path: Path) -> None:
    async with host(tmp_path, pace=2.0) as us:
        await us.start()
        assert (await us.slack.as_person("ann").command("/final", BRIEF)).ok
        await us.slack.until(lambda: us.models.requests)
        assert await us.terminate() < 20
        assert us.said_in(await us.root_of(BRIEF)) == FINAL
        assert len(us.models.requests) == 1


async def test_told_to_stop_it_gives_back_what_is_slow_and_goes_on_after_the_start(tmp_path: Path) -> None:
    async with host(tmp_path, pace=60.0) as us:
        await us.start()
        assert (await us.slack.as_person("ann").command("/final", BRIEF)).ok
        await us.slack.until(lambda: us.models.requests)
        assert await us.terminate() < 20
        assert [row["state"] for row in await us.rows("SELECT state FROM runs")] == ["queued"]
        us.models.pace = 0.0
        await us.start()
        await us.quiet()
        assert us.said_in(await us.root_of(BRIEF)) == FINAL
