"""App Home: what waits for whom, and how it changes by itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bot.playground.scripted import Recorded, Reply
from handlers.ports import LookupFailed
from tests.stories.workspace import PATIENCE, Team, link, team

CHECK = "white_check_mark"
BRIEF = "Say that the cage is open"


def home(us: Team, person: str) -> str:
    """What stands in somebody's Home now."""
    view: dict[str, Any] = us.slack.workspace.views.homes.get(us.person(person).id) or {"blocks": []}
    return "\n".join(str(block["text"]["text"]) for block in view["blocks"])


async def opens(us: Team, person: str) -> str:
    await us.person(person).opens_home(seconds=PATIENCE)
    return home(us, person)


async def becomes(us: Team, person: str, words: str, *, without: str = "\x00") -> str:
    """Wait until somebody's Home says this, though they do nothing."""

    def told() -> str | None:
        seen = home(us, person)
        return seen if words in seen and without not in seen else None

    return str(await us.slack.until(told, timeout=PATIENCE))


async def test_what_waits_for_a_reviewer_moves_to_what_was_approved_by_itself(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        root = await us.starts("final", BRIEF)
        review = us.last(root, "review")
        await opens(us, "rae")
        address = link(review).partition(".com/")[2].replace("&", "&amp;")
        seen = await becomes(us, "rae", f"{us.slack.url}/{address}|Open>")
        assert "Waiting for you" in seen
        assert "<@U0ANN>" in seen
        assert "<!" not in seen
        assert review.payload["sha256"][:8] in seen
        await us.reacts(CHECK, us.last(root, "answer"))
        seen = await becomes(us, "rae", "Recently approved", without="Waiting for you")
        head = us.last(root, "verdict").visible.partition("Ledger ")[2][:12]
        assert f"Ledger {head}" in seen


async def test_who_asked_sees_their_works_and_a_stranger_how_to_begin(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        await us.starts("final", "Say it plainly")
        mine = await opens(us, "ann")
        assert "Your open works" in mine
        assert "waiting for a reviewer" in mine
        assert "Waiting for you" not in mine
        assert "Nothing waits for you. To begin" in await opens(us, "stan")


async def test_who_opened_a_work_sees_what_it_waits_for_until_its_final_is_approved(tmp_path: Path) -> None:
    def fails(asked: Recorded) -> Reply:
        return Reply(status=400) if "Fail at this" in asked.user else Reply(text="It is open.")

    async with team(tmp_path, answers=fails) as us:
        await us.starts("draft", "Fail at this")
        assert "draft failed" in await opens(us, "ann")
        root = await us.starts("final", BRIEF)
        await becomes(us, "ann", "waiting for a reviewer")
        await us.reacts("x", us.last(root, "answer"))
        seen = await becomes(us, "ann", "sent back by <@U0RAE>", without="waiting for a reviewer")
        assert "a reason or a new final is wanted" in seen
        assert seen.index("sent back by") < seen.index("draft failed")
        await us.asks(root, "final", person="ann")
        await becomes(us, "ann", "waiting for a reviewer", without="sent back")
        await us.reacts(CHECK, us.last(root, "answer"))
        seen = await becomes(us, "ann", "Recently approved", without="waiting for a reviewer")
        assert "draft failed" in seen
        assert "sent back" not in seen


async def test_a_change_in_one_home_leaves_others_as_they_are(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        await opens(us, "stan")
        await opens(us, "rae")
        before = json.dumps(us.slack.workspace.views.homes["U0STAN"])
        await us.starts("final", "Say it plainly")
        await becomes(us, "rae", "Waiting for you")
        assert json.dumps(us.slack.workspace.views.homes["U0STAN"]) == before


async def test_a_members_home_says_so_when_slack_does_not_tell_the_group(tmp_path: Path) -> None:
    async with team(tmp_path, review='reviewers = ["S0REVIEW"]') as us:
        lookup = us.bot.home._slack
        really = lookup.members_of

        async def silent(group: str) -> frozenset[str]:
            raise LookupFailed(group)

        await us.starts("final", "Say it plainly")
        lookup.members_of = silent  # type: ignore[method-assign]
        assert "may be missing here" in await opens(us, "rae")

        async def told(group: str) -> frozenset[str]:
            assert group == "S0REVIEW"
            return frozenset({"U0RAE"})

        lookup.members_of = told  # type: ignore[method-assign]
        seen = await becomes(us, "rae", "final for", without="may be missing")
        assert "Waiting for you" in seen
        lookup.members_of = really  # type: ignore[method-assign]
