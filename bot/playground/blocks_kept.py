"""What Slack adds to blocks before it gives them back: ids, defaults, emoji by name."""

import uuid
from collections.abc import Sequence
from typing import Any

from bot.playground.shapes import Json
from bot.playground.wording import as_slack_keeps_it, emoji_named


def kept_blocks(blocks: Sequence[Json]) -> list[Json]:
    """The blocks as Slack returns them; what was sent is left as it is."""
    return [_block(block) for block in blocks]


def _block(block: Json) -> Json:
    kept: Json = block if block["type"] == "rich_text" else _object(block)
    if block["type"] == "rich_text":
        kept = {**block, "elements": [_rich(element) for element in block["elements"]]}
    return {**kept, "block_id": block.get("block_id") or uuid.uuid4().hex[:5]}


def _object(node: Any) -> Any:
    match node:
        case {"type": "mrkdwn", "text": str() as text}:
            return {"verbatim": False, **node, "text": as_slack_keeps_it(text)}
        case {"type": "plain_text", "text": str() as text}:
            return {"emoji": True, **node, "text": emoji_named(text)}
        case {"type": "rich_text"}:
            return node
        case dict():
            kept = {key: _object(value) for key, value in node.items()}
            return _with_action_id(kept)
        case list():
            return [_object(part) for part in node]
        case _:
            return node


INTERACTIVE = frozenset({
    "button", "checkboxes", "datepicker", "datetimepicker", "email_text_input", "multi_channels_select",
    "multi_conversations_select", "multi_external_select", "multi_static_select", "multi_users_select", "number_input",
    "overflow", "plain_text_input", "radio_buttons", "static_select", "external_select", "users_select",
    "conversations_select", "channels_select", "timepicker", "url_text_input", "rich_text_input",
})  # fmt: skip


def _with_action_id(node: Json) -> Json:
    if node.get("type") in INTERACTIVE and "action_id" not in node:
        return {**node, "action_id": uuid.uuid4().hex[:5]}
    return node


def _rich(element: Json) -> Json:
    match element["type"]:
        case "rich_text_list":
            return {"indent": 0, "border": 0, **element}
        case "rich_text_preformatted":
            return {"border": 0, **element}
        case _:
            return element
