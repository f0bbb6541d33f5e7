"""Order of arrival is nobody's promise: Slack's own times decide what was said last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bot.playground.delivery import Ack, Kind, Retry
from tests.stories.workspace import team

BRIEF = "Announce that Zorglub has retired"
CHECK = "white_check_mark"


async def test_a_reaction_whose_removal_is_heard_of_first_never_approves(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        root = await us.starts("final", BRIEF)
        text = us.last(root, "answer")
        us.slack._delivery.transport = held = Held()
        await us.person("rae").reacts(CHECK, text)
        await us.person("rae").unreacts(CHECK, text)
        await us.slack.until(lambda: len(held.events) == 2)
        us.slack._delivery.transport = us.slack
        for payload in reversed(held.events):
            assert (await us.slack.attempt(Kind.EVENT, payload, Retry())).ok
            await us.quiet()
        assert [message.state for message in us.in_thread(root, "verdict")] == ["withdrawn"]
        assert us.last(root, "review").state == "withdrawn"


class Held:
    """A way to the app on which everything gets stuck; acknowledged, so that nobody sends it again."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    async def attempt(self, kind: Kind, payload: dict[str, Any], retry: Retry) -> Ack:  # noqa: ARG002  the port's shape
        self.events.append(payload)
        return Ack()
