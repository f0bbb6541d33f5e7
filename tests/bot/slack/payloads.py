"""Deliveries as Slack makes them, to be varied by the tests: with a field changed, or without it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Payload = dict[str, Any]
GONE = object()
"""Stands for a field that is not there."""


def vary(payload: Mapping[str, Any], **changes: Any) -> Payload:
    """The payload with fields replaced, or removed where the change is GONE."""
    return {key: value for key, value in {**payload, **changes}.items() if value is not GONE}


def command(**changes: Any) -> Payload:
    payload = {
        "token": "verification",
        "command": "/draft",
        "text": "Announce the open cage",
        "team_id": "T0PLAY",
        "team_domain": "play",
        "channel_id": "C0LAUNCH",
        "channel_name": "launch",
        "user_id": "U0ANN",
        "user_name": "ann",
        "trigger_id": "1.2.abc",
        "response_url": "https://hooks.slack.com/commands/T0PLAY/1/x",
        "api_app_id": "A0CAGE",
        "is_enterprise_install": "false",
    }
    return vary(payload, **changes)


def delivery(event: Payload, /, **changes: Any) -> Payload:
    """An event with its envelope."""
    payload = {
        "token": "verification",
        "type": "event_callback",
        "team_id": "T0PLAY",
        "api_app_id": "A0CAGE",
        "event": event,
        "event_id": "Ev0HOP",
        "event_time": 1_790_000_000,
        "authorizations": [{"team_id": "T0PLAY", "user_id": "UBOT", "is_bot": True}],
    }
    return vary(payload, **changes)


def mention(text: str = "<@UBOT> critique be harsh", /, **changes: Any) -> Payload:
    event = {
        "type": "app_mention",
        "user": "U0ANN",
        "text": text,
        "ts": "1790000000.000300",
        "thread_ts": "1790000000.000100",
        "channel": "C0LAUNCH",
        "event_ts": "1790000000.000300",
        "client_msg_id": "a-b-c",
        "team": "T0PLAY",
    }
    return vary(event, **changes)


def reaction(kind: str = "reaction_added", **changes: Any) -> Payload:
    event = {
        "type": kind,
        "user": "U0RAE",
        "reaction": "white_check_mark",
        "item": {"type": "message", "channel": "C0LAUNCH", "ts": "1790000000.000200"},
        "item_user": "UBOT",
        "event_ts": "1790000000.000400",
    }
    return vary(event, **changes)


def reply(**changes: Any) -> Payload:
    event = {
        "type": "message",
        "user": "U0SAM",
        "text": "Name the date.",
        "ts": "1790000000.000500",
        "thread_ts": "1790000000.000100",
        "channel": "C0LAUNCH",
        "channel_type": "channel",
        "event_ts": "1790000000.000500",
    }
    return vary(event, **changes)


def click(action: str = "critique", **changes: Any) -> Payload:
    payload = {
        "type": "block_actions",
        "team": {"id": "T0PLAY", "domain": "play"},
        "user": {"id": "U0ANN", "team_id": "T0PLAY"},
        "channel": {"id": "C0LAUNCH", "name": "launch"},
        "container": {"type": "message", "message_ts": "1790000000.000200", "channel_id": "C0LAUNCH"},
        "message": {"ts": "1790000000.000200", "thread_ts": "1790000000.000100"},
        "actions": [
            {"type": "button", "action_id": action, "value": "a-cage", "action_ts": "1790000001.0", "block_id": "b"}
        ],
        "trigger_id": "1.2.def",
        "response_url": "https://hooks.slack.com/actions/x",
    }
    return vary(payload, **changes)


def submission(**changes: Any) -> Payload:
    view = {
        "id": "V0CAGE",
        "callback_id": "critique_modal",
        "private_metadata": '{"channel": "C0LAUNCH", "ts": "1.2", "thread_ts": "1.1"}',
        "state": {"values": {"note": {"note": {"type": "plain_text_input", "value": "be harsh"}}}},
    }
    return {
        "type": "view_submission",
        "team": {"id": "T0PLAY"},
        "user": {"id": "U0ANN"},
        "view": vary(view, **changes),
    }


def deleted(**changes: Any) -> Payload:
    """A message of the bot's own was deleted."""
    ts = "1790000000.000200"
    event = {
        "type": "message",
        "subtype": "message_deleted",
        "channel": "C0LAUNCH",
        "hidden": True,
        "deleted_ts": ts,
        "ts": "1790000009.000100",
        "event_ts": "1790000009.000100",
        "previous_message": {"type": "message", "user": "UBOT", "bot_id": "B0BOT", "ts": ts, "text": "final 1"},
    }
    return vary(event, **changes)


CHOSEN = {"job": "first_pass", "matters": "speed", "stakes": "fast_pass", "eyes": "here"}
WORDS = "Announce the open cage"


def filled(words: str | None = WORDS, **chosen: Any) -> Payload:
    """The state of the four questions' form; a question that is GONE was not answered."""
    values: Payload = {
        name: {name: {"type": "radio_buttons", "selected_option": {"value": value}}}
        for name, value in {**CHOSEN, **chosen}.items()
        if value is not GONE
    }
    return {"values": {**values, "words": {"words": {"type": "plain_text_input", "value": words}}}}


def four_answers(**changes: Any) -> Payload:
    """The four questions sent off."""
    kept = '{"channel": "C0LAUNCH", "thread_ts": null, "has_work": false, "has_text": false}'
    view = {"id": "V0ROUTE", "type": "modal", "callback_id": "route_form", "private_metadata": kept, "state": filled()}
    return {**submission(), "view": vary(view, **changes)}


def run_it(words: str = WORDS, kept: Mapping[str, Any] | None = None, **changes: Any) -> Payload:
    """ "Run it" under what they came to."""
    place = {"channel": "C0LAUNCH", "thread_ts": None, "has_work": False, "has_text": False}
    stage = {"stage": "draft", "is_fresh": False, "needs_text": False}
    view = {
        "id": "V0ROUTE",
        "type": "modal",
        "callback_id": "route_advice",
        "private_metadata": json.dumps({**place, **stage, **(kept or {})}),
        "state": {"values": {"words": {"words": {"type": "plain_text_input", "value": words}}}},
    }
    return {**submission(), "view": vary(view, **changes)}
