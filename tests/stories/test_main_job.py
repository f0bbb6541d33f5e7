"""The whole way, in users' words: from a slash command to an approved final text."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stories.workspace import facts_of, team, words_of

BRIEF = "Announce that our bot now asks a reviewer before anything is published"


@pytest.mark.parametrize("wire", ["openai", "anthropic"])
@pytest.mark.parametrize("by_http", [False, True], ids=["socket", "http"])
async def test_a_final_answer_counts_only_after_a_reviewer_reacts(tmp_path: Path, wire: str, by_http: bool) -> None:
    async with team(tmp_path, wire=wire, by_http=by_http) as us:
        root = await us.starts("scout", BRIEF)
        for words in ("draft", "critique be harsh", "polish", "final"):
            await us.asks(root, words)
        stages = [facts_of(card)["stage"] for card in us.in_thread(root, "card")]
        assert stages == ["scout", "draft", "critique", "polish", "final"]
        assert {facts_of(card)["state"] for card in us.in_thread(root, "card")} == {"answered"}
        text, card = us.last(root, "answer", stage="final"), us.last(root, "review")
        assert facts_of(card)["state"] == "awaiting"

        ann, stan, rae = (us.slack.as_person(name) for name in ("ann", "stan", "rae"))
        await ann.reacts("white_check_mark", text)
        await us.slack.until(lambda: us.slack.ephemerals("ann"))
        assert "somebody else approves it" in words_of(us.slack.ephemerals("ann")[-1])
        await stan.reacts("white_check_mark", text)
        await us.slack.until(lambda: us.slack.ephemerals("stan"))
        assert "Only a reviewer" in words_of(us.slack.ephemerals("stan")[-1])
        assert us.in_thread(root, "verdict") == []

        await rae.reacts("white_check_mark", text)
        await us.slack.until(lambda: us.in_thread(root, "verdict"))
        said = us.last(root, "verdict")
        assert facts_of(said)["state"] == "approved"
        assert facts_of(said)["sha256"] == facts_of(text)["sha256"]
        assert "<@U0RAE>" in words_of(said)

        await rae.unreacts("white_check_mark", text)
        await us.slack.until(lambda: facts_of(us.last(root, "verdict"))["state"] == "withdrawn")
        await us.asks(root, "final")
        await us.slack.until(lambda: facts_of(us.last(root, "verdict"))["state"] == "superseded")
        await rae.reacts("white_check_mark", text)
        await us.slack.until(lambda: us.slack.ephemerals("rae"))
        assert "newer final" in words_of(us.slack.ephemerals("rae")[-1])
        assert not any(facts_of(m)["state"] == "approved" for m in us.in_thread(root, "verdict")[2:])
