"""Nobody decides: reviewers are reminded in the thread, and in the end it says that nothing was decided."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.stories.workspace import team

CHECK = "white_check_mark"
SOON = """
reviewers = ["U0RAE", "U0SAM"]
backup_reviewers = ["U0STAN"]
remind_after = "1s"
expire_after = "{expires}"
"""


async def test_reviewers_are_reminded_and_their_backup_decides(tmp_path: Path) -> None:
    async with team(tmp_path, review=SOON.format(expires="7d")) as us:
        root = await us.starts("final", "Say that nobody reads this")
        text = us.last(root, "answer")
        for number in (1, 2):
            await asyncio.sleep(1.1 * number)
            await asyncio.gather(*(us.bot.look_at_what_waits() for _ in range(3)))
            await us.quiet()
            assert len(us.in_thread(root, "notice")) == number
        first, second = us.in_thread(root, "notice")
        assert "<@U0STAN>" not in first.visible
        assert "from now on <@U0STAN> may decide, too" in second.visible
        assert "<@U0STAN>" in us.last(root, "review").visible
        await us.reacts(CHECK, text, person="stan")
        assert us.last(root, "review").state == "approved"


async def test_a_review_whose_time_is_over_says_so_once(tmp_path: Path) -> None:
    async with team(tmp_path, review=SOON.format(expires="2s")) as us:
        root = await us.starts("final", "Say that nobody reads this")
        await asyncio.sleep(2.1)
        for _ in range(3):
            await us.bot.look_at_what_waits()
        await us.quiet()
        assert [message.state for message in us.in_thread(root, "verdict")] == ["expired"]
        assert us.last(root, "review").state == "expired"
        await us.reacts(CHECK, us.last(root, "answer"), person="rae")
        assert us.last(root, "review").state == "expired"
        assert any("has expired" in said for said in us.whispers("rae"))
