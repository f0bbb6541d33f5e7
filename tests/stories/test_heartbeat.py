"""While a model works, the card of its run says so; then the same card says what came of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.playground.scripted import Recorded, Reply, demo_answers
from handlers import run as running
from tests.stories.workspace import PATIENCE, team


async def test_the_card_says_that_a_model_works_and_then_what_came_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "FIRST_BEAT", 0.2)
    monkeypatch.setattr(running, "NEXT_BEATS", 0.2)
    is_seen = asyncio.Event()

    async def when_seen(asked: Recorded) -> Reply:
        """An answer that takes as long as nobody has seen that it is being made."""
        await asyncio.wait_for(is_seen.wait(), PATIENCE)
        answer = demo_answers()(asked)
        assert isinstance(answer, Reply)
        return answer

    async with team(tmp_path, answers=when_seen) as us:
        await us.commands("draft", "Why the marsupilami nests high")

        def beating() -> bool:
            return any(card.state == "running" and "so far" in card.visible for card in us.said("card"))

        await us.slack.until(beating, timeout=PATIENCE)
        [card] = us.said("card")
        is_seen.set()
        await us.quiet()
        root = await us.root_of("Why the marsupilami nests high")
        assert us.states(root) == [("draft", "answered")]
        assert us.last(root, "card").ts == card.ts
        assert "so far" not in us.card(root)
