"""The Slack app that a stack needs, as the manifest that Slack's pages take."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from handlers.errors import Refusal
from handlers.soundness import is_group
from handlers.stack import Stack, StageName, is_loopback

COMMANDS: Mapping[StageName, tuple[str, str]] = MappingProxyType(
    {
        StageName.SCOUT: ("Scan broadly and bring back findings", "[link] what to look into"),
        StageName.DRAFT: ("Write a usable first pass", "[link] what to write"),
        StageName.CRITIQUE: ("Find what is weak, by a critic with fresh eyes", "[link to a text] [note]"),
        StageName.IMPLEMENT: ("Turn it into a change", "[link] what to change"),
        StageName.POLISH: ("Clean the wording, add nothing", "[link to a text] [note]"),
        StageName.FINAL: ("Make the final text, for a reviewer to approve", "[link] what to publish"),
    }
)
"""Each stage's slash command: its description and usage hint."""
OTHER_COMMANDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "route": ("Answer four questions and see which stage and model should do it", "[link] [what is wanted]"),
        "stack": ("See which model does what here, how it is doing and what it cost", ""),
    }
)
"""The commands beside the stages."""

EVENTS = (
    "app_mention",
    "reaction_added",
    "reaction_removed",
    "message.channels",
    "message.groups",
    "app_home_opened",
    "member_joined_channel",
    "subteam_members_changed",
    "app_uninstalled",
    "tokens_revoked",
)
SCOPES = (
    "commands",
    "chat:write",
    "app_mentions:read",
    "reactions:read",
    "channels:history",
    "groups:history",
    "channels:read",
    "groups:read",
    "users:read",
    "files:write",
)
# reactions:write is not asked for: the bot never adds a reaction, least of all an approving one.
OPTIONAL_SCOPES = ("im:history", "im:write")
GROUP_SCOPE = "usergroups:read"
GROUP_EVENT = "subteam_members_changed"
EVENTS_PATH = "/slack/events"


def manifest(stack: Stack, *, http: str | None = None) -> dict[str, Any]:
    """The manifest for Socket Mode, or for HTTP at a public address; Refusal if Slack could not call that."""
    url = _request_url(http) if http else None
    groups = _reads_groups(stack)
    return {
        "_metadata": {"major_version": 2, "minor_version": 1},
        "display_information": {
            "name": "Countersign",
            "description": "Work routed through a stack of models; a final text counts after a reviewer's reaction.",
        },
        "features": _features(stack, url),
        "oauth_config": {
            "scopes": {
                "bot": [*SCOPES, *([GROUP_SCOPE] if groups else [])],
                "bot_optional": [*OPTIONAL_SCOPES, *([] if groups else [GROUP_SCOPE])],
            }
        },
        "settings": {
            "event_subscriptions": {
                **({"request_url": url} if url else {}),
                "bot_events": [event for event in EVENTS if groups or event != GROUP_EVENT],
            },
            "interactivity": {"is_enabled": True, **({"request_url": url} if url else {})},
            "org_deploy_enabled": False,
            "socket_mode_enabled": url is None,
            "token_rotation_enabled": False,
        },
    }


def _features(stack: Stack, url: str | None) -> dict[str, Any]:
    return {
        "bot_user": {"display_name": "countersign", "always_online": True},
        "app_home": {
            "home_tab_enabled": True,
            "messages_tab_enabled": True,
            "messages_tab_read_only_enabled": False,
        },
        "slash_commands": [
            {
                "command": f"/{stack.commands.prefix}{name}",
                "description": description,
                **({"usage_hint": hint} if hint else {}),
                "should_escape": True,
                **({"url": url} if url else {}),
            }
            for name, (description, hint) in (*COMMANDS.items(), *OTHER_COMMANDS.items())
        ],
        "shortcuts": [
            {
                "type": "message",
                "name": "Critique this",
                "callback_id": "critique_message",
                "description": "Ask a critic with fresh eyes about this message",
            }
        ],
    }


def _reads_groups(stack: Stack) -> bool:
    named = [*stack.review.reviewers, *stack.review.backup_reviewers]
    named += [reviewer for policy in stack.channels.values() for reviewer in policy.reviewers or ()]
    return any(map(is_group, named))


def _request_url(address: str) -> str:
    try:
        parts = urlsplit(address.strip())
        sound = parts.hostname and parts.username is None and not (parts.query or parts.fragment) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))):
        raise Refusal("--http takes the public address of this bot, such as https://bot.example.com.")
    address = address.strip().rstrip("/")
    return address if address.endswith(EVENTS_PATH) else f"{address}{EVENTS_PATH}"
