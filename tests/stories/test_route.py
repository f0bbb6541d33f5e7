"""`/route` asks four questions and runs what they come to; `/stack` shows who does what."""

from __future__ import annotations

from pathlib import Path

from tests.stories.workspace import team

BRIEF = "Tell the team that the marsupilami has moved to Palombia"
FIRST_PASS = {"job": "first_pass", "matters": "speed", "stakes": "fast_pass", "eyes": "here"}


async def test_x(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        ann = us.person("ann")
        await us.commands("route", BRIEF)
        view = await us.slack.until(lambda: ann.view)
        print(view)
        answered = await ann.submits(view, FIRST_PASS)
        print(answered)
        assert answered.ok
        answered = await ann.submits(answered.view)
        await us.quiet()
        print(us.slack.dump())
        await us.commands("stack", "")
        await us.quiet()
        print(await us.told("ann", "Who does"))
        assert 0
