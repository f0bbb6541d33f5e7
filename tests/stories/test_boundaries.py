"""Boundaries on demand: a second opinion, a fresh start, and what crosses between content and code by a click."""

from __future__ import annotations

from pathlib import Path

from bot.playground.scripted import Recorded
from bot.playground.server import Message
from handlers.swamp import MOST_ANSWERS
from tests.stories.test_contexts import CANARY, canary, marked_answers, newest_sight, walks
from tests.stories.workspace import Team, link, team

CHECK = "white_check_mark"


def by_model(asked: Recorded) -> str:
    """Answers that tell by their canaries which model gave them."""
    return marked_answers(asked).replace("answer", f"{asked.model.removesuffix('-1')}answer")


def labels(message: Message) -> list[str]:
    return [str(button["text"]["text"]) for button in message.actions]


async def new_root(us: Team) -> Message:
    """The root of the work that was begun last."""
    [row] = await us.rows("SELECT channel, thread_ts FROM works WHERE fresh_from IS NOT NULL")
    return us.slack.thread(row["channel"], row["thread_ts"])[0]


async def test_a_second_opinion_sees_what_the_first_saw_and_never_the_first(tmp_path: Path) -> None:
    async with team(tmp_path, answers=by_model) as us:
        root = await walks(us, "scout", "draft", "critique")
        draft = us.last(root, "answer", stage="draft")
        await us.clicks("second_opinion", draft, person="stan")
        assert newest_sight(us, "draft") == {"brief", "scoutquickanswer"}
        assert "draftcarefulanswer" in us.last(root, "answer", stage="draft").visible
        assert "second opinion on draft 1 (quick): separate model, separate context" in us.card(root)
        await us.asks(root, f"second opinion <{link(us.last(root, 'answer', stage='critique'))}> {canary(1, 'note')}")
        assert newest_sight(us, "critique") == {"brief", "draftquickanswer", "note"}
        assert "1 finding there, 1 here; verdict there: revise, here: revise." in us.card(root)
        await us.asks(root, "final")
        assert newest_sight(us, "final") == {
            "brief",
            "draftquickanswer",
            "critiquecarefulanswer",
            "critiquequickanswer",
        }


async def test_a_second_opinion_on_a_final_under_review_leaves_it_to_be_approved(tmp_path: Path) -> None:
    async with team(tmp_path, answers=by_model) as us:
        root = await walks(us, "draft", "final")
        final, card = us.last(root, "answer", stage="final"), us.last(root, "review")
        await us.asks(root, "second opinion", person="stan")
        opinion = us.last(root, "answer", stage="final")
        assert "finalquickanswer" in opinion.visible
        assert [one.ts for one in us.in_thread(root, "review")] == [card.ts]
        await us.reacts(CHECK, opinion)
        assert us.in_thread(root, "verdict") == []
        await us.reacts(CHECK, final)
        assert [one.state for one in us.in_thread(root, "verdict")] == ["approved"]
        await us.clicks("final", opinion, person="stan")
        assert [one.state for one in us.in_thread(root, "verdict")] == ["approved", "superseded"]
        assert us.last(root, "review").state == "awaiting"


async def test_nobody_to_be_second_is_said_in_the_thread_with_the_rule(tmp_path: Path) -> None:
    async with team(tmp_path, more="[stages.final]\nmin_trust = 4") as us:
        root = await us.starts("final", "Tell of Spip")
        await us.clicks("second_opinion", us.last(root, "answer"))
        assert us.card(root).startswith("final (second opinion) · not started · Nobody can give a second opinion")
        assert "quick has trust 2, below the stage's floor of 4" in us.card(root)


