"""What the always-on checker finds, and what it leaves in peace."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import ClientSession
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.playground.server import Playground

Say = Callable[..., Awaitable[Any]]


def rich(*leaves: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": list(leaves)}]}]


def section(text: str) -> list[dict[str, Any]]:
    return [{"type": "section", "text": {"type": "mrkdwn", "text": text}}]


HARMLESS: dict[str, dict[str, Any]] = {
    "a mention by the app's own words": {"text": "<@U0ANN> asked for it"},
    "tokens as literal rich text": {"kind": "answer", "blocks": rich({"type": "text", "text": "<!channel> <@U0ANN>"})},
    "a link with its host": {
        "kind": "answer",
        "blocks": rich({"type": "link", "url": "https://a.org/x", "text": "a.org"}),
    },
    "a link in words": {"kind": "answer", "blocks": rich({"type": "link", "url": "https://a.org", "text": "the docs"})},
    "an escaped token": {"text": "&lt;!channel&gt;", "kind": "notes"},
    "an emoji of the card": {"kind": "card", "blocks": section(":warning: slow")},
}

OFFENCES: dict[str, tuple[dict[str, Any], str]] = {
    "links unfurl": ({"unfurl_links": True}, "unfurl_links is not false"),
    "media unfurl by default": ({"unfurl_media": None}, "unfurl_media is not false"),
    "no metadata": ({"metadata": None}, "carries no metadata"),
    "another event_type": (
        {"metadata": {"event_type": "x", "event_payload": {"kind": "card", "slot": "s"}}},
        "no metadata",
    ),
    "no slot": ({"metadata": {"event_type": "countersign", "event_payload": {"kind": "card"}}}, "no metadata"),
    "channel": ({"text": "<!channel> look"}, "the live token <!channel>"),
    "subteam": ({"text": "<!subteam^S0REVIEW>"}, "the live token <!subteam^S0REVIEW>"),
    "here in a block": ({"blocks": section("<!here|here>")}, "the live token <!here|here>"),
    "a broadcast element": ({"blocks": rich({"type": "broadcast", "range": "here"})}, "a broadcast element (here)"),
    "link_names": ({"link_names": True}, "link_names"),
    "parse=full": ({"parse": "full"}, "parse=full"),
    "attachments": ({"attachments": [{"text": "old", "fallback": "old"}]}, "attachments are never used"),
    "an image": (
        {"blocks": [{"type": "image", "image_url": "https://evil.org/?q=secret", "alt_text": "x"}]},
        "a block of type 'image'",
    ),
    "a markdown block": ({"blocks": [{"type": "markdown", "text": "# hi"}]}, "a block of type 'markdown'"),
    "a disguised link": (
        {"blocks": rich({"type": "link", "url": "https://evil.org", "text": "https://good.org/login"})},
        "a link to evil.org shows the address 'https://good.org/login'",
    ),
    "a disguised token": ({"text": "<https://evil.org|good.org>"}, "a link to evil.org shows the address 'good.org'"),
    "a person in an answer": (
        {"kind": "answer", "blocks": rich({"type": "user", "user_id": "U0ANN"})},
        "model text holds a user element",
    ),
    "an emoji in notes": (
        {"kind": "notes", "blocks": rich({"type": "emoji", "name": "tada"})},
        "model text holds a emoji element",
    ),
    "a token in an answer": ({"kind": "answer", "blocks": section("<@U0ANN>")}, "model text holds the token <@U0ANN>"),
    "a token in its fallback": (
        {"kind": "answer", "text": "for <#C0DOCS>"},
        "the fallback of model text holds the token",
    ),
    "a long fallback": ({"kind": "answer", "text": "m" * 301}, "301 characters long, over 300"),
}


@pytest.mark.parametrize("fields", HARMLESS.values(), ids=HARMLESS)
async def test_what_is_harmless(slack: Playground, say: Say, fields: dict[str, Any]) -> None:
    root = await say("root")
    await say(**({"text": "Marsupilami", "thread_ts": root["ts"], "slot": "s-1"} | fields))
    assert slack.violations == []


@pytest.mark.parametrize(("fields", "sentence"), OFFENCES.values(), ids=OFFENCES)
async def test_each_offence_is_one_sentence(slack: Playground, say: Say, fields: dict[str, Any], sentence: str) -> None:
    root = await say("root")
    await say(**({"text": "Marsupilami", "thread_ts": root["ts"], "slot": "s-1"} | fields))
    assert len(slack.violations) == 1, slack.violations
    assert sentence in slack.violations[0]


async def test_a_slot_is_posted_once(slack: Playground, say: Say) -> None:
    root = await say("root")
    for _ in range(2):
        await say("part", thread_ts=root["ts"], slot="run-7/part-1")
    assert ["'run-7/part-1' was posted twice" in sentence for sentence in slack.violations] == [True]


async def test_only_a_root_stands_outside_a_thread(slack: Playground, say: Say) -> None:
    await say("loose", kind="card")
    assert ["a message of kind 'card' stands outside a thread" in v for v in slack.violations] == [True]


async def test_model_text_is_never_edited(slack: Playground, client: AsyncWebClient, say: Say) -> None:
    root = await say("root")
    answer = await say("answer 1", kind="answer", thread_ts=root["ts"])
    await client.chat_update(channel="C0LAUNCH", ts=root["ts"], text="a root may be")
    assert slack.violations == []
    await client.chat_update(channel="C0LAUNCH", ts=answer["ts"], text="other words")
    assert ["a message of kind 'answer' was edited" in sentence for sentence in slack.violations] == [True]


async def test_no_reaction_and_no_stream_of_the_apps_own(slack: Playground, client: AsyncWebClient, say: Say) -> None:
    root = await say("root")
    await client.reactions_add(channel="C0LAUNCH", timestamp=root["ts"], name="eyes")
    await client.reactions_add(channel="C0LAUNCH", timestamp=root["ts"], name="white_check_mark")
    with pytest.raises(SlackApiError):
        await client.chat_startStream(
            channel="C0LAUNCH", thread_ts=root["ts"], recipient_user_id="U0ANN", recipient_team_id="T0PLAY"
        )
    assert "adds no reactions of its own (:eyes:)" in slack.violations[0]
    assert "least of all the approving :white_check_mark:" in slack.violations[1]
    assert "nothing is streamed" in slack.violations[2]


async def test_response_urls_are_watched_too(slack: Playground) -> None:
    url = slack._response_urls.new("U0ANN", "C0LAUNCH")
    async with ClientSession() as session:
        for body in ({"text": "only for you"}, {"text": "<!here>"}, {"text": "hi all", "response_type": "in_channel"}):
            async with session.post(url, json=body) as response:
                assert response.status == 200
    assert "the live token <!here>" in slack.violations[0]
    assert [v.split(": ")[1] for v in slack.violations[1:]] == [
        "unfurl_links is not false",
        "unfurl_media is not false",
        "the message carries no metadata of event_type 'countersign' with kind and slot",
    ]
