"""The pace keeps Slack's limits in the long run and never slows a lone request."""

from __future__ import annotations

import asyncio

import pytest

from bot.slack.pace import LIMITS, PER_CHANNEL, Pace


class SlowMotion:
    """A clock that only moves when somebody sleeps; the earliest sleeper wakes first."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def tick(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        until = self.now + seconds
        await asyncio.sleep(0)
        self.now = max(self.now, until)


@pytest.fixture
def time() -> SlowMotion:
    return SlowMotion()


@pytest.fixture
def pace(time: SlowMotion) -> Pace:
    return Pace(tick=time.tick, sleep=time.sleep)


async def moments(pace: Pace, time: SlowMotion, method: str, calls: int, channel: str = "") -> list[float]:
    """When each of so many calls in a row got its turn, in seconds from now."""
    began, at = time.now, []
    for _ in range(calls):
        await pace.turn(method, channel)
        at.append(round(time.now - began, 3))
    return at


async def test_posts_to_one_channel_begin_with_a_burst_and_go_on_one_a_second(pace: Pace, time: SlowMotion) -> None:
    assert await moments(pace, time, "chat.postMessage", 9, "C0LAUNCH") == [0, 0, 0, 0, 0, 0, 1, 2, 3]


@pytest.mark.parametrize("method", LIMITS)
async def test_in_the_long_run_a_method_keeps_its_rate(pace: Pace, time: SlowMotion, method: str) -> None:
    limit = LIMITS[method]
    at = await moments(pace, time, method, limit.burst + 200)
    assert at[limit.burst - 1] == 0
    assert at[-1] == pytest.approx(200 * 60 / limit.per_minute, rel=0.01)


@pytest.mark.parametrize("method", LIMITS)
async def test_a_lone_request_never_waits(pace: Pace, time: SlowMotion, method: str) -> None:
    for _ in range(20):
        assert await pace.turn(method, "C0LAUNCH") is False
        time.now += 60 / (PER_CHANNEL.get(method) or LIMITS[method]).per_minute


async def test_channels_do_not_wait_for_each_other(pace: Pace, time: SlowMotion) -> None:
    await moments(pace, time, "chat.postMessage", 6, "C0LAUNCH")
    assert await moments(pace, time, "chat.postMessage", 6, "C0DOCS") == [0] * 6


async def test_all_channels_together_keep_the_workspaces_limit(pace: Pace, time: SlowMotion) -> None:
    for number in range(360):
        await pace.turn("chat.postMessage", f"C{number}")
    assert time.now - 1_000 == pytest.approx(60, rel=0.01)


async def test_turns_come_in_the_order_they_were_asked_for(pace: Pace) -> None:
    order: list[int] = []

    async def asks(number: int) -> None:
        await pace.turn("chat.postMessage", "C0LAUNCH")
        order.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(30):
            group.create_task(asks(number))
    assert order == list(range(30))


async def test_who_had_to_wait_is_told_so(pace: Pace) -> None:
    told = [await pace.turn("chat.postMessage", "C0LAUNCH") for _ in range(8)]
    assert told == [False] * 6 + [True] * 2


async def test_retry_after_closes_the_method_and_leaves_no_burst(pace: Pace, time: SlowMotion) -> None:
    pace.close("chat.update", "C0LAUNCH", 30)
    assert await moments(pace, time, "chat.update", 3) == [30, 31.2, 32.4]


async def test_retry_after_of_a_post_closes_its_channel_only(pace: Pace, time: SlowMotion) -> None:
    pace.close("chat.postMessage", "C0LAUNCH", 30)
    assert await moments(pace, time, "chat.postMessage", 1, "C0DOCS") == [0]
    assert await moments(pace, time, "chat.postMessage", 2, "C0LAUNCH") == [30, 31]


async def test_a_shorter_retry_after_does_not_open_what_a_longer_one_closed(pace: Pace, time: SlowMotion) -> None:
    pace.close("chat.update", "", 30)
    pace.close("chat.update", "", 1)
    assert await moments(pace, time, "chat.update", 1) == [30]


async def test_who_waits_already_obeys_a_retry_after_that_comes_later(pace: Pace, time: SlowMotion) -> None:
    await moments(pace, time, "chat.postMessage", 6, "C0LAUNCH")
    began = time.now
    waiting = asyncio.create_task(pace.turn("chat.postMessage", "C0LAUNCH"))
    await asyncio.sleep(0)
    pace.close("chat.postMessage", "C0LAUNCH", 40)
    await waiting
    assert time.now - began == pytest.approx(40)


async def test_spare_turns_leave_a_third_for_what_is_owed(pace: Pace, time: SlowMotion) -> None:
    given = [pace.spare("chat.update") for _ in range(20)]
    assert given == [True] * 14 + [False] * 6
    assert await moments(pace, time, "chat.update", 6) == [0] * 6


async def test_there_is_nothing_to_spare_behind_a_line_or_a_closed_door(pace: Pace, time: SlowMotion) -> None:
    pace.close("chat.update", "", 10)
    assert pace.spare("chat.update") is False
    time.now += 3_600
    assert pace.spare("chat.update") is True
    waiting = [asyncio.create_task(pace.turn("views.open")) for _ in range(41)]
    await asyncio.sleep(0)
    assert pace.spare("views.open") is False
    await asyncio.gather(*waiting)


async def test_a_clock_that_goes_back_gives_nothing_away_and_stops_nothing(pace: Pace, time: SlowMotion) -> None:
    await moments(pace, time, "chat.postMessage", 6, "C0LAUNCH")
    time.now -= 100
    assert (await moments(pace, time, "chat.postMessage", 1, "C0LAUNCH"))[0] <= 101


async def test_each_wait_for_a_turn_is_told_with_its_seconds(pace: Pace, time: SlowMotion) -> None:
    told: list[tuple[str, float]] = []
    pace.on_wait(lambda method, seconds: told.append((method, round(seconds, 3))))
    await moments(pace, time, "chat.postMessage", 6, "C0LAUNCH")
    assert told == []
    await moments(pace, time, "chat.postMessage", 2, "C0LAUNCH")
    assert told == [("chat.postMessage", 1.0), ("chat.postMessage", 1.0)]


async def test_who_gives_up_waiting_has_waited(pace: Pace, time: SlowMotion) -> None:
    told: list[str] = []
    pace.on_wait(lambda method, _: told.append(method))
    pace.close("users.info", "", 3_600)

    async def never_wakes(_: float) -> None:
        await asyncio.Event().wait()

    pace._sleep = never_wakes
    waiting = asyncio.create_task(pace.turn("users.info"))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert told == ["users.info"]
