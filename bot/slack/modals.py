"""The modals people fill in."""

from __future__ import annotations

import json
from typing import Any

from bot.slack.door import CRITIQUE_MODAL


def critique_modal(*, channel: str, ts: str, thread_ts: str | None, asks_for_brief: bool) -> dict[str, Any]:
    """Asked before a message is criticised: what it is for (where no brief says so), and a note to the critic."""
    blocks = []
    if asks_for_brief:
        blocks.append(
            _input(
                "brief",
                "What is this text for?",
                "Who reads it, and what should they take from it? The critic sees this line and the text only.",
                optional=False,
            )
        )
    blocks.append(
        _input("note", "A note to the critic", "For instance: be harsh about the second paragraph.", optional=True)
    )
    return {
        "type": "modal",
        "callback_id": CRITIQUE_MODAL,
        "private_metadata": json.dumps({"channel": channel, "ts": ts, "thread_ts": thread_ts}),
        "title": {"type": "plain_text", "text": "Critique this"},
        "submit": {"type": "plain_text", "text": "Ask the critic"},
        "close": {"type": "plain_text", "text": "Not now"},
        "blocks": blocks,
    }


def _input(name: str, label: str, hint: str, *, optional: bool) -> dict[str, Any]:
    return {
        "type": "input",
        "block_id": name,
        "optional": optional,
        "label": {"type": "plain_text", "text": label},
        "hint": {"type": "plain_text", "text": hint},
        "element": {"type": "plain_text_input", "action_id": name, "multiline": True, "max_length": 2000},
    }
