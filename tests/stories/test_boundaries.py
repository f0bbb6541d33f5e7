"""Context boundaries on demand: a second opinion, a fresh start, and what crosses between content and code by a click."""

from __future__ import annotations

from pathlib import Path

from bot.playground.scripted import Recorded
from tests.stories.test_contexts import canary, marked_answers, walks
from tests.stories.workspace import team


def by_model(asked: Recorded) -> str:
    """Answers that tell by a canary which model gave them."""
    return marked_answers(asked).replace("answer", f"{asked.model[:-2]}answer")


async def test_a_second_opinion_sees_what_the_first_saw_and_never_the_first(tmp_path: Path) -> None:
    async with team(tmp_path, answers=by_model) as us:
        root = await walks(us, "scout", "draft", "critique")
        await us.asks(root, f"second opinion {canary(1, 'mynote')}", person="stan")
        first, second = us.prompts("critique")
        print(us.slack.dump())
        await us.clicks("second_opinion", us.last(root, "answer", stage="draft"), person="stan")
        print(us.slack.dump())
