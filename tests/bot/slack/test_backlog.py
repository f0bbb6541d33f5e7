"""Reading back channels, threads and reactions: whole or not at all, and behind every call that is owed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.playground.server import Fault, Message, Playground
from bot.slack.backlog import Backlog, Withheld
from bot.slack.calls import CallFailed, build_client, build_session
from bot.slack.pace import LIMITS, Pace
from handlers.repair import Sight
from tests.bot.slack.desk import HurriedTime

LAUNCH = "C0LAUNCH"
CHECK = "white_check_mark"


@pytest.fixture
async def slack() -> AsyncIterator[Playground]:
    async with Playground() as playground:
        playground.pace(enabled=False)
        yield playground


@pytest.fixture
def time() -> HurriedTime:
    return HurriedTime()


@pytest.fixture
def pace(time: HurriedTime) -> Pace:
    return Pace(tick=time.tick, sleep=time.sleep)


@pytest.fixture
async def backlog(slack: Playground, pace: Pace, time: HurriedTime) -> AsyncIterator[Backlog]:
    async with build_session() as session:
        yield Backlog(build_client(slack.bot_token, slack.api_url, session), pace, sleep=time.sleep)


async def said(slack: Playground, text: str, **more: Any) -> Message:
    return await slack.as_person("ann").says(text, **more)


async def test_a_channel_is_read_to_its_end_the_newest_first(slack: Playground, backlog: Backlog) -> None:
    early = await said(slack, "early")
    first = await said(slack, "0")
    for number in range(1, 450):
        await said(slack, str(number))
    found = [shown["text"] async for shown in backlog.top_level(LAUNCH, since=first.ts)]
    assert found == [str(number) for number in reversed(range(450))]
    assert early.ts < first.ts
    assert len(slack.calls_of("conversations.history")) == 3


async def test_a_thread_is_read_from_a_moment_on(slack: Playground, backlog: Backlog) -> None:
    root = await said(slack, "root")
    replies = [await said(slack, str(number), thread_ts=root.ts) for number in range(3)]
    found = [shown["text"] async for shown in backlog.replies(LAUNCH, root.ts, since=replies[1].ts)]
    assert found == ["root", "1", "2"]


async def test_the_places_where_we_are_are_those_in_which_something_can_happen(
    slack: Playground, backlog: Backlog
) -> None:
    slack.channels["docs"].is_archived = True
    assert await backlog.channels() == [LAUNCH, "C0PARTNERS"]


async def test_everybodys_reactions_are_seen(slack: Playground, backlog: Backlog) -> None:
    text = await said(slack, "text")
    assert await backlog.reactions(LAUNCH, text.ts) == Sight(standing=frozenset())
    for who, emoji in (("rae", CHECK), ("sam", CHECK), ("sam", "x")):
        await slack.as_person(who).reacts(emoji, text)
    slack.workspace.reactors_shown = 1
    standing = {("U0RAE", CHECK), ("U0SAM", CHECK), ("U0SAM", "x")}
    assert await backlog.reactions(LAUNCH, text.ts) == Sight(standing=frozenset(standing))


async def test_where_some_are_not_named_slack_is_asked_again_and_nothing_is_assumed(
    slack: Playground, backlog: Backlog
) -> None:
    text = await said(slack, "text")
    for who, emoji in (("rae", CHECK), ("sam", CHECK), ("sam", "x")):
        await slack.as_person(who).reacts(emoji, text)
    slack.workspace.reactors_shown_in_full = 1
    standing = {("U0RAE", CHECK), ("U0SAM", "x")}
    assert await backlog.reactions(LAUNCH, text.ts) == Sight(standing=frozenset(standing), unsure=frozenset({CHECK}))
    assert len(slack.calls_of("reactions.get")) == 4


async def test_names_that_come_at_the_second_look_are_taken(slack: Playground, time: HurriedTime, pace: Pace) -> None:
    text = await said(slack, "text")
    for who in ("rae", "sam"):
        await slack.as_person(who).reacts(CHECK, text)
    slack.workspace.reactors_shown_in_full = 1

    async def slack_catches_up(seconds: float) -> None:
        slack.workspace.reactors_shown_in_full = 2
        await time.sleep(seconds)

    async with build_session() as session:
        client = build_client(slack.bot_token, slack.api_url, session)
        sight = await Backlog(client, pace, sleep=slack_catches_up).reactions(LAUNCH, text.ts)
    assert sight == Sight(standing=frozenset({("U0RAE", CHECK), ("U0SAM", CHECK)}))


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        ("missing_scope", Withheld),
        ("not_in_channel", Withheld),
        ("channel_not_found", Withheld),
        ("message_not_found", Withheld),
        ("invalid_auth", CallFailed),
        ("fatal_error", CallFailed),
        ("something_new", CallFailed),
    ],
)
async def test_what_slack_will_never_show_is_told_from_what_it_may_show_later(
    slack: Playground, backlog: Backlog, error: str, raised: type[Exception]
) -> None:
    slack.faults.add("*", Fault.ERROR(error))
    with pytest.raises(raised, match=error):
        await backlog.reactions(LAUNCH, "1790000000.000100")


async def test_a_page_that_is_none_is_no_end(slack: Playground, backlog: Backlog, monkeypatch: Any) -> None:
    async def broken(method: str, **_: Any) -> dict[str, Any]:
        return {"ok": True} if method == "conversations.history" else {"ok": True, "messages": [], "has_more": True}

    monkeypatch.setattr(backlog._calls, "send", broken)
    with pytest.raises(CallFailed, match="unreadable_reply"):
        [shown async for shown in backlog.top_level(LAUNCH, since="0")]
    with pytest.raises(CallFailed, match="no_cursor"):
        [shown async for shown in backlog.replies(LAUNCH, "1.000000", since="0")]
    with pytest.raises(CallFailed, match="unreadable_reply"):
        await backlog.reactions(LAUNCH, "1.000000")


async def test_told_to_wait_it_waits_and_goes_on(slack: Playground, backlog: Backlog, time: HurriedTime) -> None:
    slack.faults.add("users.conversations", Fault.RATE_LIMITED(30))
    assert LAUNCH in await backlog.channels()
    assert sum(time.asked) >= 30


async def test_a_third_of_the_room_is_left_to_whoever_needs_it(
    slack: Playground, backlog: Backlog, pace: Pace, time: HurriedTime
) -> None:
    text = await said(slack, "text")
    for _ in range(LIMITS["reactions.get"].burst * 2):
        await backlog.reactions(LAUNCH, text.ts)
    assert time.asked  # it had to wait for room to spare
    asked = len(time.asked)
    assert not await asyncio.wait_for(pace.turn("reactions.get"), 5)  # and one who cannot wait need not
    assert len(time.asked) == asked
