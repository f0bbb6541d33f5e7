"""Each call of Slack's is counted by what came of it, and a 429 by how long Slack wants to be left alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp import web

from bot.fence import Displaced, fenced
from bot.metrics import Metrics
from bot.slack.calls import CallFailed, Calls, build_client, build_session
from bot.slack.pace import Pace


@dataclass
class Line:
    """Calls to a Slack that answers as it is told, in order, and then says yes to everything."""

    calls: Calls
    metrics: Metrics
    replies: list[web.Response | None]

    def counted(self, name: str, /, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"countersign_{name}", labels)


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    replies: list[web.Response | None] = []
    hang = asyncio.Event()

    async def answer(_: web.Request) -> web.Response:
        reply = replies.pop(0) if replies else web.json_response({"ok": True})
        if reply is None:
            await hang.wait()
        return reply or web.Response()

    app = web.Application()
    app.router.add_route("*", "/{method}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]

    async def no_time(_: float) -> None:
        await asyncio.sleep(0)

    seconds = iter(range(0, 1_000_000, 30))
    session = build_session()
    metrics = Metrics()
    pace = Pace(tick=lambda: float(next(seconds)), sleep=no_time)
    pace.on_wait(metrics.paced)
    try:
        client = build_client("xoxb-marsupilami", f"http://{host}:{port}/", session)
        yield Line(Calls(client, pace, metrics=metrics), metrics, replies)
    finally:
        hang.set()
        await session.close()
        await runner.cleanup()


def refused(error: str) -> web.Response:
    return web.json_response({"ok": False, "error": error})


async def test_a_call_that_slack_answers_is_counted_and_timed(line: Line) -> None:
    await line.calls.ask("users.info", user="U0ANN")
    assert line.counted("slack_calls_total", method="users.info", outcome="ok") == 1
    assert line.counted("slack_call_seconds_count", method="users.info") == 1


@pytest.mark.parametrize(
    ("error", "outcome"),
    [("is_archived", "never"), ("invalid_auth", "operator"), ("internal_error", "unknown"), ("flub", "odd")],
)
async def test_a_refusal_is_counted_by_what_it_means(line: Line, error: str, outcome: str) -> None:
    line.replies.append(refused(error))
    with pytest.raises(CallFailed):
        await line.calls.ask("chat.postMessage", channel="C0LAUNCH", text="houba")
    assert line.counted("slack_calls_total", method="chat.postMessage", outcome=outcome) == 1


async def test_a_429_is_counted_with_its_seconds_and_so_is_the_wait_it_costs(line: Line) -> None:
    line.replies.append(
        web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers={"Retry-After": "90"})
    )
    await line.calls.ask("chat.postMessage", channel="C0LAUNCH", text="houba")
    of = {"method": "chat.postMessage"}
    assert line.counted("slack_calls_total", outcome="limited", **of) == 1
    assert line.counted("slack_calls_total", outcome="ok", **of) == 1
    assert line.counted("slack_rate_limited_total", **of) == 1
    assert line.counted("slack_retry_after_seconds_total", **of) == 90
    assert (line.counted("slack_pace_wait_seconds_total", **of) or 0) >= 90


async def test_a_call_that_is_called_off_is_counted_as_such(line: Line) -> None:
    line.replies.append(None)
    call = asyncio.create_task(line.calls.send("users.info", user="U0ANN"))
    await asyncio.sleep(0.05)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert line.counted("slack_calls_total", method="users.info", outcome="cancelled") == 1


async def test_a_method_nobody_paces_is_not_a_label(line: Line) -> None:
    await line.calls.ask("admin.users.list")
    assert line.counted("slack_calls_total", method="other", outcome="ok") == 1


async def test_no_connection_is_counted_as_one_to_be_made_later(line: Line) -> None:
    line.calls._client.base_url = "http://127.0.0.1:9/"
    with pytest.raises(CallFailed) as failed:
        await line.calls.ask("users.info", user="U0ANN")
    assert isinstance(failed.value.__cause__, aiohttp.ClientConnectorError)
    assert line.counted("slack_calls_total", method="users.info", outcome="later") == 1


async def test_who_was_displaced_while_waiting_for_room_sends_nothing(line: Line) -> None:
    """The fence is asked when the call's turn has come, not before."""
    calls, is_ours = line.calls, True

    async def still_ours() -> bool:
        return is_ours

    places = [await calls._room.acquire() for _ in range(calls._room._value)]
    with fenced(still_ours):
        waiting = asyncio.create_task(calls.send("chat.postMessage", channel="C0LAUNCH", text="Too late"))
    await asyncio.sleep(0.05)
    is_ours = False
    for _ in places:
        calls._room.release()
    with pytest.raises(Displaced):
        await waiting
    assert line.counted("slack_calls_total", method="chat.postMessage", outcome="ok") is None
