"""What chat.* does and refuses, seen through the real client."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.playground.server import Playground

Say = Callable[..., Awaitable[Any]]
SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "a & b ✅"}}
RICH = {
    "type": "rich_text",
    "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "<!here>"}]}],
}


async def refusal(call: Awaitable[Any]) -> str:
    with pytest.raises(SlackApiError) as refused:
        await call
    return str(refused.value.response["error"])


async def test_a_post_comes_back_as_slack_keeps_it(slack: Playground, say: Say) -> None:
    answer = await say("Tom & <Jerry> on https://example.org/a?b=1&c=2.", blocks=[SECTION])
    message = answer["message"]
    assert message["text"] == "Tom &amp; &lt;Jerry&gt; on <https://example.org/a?b=1&amp;c=2>."
    assert message["blocks"][0]["text"] == {"type": "mrkdwn", "text": "a &amp; b :white_check_mark:", "verbatim": False}
    assert message["blocks"][0]["block_id"]
    assert (message["user"], message["bot_id"], message["app_id"], message["team"]) == (
        "UBOT", "B0COUNTER", "A0COUNTER", "T0PLAY",
    )  # fmt: skip
    assert message["metadata"]["event_payload"]["kind"] == "root"
    assert slack.messages("launch")[0].visible == "a &amp; b ✅"


async def test_ts_rises_and_is_unique(say: Say) -> None:
    stamps = [(await say(f"Message {number}"))["ts"] for number in range(5)]
    assert stamps == sorted(set(stamps))
    assert all(len(ts.split(".")[1]) == 6 for ts in stamps)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"channel": "C0NOWHERE"}, "channel_not_found"),
        ({"channel": "C0QUIET"}, "not_in_channel"),
        pytest.param({"text": ""}, "no_text", marks=pytest.mark.filterwarnings("ignore:The top-level `text`")),
        ({"text": "m" * 4001}, "msg_too_long"),
        ({"thread_ts": "1.000001"}, "thread_not_found"),
        ({"blocks": [{"type": "section"}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 2700}}] * 5}, "msg_blocks_too_long"),
        ({"metadata": {"event_type": "countersign", "event_payload": {"kind": "k" * 8000}}}, "metadata_too_large"),
        ({"metadata": {"event_type": "countersign"}}, "invalid_metadata_schema"),
        ({"markdown_text": "# hi"}, "markdown_text_conflict"),
    ],
)
async def test_posts_slack_refuses(slack: Playground, say: Say, fields: dict[str, Any], error: str) -> None:
    assert await refusal(say(**({"text": "hi"} | fields))) == error
    assert slack.messages("launch") == []


async def test_archived_private_and_reply_of_a_reply(slack: Playground, say: Say) -> None:
    root = await say("root")
    reply = await say("reply", thread_ts=root["ts"])
    assert await refusal(say("deeper", thread_ts=reply["ts"])) == "cannot_reply_to_message"
    slack.channels["docs"].is_archived = True
    assert await refusal(say(channel="C0DOCS")) == "is_archived"
    slack.channels["quiet"].is_private = True
    assert await refusal(say(channel="C0QUIET")) == "channel_not_found"
    slack.invite_bot("quiet")
    assert (await say(channel="C0QUIET"))["ok"]


async def test_a_root_counts_its_replies(slack: Playground, say: Say) -> None:
    root = await say("root")
    await say("one", thread_ts=root["ts"])
    last = await slack.as_person("ann").says("two", thread_ts=root["ts"])
    stored = slack.thread("launch", root["ts"])[0]
    assert (stored["reply_count"], stored["reply_users"], stored["latest_reply"]) == (2, ["UBOT", "U0ANN"], last.ts)
    assert [message.text for message in slack.messages("launch")] == ["root"]


async def test_an_update_keeps_metadata_and_drops_blocks(slack: Playground, client: AsyncWebClient, say: Say) -> None:
    posted = await say("before", blocks=[SECTION])
    await client.chat_update(channel="C0LAUNCH", ts=posted["ts"], text="after")
    message = slack.messages("launch")[0]
    assert (message.text, message.blocks, message.kind) == ("after", [], "root")
    assert message["edited"]["user"] == "B0COUNTER"
    await client.chat_update(channel="C0LAUNCH", ts=posted["ts"], text="bare", metadata={})
    assert slack.messages("launch")[0].kind == ""


async def test_updates_slack_refuses(slack: Playground, client: AsyncWebClient, say: Say) -> None:
    rich = await say("rich", blocks=[RICH])
    human = await slack.as_person("ann").says("mine")

    async def update(ts: str, **fields: Any) -> str:
        return await refusal(client.chat_update(channel="C0LAUNCH", ts=ts, **({"text": "x"} | fields)))

    assert await update(rich["ts"], blocks=[SECTION]) == "block_mismatch"
    assert await update(rich["ts"], text="m" * 4001) == "msg_too_long"
    assert await update(human.ts) == "cant_update_message"
    assert await update("1.000001") == "message_not_found"
    assert await refusal(client.chat_delete(channel="C0LAUNCH", ts=human.ts)) == "cant_delete_message"


async def test_a_deleted_root_leaves_its_tombstone(slack: Playground, client: AsyncWebClient, say: Say) -> None:
    root = await say("root")
    reply = await say("reply", thread_ts=root["ts"])
    await client.chat_delete(channel="C0LAUNCH", ts=reply["ts"])
    assert "reply_count" not in slack.thread("launch", root["ts"])[0]
    await say("again", thread_ts=root["ts"])
    await client.chat_delete(channel="C0LAUNCH", ts=root["ts"])
    assert [m.get("subtype") for m in slack.thread("launch", root["ts"])] == ["tombstone", None]
    assert await refusal(client.chat_delete(channel="C0LAUNCH", ts=root["ts"])) == "message_not_found"


async def test_only_the_one_addressed_sees_an_ephemeral(slack: Playground, client: AsyncWebClient) -> None:
    await client.chat_postEphemeral(channel="C0LAUNCH", user="U0ANN", text="For you")
    assert [message.text for message in slack.ephemerals("ann")] == ["For you"]
    assert slack.ephemerals("rae") == slack.messages("launch") == []
    zoe = client.chat_postEphemeral(channel="C0LAUNCH", user="U0ZOE", text="For you")
    assert await refusal(zoe) == "user_not_in_channel"


async def test_a_status_lasts_until_the_next_message(slack: Playground, client: AsyncWebClient, say: Say) -> None:
    root = await say("root")
    await client.assistant_threads_setStatus(channel_id="C0LAUNCH", thread_ts=root["ts"], status="reads")
    assert slack.status("launch", root["ts"]) == "reads"
    await say("there", thread_ts=root["ts"])
    assert slack.status("launch", root["ts"]) == ""


async def test_a_message_to_a_person_goes_into_their_direct_messages(slack: Playground, say: Say) -> None:
    answer = await say("psst", channel="U0ANN")
    assert answer["channel"] == "D0ANN"
    assert slack.messages("D0ANN")[0].text == "psst"


async def test_links_lead_back_to_the_message(client: AsyncWebClient, slack: Playground, say: Say) -> None:
    root = await say("root")
    reply = await say("reply", thread_ts=root["ts"])
    answer = await client.chat_getPermalink(channel="C0LAUNCH", message_ts=reply["ts"])
    digits = reply["ts"].replace(".", "")
    assert answer["permalink"] == f"{slack.url}/archives/C0LAUNCH/p{digits}?thread_ts={root['ts']}&cid=C0LAUNCH"
