"""Real Bolt and the real SDK work against the playground unchanged, by Socket Mode and by signed HTTP."""

import asyncio
from typing import Any

import pytest
from aiohttp import ClientSession
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.playground.server import Playground
from tests.playground.conftest import TRANSPORTS, bolt, by_http, by_socket, client_of

pytestmark = pytest.mark.parametrize("transport", ["socket", "http"])
SAFE: dict[str, Any] = {"unfurl_links": False, "unfurl_media": False}
FORM = {
    "type": "modal",
    "callback_id": "why",
    "title": {"type": "plain_text", "text": "Critique this"},
    "submit": {"type": "plain_text", "text": "Ask"},
    "blocks": [
        {
            "type": "input",
            "block_id": "note",
            "label": {"type": "plain_text", "text": "What should the critic look at?"},
            "element": {"type": "plain_text_input", "action_id": "words"},
        }
    ],
}
BUTTONS: list[dict[str, Any]] = [
    {"type": "section", "text": {"type": "mrkdwn", "text": "Pick one"}},
    {
        "type": "actions",
        "block_id": "row",
        "elements": [
            {
                "type": "button",
                "action_id": "critique:7",
                "value": "7",
                "text": {"type": "plain_text", "text": "Critique"},
            }
        ],
    },
]


def metadata(slot: str, kind: str = "root") -> dict[str, Any]:
    return {"event_type": "countersign", "event_payload": {"kind": kind, "slot": slot}}


def small_bot(slack: Playground, client: AsyncWebClient, heard: list[Any]) -> AsyncApp:
    app = bolt(slack, client)

    @app.command("/draft")
    async def draft(ack: Any, command: Any, client: AsyncWebClient) -> None:
        await ack("Taken.")
        await client.chat_postMessage(
            channel=command["channel_id"], text=command["text"], blocks=BUTTONS, metadata=metadata("root"), **SAFE
        )

    @app.event("app_mention")
    async def mentioned(event: Any, client: AsyncWebClient) -> None:
        place = {"channel": event["channel"], "thread_ts": event.get("thread_ts", event["ts"])}
        await client.chat_postMessage(text="Heard.", metadata=metadata(event["ts"], "notice"), **place, **SAFE)

    @app.event("message")
    async def message(event: Any) -> None:
        heard.append(event)

    @app.event("reaction_added")
    async def reacted(event: Any) -> None:
        heard.append(event)

    @app.action({"action_id": "critique:7"})
    async def clicked(ack: Any, action: Any, respond: Any) -> None:
        await ack()
        await respond(f"Pressed {action['value']}.", replace_original=False)

    @app.shortcut("critique_message")
    async def shortcut(ack: Any, body: Any, client: AsyncWebClient) -> None:
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=FORM | {"private_metadata": body["message_ts"]})

    @app.view("why")
    async def submitted(ack: Any, view: Any) -> None:
        words = view["state"]["values"]["note"]["words"]["value"]
        if words == "no":
            await ack(response_action="errors", errors={"note": "Say more."})
        else:
            await ack()
            heard.append({"type": "note", "words": words, "about": view["private_metadata"]})

    return app


async def test_command_mention_click_reaction_and_modal_reach_the_app(
    slack: Playground, client: AsyncWebClient, transport: str
) -> None:
    heard: list[Any] = []
    ann, rae = slack.as_person("ann"), slack.as_person("rae")
    async with TRANSPORTS[transport](small_bot(slack, client, heard), slack):
        answered = await ann.command("/draft", "Announce the gate")
        assert (answered.text, answered.ok) == ("Taken.", True)
        assert [m.visible for m in slack.ephemerals("ann")] == ["Taken."]
        root = await slack.until(lambda: slack.by_bot("root")[0])
        assert root.buttons == ["Critique"]

        await ann.replies(root, "<@UBOT> critique it")
        await slack.until(lambda: slack.thread("launch", root.ts)[2].says("Heard."))
        mention = await slack.until(lambda: next(e for e in heard if e["type"] == "message"))
        assert (mention["thread_ts"], mention["text"]) == (root.ts, "<@UBOT> critique it")

        assert (await rae.clicks("critique", root)).ok
        await slack.until(lambda: [m.visible for m in slack.ephemerals("rae")] == ["Pressed 7."])

        await rae.reacts("white_check_mark", root)
        reaction = await slack.until(lambda: next(e for e in heard if e["type"] == "reaction_added"))
        assert reaction["item"] == {"type": "message", "channel": "C0LAUNCH", "ts": root.ts}
        assert "thread_ts" not in reaction

        view = await ann.uses_shortcut("critique_message", root)
        assert view is not None
        assert (await ann.submits(view, {"note.words": "no"})).errors == {"note": "Say more."}
        assert ann.view is not None
        assert (await ann.submits(view, {"note.words": "The second paragraph"})).ok
        assert ann.view is None
        note = await slack.until(lambda: next(e for e in heard if e["type"] == "note"))
        assert note == {"type": "note", "words": "The second paragraph", "about": root.ts}
    assert slack.violations == []


