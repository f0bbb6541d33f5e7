from __future__ import annotations

from typing import Any

import pytest

from bot.manifest import manifest
from handlers.errors import Refusal
from handlers.stack import Stack, StageName

MODEL = {"wire": "openai", "id": "hare-1", "base_url": "https://api.hare.example/v1"}


def a_stack(**tables: Any) -> Stack:
    return Stack.model_validate({"models": {"hare": MODEL}, "review": {"reviewers": ["U0OBELIX"]}, **tables})


def every_url(value: Any) -> list[str]:
    match value:
        case dict():
            found = [inner for key, inner in value.items() if key in {"url", "request_url"}]
            return found + [url for inner in value.values() for url in every_url(inner)]
        case list():
            return [url for inner in value for url in every_url(inner)]
        case _:
            return []


def test_every_command_has_the_stacks_prefix() -> None:
    commands = manifest(a_stack(commands={"prefix": "cs-"}))["features"]["slash_commands"]
    assert [command["command"] for command in commands] == [f"/cs-{name}" for name in (*StageName, "route", "stack")]
    assert all(command["should_escape"] is True and command["description"] for command in commands)
    assert [command["command"] for command in commands if not command.get("usage_hint", "none")] == []
    assert "usage_hint" not in commands[-1], "Slack takes no empty one"


def test_names_keep_slacks_limits_even_with_the_longest_prefix() -> None:
    made = manifest(a_stack(commands={"prefix": "x" * 20}))
    assert all(len(command["command"]) <= 32 for command in made["features"]["slash_commands"])
    assert len(made["display_information"]["name"]) <= 35
    assert len(made["display_information"]["description"]) <= 140
    assert all(len(shortcut["name"]) <= 24 for shortcut in made["features"]["shortcuts"])


def test_socket_mode_names_no_address_and_keeps_interactivity() -> None:
    made = manifest(a_stack())
    assert made["settings"]["socket_mode_enabled"] is True
    assert made["settings"]["interactivity"] == {"is_enabled": True}
    assert every_url(made) == []


@pytest.mark.parametrize(
    "address", ["https://bot.example.com", "https://bot.example.com/", "https://bot.example.com/slack/events"]
)
def test_http_sends_everything_to_one_address(address: str) -> None:
    made = manifest(a_stack(), http=address)
    assert made["settings"]["socket_mode_enabled"] is False
    assert set(every_url(made)) == {"https://bot.example.com/slack/events"}
    assert len(every_url(made)) == len(StageName) + 4


@pytest.mark.parametrize(
    "address",
    [
        "bot.example.com",
        "http://bot.example.com",
        "https://",
        "https://[half",
        "https://a:b@c.example",
        "https://c.example/?x=1",
    ],
)
def test_an_address_that_slack_could_not_call_is_refused(address: str) -> None:
    with pytest.raises(Refusal, match="public address"):
        manifest(a_stack(), http=address)


def test_the_scopes_are_exactly_those_that_are_needed() -> None:
    made = manifest(a_stack())
    assert made["oauth_config"]["scopes"] == {
        "bot": [
            *("commands", "chat:write", "app_mentions:read", "reactions:read", "channels:history", "groups:history"),
            *("channels:read", "groups:read", "users:read", "files:write"),
        ],
        "bot_optional": ["im:history", "im:write", "usergroups:read"],
    }
    assert "reactions:write" not in str(made)


def test_a_user_group_among_the_reviewers_needs_its_scope_and_event() -> None:
    for tables in ({"review": {"reviewers": ["S0EDITORS"]}}, {"channels": {"C0GAUL": {"reviewers": ["S0EDITORS"]}}}):
        made = manifest(a_stack(**tables))
        assert "usergroups:read" in made["oauth_config"]["scopes"]["bot"]
        assert "subteam_members_changed" in made["settings"]["event_subscriptions"]["bot_events"]
    assert "subteam_members_changed" not in str(manifest(a_stack()))


def test_the_critique_shortcut_is_the_one_the_bot_listens_to() -> None:
    from bot.slack.door import CRITIQUE_SHORTCUT

    (shortcut,) = manifest(a_stack())["features"]["shortcuts"]
    assert (shortcut["type"], shortcut["callback_id"]) == ("message", CRITIQUE_SHORTCUT)
