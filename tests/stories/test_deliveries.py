"""Slack delivers at least once: whatever comes again, at once or much later, changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bot.playground.delivery import Ack, Kind, Retry, Transport
from tests.stories.workspace import Team, at_work, team

BRIEF = "Announce that Zorglub has retired"
CHECK = "white_check_mark"


class Recorder:
    """A way to the app that remembers all it carried."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.carried: list[tuple[Kind, dict[str, Any]]] = []

    async def attempt(self, kind: Kind, payload: dict[str, Any], retry: Retry) -> Ack:
        self.carried.append((kind, payload))
        return await self._inner.attempt(kind, payload, retry)

    async def again(self) -> int:
        """Everything once more, in its order and then in reverse, as retries; how many deliveries that were."""
        known = {repr(payload): (kind, payload) for kind, payload in self.carried}.values()
        for kind, payload in [*known, *reversed(known)]:
            ack = await self._inner.attempt(kind, payload, Retry(attempt=1, reason="http_timeout"))
            assert ack.ok, ack
        return 2 * len(known)


async def everything_a_person_can_do(us: Team) -> None:
    """Every kind of delivery: command, mention, click, shortcut, modal, reaction, its removal, a reason."""
    root = await us.starts("scout", BRIEF)
    for words in ("draft", "status", "critique be harsh"):
        await us.asks(root, words)
    await us.clicks("revise", us.last(root, "answer", stage="draft"))
    await us.clicks("context", us.last(root, "answer", stage="draft"))
    remark = await us.person("stan").replies(root, "I would not call it retirement")
    modal = await us.person("stan").uses_shortcut("critique_message", remark)
    assert modal
    await us.person("stan").submits(modal, {"note": "is he right?"})
    await us.quiet()
    await us.asks(root, "final")
    text = us.last(root, "answer", stage="final")
    await us.reacts(CHECK, text, person="stan")
    await us.reacts(CHECK, text)
    await us.unreacts(CHECK, text)
    await us.reacts("x", text)
    await us.person("rae").replies(root, "Say where he lives now")
    await us.quiet()
    for button in ("approve", "withdraw", "send_back", "take_back"):
        await us.clicks(button, us.last(root, "review"), person="sam")
    await us.reacts(CHECK, us.last(root, "review"))


async def remembered(us: Team) -> dict[str, Any]:
    """What was said and kept, without what differs from one run of the story to the next."""
    said = [(message.kind, message.payload.get("stage"), message.state) for message in us.slack.by_bot()]
    tables = ("inbox", "works", "runs", "contexts", "answers", "outbox", "reviews", "verdicts", "ledger")
    counts = {table: (await us.rows(f"SELECT count(*) AS n FROM {table}"))[0]["n"] for table in tables}
    whispers = {name: us.whispers(name) for name in us.slack.people}
    return {"said": said, "whispers": whispers, "asked": len(us.models.requests), **counts}


@pytest.mark.parametrize("by_http", [False, True], ids=["socket", "http"])
async def test_what_is_delivered_three_times_happens_once(tmp_path: Path, *, by_http: bool) -> None:
    stories = []
    for repeat in (1, 3):
        folder = tmp_path / str(repeat)
        folder.mkdir()
        async with team(folder, repeat=repeat, by_http=by_http) as us:
            await everything_a_person_can_do(us)
            stories.append(await remembered(us))
    once, thrice = stories
    assert thrice == once
    assert ("verdict", "final", "approved") in once["said"]


async def test_what_is_delivered_again_later_or_after_a_restart_changes_nothing(tmp_path: Path) -> None:
    async with team(tmp_path) as us:
        us.slack._delivery.transport = recorder = Recorder(us.slack)
        await everything_a_person_can_do(us)
        before = await remembered(us)
        assert await recorder.again() > 40
        await us.quiet()
        assert await remembered(us) == before
        await us.bot.stop()
        async with at_work(us.slack, us.models, us.folder) as us_again:
            await recorder.again()
            await us_again.quiet()
            assert await remembered(us_again) == before
            us.bot = us_again.bot
            await us.quiet()
