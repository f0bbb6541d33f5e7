"""What the reading methods answer, seen through the real client."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.playground.server import Playground
from tests.playground.test_chat import refusal

Say = Callable[..., Awaitable[Any]]


async def test_who_the_app_is(slack: Playground, client: AsyncWebClient) -> None:
    answer = await client.auth_test()
    assert (answer["user_id"], answer["bot_id"], answer["team_id"]) == ("UBOT", "B0COUNTER", "T0PLAY")
    assert answer["url"] == f"{slack.url}/"


@pytest.mark.parametrize(
    ("token", "error"), [("", "not_authed"), ("xoxb-guessed", "invalid_auth"), ("app", "not_allowed_token_type")]
)
async def test_only_the_right_token_opens(slack: Playground, client: AsyncWebClient, token: str, error: str) -> None:
    client.token = slack.app_token if token == "app" else token
    assert await refusal(client.auth_test()) == error


async def test_metadata_comes_only_when_asked_for(client: AsyncWebClient, say: Say) -> None:
    root = await say("root")
    await say("reply", thread_ts=root["ts"], slot="s-2")
    bare = await client.conversations_replies(channel="C0LAUNCH", ts=root["ts"])
    full = await client.conversations_replies(channel="C0LAUNCH", ts=root["ts"], include_all_metadata=True)
    assert [message.get("metadata") for message in bare["messages"]] == [None, None]
    assert full["messages"][1]["metadata"]["event_payload"]["slot"] == "s-2"
    history = await client.conversations_history(channel="C0LAUNCH", include_all_metadata=True)
    assert [message["text"] for message in history["messages"]] == ["root"]
    assert history["messages"][0]["metadata"]["event_type"] == "countersign"


async def test_replies_come_in_pages_root_first(client: AsyncWebClient, say: Say) -> None:
    root = await say("root")
    stamps = [(await say(f"reply {n}", thread_ts=root["ts"]))["ts"] for n in range(5)]
    pages = await client.conversations_replies(channel="C0LAUNCH", ts=root["ts"], limit=4)
    seen = [[message["text"] for message in page["messages"]] async for page in pages]
    assert seen == [["root", "reply 0", "reply 1", "reply 2"], ["reply 3", "reply 4"]]
    later = await client.conversations_replies(channel="C0LAUNCH", ts=root["ts"], oldest=stamps[3])
    assert [message["text"] for message in later["messages"]] == ["root", "reply 4"]
    from_it = await client.conversations_replies(channel="C0LAUNCH", ts=root["ts"], oldest=stamps[3], inclusive=True)
    assert [message["text"] for message in from_it["messages"]] == ["root", "reply 3", "reply 4"]
    assert await refusal(client.conversations_replies(channel="C0LAUNCH", ts="1.000001")) == "thread_not_found"


async def test_history_is_newest_first_and_between_its_ends(client: AsyncWebClient, say: Say) -> None:
    stamps = [(await say(f"m {n}"))["ts"] for n in range(4)]
    between = await client.conversations_history(channel="C0LAUNCH", oldest=stamps[0], latest=stamps[3])
    assert [message["text"] for message in between["messages"]] == ["m 2", "m 1"]
    assert await refusal(client.conversations_history(channel="C0QUIET")) == "not_in_channel"
    assert await refusal(client.conversations_history(channel="C0LAUNCH", limit=1001)) == "invalid_limit"


async def test_channels_tell_what_they_are(client: AsyncWebClient) -> None:
    partners = (await client.conversations_info(channel="C0PARTNERS"))["channel"]
    quiet = (await client.conversations_info(channel="C0QUIET"))["channel"]
    assert (partners["is_ext_shared"], partners["is_member"], quiet["is_member"]) == (True, True, False)
    names = [channel["name"] for channel in (await client.conversations_list())["channels"]]
    assert names == ["launch", "docs", "partners", "quiet"]
    assert "U0ZOE" in (await client.conversations_members(channel="C0PARTNERS"))["members"]
    opened = await client.conversations_open(users="U0RAE")
    assert opened["channel"]["id"] == "D0RAE"


@pytest.mark.parametrize(
    ("who", "field"), [("U0GUS", "is_restricted"), ("U0DEE", "deleted"), ("U0ZOE", "is_stranger"), ("UBOT", "is_bot")]
)
async def test_people_tell_what_they_are(client: AsyncWebClient, who: str, field: str) -> None:
    assert (await client.users_info(user=who))["user"][field] is True
    assert not (await client.users_info(user="U0RAE"))["user"].get(field)


async def test_groups_need_a_plan_and_a_scope(slack: Playground, client: AsyncWebClient) -> None:
    assert (await client.usergroups_users_list(usergroup="S0REVIEW"))["users"] == ["U0RAE", "U0SAM"]
    slack.change_group("S0REVIEW", "sam")
    assert (await client.usergroups_users_list(usergroup="S0REVIEW"))["users"] == ["U0SAM"]
    slack.plan_allows_groups = False
    assert await refusal(client.usergroups_users_list(usergroup="S0REVIEW")) == "plan_upgrade_required"
    slack.scopes.discard("usergroups:read")
    assert await refusal(client.usergroups_users_list(usergroup="S0REVIEW")) == "missing_scope"
    assert await refusal(client.conversations_join(channel="C0QUIET")) == "missing_scope"


async def test_reactions_are_told_with_who_gave_them(slack: Playground, client: AsyncWebClient, say: Say) -> None:
    root = slack.messages("launch")[0] if (await say("root")) else None
    assert root is not None
    rae = slack.as_person("rae")
    await rae.reacts("+1::skin-tone-3", root)
    await slack.as_person("sam").reacts("+1::skin-tone-3", root)
    told = await client.reactions_get(channel="C0LAUNCH", timestamp=root.ts, full=True)
    assert told["message"]["reactions"] == [{"name": "+1::skin-tone-3", "users": ["U0RAE", "U0SAM"], "count": 2}]
    await rae.unreacts("+1::skin-tone-3", root)
    assert slack.now(root).reacted("+1::skin-tone-3") == ["U0SAM"]
    gone = client.reactions_remove(channel="C0LAUNCH", timestamp=root.ts, name="+1::skin-tone-3")
    assert await refusal(gone) == "no_reaction"  # an app cannot take another's reaction away


async def test_a_file_is_announced_sent_and_shared(slack: Playground, client: AsyncWebClient, say: Say) -> None:
    root = await say("root")
    await client.files_upload_v2(
        channel="C0LAUNCH", thread_ts=root["ts"], content="the whole text", filename="final.md", title="Final"
    )
    shared = slack.thread("launch", root["ts"])[1]
    assert (shared["files"][0]["title"], shared["files"][0]["size"]) == ("Final", 14)
    assert await refusal(client.files_getUploadURLExternal(filename="empty.md", length=0)) == "invalid_arguments"
    file_id = shared["files"][0]["id"]
    assert await refusal(client.files_info(file=file_id)) == "missing_scope"
    slack.scopes.add("files:read")
    assert (await client.files_info(file=file_id))["content"] == "the whole text"


async def test_home_tabs_are_published_for_people(slack: Playground, client: AsyncWebClient) -> None:
    view = {"type": "home", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "Waiting for you: 1"}}]}
    await client.views_publish(user_id="U0RAE", view=view)
    home = slack.home("rae")
    assert home is not None
    assert home.visible == "Waiting for you: 1"
    old = client.views_publish(user_id="U0RAE", view=view, hash="stale")
    assert await refusal(old) == "hash_conflict"


async def test_form_json_and_query_are_all_understood(slack: Playground, client: AsyncWebClient, say: Say) -> None:
    ts = (await say("root"))["ts"]
    place = {"channel": "C0LAUNCH", "timestamp": ts}
    for how in ({"params": place}, {"data": place}, {"json": place}):
        assert (await client.api_call("reactions.get", **how))["message"]["ts"] == ts  # type: ignore[arg-type]
    assert await refusal(client.api_call("no.such")) == "unknown_method"


async def test_of_many_who_reacted_all_are_told_only_in_full(
    slack: Playground, client: AsyncWebClient, say: Say
) -> None:
    ts = (await say("root"))["ts"]
    for who in ("rae", "sam", "stan"):
        await slack.as_person(who).reacts("tada", slack.messages("launch")[0])
    slack.workspace.reactors_shown = 1
    some = await client.reactions_get(channel="C0LAUNCH", timestamp=ts)
    assert some["message"]["reactions"] == [{"name": "tada", "users": ["U0RAE"], "count": 3}]
    history = await client.conversations_history(channel="C0LAUNCH")
    assert history["messages"][0]["reactions"] == some["message"]["reactions"]
    full = await client.reactions_get(channel="C0LAUNCH", timestamp=ts, full=True)
    assert full["message"]["reactions"][0]["users"] == ["U0RAE", "U0SAM", "U0STAN"]
    slack.workspace.reactors_shown_in_full = 2
    short = await client.reactions_get(channel="C0LAUNCH", timestamp=ts, full=True)
    assert (short["message"]["reactions"][0]["users"], short["message"]["reactions"][0]["count"]) == (
        ["U0RAE", "U0SAM"],
        3,
    )


async def test_the_app_is_told_where_it_is_a_member(slack: Playground, client: AsyncWebClient) -> None:
    slack.channels["docs"].is_archived = True
    slack.workspace.direct_message("rae")
    told = await client.users_conversations(types="public_channel,private_channel", exclude_archived=True)
    assert [channel["name"] for channel in told["channels"]] == ["launch", "partners"]
    everything = await client.users_conversations(types="public_channel,im", limit=2)
    pages = [[channel["id"] for channel in page["channels"]] async for page in everything]
    assert pages == [["C0LAUNCH", "C0DOCS"], ["C0PARTNERS", "D0RAE"]]


async def test_slacks_clock_may_be_hours_off_and_never_goes_back(
    slack: Playground, client: AsyncWebClient, say: Say
) -> None:
    slack.workspace.seconds_ahead = -7200
    early = float((await say("two hours ago"))["ts"])
    slack.workspace.seconds_ahead = 0
    late = float((await say("now"))["ts"])
    assert 7199 < late - early < 7300
    slack.workspace.seconds_ahead = -7200
    assert float((await say("still now"))["ts"]) > late
