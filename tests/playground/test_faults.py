"""What befalls calls, and what the real SDK makes of it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import ClientError
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.web.async_client import AsyncWebClient

from bot.playground.server import Fault, Playground
from tests.playground.conftest import bolt, by_socket
from tests.playground.test_chat import refusal

Say = Callable[..., Awaitable[Any]]
POST: dict[str, Any] = {"channel": "C0LAUNCH", "text": "Marsupilami", "unfurl_links": False, "unfurl_media": False}


async def test_the_sdks_default_retries_post_twice_when_a_reply_is_lost(slack: Playground) -> None:
    careless = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)
    slack.faults.add("chat.postMessage", Fault.LOSE_REPLY)
    await careless.chat_postMessage(**POST)
    assert len(slack.messages("launch")) == 2


async def test_without_retries_a_lost_reply_is_an_error_and_one_message(slack: Playground, say: Say) -> None:
    slack.faults.add("chat.postMessage", Fault.LOSE_REPLY)
    with pytest.raises(ClientError):
        await say()
    assert len(slack.messages("launch")) == 1
    assert [(call.status, call.done, call.fault) for call in slack.calls] == [(0, True, "LOSE_REPLY")]


@pytest.mark.parametrize(
    ("fault", "messages"),
    [
        (Fault.SERVER_ERROR_BEFORE, 0),
        (Fault.SERVER_ERROR_AFTER, 1),
        (Fault.RESET_BEFORE, 0),
        (Fault.HTML, 0),
        (Fault.DOWN, 0),
        (Fault.ERROR("internal_error"), 0),
        (Fault.RATE_LIMITED(7), 0),
    ],
)
async def test_each_fault_fails_the_call_and_is_done_or_not(
    slack: Playground, say: Say, fault: Fault, messages: int
) -> None:
    slack.faults.add("chat.postMessage", fault)
    with pytest.raises((SlackApiError, ClientError)):
        await say()
    assert len(slack.messages("launch")) == messages
    assert not slack.calls[-1].ok
    await say("The next one passes")
    assert slack.calls[-1].ok


@pytest.mark.parametrize(("fault", "messages"), [(Fault.HANG, 0), (Fault.HANG_AFTER, 1)])
async def test_a_hanging_call_ends_by_the_callers_patience(slack: Playground, fault: Fault, messages: int) -> None:
    hasty = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url, retry_handlers=[])
    slack.faults.add("chat.postMessage", fault)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(hasty.chat_postMessage(**POST), 0.2)
    assert len(slack.messages("launch")) == messages


async def test_a_fault_meets_only_the_calls_it_is_meant_for(slack: Playground, say: Say) -> None:
    fault = Fault.ERROR("fatal_error")
    slack.faults.add("chat.postMessage", fault, times=2, when=lambda call: call.args["text"] == "unlucky")
    await say("lucky")
    assert [await refusal(say("unlucky")) for _ in range(2)] == ["fatal_error"] * 2
    await say("unlucky")


async def test_too_many_posts_at_once_are_told_to_wait(slack: Playground, client: AsyncWebClient, say: Say) -> None:
    for number in range(10):
        await say(f"burst {number}")
    with pytest.raises(SlackApiError) as refused:
        await say("one too many")
    assert (refused.value.response.status_code, refused.value.response["error"]) == (429, "ratelimited")
    assert int(refused.value.response.headers["Retry-After"]) == 1
    await say("elsewhere", channel="C0DOCS")  # each channel has its own second
    client.retry_handlers.append(AsyncRateLimitErrorRetryHandler(max_retry_count=1))
    await say("after waiting")
    slack.pace(enabled=False)
    for number in range(12):
        await say(f"unpaced {number}")


async def test_broken_sockets_come_back_and_the_unacked_event_comes_again(
    slack: Playground, client: AsyncWebClient
) -> None:
    app, heard = bolt(slack, client), []

    @app.event("message")
    async def message(event: Any) -> None:
        heard.append(event["text"])

    async with by_socket(app, slack):
        slack.drop_sockets()
        assert slack.connections == 0
        await slack.as_person("ann").says("Is anybody there?")
        await slack.until(lambda: heard == ["Is anybody there?"])
        await slack.refresh_sockets()
        await slack.as_person("ann").says("And now?")
        await slack.until(lambda: len(heard) == 2)


async def test_during_an_outage_nothing_passes_and_afterwards_everything(
    slack: Playground, client: AsyncWebClient, say: Say
) -> None:
    app = bolt(slack, client)

    @app.command("/draft")
    async def draft(ack: Any) -> None:
        await ack("Taken.")

    async with by_socket(app, slack):
        slack.go_down()
        with pytest.raises(ClientError):
            await say()
        assert (await slack.as_person("ann").command("/draft", "x")).problem == "dispatch_failed"
        slack.come_back()
        await slack.until(lambda: slack.connections)
        await say()
        assert (await slack.as_person("ann").command("/draft", "x")).text == "Taken."


async def test_a_wait_in_vain_shows_the_newest_messages(slack: Playground, say: Say) -> None:
    await say("The last thing anybody said", kind="root")
    with pytest.raises(AssertionError, match=r"(?s)did not come true in 0.05 s.*\[root\] The last thing anybody said"):
        await slack.until(lambda: slack.by_bot("answer")[0], timeout=0.05)
