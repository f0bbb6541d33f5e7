"""The gate: a final text counts only after the right people said so, on exactly the text that stands in the thread."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

from bot.playground.people import Person
from bot.playground.scripted import Recorded, Reply
from bot.playground.server import Fault, Message
from handlers.ports import StopReason
from tests.stories.workspace import Team, team

BRIEF = "Announce that Spip is a squirrel"
CHECK = "white_check_mark"


async def final(us: Team, brief: str = BRIEF) -> tuple[Message, Message]:
    """A final text asked for by Ann: its thread's root, and the text."""
    root = await us.starts("final", brief)
    return root, us.last(root, "answer")


def verdicts(us: Team, root: Message) -> list[str]:
    return [message.state for message in us.in_thread(root, "verdict")]


async def ledger(us: Team) -> list[str]:
    """Who did what at the gate, as the ledger has it."""
    found = await us.rows("SELECT who, what FROM ledger WHERE what NOT IN ('answered', 'stack') ORDER BY seq")
    return [f"{row['who']} {row['what']}" for row in found]


async def test_who_may_not_approve_is_told_why_once_and_nobody_else_hears_of_it(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        root, text = await final(us)
        card = us.last(root, "review")
        before = len(us.slack.everything())
        for name in ("ann", "stan", "gus"):
            for where in (text, card):
                await us.reacts(CHECK, where, person=name)
            await us.unreacts(CHECK, text, person=name)
            await us.reacts(CHECK, text, person=name)
        assert us.whispers("ann") == [
            "You asked for this text or had a hand in it, so somebody else approves it: <@U0RAE> or <@U0SAM>."
        ]
        for name in ("stan", "gus"):
            (told,) = us.whispers(name)
            assert told.startswith("Only a reviewer's reaction counts here.")
            assert told.endswith("<@U0RAE> or <@U0SAM>.")
        assert len(us.slack.everything()) == before
        assert await ledger(us) == ["countersign review_opened"]
        assert us.last(root, "review").state == "awaiting"


@pytest.mark.parametrize(
    ("traits", "told"),
    [
        ({"deleted": True}, []),
        ({"is_bot": True}, []),
        ({"is_restricted": True}, ["Guests and people"]),
        ({"is_ultra_restricted": True}, ["Guests and people"]),
        ({"is_stranger": True, "team_id": "T0OTHER"}, ["Guests and people"]),
    ],
    ids=["gone", "bot", "guest", "single-channel guest", "stranger"],
)
async def test_in_a_group_of_reviewers_only_members_of_the_house_count(
    tmp_path: Path, traits: dict[str, Any], told: list[str]
) -> None:
    async with team(tmp_path, review='reviewers = ["S0REVIEW"]') as us:
        root, text = await final(us)
        us.slack.change_person("rae", **traits)
        await us.reacts(CHECK, text, person="rae")
        assert [said[: len("Guests and people")] for said in us.whispers("rae")] == told
        assert verdicts(us, root) == []
        await us.reacts(CHECK, text, person="sam")
        assert verdicts(us, root) == ["approved"]


async def test_a_reviewer_who_left_does_not_count_although_the_stack_names_them(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        root, text = await final(us)
        us.slack.change_person("rae", deleted=True)
        await us.reacts(CHECK, text)
        assert verdicts(us, root) == []
        assert us.whispers("rae") == []


async def test_another_bot_never_counts(tmp_path: Path) -> None:
    async with team(tmp_path, review='reviewers = ["U0RAE", "U0HELPER"]') as us:
        root, text = await final(us)
        helper = Person(id="U0HELPER", name="helper", real_name="Helper", is_bot=True)
        us.slack.workspace.people[helper.id] = helper
        us.slack.workspace.react(us.slack.now(text), helper.id, CHECK)
        await us.quiet()
        assert verdicts(us, root) == []


async def test_any_part_and_the_review_card_take_the_reaction_in_any_skin_tone(tmp_path: Path) -> None:
    def long(_: Recorded) -> str:
        paragraphs = "\n\n".join(f"{number}. Spip jumps from tree to tree. " * 12 for number in range(60))
        return f"## Decision\nready\n\n## Final text\n{paragraphs}\n\n## Owner's notes\nIt is long."

    async with team(tmp_path, answers=long, review='reviewers = ["U0RAE"]\napprove = ["+1"]') as us:
        root, last_part = await final(us)
        parts = us.in_thread(root, "answer")
        assert len(parts) > 2
        assert [part.payload["part"] for part in parts] == list(range(1, len(parts) + 1))
        for where in (parts[0], parts[1], last_part, us.last(root, "review")):
            await us.reacts("+1::skin-tone-4", where)
            await us.unreacts("+1::skin-tone-4", where)
        assert verdicts(us, root) == ["approved", "withdrawn"] * 4
        notes = us.last(root, "notes")
        await us.reacts("+1", notes)
        assert us.last(root, "verdict").state == "withdrawn", "the notes are no part of the text"


async def test_a_quorum_needs_two_people_and_one_of_them_twice_is_one(tmp_path: Path) -> None:
    async with team(tmp_path, review='reviewers = ["U0RAE", "U0SAM"]\nquorum = 2') as us:
        root, text = await final(us)
        await us.reacts(CHECK, text, person="rae")
        await us.reacts("heavy_check_mark", us.last(root, "review"), person="rae")
        assert verdicts(us, root) == []
        assert re.search(r"1 of 2\b.*<@U0RAE>", us.last(root, "review").visible)
        await us.reacts(CHECK, text, person="sam")
        assert verdicts(us, root) == ["approved"]
        assert us.last(root, "verdict").says("Approved by <@U0RAE> and <@U0SAM>")
        await us.unreacts(CHECK, text, person="rae")
        assert verdicts(us, root) == ["approved"], "the other reaction still stands"
        await us.unreacts("heavy_check_mark", us.last(root, "review"), person="rae")
        assert verdicts(us, root) == ["approved", "withdrawn"]


async def test_solo_mode_is_written_on_the_card_the_verdict_and_in_the_ledger(tmp_path: Path) -> None:
    async with team(tmp_path, review='reviewers = ["U0ANN"]\nsolo = true') as us:
        root, text = await final(us)
        assert us.last(root, "review").says("Solo mode:")
        await us.reacts(CHECK, text, person="stan")
        assert await us.told("stan", "Only a reviewer")
        await us.reacts(CHECK, text, person="ann")
        assert "solo" in us.last(root, "verdict").visible.lower()
        (body,) = await us.rows("SELECT body FROM ledger WHERE what = 'approve'")
        assert '"solo":true' in body["body"]


async def test_a_send_backs_reason_becomes_the_note_of_the_next_final(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        root, text = await final(us)
        await us.person("rae").replies(root, "I will look at it now")
        await us.reacts("x", text)
        assert verdicts(us, root) == ["changes_requested"]
        assert us.last(root, "review").state == "changes_requested"
        await us.person("sam").replies(root, "What is wrong with it?")
        await us.quiet()
        assert len(us.prompts("final")) == 1
        await us.person("rae").replies(root, "Say that he also talks")
        await us.quiet()
        assert us.states(root) == [("final", "answered")] * 2
        assert "Say that he also talks" in us.prompts("final")[-1]
        assert verdicts(us, root) == ["changes_requested", "superseded"]
        await us.person("rae").replies(root, "Thank you")
        await us.quiet()
        assert len(us.prompts("final")) == 2
        newest = us.last(root, "answer")
        await us.reacts(CHECK, newest, person="ann")
        assert await us.told("ann", "You asked for this text")
        await us.reacts(CHECK, newest, person="rae")
        assert us.last(root, "verdict").state == "approved", "who sent it back may approve the next version"
        assert await ledger(us) == [
            "countersign review_opened",
            "U0RAE send_back",
            "countersign superseded",
            "countersign review_opened",
            "U0RAE approve",
        ]


async def test_the_next_version_says_what_became_of_the_one_before(tmp_path: Path) -> None:
    texts = iter(["Spip jumps. He likes nuts.", "Spip jumps. He loves nuts.", "Spip jumps. He loves nuts."])

    def answers(_: Recorded) -> str:
        return f"## Decision\nready\n\n## Final text\n{next(texts)}\n\n## Owner's notes\nMine."

    async with team(tmp_path, answers=answers) as us:
        root, text = await final(us)
        assert "Compared with" not in us.last(root, "notes").visible
        await us.reacts("x", text)
        await us.asks(root, "final He loves them")
        told = us.last(root, "notes").visible
        assert f"Compared with final 1 ({text.payload['sha256'][:8]}): 1 passage taken out, 1 passage put in" in (
            told.replace("*", "")
        )
        assert "- He likes nuts.\n+ He loves nuts." in told
        assert us.last(root, "answer").says("Spip jumps. He loves nuts.")
        assert not us.last(root, "answer").says("Compared with")
        await us.asks(root, "final")
        assert "The text is the same, sign for sign." in us.last(root, "notes").visible


async def test_a_send_back_outweighs_an_approval_until_it_is_taken_away(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        root, text = await final(us)
        await us.reacts(CHECK, text, person="rae")
        await us.reacts("x", text, person="sam")
        assert verdicts(us, root) == ["approved", "changes_requested"]
        await us.unreacts("x", text, person="sam")
        assert us.last(root, "review").state == "approved"
        assert verdicts(us, root) == ["approved", "changes_requested", "approved"]


async def test_whoever_wrote_a_note_to_it_cannot_approve(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        root = await us.starts("draft", BRIEF)
        await us.asks(root, "critique")
        await us.clicks("revise", us.last(root, "answer", stage="draft"), person="stan")
        await us.asks(root, "polish make it sing", person="rae")
        await us.asks(root, "final")
        text = us.last(root, "answer", stage="final")
        await us.reacts(CHECK, text, person="rae")
        assert await us.told("rae", "somebody else approves it: <@U0SAM>.")
        await us.reacts(CHECK, text, person="sam")
        assert verdicts(us, root) == ["approved"]


async def test_a_newer_final_makes_the_old_one_unapprovable_however_it_was_approved(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        root, text = await final(us)
        await us.reacts(CHECK, text)
        await us.asks(root, "final")
        assert verdicts(us, root) == ["approved", "superseded"]
        old, new = us.in_thread(root, "review")
        assert (old.state, new.state) == ("superseded", "awaiting")
        await us.reacts(CHECK, old, person="sam")
        assert await us.told("sam", "newer final")
        await us.unreacts(CHECK, text)
        assert verdicts(us, root) == ["approved", "superseded"]
        await us.reacts(CHECK, new)
        assert verdicts(us, root) == ["approved", "superseded", "approved"]


def tampered(blocks: Any) -> Any:
    """The same blocks with one letter changed."""
    if isinstance(blocks, dict):
        return {key: tampered(value) for key, value in blocks.items()}
    if isinstance(blocks, list):
        return [tampered(value) for value in blocks]
    return blocks.replace("Spip", "Spit") if isinstance(blocks, str) else blocks


@pytest.mark.parametrize("what", ["edited", "changed without a trace", "deleted"])
async def test_a_text_that_does_not_stand_as_it_was_posted_is_not_approved_and_posted_again(
    tmp_path: Path, what: str
) -> None:
    async with team(tmp_path) as us:
        root, text = await final(us)
        assert text.says("Spip")
        match what:
            case "edited":
                us.slack.workspace.edit(text, by="U0ANN")
            case "deleted":
                await us.person("ann").deletes(text)
                await us.quiet()
                assert us.last(root, "notice").says("Somebody deleted a part of text")
            case _:
                changed = Message({**text, "blocks": tampered(text.blocks)})
                us.slack.workspace._messages[text.channel][text.ts] = changed
        first_card = us.last(root, "review")
        await us.reacts(CHECK, first_card)
        assert "It is posted again as final 2: read and approve that." in await us.told("rae", "does not count")
        assert verdicts(us, root) == ["superseded"]
        assert us.slack.now(first_card).state == "superseded"
        again = us.last(root, "answer")
        assert again.ts != text.ts
        assert again.visible == text.visible
        assert again.payload["sha256"] == text.payload["sha256"]
        await us.reacts(CHECK, again)
        assert verdicts(us, root) == ["superseded", "approved"]
        await us.clicks("download", us.last(root, "verdict"))
        assert (await ledger(us))[-3:] == [
            "countersign review_opened",
            "countersign posted_again",
            "U0RAE approve",
        ]


async def test_a_card_or_a_text_that_an_admin_deletes_is_missed_and_said_once(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        root, text = await final(us)
        before = len(us.in_thread(root, "notice"))
        await us.person("ann").deletes(us.last(root, "review"))
        await us.quiet()
        assert us.last(root, "notice").says("The review card of text")
        await us.reacts(CHECK, text)
        assert verdicts(us, root) == ["approved"]
        await us.person("ann").deletes(text)
        await us.quiet()
        assert us.last(root, "notice").says("It stays approved: it is kept as it was")
        assert len(us.in_thread(root, "notice")) == before + 2
        await us.person("ann").deletes(us.last(root, "card"))
        await us.quiet()
        assert len(us.in_thread(root, "notice")) == before + 2, "a card is not what anybody approves"


async def test_while_slack_does_not_say_who_somebody_is_their_reaction_waits(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        root, text = await final(us)
        us.slack.faults.add("users.info", Fault.ERROR("internal_error"), times=2)
        us.slack.faults.add("users.info", Fault.SERVER_ERROR_BEFORE)
        us.slack.faults.add("conversations.replies", Fault.RESET_BEFORE)
        await us.person("rae").reacts(CHECK, text)
        await us.slack.until(lambda: len(us.slack.calls_of("users.info")) >= 2)
        assert verdicts(us, root) == []
        await us.quiet()
        assert verdicts(us, root) == ["approved"]
        assert us.whispers("rae") == []


async def test_a_reaction_that_is_quicker_than_the_posts_reply_counts(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        us.slack.faults.add(
            "chat.postMessage", Fault.SLOW(0.8), when=lambda call: "answer" in str(call.args.get("metadata"))
        )
        await us.commands("final", BRIEF)
        text = await us.slack.until(lambda: us.said("answer")[0])
        await us.reacts(CHECK, text)
        assert [message.state for message in us.said("verdict")] == ["approved"]


async def test_a_final_whose_owner_blocks_opens_no_review_and_voids_the_last_one(tmp_path: Path) -> None:
    def owner(_: Recorded) -> str:
        if len(us.models.requests) == 1:
            return "## Decision\nready\n\n## Final text\nSpip is a squirrel.\n\n## Owner's notes\nNone."
        return "## Decision\nblocked: nobody has seen Spip\n\n## Final text\n\n## Owner's notes\nAsk Fantasio."

    async with team(tmp_path, answers=owner) as us:
        root, text = await final(us)
        await us.reacts(CHECK, text)
        await us.asks(root, "final")
        assert us.card(root).startswith("final · blocked")
        assert us.last(root, "notice").says("The owner blocked this text, so no review opens.")
        assert "nobody has seen Spip" in us.last(root, "notes").visible
        assert [review.state for review in us.in_thread(root, "review")] == ["superseded"]
        assert verdicts(us, root) == ["approved", "superseded"]


async def test_a_final_that_was_cut_at_its_limit_opens_no_review(tmp_path: Path) -> None:
    def cut(_: Recorded) -> Reply:
        return Reply(text="## Decision\nready\n\n## Final text\nSpip is a squ", stop=StopReason.LENGTH)

    async with team(tmp_path, answers=cut) as us:
        root, _text = await final(us)
        assert "cut at the output limit" in us.card(root)
        assert us.last(root, "notice").says("max_output_tokens")
        assert us.in_thread(root, "review") == []


async def test_a_final_without_a_decision_says_to_look_twice(tmp_path: Path) -> None:
    async with team(tmp_path, answers=lambda _: "Spip is a squirrel.") as us:
        root, _text = await final(us)
        assert us.last(root, "review").says("gave no decision on this text: look twice")


async def test_members_of_a_user_group_review_and_those_who_left_it_do_not(tmp_path: Path) -> None:
    async with team(tmp_path, review='reviewers = ["S0REVIEW"]') as us:
        us.slack.change_group("S0REVIEW", "sam", "stan")
        root, text = await final(us)
        await us.reacts(CHECK, text, person="rae")
        assert await us.told("rae", "Only a reviewer")
        await us.reacts(CHECK, text, person="stan")
        assert verdicts(us, root) == ["approved"]
        (body,) = await us.rows("SELECT body FROM ledger WHERE what = 'approve'")
        assert '"in_group":true' in body["body"]


async def test_a_channel_may_have_reviewers_of_its_own(tmp_path: Path) -> None:
    async with team(tmp_path, more='[channels.C0DOCS]\nreviewers = ["U0STAN"]') as us:
        root = await us.starts("final", BRIEF, channel="docs")
        await us.reacts(CHECK, us.last(root, "answer"), person="rae")
        assert "<@U0STAN>" in await us.told("rae", "Only a reviewer")
        await us.reacts(CHECK, us.last(root, "answer"), person="stan")
        assert verdicts(us, root) == ["approved"]


async def test_other_emoji_and_other_messages_mean_nothing(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        root = await us.starts("draft", BRIEF)
        await us.asks(root, "final")
        card, text = us.last(root, "card"), us.last(root, "answer")
        for emoji in ("tada", "ballot_box_with_check", "white_check", "eyes"):
            await us.reacts(emoji, text)
        for message in (root, card, us.last(root, "answer", stage="draft")):
            await us.reacts(CHECK, message)
        assert verdicts(us, root) == []
        assert us.whispers("rae") == []


async def test_an_approved_text_is_had_as_a_file_of_exactly_its_bytes_once(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        root, text = await final(us)
        await us.reacts(CHECK, text, person="rae")
        approval = us.last(root, "verdict")
        await us.clicks("download", approval, person="gus")
        await us.clicks("download", approval, person="ann")
        (shared,) = [message for message in us.slack.everything() if message.get("files")]
        assert shared.thread_ts == root.ts
        (file,) = shared["files"]
        content = us.slack.workspace.files.by_id[file["id"]].content
        assert content is not None
        assert hashlib.sha256(content).hexdigest() == text.payload["sha256"]
        assert file["name"].endswith(f"-final-1-{text.payload['sha256'][:12]}.md")
        assert us.whispers("gus") == []
        assert us.whispers("ann") == [f"The approved text is in this thread already, as `{file['name']}`."]
        await us.unreacts(CHECK, text, person="rae")
        await us.clicks("download", approval, person="ann")
        assert us.last(root, "notice").says("is not approved (withdrawn), so there is no file of it.")
