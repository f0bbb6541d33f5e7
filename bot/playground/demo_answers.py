"""Answers of real quality for the scripted demo, chosen by the stage that asks."""

from __future__ import annotations

from bot.playground.scripted_reply import Answers, Recorded, Reply


def demo_answers() -> Answers:
    """Choose an answer by the `Stage: <name>` line at the start of the system text."""

    def answer(recorded: Recorded) -> Reply:
        return Reply(text=f"A scripted answer to: {recorded.user[:200]}")

    return answer
