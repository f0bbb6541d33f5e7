"""Whatever a model says goes out safely and whole, as a draft and as a final, through the real program."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unicodedata import category

from bot.playground.scripted import Recorded, Reply
from bot.playground.server import Message
from bot.slack.rich_text import parts_of, plain_text
from tests.bot.hostile_answers import HOSTILE_ANSWERS
from tests.bot.rich_text_checks import clickable, lost
from tests.stories.workspace import Team, stage_of, team

ANSWERS = [text for _, text in HOSTILE_ANSWERS if text.strip()]
AT_ONCE = 25


def hostile(asked: Recorded) -> Reply:
    """One answer of the corpus; in plain JSON, whose escapes can carry what no UTF-8 can."""
    found = re.search(r"hostile answer (\d+)", asked.user)
    assert found
    text = ANSWERS[int(found[1])]
    if stage_of(asked.system) == "final":
        text = f"## Decision\nready\n\n## Final text\n{text}\n\n## Owner's notes\n{text[:2_000]}"
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    whole = {"id": "c1", "object": "chat.completion", "created": 1, "model": asked.model, "choices": [choice]}
    return Reply(body=json.dumps(whole).encode(), headers={"Content-Type": "application/json"})


async def test_every_hostile_answer_is_posted_safely_and_loses_nothing(tmp_path: Path) -> None:
    assert len(ANSWERS) >= 200, "every other one is a draft, the rest are finals"
    async with team(tmp_path, answers=hostile) as us:
        asked = [
            (number, ("draft", "final")[number % 2]) for number, text in enumerate(ANSWERS) if _has_room(number, text)
        ]
        for start in range(0, len(asked), AT_ONCE):
            await asyncio.gather(*(_asks(us, number, stage) for number, stage in asked[start : start + AT_ONCE]))
            await us.quiet()
        failed = "SELECT brief FROM runs r JOIN works w ON w.id = r.work_id WHERE state = 'failed'"
        unsayable = {_brief(number, stage) for number, stage in asked if not _can_be_said(ANSWERS[number], stage)}
        assert {row["brief"] for row in await us.rows(failed)} == unsayable
        assert len(unsayable) < 10
        assert await us.rows("SELECT slot FROM outbox WHERE given_up IS NOT NULL") == []
        for number, stage in asked:
            if _brief(number, stage) not in unsayable:
                await _stands_whole(us, number, stage)


def _has_room(number: int, text: str) -> bool:
    """Of the very long ones a third will do here; the cutting of each has a test of its own."""
    return len(text) < 20_000 or number % 3 == 0


def _can_be_said(text: str, stage: str) -> bool:
    """What nobody can see is no answer, and refused in words. Half a surrogate pair is seen as U+FFFD."""
    return stage == "final" or any(category(char)[0] not in "ZC" or category(char) == "Cs" for char in text)


def _brief(number: int, stage: str) -> str:
    return f"Give me hostile answer {number} as {stage}"


async def _asks(us: Team, number: int, stage: str) -> None:
    channel = ("launch", "docs")[number // 2 % 2]
    await us.commands(stage, _brief(number, stage), channel=channel)


async def _stands_whole(us: Team, number: int, stage: str) -> None:
    root = await us.root_of(_brief(number, stage))
    parts = us.in_thread(root, "answer")
    (kept,) = await us.rows(
        "SELECT a.text, r.stage FROM answers a JOIN runs r ON r.id = a.run_id JOIN works w ON w.id = a.work_id "
        "WHERE w.thread_ts = :ts AND w.channel = :channel",
        ts=root.ts,
        channel=root.channel,
    )
    assert kept["stage"] == stage
    shown = [_rich_text(part) for part in parts]
    assert _read(shown) == _read([part.blocks for part in parts_of(kept["text"])])
    assert lost(kept["text"], shown) == "", (number, stage)
    assert clickable(shown) == []
    assert [part.payload["part"] for part in parts] == list(range(1, len(parts) + 1))
    assert {part.payload["parts"] for part in parts} == {len(parts)}
    if stage == "draft":
        assert lost(ANSWERS[number].strip(), shown) == ""


def _rich_text(part: Message) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in block.items() if key != "block_id"}
        for block in part.blocks
        if block["type"] == "rich_text"
    ]


def _read(messages: Sequence[Sequence[dict[str, Any]]]) -> list[str]:
    """The words of the messages, blanks aside."""
    return " ".join(plain_text(blocks) for blocks in messages).split()
