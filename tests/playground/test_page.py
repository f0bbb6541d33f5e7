"""The page's protocol, as a browser would speak it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientSession
from slack_sdk.web.async_client import AsyncWebClient
from yarl import URL

from bot.playground.server import Playground
from tests.playground.conftest import bolt, by_socket

Say = Callable[..., Awaitable[Any]]
Do = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
async def browser() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


@pytest.fixture
def do(slack: Playground, browser: ClientSession) -> Do:
    async def post(deed: str, who: str = "U0ANN", **fields: Any) -> dict[str, Any]:
        body = {"as": who, "do": deed, **fields}
        async with browser.post(f"{slack.url}/playground/do", json=body) as answer:
            told: dict[str, Any] = await answer.json()
            return told

    return post


@asynccontextmanager
async def listening(slack: Playground, browser: ClientSession, who: str) -> AsyncIterator[list[dict[str, Any]]]:
    heard: list[dict[str, Any]] = []

    async def listen() -> None:
        async with browser.get(f"{slack.url}/playground/live?as={who}") as answer:
            assert answer.headers["Content-Type"] == "text/event-stream"
            async for line in answer.content:
                heard.extend([json.loads(line.removeprefix(b"data: "))] if line.startswith(b"data: ") else [])

    task = asyncio.ensure_future(listen())
    await slack.until(lambda: heard == [{"type": "hello"}])
    try:
        yield heard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def get(browser: ClientSession, url: str) -> dict[str, Any]:
    async with browser.get(url) as answer:
        told: dict[str, Any] = await answer.json()
        return told


async def test_the_state_has_all_the_page_needs(slack: Playground, browser: ClientSession) -> None:
    state = await get(browser, f"{slack.url}/playground/state?as=U0ANN")
    assert set(state) == {"team", "bot", "label", "try", "people", "channels", "commands", "shortcuts"}
    assert state["bot"] == {"user_id": "UBOT", "bot_id": "B0COUNTER", "name": "Countersign", "connected": False}
    roles = {person["name"]: person["role"] for person in state["people"]}
    assert (roles["ann"], roles["rae"], roles["stan"], roles["gus"]) == ("requester", "reviewer", "stranger", "guest")
    members = {channel["name"]: channel["is_member"] for channel in state["channels"]}
    assert members == {"launch": True, "docs": True, "partners": True, "quiet": False}
    assert state["shortcuts"] == [{"callback_id": "critique_message", "name": "Critique this"}]


async def test_what_is_typed_is_escaped_linked_and_mentions_by_name(slack: Playground, do: Do) -> None:
    told = await do("say", channel="C0LAUNCH", text="@Countersign ask @Rae: <!channel> & https://a.org? <@U0SAM>")
    assert told["ok"]
    message = slack.messages("launch")[0]
    assert message.text == (
        "<@UBOT> ask <@U0RAE>: &lt;!channel&gt; &amp; <https://a.org>? &lt;@U0SAM&gt;"
    )  # what looks like a token was only typed
    kinds = [leaf["type"] for leaf in message.blocks[0]["elements"][0]["elements"]]
    assert kinds == ["user", "text", "user", "text", "link", "text"]


async def test_a_person_sees_messages_threads_and_their_own_whispers(
    slack: Playground, client: AsyncWebClient, browser: ClientSession, do: Do
) -> None:
    root = (await do("say", channel="C0LAUNCH", text="root"))["ts"]
    await do("say", "U0RAE", channel="C0LAUNCH", text="reply", thread_ts=root)
    await client.chat_postEphemeral(channel="C0LAUNCH", user="U0ANN", text="only ann")
    await client.chat_postEphemeral(channel="C0LAUNCH", user="U0ANN", text="only ann, here", thread_ts=root)

    async def texts(query: str) -> list[str]:
        answer = await get(browser, f"{slack.url}/playground/messages?channel=C0LAUNCH&{query}")
        return [message["text"] for message in answer["messages"]]

    assert await texts("as=U0ANN") == ["root", "only ann"]
    assert await texts("as=U0RAE") == ["root"]
    assert await texts(f"as=U0ANN&thread_ts={root}") == ["root", "reply", "only ann, here"]
    assert await texts(f"as=U0RAE&thread_ts={root}") == ["root", "reply"]


async def test_changes_are_heard_live_and_whispers_only_by_the_one_addressed(
    slack: Playground, client: AsyncWebClient, browser: ClientSession, say: Say, do: Do
) -> None:
    async with listening(slack, browser, "U0ANN") as ann, listening(slack, browser, "U0RAE") as rae:
        root = (await say("root"))["ts"]
        await client.assistant_threads_setStatus(channel_id="C0LAUNCH", thread_ts=root, status="reads")
        await client.chat_postEphemeral(channel="C0LAUNCH", user="U0ANN", text="psst")
        await do("react", "U0RAE", channel="C0LAUNCH", ts=root, name="eyes")
        await do("unreact", "U0RAE", channel="C0LAUNCH", ts=root, name="eyes")
        await client.chat_update(channel="C0LAUNCH", ts=root, text="changed")
        await client.chat_delete(channel="C0LAUNCH", ts=root)
        await slack.until(lambda: ann[-1]["type"] == rae[-1]["type"] == "deleted")
    kinds = ["hello", "message", "status", "message", "reactions", "reactions", "changed", "deleted"]
    assert [change["type"] for change in ann] == kinds
    assert [change["type"] for change in rae] == [*kinds[:3], *kinds[4:]]
    assert ann[4] == {
        "type": "reactions", "channel": "C0LAUNCH", "ts": root,
        "reactions": [{"name": "eyes", "users": ["U0RAE"], "count": 1}],
    }  # fmt: skip


async def test_a_command_works_in_a_channel_and_not_in_a_thread(
    slack: Playground, client: AsyncWebClient, browser: ClientSession, do: Do
) -> None:
    app, texts = bolt(slack, client), []

    @app.command("/draft")
    async def draft(ack: Any, command: Any) -> None:
        texts.append(command["text"])
        await ack("Taken.")

    async with by_socket(app, slack):
        assert (await get(browser, f"{slack.url}/playground/state"))["bot"]["connected"] is True
        assert await do("say", channel="C0LAUNCH", text="/draft for @rae & co") == {"ok": True}
        assert [message.text for message in slack.ephemerals("ann")] == ["Taken."]
        root = (await do("say", channel="C0LAUNCH", text="root"))["ts"]
        in_thread = await do("say", channel="C0LAUNCH", text="/draft x", thread_ts=root)
    assert texts == ["for <@U0RAE|rae> &amp; co"]
    assert in_thread == {"ok": False, "error": "/draft does not work inside threads. Mention the bot instead."}
    assert (await do("say", channel="C0LAUNCH", text="/nonsense"))["error"] == "/nonsense is not a command here."


async def test_a_modal_opens_refuses_and_closes_before_its_person(
    slack: Playground, client: AsyncWebClient, browser: ClientSession, do: Do
) -> None:
    app, taken = bolt(slack, client), []
    form = {
        "type": "modal",
        "callback_id": "why",
        "title": {"type": "plain_text", "text": "Why?"},
        "submit": {"type": "plain_text", "text": "Send"},
        "blocks": [
            {
                "type": "input",
                "block_id": "note",
                "label": {"type": "plain_text", "text": "Note"},
                "element": {"type": "plain_text_input", "action_id": "words"},
            }
        ],
    }

    @app.shortcut("critique_message")
    async def shortcut(ack: Any, body: Any, client: AsyncWebClient) -> None:
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=form)

    @app.view("why")
    async def submitted(ack: Any, view: Any) -> None:
        taken.append(view["state"]["values"]["note"]["words"]["value"])
        await ack()

    def values(words: str) -> dict[str, Any]:
        return {"note": {"words": {"type": "plain_text_input", "value": words}}}

    async with by_socket(app, slack), listening(slack, browser, "U0ANN") as heard:
        ts = (await do("say", channel="C0LAUNCH", text="a human draft"))["ts"]
        assert (await do("shortcut", channel="C0LAUNCH", ts=ts, callback_id="critique_message"))["ok"]
        opened = await slack.until(lambda: next(change for change in heard if change["type"] == "view"))
        view_id = opened["view"]["id"]
        empty = await do("submit", view_id=view_id, values=values(""))
        assert empty == {"ok": True, "errors": {"note": "Please complete this required field."}}
        assert await do("submit", view_id=view_id, values=values("the second line")) == {"ok": True}
        await slack.until(lambda: heard[-1] == {"type": "view_closed", "view_id": view_id, "as": "U0ANN"})
    assert taken == ["the second line"]


async def test_a_form_of_choices_is_answered_in_the_same_modal_and_sent_off_again(
    slack: Playground, client: AsyncWebClient, browser: ClientSession, do: Do
) -> None:
    app, taken = bolt(slack, client), []
    options = [{"text": {"type": "plain_text", "text": text}, "value": text} for text in ("Hop", "Swim")]

    def form(name: str, kind: str, **more: Any) -> dict[str, Any]:
        element = {"type": kind, "action_id": "how", **more}
        label = {"type": "plain_text", "text": "How?"}
        blocks = [{"type": "input", "block_id": "how", "label": label, "element": element}]
        plain = {"title": label, "submit": {"type": "plain_text", "text": "Send"}}
        return {"type": "modal", "callback_id": name, "blocks": blocks, **plain}

    @app.command("/route")
    async def route(ack: Any, body: Any, client: AsyncWebClient) -> None:
        await ack()
        view = form("first", "static_select", options=options)
        await client.views_open(trigger_id=body["trigger_id"], view=view)

    @app.view("first")
    async def first(ack: Any, view: Any) -> None:
        taken.append(view["state"]["values"]["how"]["how"]["selected_option"]["value"])
        await ack(response_action="update", view=form("second", "radio_buttons", options=options))

    @app.view("second")
    async def second(ack: Any, view: Any) -> None:
        taken.append(view["state"]["values"]["how"]["how"]["selected_option"]["value"])
        await ack()

    async with by_socket(app, slack), listening(slack, browser, "U0ANN") as heard:
        await do("say", channel="C0LAUNCH", text="/route over the river")
        opened = await slack.until(lambda: next(change for change in heard if change["type"] == "view"))
        view_id = opened["view"]["id"]
        nothing = {"how": {"how": {"type": "static_select", "selected_option": None}}}
        assert (await do("submit", view_id=view_id, values=nothing))["errors"] == {
            "how": "Please complete this required field."
        }
        hop = {"how": {"how": {"type": "static_select", "selected_option": options[0]}}}
        assert await do("submit", view_id=view_id, values=hop) == {"ok": True}
        updated = await slack.until(lambda: [change["view"] for change in heard if change["type"] == "view"][1])
        assert (updated["id"], updated["callback_id"]) == (view_id, "second")
        swim = {"how": {"how": {"type": "radio_buttons", "selected_option": options[1]}}}
        assert await do("submit", view_id=view_id, values=swim) == {"ok": True}
        await slack.until(lambda: heard[-1] == {"type": "view_closed", "view_id": view_id, "as": "U0ANN"})
    assert taken == ["Hop", "Swim"]


async def test_buttons_are_pressed_by_their_ids(slack: Playground, client: AsyncWebClient, say: Say, do: Do) -> None:
    app, pressed = bolt(slack, client), []
    button = {"type": "button", "action_id": "final:3", "value": "3", "text": {"type": "plain_text", "text": "Final"}}
    blocks = [{"type": "actions", "block_id": "row", "elements": [button]}]

    @app.action("final:3")
    async def final(ack: Any, body: Any) -> None:
        await ack()
        pressed.append((body["user"]["id"], body["actions"][0]["value"], body["container"]["thread_ts"]))

    async with by_socket(app, slack):
        root = (await say("root"))["ts"]
        ts = (await say("part", thread_ts=root, blocks=blocks))["ts"]
        where = {"channel": "C0LAUNCH", "ts": ts, "block_id": "row", "value": "3"}
        assert (await do("click", "U0RAE", action_id="final:3", **where))["ok"]
        gone = await do("click", "U0RAE", action_id="final:4", **where)
    assert pressed == [("U0RAE", "3", root)]
    assert gone == {"ok": False, "error": "That button is not there any more."}


async def test_direct_messages_are_seen_and_heard_by_their_person_alone(
    slack: Playground, browser: ClientSession, say: Say
) -> None:
    async with listening(slack, browser, "U0ANN") as ann, listening(slack, browser, "U0RAE") as rae:
        await say("psst", channel="U0RAE")
        await slack.until(lambda: rae[-1].get("message", {}).get("text") == "psst")
        await say("for everybody")
        await slack.until(lambda: ann[-1].get("message", {}).get("text") == "for everybody")
    assert [change["type"] for change in ann] == ["hello", "state", "message"]
    for who, seen in (("U0ANN", False), ("U0RAE", True)):
        state = await get(browser, f"{slack.url}/playground/state?as={who}")
        assert ("D0RAE" in [channel["id"] for channel in state["channels"]]) is seen


async def test_buttons_of_the_home_tab_reach_the_app(
    slack: Playground, client: AsyncWebClient, browser: ClientSession, do: Do
) -> None:
    app, pressed = bolt(slack, client), []
    button = {"type": "button", "action_id": "open", "text": {"type": "plain_text", "text": "Open"}}
    home = {"type": "home", "blocks": [{"type": "actions", "block_id": "row", "elements": [button]}]}

    @app.event("app_home_opened")
    async def opened(event: Any, client: AsyncWebClient) -> None:
        await client.views_publish(user_id=event["user"], view=home)

    @app.action("open")
    async def clicked(ack: Any, body: Any) -> None:
        await ack()
        pressed.append((body["view"]["type"], body["user"]["id"]))

    async with by_socket(app, slack):
        view = await slack.as_person("rae").opens_home()
        assert view is not None
        again = await do("home", "U0RAE")
        assert again["view"]["id"] == view.id
        assert (await do("click", "U0RAE", view_id=view.id, block_id="row", action_id="open"))["ok"]
    assert pressed == [("home", "U0RAE")]


async def test_people_change_only_what_is_theirs(slack: Playground, say: Say, do: Do) -> None:
    mine = (await do("say", "U0RAE", channel="C0LAUNCH", text="mine"))["ts"]
    await say("the app's")
    theirs = slack.messages("launch")[1].ts
    assert (await do("edit", "U0RAE", channel="C0LAUNCH", ts=mine, text="still mine"))["ok"]
    assert slack.messages("launch")[0].visible == "still mine"
    assert not (await do("edit", "U0RAE", channel="C0LAUNCH", ts=theirs, text="forged"))["ok"]
    assert not (await do("delete", "U0RAE", channel="C0LAUNCH", ts=theirs))["ok"]
    assert (await do("delete", "U0ANN", channel="C0LAUNCH", ts=theirs))["ok"]  # an admin
    assert not (await do("say", "U0DEE", channel="C0LAUNCH", text="I left"))["ok"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:8030"}, 200),
        ({"Host": "[::1]:8030"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example:8030"}, 403),
        ({"Host": "[bad"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "localhost:8030", "Origin": "http://localhost:8030"}, 200),
        ({"Host": "localhost:8030", "Origin": "http://localhost:9999"}, 403),
    ],
)
async def test_only_this_machines_own_page_may_ask(
    slack: Playground, browser: ClientSession, headers: dict[str, str], status: int
) -> None:
    for method, path in (("POST", "do"), ("GET", "state"), ("GET", "messages?channel=C0LAUNCH")):
        body = {"as": "U0ANN", "do": "say", "channel": "C0LAUNCH", "text": "hi"} if method == "POST" else None
        async with browser.request(method, f"{slack.url}/playground/{path}", json=body, headers=headers) as answer:
            assert answer.status == status
    assert len(slack.messages("launch")) == (status == 200)


@pytest.mark.parametrize(
    "body", ["", "[]", "{}", '{"as": "U0ANN"}', '{"as": "U0ANN", "do": "fly"}', '{"as": "U0X", "do": "say"}',
             '{"as": "U0ANN", "do": "react", "channel": "C0LAUNCH", "ts": "1.0", "name": "x"}'],
)  # fmt: skip
async def test_nonsense_is_answered_with_a_sentence(slack: Playground, browser: ClientSession, body: str) -> None:
    async with browser.post(f"{slack.url}/playground/do", data=body) as answer:
        told = await answer.json()
    assert told["ok"] is False
    assert told["error"].endswith(".")


@pytest.mark.parametrize(
    "path", ["/assets/../server.py", "/assets/%2e%2e/server.py", "/assets/.hidden.css", "/assets/x.py"]
)
async def test_only_the_pages_own_files_are_served(slack: Playground, browser: ClientSession, path: str) -> None:
    async with browser.get(URL(f"{slack.url}{path}", encoded=True)) as answer:
        assert answer.status == 404
        assert await answer.read() == b""


async def test_answers_are_not_cached_and_carry_a_strict_policy(slack: Playground, browser: ClientSession) -> None:
    async with browser.get(slack.url) as answer:
        assert answer.headers["Cache-Control"] == "no-cache"
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'self';")