async def test_a_fresh_start_takes_the_brief_and_one_text_along_and_leaves_the_rest(tmp_path: Path) -> None:
    async with team(tmp_path, answers=marked_answers, review='reviewers = ["U0ANN", "U0SAM", "U0RAE"]') as us:
        root = await walks(us, "scout", "draft", "critique")
        await us.asks(root, f"revise {canary(1, 'revisednote')}", person="sam")
        first = us.in_thread(root, "answer", stage="draft")[0]
        await us.asks(root, f"fresh <{link(first)}> critique {canary(1, 'freshnote')}", person="stan")
        new = await new_root(us)
        assert new.root_ts != root.root_ts
        assert (new.kind, new.visible.count("<@")) == ("root", 1)
        assert "fresh start, critique for <@U0STAN>" in new.visible
        assert f"/archives/{root.channel}/p{root.ts.replace('.', '')}" in str(new.blocks)
        assert us.last(root, "notice").says("<@U0STAN> started fresh in a new thread of this channel")
        carried = us.in_thread(new, "answer")[0]
        assert carried.payload["sha256"] == first.payload["sha256"]
        assert labels(carried) == ["Critique", "Revise", "Final", "To code"]
        assert newest_sight(us, "critique") == {"brief", "draftanswer", "freshnote"}
        await us.clicks("final", carried, person="stan")
        assert newest_sight(us, "final") == {"brief", "draftanswer", "critiqueanswer"}
        final = us.last(new, "answer", stage="final")
        await us.reacts(CHECK, final, person="ann")
        assert await us.told("ann", "You asked for this text or had a hand in it")
        await us.reacts(CHECK, final, person="rae")
        assert [one.state for one in us.in_thread(new, "verdict")] == ["approved"]


async def test_a_human_thread_starts_fresh_with_its_brief_and_the_message_pointed_at(tmp_path: Path) -> None:
    async with team(tmp_path, answers=marked_answers) as us:
        opening = await us.person("stan").says(f"I wrote {canary(1, 'essay')}, what do you think?")
        await us.commands("critique", f"<{link(opening)}> Say if {canary(1, 'brief')} is met")
        await us.quiet()
        await us.asks(opening, "fresh")
        new = await new_root(us)
        assert set(CANARY.findall("\n".join(one.visible for one in us.thread(new)))) == {
            canary(1, "brief"),
            canary(1, "essay"),
        }
        await us.asks(new, "polish")
        assert newest_sight(us, "polish") == {"brief", "essay"}


async def test_a_thread_that_has_become_long_says_so_once_and_its_button_starts_fresh(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        root = await us.starts("draft", "Tell of Spip")
        for _ in range(MOST_ANSWERS):
            await us.person("ann").replies(root, "<@UBOT> draft")
        await us.quiet()
        told = [card for card in us.in_thread(root, "card") if "This thread has become long" in card.visible]
        assert [labels(card) for card in told] == [["Start fresh"]]
        assert told[0].ts == us.in_thread(root, "card")[MOST_ANSWERS - 1].ts
        await us.clicks("fresh", told[0], person="stan")
        new = await new_root(us)
        assert us.last(new, "answer").payload["sha256"] == us.last(root, "answer").payload["sha256"]
        assert "fresh start for <@U0STAN>" in new.visible


async def test_content_and_code_cross_by_a_click_and_as_exactly_that_text(tmp_path: Path) -> None:
    async with team(tmp_path, answers=marked_answers) as us:
        root = await walks(us, "draft", "implement")
        assert newest_sight(us, "implement") == {"brief"}
        await us.clicks("to_code", us.last(root, "answer", stage="draft"))
        assert newest_sight(us, "implement") == {"brief", "draftanswer"}
        patch = us.last(root, "answer", stage="implement")
        assert labels(patch) == ["Critique", "Revise", "Final", "To content", "Second opinion", "What did it see?"]
        await us.clicks("to_content", patch)
        words = us.last(root, "answer")
        assert words.payload["stage"] == "message"
        assert "implementanswer" in words.visible
        assert "--- a/x" not in words.visible
        await us.clicks("critique", words)
        assert newest_sight(us, "critique") == {"brief", "implementanswer"}
        assert "--- a/x" not in us.prompts("critique")[-1]
