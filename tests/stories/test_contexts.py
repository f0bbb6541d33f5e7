"""What each model sees: exactly what its stage may read, of its own thread only; shown over the real wire."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from bot.playground.scripted import Recorded
from bot.playground.server import Message
from tests.stories.workspace import Team, link, stage_of, team

THREADS = 20
STAGES = ("scout", "draft", "critique", "polish", "final")
CANARY = re.compile(r"marsu\d\d[a-z]+")
SEES = {
    "scout": {"brief"},
    "draft": {"brief", "scoutanswer", "draftnote"},
    "critique": {"brief", "draftanswer", "critiquenote"},
    "polish": {"brief", "draftanswer", "critiqueanswer", "polishnote"},
    "final": {"brief", "polishanswer", "finalnote"},
}
"""The table of contexts, for this walk: polish makes the newest text, and nobody has criticised that one."""

ANSWERS = {
    "scout": "*Findings*\n{scoutanswer}",
    "draft": "{draftanswer} opens the text. [needs: a date]",
    "critique": "1. major · “opens the text” · {critiqueanswer} carries nothing · say where\nVerdict: revise",
    "polish": "{polishanswer} opens the text.\n\n## Changed\n{polishremarks} became shorter.",
    "final": "## Decision\nready\n## Final text\n{finalanswer} goes out.\n## Owner's notes\n{finalremarks} remains.",
    "implement": "## Plan\n{implementanswer}\n\n## Patch\n```diff\n--- a/x\n+++ b/x\n```",
}


def canary(thread: int, what: str) -> str:
    return f"marsu{thread:02}{what}"


class _Canaries(dict[str, str]):
    """Each name stands for itself, marked with its thread."""

    def __init__(self, thread: str) -> None:
        super().__init__()
        self._thread = thread

    def __missing__(self, what: str) -> str:
        return self._thread + what


def marked_answers(asked: Recorded) -> str:
    """An answer that carries a canary of its thread and stage; the thread is the one whose brief was handed over."""
    return ANSWERS[stage_of(asked.system)].format_map(_Canaries(thread_of(asked)))


def thread_of(asked: Recorded) -> str:
    brief = re.search(r"(marsu\d\d)brief", asked.user)
    assert brief, "a brief always crosses"
    return brief[1]


async def test_of_twenty_threads_at_once_each_model_sees_its_own_and_no_more_than_its_stage_may(tmp_path: Path) -> None:
    async with team(tmp_path, answers=marked_answers) as us:
        for turn in range(len(STAGES) + 2):  # every third thread is a stage behind, so that stages mix
            await asyncio.gather(*(_next_stage(us, thread, turn - thread % 3) for thread in range(THREADS)))
            await us.quiet()
        seen: dict[tuple[str, str], list[set[str]]] = {}
        for asked in us.models.requests:
            found = set(CANARY.findall(asked.system + asked.user))
            seen.setdefault((thread_of(asked), stage_of(asked.system)), []).append(found)
        assert seen == {
            (f"marsu{thread:02}", stage): [{canary(thread, what) for what in SEES[stage]}]
            for thread in range(THREADS)
            for stage in STAGES
        }
        for thread in range(THREADS):
            await _stands_alone(us, thread)


async def _next_stage(us: Team, thread: int, turn: int) -> None:
    who, channel = ("ann", "rae", "sam", "stan")[thread % 4], ("launch", "docs")[thread % 2]
    if turn == 0:
        await us.commands("scout", f"Tell of {canary(thread, 'brief')}", person=who, channel=channel)
    elif 0 < turn < len(STAGES):
        root = await us.root_of(f"Tell of {canary(thread, 'brief')}")
        await us.person("sam").replies(root, f"By the way, {canary(thread, 'chat')} is nobody's business.")
        await us.person(who).replies(root, f"<@UBOT> {STAGES[turn]} mind {canary(thread, f'{STAGES[turn]}note')}")


async def _stands_alone(us: Team, thread: int) -> None:
    """The thread shows its own answers and nobody else's."""
    root = await us.root_of(f"Tell of {canary(thread, 'brief')}")
    shown = " ".join(message.visible for message in us.thread(root))
    assert {found[:7] for found in CANARY.findall(shown)} == {f"marsu{thread:02}"}
    for stage in STAGES:
        assert canary(thread, f"{stage}answer") in us.last(root, "answer", stage=stage).visible


