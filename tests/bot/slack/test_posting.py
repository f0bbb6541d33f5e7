"""A message that may be in Slack is looked for as long as somebody may still be sending it, and no longer."""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
import structlog

from bot.fence import Displaced, fenced
from bot.slack.calls import CallFailed, Calls, Trouble
from bot.slack.posting import Posting
from handlers.words import Body, line
from storage.database import Database
from storage.records import Kind, Message, Work
from tests.fakes import until

NOW = datetime(2026, 11, 3, 14, 32, tzinfo=UTC)
WORK = Work(id="w", team="T", channel="C", thread_ts="1.0", brief="b", opened_by="U1", opened_at=NOW)
CARD = Message(
    slot="r/card",
    work_id="w",
    kind=Kind.CARD,
    team="T",
    channel="C",
    body=Body(lines=(line("x"),), fallback="x").to_json(),
    planned_at=NOW,
)


class NoTurns:
    async def turn(self, *_: str) -> bool:
        return False


class SlowSlack:
    """Calls of which the first hangs and then ends badly; threads are read at once, and nothing stands in them."""

    ahead = timedelta()
    pace = NoTurns()

    def __init__(self, ends: Exception) -> None:
        self._ends = ends
        self.reads = self.posts = 0
        self.let_go = asyncio.Event()

    async def send(self, *_: str, **__: Any) -> dict[str, Any]:
        self.posts += 1
        await self.let_go.wait()
        raise self._ends

    async def ask(self, method: str, **_: Any) -> dict[str, Any]:
        if method == "auth.test":
            return {"bot_id": "B", "user_id": "U"}
        self.reads += 1
        return {"messages": []}


@pytest.mark.parametrize("ends", [Displaced(), CallFailed(Trouble.UNKNOWN, "timeout")], ids=["displaced", "unknown"])
@pytest.mark.parametrize("when", ["before it looks", "while it looks"])
async def test_a_post_that_was_on_its_way_when_the_errand_came_again_is_waited_for_and_sent_again(
    ends: Exception, when: str
) -> None:
    """A process that stood still may take its own errand for lost, and attend to it twice at once."""
    ticks = itertools.count()

    async def sleep(_: float) -> None:
        await asyncio.sleep(0)

    slack = SlowSlack(ends)
    posting = Posting(
        calls=cast("Calls", slack),
        database=cast("Database", None),
        clock=lambda: NOW,
        sleep=sleep,
        tick=lambda: float(next(ticks)),
        log=structlog.get_logger(),
        on_refused_root=cast("Any", None),
    )
    first = asyncio.create_task(posting.show(CARD, WORK))
    await until(lambda: slack.posts == 1)
    posting.doubt([CARD])
    if when == "while it looks":
        second = asyncio.create_task(posting.show(CARD, WORK))
        await until(lambda: slack.reads >= 3)
        assert slack.posts == 1
    slack.let_go.set()
    await asyncio.gather(first, return_exceptions=True)
    if when == "before it looks":
        second = asyncio.create_task(posting.show(CARD, WORK))
    async with asyncio.timeout(10):
        await asyncio.gather(second, return_exceptions=True)
    assert slack.posts == 2


async def test_a_fence_that_cannot_be_asked_means_that_nothing_was_sent() -> None:
    async def nobody_says() -> bool:
        raise ConnectionError

    calls = Calls(cast("Any", None), cast("Any", None))
    with fenced(nobody_says), pytest.raises(CallFailed) as failed:
        await calls.send("chat.postMessage", channel="C")
    assert (failed.value.trouble, failed.value.code) == (Trouble.LATER, "no_database")
