"""The buttons of a review card say what the reactions say, to the same judge."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from bot.playground.server import Message
from tests.stories.test_live_reload import replaced
from tests.stories.workspace import REVIEWERS, Team, team

BRIEF = "Announce that the Marsupilami has laid an egg"
CHECK = "white_check_mark"


async def final(us: Team) -> Message:
    """The root of a thread with a final text that Ann asked for."""
    return await us.starts("final", BRIEF)


def verdicts(us: Team, root: Message) -> list[str]:
    return [message.state for message in us.in_thread(root, "verdict")]


def labels(card: Message) -> list[str]:
    return [str(button["text"]["text"]) for button in card.actions]


def button(card: Message, action: str) -> dict[str, Any]:
    return next(one for one in card.actions if one["action_id"] == action)


async def presses(us: Team, element: dict[str, Any], card: Message, *, person: str = "rae") -> None:
    """A button as it was seen once, whatever the card shows by now."""
    answered = await us.person(person).presses(element, card)
    assert answered.ok, answered.problem
    await us.quiet()


async def given(us: Team) -> list[tuple[str, str, str]]:
    rows = await us.rows("SELECT person, kind, via FROM verdicts ORDER BY seq")
    return [(str(row["person"]), str(row["kind"]), str(row["via"])) for row in rows]


async def test_a_reviewer_approves_by_a_click_that_says_what_it_approves_and_takes_it_back(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        root = await final(us)
        card, text = us.last(root, "review"), us.last(root, "answer")
        assert labels(card) == ["Approve", "Send back"]
        assert "the buttons do the same" in card.visible
        asked = button(card, "approve")["confirm"]["text"]["text"]
        assert f"the final text `{text.payload['sha256'][:12]}`, which <@U0ANN> asked for" in asked
        await us.clicks("approve", card, person="rae")
        assert verdicts(us, root) == ["approved"]
        assert us.last(root, "verdict").says("Approved by <@U0RAE>")
        assert labels(us.last(root, "review")) == ["Withdraw approval"]
        await us.clicks("withdraw", us.last(root, "review"), person="rae")
        assert verdicts(us, root) == ["approved", "withdrawn"]
        assert labels(us.last(root, "review")) == ["Approve", "Send back"]
        assert await given(us) == [("U0RAE", "approve", "button"), ("U0RAE", "withdraw", "button")]
        assert us.whispers("rae") == [], "what the card and the thread say is said"


async def test_a_click_that_is_delivered_three_times_counts_once(tmp_path: Path) -> None:
    async with team(tmp_path, repeat=3) as us:
        root = await final(us)
        card = us.last(root, "review")
        approve = button(card, "approve")
        await us.clicks("approve", card, person="rae")
        assert await given(us) == [("U0RAE", "approve", "button")]
        assert us.whispers("rae") == []
        await presses(us, approve, card)
        assert await us.told("rae", "You have approved text")
        assert verdicts(us, root) == ["approved"]
        assert len(await given(us)) == 1


async def test_who_may_not_approve_hears_why_after_every_click(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        root = await final(us)
        for _ in range(2):
            await us.clicks("approve", us.last(root, "review"), person="ann")
            await us.clicks("send_back", us.last(root, "review"), person="stan")
        assert (
            us.whispers("ann")
            == ["You asked for this text or had a hand in it, so somebody else approves it: <@U0RAE> or <@U0SAM>."] * 2
        )
        assert us.whispers("stan") == ["Only a reviewer's click counts here. Ask <@U0RAE> or <@U0SAM>."] * 2
        assert (verdicts(us, root), await given(us)) == ([], [])


async def test_in_solo_mode_the_requesters_own_click_counts_and_the_ledger_says_so(tmp_path: Path) -> None:
    async with team(tmp_path, review='reviewers = ["U0ANN"]\nsolo = true') as us:
        root = await final(us)
        await us.clicks("approve", us.last(root, "review"), person="ann")
        assert "solo" in us.last(root, "verdict").visible.lower()
        (entry,) = await us.rows("SELECT body FROM ledger WHERE what = 'approve'")
        assert '"solo":true' in entry["body"]
        assert '"via":"button"' in entry["body"]


async def test_a_click_on_a_card_that_was_left_behind_changes_nothing_and_says_so(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        root = await final(us)
        old = us.last(root, "review")
        approve = button(old, "approve")
        await us.asks(root, "final")
        closed, fresh = us.in_thread(root, "review")
        assert (labels(closed), labels(fresh)) == ([], ["Approve", "Send back"])
        await presses(us, approve, old)
        assert await us.told("rae", "There is a newer final in this thread")
        await presses(us, approve, fresh)
        assert await us.told("rae", "I cannot find the text of this card")
        another = {**button(fresh, "approve"), "value": button(fresh, "approve")["value"][:-1] + "?"}
        await presses(us, another, fresh)
        assert await us.told("rae", "This button was made for another text")
        assert await given(us) == []
        await us.clicks("approve", fresh, person="rae")
        assert verdicts(us, root) == ["superseded", "approved"]


async def test_a_click_after_the_time_for_it_is_told_so(tmp_path: Path) -> None:
    async with team(tmp_path, review=f'{REVIEWERS}\nexpire_after = "2s"') as us:
        root = await final(us)
        card = us.last(root, "review")
        await asyncio.sleep(2.1)
        await us.bot.look_at_what_waits()
        await us.quiet()
        assert labels(us.last(root, "review")) == []
        await presses(us, button(card, "approve"), card)
        assert await us.told("rae", "This review has expired")
        assert await given(us) == []


async def test_a_text_that_was_changed_in_the_thread_is_not_approved_by_a_click(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        root = await final(us)
        us.slack.workspace.edit(us.last(root, "answer"), by="U0ANN")
        await us.clicks("approve", us.last(root, "review"), person="rae")
        assert await us.told("rae", "your approval does not count. It is posted again as final 2")
        assert await given(us) == []
        await us.clicks("approve", us.last(root, "review"), person="rae")
        assert us.last(root, "verdict").state == "approved"


async def test_who_sends_a_text_back_by_a_click_is_asked_why_and_may_take_it_back(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        root = await final(us)
        await us.clicks("send_back", us.last(root, "review"), person="rae")
        assert us.last(root, "verdict").state == "changes_requested"
        assert labels(us.last(root, "review")) == ["Take back"]
        await us.clicks("take_back", us.last(root, "review"), person="sam")
        assert await us.told("sam", "there is nothing of yours to take back")
        await us.clicks("take_back", us.last(root, "review"), person="rae")
        assert us.last(root, "review").state == "awaiting"
        await us.person("rae").replies(root, "I was too quick")
        await us.quiet()
        assert len(us.prompts("final")) == 1, "nobody is asked why any more"
        await us.clicks("send_back", us.last(root, "review"), person="rae")
        await us.person("rae").replies(root, "Say what colour it is")
        await us.quiet()
        assert "Say what colour it is" in us.prompts("final")[-1]
        assert labels(us.last(root, "review")) == ["Approve", "Send back"]


async def test_a_click_and_a_reaction_of_one_person_are_one_approval_and_each_is_taken_back_by_itself(
    tmp_path: Path,
) -> None:
    async with team(tmp_path, review=f"{REVIEWERS}\nquorum = 2") as us:
        root = await final(us)
        text = us.last(root, "answer")
        await us.clicks("approve", us.last(root, "review"), person="rae")
        await us.reacts(CHECK, text, person="rae")
        assert (us.last(root, "review").state, verdicts(us, root)) == ("awaiting", [])
        assert labels(us.last(root, "review")) == ["Approve", "Send back", "Withdraw approval"]
        await us.clicks("approve", us.last(root, "review"), person="sam")
        assert verdicts(us, root) == ["approved"]
        await us.unreacts(CHECK, text, person="rae")
        assert verdicts(us, root) == ["approved"], "the click stands"
        await us.reacts(CHECK, text, person="rae")
        await us.clicks("withdraw", us.last(root, "review"), person="rae")
        assert await us.told("rae", "A reaction of yours still says the same.")
        assert verdicts(us, root) == ["approved"], "the reaction stands"
        await us.clicks("withdraw", us.last(root, "review"), person="rae")
        assert await us.told("rae", "Take that reaction away to take it back.")
        await us.unreacts(CHECK, text, person="rae")
        assert verdicts(us, root) == ["approved", "withdrawn"]


async def test_where_the_buttons_are_switched_off_there_are_none_and_an_old_one_says_so(tmp_path: Path) -> None:
    async with team(tmp_path, review=f"{REVIEWERS}\nbuttons = false") as us:
        root = await final(us)
        card, text = us.last(root, "review"), us.last(root, "answer")
        assert labels(card) == []
        assert "button" not in card.visible
        (answer,) = await us.rows("SELECT id FROM answers")
        old = {"type": "button", "action_id": "approve", "value": f"{answer['id']}/{text.payload['sha256']}"}
        await presses(us, old, card)
        assert "✅ approves it, ❌ sends it back" in await us.told("rae", "The buttons are switched off here")
        assert await given(us) == []
        await us.reacts(CHECK, text)
        assert verdicts(us, root) == ["approved"]


async def test_what_was_pressed_can_be_taken_back_after_the_buttons_were_switched_off(tmp_path: Path) -> None:
    async with team(tmp_path, review=f"{REVIEWERS}\nquorum = 2") as us:
        root = await final(us)
        await us.clicks("send_back", us.last(root, "review"), person="rae")
        stack = us.folder / "stack.toml"
        await replaced(us, stack.read_text().replace("quorum = 2", "quorum = 2\nbuttons = false"))
        await us.reacts("x", us.last(root, "answer"), person="sam")
        assert labels(us.last(root, "review")) == ["Take back"]
        await us.clicks("take_back", us.last(root, "review"), person="rae")
        await us.unreacts("x", us.last(root, "answer"), person="sam")
        assert us.last(root, "review").state == "awaiting"
        assert labels(us.last(root, "review")) == []