async def walks(us: Team, *stages: str, thread: int = 1) -> Message:
    root = await us.starts(stages[0], f"Tell of {canary(thread, 'brief')}")
    for stage in stages[1:]:
        await us.asks(root, stage)
    return root


def newest_sight(us: Team, stage: str) -> set[str]:
    """Which canaries the newest prompt of a stage held, without their thread."""
    return {found[7:] for found in CANARY.findall(us.prompts(stage)[-1])}


async def test_a_revision_sees_the_chosen_text_and_its_open_findings(tmp_path: Path) -> None:
    async with team(tmp_path, answers=marked_answers) as us:
        root = await walks(us, "scout", "draft", "critique")
        await us.clicks("revise", us.last(root, "answer", stage="draft"))
        assert newest_sight(us, "draft") == {"brief", "draftanswer", "critiqueanswer"}
        assert "C1.1" in us.prompts("draft")[-1]
        assert us.card(root).startswith("revise · answered")


async def test_a_critique_of_an_older_text_is_stale_and_does_not_cross(tmp_path: Path) -> None:
    async with team(tmp_path, answers=marked_answers) as us:
        root = await walks(us, "draft", "critique", "draft")
        await us.asks(root, "final")
        assert newest_sight(us, "final") == {"brief", "draftanswer"}
        assert us.last(root, "card", stage="final").says("draft 2")


async def test_code_and_content_do_not_read_each_other_until_somebody_hands_over(tmp_path: Path) -> None:
    async with team(tmp_path, answers=marked_answers) as us:
        root = await walks(us, "draft", "implement")
        assert newest_sight(us, "implement") == {"brief"}
        await us.clicks("critique", us.last(root, "answer", stage="implement"))
        assert newest_sight(us, "critique") == {"brief", "implementanswer"}
        await us.clicks("final", us.last(root, "answer", stage="draft"))
        assert newest_sight(us, "final") == {"brief", "draftanswer"}
        await us.commands("implement", f"<{link(us.last(root, 'answer', stage='draft'))}> build it")
        await us.quiet()
        assert newest_sight(us, "implement") == {"brief", "draftanswer"}


async def test_other_peoples_words_cross_only_as_the_one_message_pointed_at(tmp_path: Path) -> None:
    async with team(tmp_path, answers=marked_answers) as us:
        opening = await us.person("stan").says(f"I wrote {canary(1, 'essay')}, what do you think?")
        await us.person("rae").replies(opening, f"It lacks {canary(1, 'chat')}")
        await us.commands("critique", f"<{link(opening)}> Say if {canary(1, 'brief')} is met")
        await us.quiet()
        assert newest_sight(us, "critique") == {"brief", "essay"}
        assert us.in_thread(opening, "root") == []
        assert us.states(opening) == [("critique", "answered")]


async def test_what_a_model_saw_can_be_asked_for_and_is_what_it_was_sent(tmp_path: Path) -> None:
    async with team(tmp_path, answers=marked_answers) as us:
        root = await walks(us, "draft", "critique")
        await us.clicks("context", us.last(root, "answer", stage="critique"))
        told = us.last(root, "notice").visible
        assert "critique 1" in told
        assert [line.split(" · ")[0] for line in told.splitlines()[1:]] == [
            "• brief",
            "• draft 1",
            "• instructions of critique",
        ]
        draft = (await us.rows("SELECT sha256 FROM answers WHERE stage = 'draft'"))[0]["sha256"]
        assert draft[:8] in told
