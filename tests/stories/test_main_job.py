"""The whole way, in users' words: from a slash command to an approved final text."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stories.workspace import team

BRIEF = "Announce that our bot now asks a reviewer before anything is published"


@pytest.mark.parametrize("wire", ["openai", "anthropic"])
@pytest.mark.parametrize("by_http", [False, True], ids=["socket", "http"])
async def test_a_final_answer_counts_only_after_a_reviewer_reacts(tmp_path: Path, *, wire: str, by_http: bool) -> None:
    async with team(tmp_path, wire=wire, by_http=by_http) as us:
        root = await us.starts("scout", BRIEF)
        for words in ("draft", "critique be harsh", "polish", "final"):
            await us.asks(root, words)
        walked = [(stage, "answered") for stage in ("scout", "draft", "critique", "polish", "final")]
        assert us.states(root) == walked
        text, card = us.last(root, "answer", stage="final"), us.last(root, "review")
        assert card.state == "awaiting"

        await us.reacts("white_check_mark", text, person="ann")
        assert "somebody else approves it" in await us.told("ann", "You asked for this text")
        await us.reacts("white_check_mark", text, person="stan")
        assert "<@U0RAE>" in await us.told("stan", "Only a reviewer")
        assert us.in_thread(root, "verdict") == []

        await us.reacts("white_check_mark", text, person="rae")
        said = us.last(root, "verdict")
        assert said.state == "approved"
        assert said.payload["sha256"] == text.payload["sha256"]
        assert said.says("Approved by <@U0RAE>")

        await us.unreacts("white_check_mark", text, person="rae")
        assert us.last(root, "verdict").state == "withdrawn"
        await us.asks(root, "final")
        assert us.last(root, "verdict").state == "superseded"
        await us.reacts("white_check_mark", text, person="rae")
        assert await us.told("rae", "newer final")
        assert [message.state for message in us.in_thread(root, "verdict")] == ["approved", "withdrawn", "superseded"]
