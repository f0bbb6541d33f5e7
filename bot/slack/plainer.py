"""An answer whose blocks Slack refused, once more as plain text in small pieces, so that nothing of it is lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from bot.slack.seen import words_of_blocks
from handlers.words import Body
from storage.records import Kind, Message

_MOST = 2_500
_MARK = "/plain-"


def plainer_pieces(message: Message, now: datetime) -> list[Message]:
    """Messages that say what this one's answer says; none if there is no answer, or if this is such a piece itself."""
    body = Body.from_json(message.body)
    words = words_of_blocks(body.answer)
    if message.kind not in {Kind.ANSWER, Kind.NOTES} or _MARK in message.slot or not words.strip():
        return []
    texts = _cut(words)
    return [
        replace(
            message,
            slot=f"{message.slot}{_MARK}{number}",
            body=_piece(body, text, is_last=number == len(texts)).to_json(),
            revision=1,
            shown=0,
            ts=None,
            digest=None,
            planned_at=now,
        )
        for number, text in enumerate(texts, start=1)
    ]


def _piece(body: Body, text: str, *, is_last: bool) -> Body:
    leaf = {"type": "text", "text": text}
    block = {"type": "rich_text", "elements": [{"type": "rich_text_preformatted", "elements": [leaf]}]}
    return replace(body, answer=(block,), buttons=body.buttons if is_last else ())


def _cut(words: str) -> list[str]:
    """Cut behind a line where there is one in the second half of a piece."""
    texts = []
    while len(words) > _MOST:
        end = words.rfind("\n", _MOST // 2, _MOST) + 1 or _MOST
        texts.append(words[:end])
        words = words[end:]
    return [*texts, words]
