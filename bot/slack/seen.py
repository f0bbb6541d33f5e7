"""Messages as Slack gives them back: a digest of what people see, and their words."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from bot.slack.plain import plain_words

_SEEN = ("text", "blocks", "attachments", "files")
# Slack signs, renews or counts these without anybody seeing a difference.
_UNSEEN = frozenset({"block_id"})


_NAMING = {
    "user": ("@", "user_id"),
    "usergroup": ("@", "usergroup_id"),
    "broadcast": ("@", "range"),
    "channel": ("#", "channel_id"),
}


def digest_of(message: dict[str, Any]) -> str:
    """sha256 over what makes up the sight of a message: the same for a post's reply and for a later look at it."""
    seen = {key: _normal(message[key]) for key in _SEEN if message.get(key)}
    canonical = json.dumps(seen, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def _normal(node: Any) -> Any:
    """Leave out ids of blocks and what says nothing: absent, empty and false are the same to a reader."""
    match node:
        case dict():
            bare = {key: _normal(value) for key, value in node.items() if key not in _UNSEEN}
            return {key: value for key, value in bare.items() if value not in (None, False, "", [], {})}
        case list():
            return [_normal(part) for part in node]
        case _:
            return node


def words_of(message: dict[str, Any]) -> str:
    """What a message says, as plain words: its text, or its blocks where the text is empty."""
    text = str(message.get("text") or "")
    return plain_words(text) if text.strip() else words_of_blocks(message.get("blocks") or [])


def words_of_blocks(blocks: Any) -> str:
    """The words that stand in blocks, one line a block."""
    return "\n".join(words for block in blocks if (words := _words(block)))


def _words(node: Any) -> str:
    match node:
        case {"type": "link", "url": str() as url}:
            return str(node.get("text") or url)
        case {"type": str() as kind} if kind in _NAMING:
            before, key = _NAMING[kind]
            return f"{before}{node.get(key, '')}"
        case {"type": "emoji", "name": str() as name}:
            return f":{name}:"
        case {"type": "rich_text_section" | "rich_text_quote" | "rich_text_preformatted", "elements": list() as parts}:
            return "".join(_words(part) for part in parts)
        case {"type": "mrkdwn", "text": str() as text}:
            return plain_words(text)
        case {"text": str() as text}:
            return text
        case dict():
            return _inside(node)
        case _:
            return ""


def _inside(node: dict[str, Any]) -> str:
    parts: list[Any] = []
    for key in ("text", "fields", "elements"):
        value = node.get(key)
        parts += value if isinstance(value, list) else [value]
    return "\n".join(words for part in parts if (words := _words(part)))