async def test_what_nobody_handles_times_out_before_the_persons_eyes(hasty: Playground, transport: str) -> None:
    slack, client, toasts = hasty, client_of(hasty), list[Any]()
    slack.workspace.changed.append(lambda change: toasts.append(change) if change["type"] == "toast" else None)
    async with TRANSPORTS[transport](bolt(slack, client), slack):
        answered = await slack.as_person("ann").command("/unheard-of", "x")
    assert answered.problem in {"operation_timeout", "dispatch_failed"}
    assert [toast["as"] for toast in toasts] == ["U0ANN"]


async def test_an_event_nobody_acks_comes_three_times_more_with_its_number_and_reason(
    hasty: Playground, transport: str
) -> None:
    slack, seen = hasty, list[Any]()
    app = bolt(slack, client_of(slack))

    @app.middleware
    async def never(req: Any, body: Any) -> None:
        seen.append((body["event_id"], req.headers.get("x-slack-retry-num")))
        # no next(): nobody handles it, so Bolt answers 404, or not at all over the socket

    async with TRANSPORTS[transport](app, slack):
        await slack.as_person("ann").says("hello")
        await slack.until(lambda: slack.given_up)
    numbers = [number and number[0] for _, number in seen]
    assert len({event_id for event_id, _ in seen}) == 1
    assert numbers in ([None, "1", "2", "3"], ["0", "1", "2", "3"])


async def test_repeated_deliveries_carry_the_same_ids(
    slack: Playground, client: AsyncWebClient, transport: str
) -> None:
    app = bolt(slack, client)
    events, commands = [], []

    @app.event("app_mention")
    async def mentioned(body: Any) -> None:
        events.append(body["event_id"])

    @app.event("message")
    async def message() -> None:
        pass

    @app.command("/draft")
    async def draft(ack: Any, command: Any) -> None:
        commands.append(command["trigger_id"])
        await ack()

    slack.repeat_deliveries = 3
    async with TRANSPORTS[transport](app, slack):
        await slack.as_person("ann").says("<@UBOT> help")
        await slack.as_person("ann").command("/draft", "x")
        await slack.until(lambda: len(events) == 3 and len(commands) == 3)
    assert len(set(events)) == 1
    assert len(set(commands)) == 1


async def test_a_modal_can_only_be_opened_once_and_soon(transport: str) -> None:
    async with Playground(trigger_seconds=1) as slack:
        client = client_of(slack)
        app = bolt(slack, client)

        @app.command("/draft")
        async def draft(ack: Any) -> None:
            await ack()

        async with TRANSPORTS[transport](app, slack):
            fresh = await slack.as_person("ann").command("/draft", "one")
            await client.views_open(trigger_id=fresh.trigger_id, view=FORM)
            used = await _error(client, fresh.trigger_id)
            old = await slack.as_person("ann").command("/draft", "two")
            await asyncio.sleep(1.01)
            assert (used, await _error(client, old.trigger_id)) == ("exchanged_trigger_id", "expired_trigger_id")


async def _error(client: AsyncWebClient, trigger_id: str) -> str:
    with pytest.raises(SlackApiError) as refusal:
        await client.views_open(trigger_id=trigger_id, view=FORM)
    return str(refusal.value.response["error"])


async def test_a_response_url_answers_five_times(slack: Playground, client: AsyncWebClient, transport: str) -> None:
    app = bolt(slack, client)

    @app.command("/draft")
    async def draft(ack: Any) -> None:
        await ack()

    async with TRANSPORTS[transport](app, slack), ClientSession() as session:
        answered = await slack.as_person("ann").command("/draft", "x")
        statuses = []
        for number in range(6):
            async with session.post(answered.response_url, json={"text": f"Answer {number}"}) as response:
                statuses.append(response.status)
    assert statuses == [200] * 5 + [404]
    assert len(slack.ephemerals("ann")) == 5


async def test_the_address_is_verified_and_unsigned_requests_are_refused(
    slack: Playground, client: AsyncWebClient, transport: str
) -> None:
    if transport == "socket":
        async with (
            by_socket(bolt(slack, client), slack),
            ClientSession() as session,
            session.get(f"{slack.url}/link?ticket=guessed") as response,
        ):
            assert response.status == 404
        return
    async with by_http(bolt(slack, client), slack):
        assert await slack.verify_address()
        slack._http.signing_secret = "another"  # type: ignore[union-attr]
        assert not await slack.verify_address()
