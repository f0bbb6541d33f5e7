"""The entrances: whichever way somebody asks, one path lies behind it, and a refusal says what to do instead."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.playground.scripted import Recorded, Reply, demo_answers
from tests.stories.workspace import link, stage_of, team

BRIEF = "Tell the team that the marsupilami has moved to Palombia"


class Held:
    """The demo's answers, but those of one stage wait until they are let go."""

    def __init__(self, stage: str) -> None:
        self._stage, self._answers = stage, demo_answers()
        self.is_asked, self.go_on = asyncio.Event(), asyncio.Event()

    async def __call__(self, asked: Recorded) -> Reply | str:
        if stage_of(asked.system) == self._stage:
            self.is_asked.set()
            await self.go_on.wait()
        answer = self._answers(asked)
        assert isinstance(answer, Reply)
        return answer


async def test_a_mention_at_top_level_opens_work_under_it_without_a_root(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        asked = await us.person("ann").says(f"<@UBOT> draft {BRIEF}")
        await us.quiet()
        assert us.said("root") == []
        assert [message.kind for message in us.thread(asked)] == ["", "card", "answer"]
        await us.asks(asked, "critique")
        assert us.states(asked) == [("draft", "answered"), ("critique", "answered")]
        assert (await us.rows("SELECT brief FROM works"))[0]["brief"] == BRIEF


async def test_a_mention_in_a_human_thread_opens_work_there_and_takes_none_of_its_words(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        talk = await us.person("stan").says("Has anybody seen Spirou?")
        await us.person("rae").replies(talk, "He fell into the river")
        await us.asks(talk, f"final owner: {BRIEF}")
        assert us.states(talk) == [("final", "answered")]
        assert us.last(talk, "review").state == "awaiting"
        (prompt,) = us.prompts("final")
        assert BRIEF in prompt
        assert "Spirou" not in prompt
        assert "river" not in prompt


async def test_the_buttons_under_an_answer_work_on_that_answer(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        root = await us.starts("draft", BRIEF)
        first = us.last(root, "answer")
        assert first.buttons == ["Critique", "Revise", "Final", "To code", "Second opinion", "What did it see?"]
        await us.asks(root, "draft shorter")
        for button in ("critique", "revise", "final", "context"):
            await us.clicks(button, first)
        assert us.states(root)[2:] == [("critique", "answered"), ("draft", "answered"), ("final", "answered")]
        cards = [message.visible for message in us.in_thread(root, "card")]
        assert all("draft 1" in card for card in cards[2:])
        assert us.last(root, "notice").says("saw for draft 1")


async def test_a_command_with_a_link_to_an_answer_works_on_that_answer_in_its_thread(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        root = await us.starts("draft", BRIEF)
        first = us.last(root, "answer")
        await us.asks(root, "draft again, but calmer")
        await us.commands("critique", f"<{link(first)}> be harsh")
        await us.quiet()
        assert us.states(root)[-1] == ("critique", "answered")
        assert us.card(root).endswith("your note")
        assert "draft 1" in us.card(root)
        assert len(us.said("root")) == 1


async def test_a_command_with_a_link_to_a_works_root_addresses_its_thread(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        root = await us.starts("scout", BRIEF)
        await us.commands("draft", f"<{link(root)}> keep it short")
        await us.quiet()
        assert us.card(root).startswith("draft · answered")
        assert "read: brief, scout notes 1, your note" in us.card(root)
        assert len(us.said("root")) == 1


async def test_a_link_to_another_channel_is_refused(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        root = await us.starts("draft", BRIEF, channel="docs")
        answered = await us.commands("critique", f"<{link(us.last(root, 'answer'))}> be harsh", channel="launch")
        assert "another channel" in answered.text
        await us.quiet()
        assert us.states(root) == [("draft", "answered")]


async def test_a_link_to_a_message_that_is_gone_is_refused(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        gone = await us.person("ann").says("Never mind")
        await us.person("ann").deletes(gone)
        await us.commands("critique", f"<{link(gone)}> is it clear?")
        assert await us.told("ann", "cannot see that message any more")
        assert us.slack.by_bot() == []


async def test_a_mention_may_point_at_any_message_of_the_channel(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        root = await us.starts("draft", BRIEF)
        essay = await us.person("stan").says("The marsupilami is the best animal.")
        await us.person("stan").replies(essay, "Some say so")
        reply = await us.person("rae").replies(essay, "Everybody has always known it.")
        for message, canary in ((essay, "best animal"), (reply, "always known")):
            await us.asks(root, f"critique <{link(message)}> is it true?")
            assert us.states(root)[-1] == ("critique", "answered")
            assert canary in us.prompts("critique")[-1]
            assert "Some say so" not in us.prompts("critique")[-1]


async def test_critique_this_on_a_persons_message_asks_what_it_is_for(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        essay = await us.person("stan").says("The marsupilami is the best animal. Everybody says so.")
        modal = await us.person("rae").uses_shortcut("critique_message", essay)
        assert modal
        assert not (await us.person("rae").submits(modal, {"note": "be kind"})).ok, "the brief is asked for"
        assert (await us.person("rae").submits(modal, {"brief": "A page for children", "note": "be kind"})).ok
        await us.quiet()
        assert us.states(essay) == [("critique", "answered")]
        assert "read: brief, message" in us.card(essay)
        (prompt,) = us.prompts("critique")
        assert all(words in prompt for words in ("Everybody says so", "A page for children", "be kind"))


async def test_critique_this_in_a_works_thread_knows_the_brief(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        root = await us.starts("scout", BRIEF)
        remark = await us.person("stan").replies(root, "I would say it moved to Zambia")
        modal = await us.person("ann").uses_shortcut("critique_message", remark)
        assert modal
        assert list(modal.inputs) == [name for name in modal.inputs if name.endswith("note")]
        assert (await us.person("ann").submits(modal)).ok
        await us.quiet()
        assert us.states(root)[-1] == ("critique", "answered")
        assert "Zambia" in us.prompts("critique")[-1]
        assert BRIEF in us.prompts("critique")[-1]


async def test_critique_this_on_an_answer_of_the_bot_criticises_that_answer(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        root = await us.starts("draft", BRIEF)
        modal = await us.person("stan").uses_shortcut("critique_message", us.last(root, "answer"))
        assert modal
        assert (await us.person("stan").submits(modal)).ok
        await us.quiet()
        assert us.states(root)[-1] == ("critique", "answered")
        assert "draft 1 (" in us.card(root)


async def test_status_context_and_help_answer_where_they_were_asked(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        root = await us.starts("draft", BRIEF)
        await us.asks(root, "final")
        await us.asks(root, "status", person="stan")
        status = us.last(root, "notice").visible.replace("*", "")
        assert "draft · answered" in status
        assert "final 1" in status
        assert "awaiting" in status
        await us.asks(root, "context", person="stan")
        assert us.last(root, "notice").says("saw for final 1")
        for words in ("help", "", "make me a sandwich"):
            before = len(us.whispers("stan"))
            await us.asks(root, words, person="stan")
            await us.slack.until(lambda seen=before: len(us.whispers("stan")) > seen)  # type: ignore[misc]  # a default
            assert "critique be harsh" in us.whispers("stan")[-1]
        assert us.states(root) == [("draft", "answered"), ("final", "answered")]


async def test_cancel_aborts_the_call_under_way_and_what_waits_behind_it(tmp_path: Path) -> None:
    answers = Held("draft")
    async with team(tmp_path, answers=answers) as us:
        await us.commands("draft", BRIEF)
        await answers.is_asked.wait()
        root = await us.root_of(BRIEF)
        await us.person("ann").replies(root, "<@UBOT> critique")
        await us.slack.until(lambda: us.states(root) == [("draft", "queued"), ("critique", "queued")])
        await us.asks(root, "cancel", person="stan")
        assert us.states(root) == [("draft", "cancelled"), ("critique", "cancelled")]
        assert us.card(root, stage="draft") == "draft · cancelled by <@U0STAN>"
        answers.go_on.set()
        assert us.prompts("critique") == []
        await us.asks(root, "cancel")
        assert us.last(root, "notice").says("Nothing is running or waiting")
        await us.asks(root, "again")
        assert us.states(root)[-1] == ("critique", "refused"), "again asks for the newest, and there is no text yet"
        assert us.in_thread(root, "answer") == []


async def test_again_asks_for_the_newest_request_once_more(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        root = await us.starts("draft", BRIEF)
        await us.asks(root, "critique be harsh")
        await us.asks(root, "again, and look at the end", person="stan")
        assert us.states(root)[-1] == ("critique", "answered")
        assert "be harsh" in us.prompts("critique")[-1]
        assert "look at the end" in us.prompts("critique")[-1]


@pytest.mark.parametrize(
    ("stage", "sentence"),
    [
        ("critique", "`critique` reads a text; there is none in this thread yet. Start one with `/draft …`"),
        ("polish", "`polish` polishes a text; there is none in this thread yet. Start one with `/draft …`"),
        ("revise", "A revision reworks a text; there is none in this thread yet."),
    ],
)
async def test_a_stage_that_lacks_its_text_says_what_to_run_first(tmp_path: Path, stage: str, sentence: str) -> None:
    async with team(tmp_path) as us:
        root = await us.starts("scout", BRIEF)
        await us.asks(root, stage)
        assert us.last(root, "card").state == "refused"
        assert sentence in us.card(root)
        talk = await us.person("stan").says("Let us see")
        await us.asks(talk, f"{stage} please", person="stan")
        assert sentence in await us.told("stan", "there is none")
        assert len(us.thread(talk)) == 2


async def test_where_the_bot_is_not_or_must_not_be_it_says_so_and_starts_nothing(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        await us.commands("draft", BRIEF, channel="quiet")
        assert "/invite" in await us.told("ann", "I am not in this channel")
        await us.commands("draft", BRIEF, channel="partners")
        assert "external = true" in await us.told("ann", "shared with another organisation")
        await us.person("ann").says(f"<@UBOT> draft {BRIEF}", channel="partners")
        await us.slack.until(lambda: len([said for said in us.whispers("ann") if "another organisation" in said]) == 2)
        us.slack.channels["docs"].is_archived = True
        await us.commands("draft", BRIEF, channel="docs")
        assert await us.told("ann", "This channel is archived")
        assert us.slack.by_bot() == []
        assert us.models.requests == []
        assert await us.rows("SELECT * FROM works") == []


async def test_an_empty_or_unknown_command_is_answered_at_once(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        assert "Say what it is about" in (await us.commands("draft", "")).text
        assert "I know no `/dance`" in (await us.commands("dance", "tango")).text
        await us.quiet()
        assert us.slack.by_bot() == []


async def test_everything_asked_at_once_in_a_thread_runs_in_the_order_it_was_asked(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        root = await us.starts("scout", BRIEF)
        ann = us.person("ann")
        for words in ("draft", "critique", "polish", "final"):
            await ann.replies(root, f"<@UBOT> {words}")
        await us.quiet()
        assert [stage_of(asked.system) for asked in us.models.requests] == [
            "scout",
            "draft",
            "critique",
            "polish",
            "final",
        ]
        assert {state for _, state in us.states(root)} == {"answered"}
