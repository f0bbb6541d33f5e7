"""What a message says, drawn as Slack's blocks: our words in mrkdwn nothing can come alive in, answers as they are."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bot.slack.rich_text_safety import mrkdwn_escape, one_line, visible
from handlers.words import Body, Button, Line, Link, Span, Text, Who
from storage.records import Message

MOST_IN_A_SECTION = 2_900  # Slack takes 3,000
_MOST_FALLBACK = 300
_MOST_ELEMENTS = 10  # of a context block
_MOST_IN_A_ROW = 5  # buttons that stand side by side on a narrow screen without being cut; Slack takes 25
_LABEL, _VALUE, _CONFIRM, _CONFIRM_BUTTON = 75, 2_000, 300, 30
_PIECE = 400  # characters between two places where a long text may be cut; five times as many when escaped

_PERSON = re.compile(r"[UW][A-Z0-9]+")
_ADDRESS = re.compile(r"https?://[A-Za-z0-9.:-]+/archives/[A-Z0-9]+/p\d+(?:\?[A-Za-z0-9._=&]*)?")
_WORD = re.compile(rf"\S{{1,{_PIECE}}}\s?|\s")
# Slack's mrkdwn knows no escape for its marks, so one that would open a style gives way to its likeness.
_OPENS = re.compile(r"(?<![^\W_])[*_~]+(?=[^\s*_~])")
_CLOSES = re.compile(r"[^\s*_~][*_~]")
_LIKENESS = str.maketrans({"*": "\u2217", "_": "\u02cd", "~": "\u223c"})
_APART = "\u200b"  # of no width: a style's mark only works beside something that is no letter
_BLANKS = re.compile(r"\s+")
_QUOTE = re.compile(r"(?m)^(\s*)>")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rendered:
    """A message as the Web API takes it."""

    text: str
    blocks: list[dict[str, Any]]
    metadata: dict[str, Any]


def render(message: Message, *, edition: str = "") -> Rendered:
    """Draw a message. Slack wants other block ids for each edit: `edition` tells one revision's drawings apart."""
    body = Body.from_json(message.body)
    prefix = f"{message.slot}.{message.revision}{edition and f'.{edition}'}"
    return Rendered(text=fallback_of(body), blocks=blocks_of(body, prefix), metadata=_metadata(message, body))


def blocks_of(body: Body, prefix: str) -> list[dict[str, Any]]:
    """The blocks of a body: words, small words, answer, buttons. An answer's blocks pass untouched."""
    loud = _texts([line for line in body.lines if not line.small])
    quiet = _texts([line for line in body.lines if line.small])
    ours: list[dict[str, Any]] = [{"type": "section", "text": _mrkdwn(text)} for text in loud]
    for start in range(0, len(quiet), _MOST_ELEMENTS):
        elements = [_mrkdwn(text) for text in quiet[start : start + _MOST_ELEMENTS]]
        ours.append({"type": "context", "elements": elements})
    under = [{"type": "actions", "elements": [_button(button) for button in row]} for row in _rows(body.buttons)]
    numbered = [{**block, "block_id": f"{prefix}.{at}"} for at, block in enumerate([*ours, *under])]
    return [*numbered[: len(ours)], *body.answer, *numbered[len(ours) :]]


def _rows(buttons: Sequence[Button]) -> list[Sequence[Button]]:
    """Buttons that are too many for one row stand in two, as even as can be."""
    half = len(buttons) if len(buttons) <= _MOST_IN_A_ROW else math.ceil(len(buttons) / 2)
    return [row for row in (buttons[:half], buttons[half:]) if row]


def fallback_of(body: Body) -> str:
    """The top-level text: what notifications and screen readers say."""
    text = one_line(body.fallback, _MOST_FALLBACK) or "A message from Countersign"
    while len(escaped := mrkdwn_escape(text)) > _MOST_FALLBACK:
        text = one_line(text, len(text) - 1)
    return escaped


def _metadata(message: Message, body: Body) -> dict[str, Any]:
    payload = {
        **body.facts,
        "kind": message.kind.value,
        "slot": message.slot,
        "work": message.work_id,
        "run": message.run_id,
    }
    known = {key: value for key, value in payload.items() if value is not None}
    return {"event_type": "countersign", "event_payload": known}


def _mrkdwn(text: str) -> dict[str, Any]:
    # verbatim: Slack leaves bare addresses, @names and #channels as the words they are.
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _button(button: Button) -> dict[str, Any]:
    element: dict[str, Any] = {
        "type": "button",
        "action_id": button.action,
        "text": _plain(button.label, _LABEL),
        "value": button.value[:_VALUE],
    }
    if button.style != "plain":
        element["style"] = button.style
    if button.confirm:
        element["confirm"] = {
            "title": _plain(button.label, _LABEL),
            "text": _mrkdwn(_question(button.confirm)),
            "confirm": _plain(button.label, _CONFIRM_BUTTON),
            "deny": _plain("Not now", _CONFIRM_BUTTON),
        }
    return element


def _question(line: Line) -> str:
    text = ""
    for piece in _pieces(line):
        if len(text) + len(piece) > _CONFIRM:
            break
        text += piece
    return text


def _plain(text: str, most: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": one_line(text, most) or "\u2026", "emoji": False}


# Lines to texts


def _texts(lines: Sequence[Line]) -> list[str]:
    """The lines as mrkdwn, in as few texts as the limit allows; nothing is dropped."""
    texts = [""]
    for number, line in enumerate(lines):
        between = "\n" if number else ""
        for piece in _pieces(line):
            if len(texts[-1]) + len(between) + len(piece) > MOST_IN_A_SECTION:
                texts.append(piece)
            else:
                texts[-1] += between + piece
            between = ""
    return [text for text in texts if text.strip()]


def _pieces(line: Line) -> Iterator[str]:
    """The line in pieces no cut may go through, each far shorter than a section."""
    end, was_styled = "", False
    for span in line.spans:
        styled = isinstance(span, Text) and span.style in {"bold", "code"}
        for piece in _span_pieces(span):
            leaves_style = was_styled and end in {"*", "`"}
            touches = (styled and end.isalnum()) or (leaves_style and (styled or piece[:1].isalnum()))
            yield _APART + piece if touches else piece
            end, was_styled = piece[-1:], styled
    if not line.spans:
        yield ""


def _span_pieces(span: Span) -> Iterator[str]:
    match span:
        case Who(person=person) if _PERSON.fullmatch(person):
            yield f"<@{person}>"
        case Who(person=person):
            yield mrkdwn_escape(one_line(person, _PIECE))
        case Link(url=url, label=label) if _ADDRESS.fullmatch(url):
            yield f"<{mrkdwn_escape(url)}|{mrkdwn_escape(one_line(label, _PIECE))}>"
        case Link(label=label):
            yield mrkdwn_escape(one_line(label, _PIECE))
        case Text(text=text, style="bold"):
            yield from _styled(_unstyled(text).replace("*", "\u2217"), "*")
        case Text(text=text, style="code"):
            yield from _styled(text.replace("`", "'"), "`")
        case Text(text=text):
            yield from (mrkdwn_escape(word) for word in _WORD.findall(_unstyled(visible(text))))


def _styled(text: str, mark: str) -> Iterator[str]:
    """A style covers one line and neither begins nor ends with a blank."""
    words = visible(_BLANKS.sub(" ", text))
    for start in range(0, len(words), _PIECE):
        piece = words[start : start + _PIECE]
        core = piece.strip()
        styled = f"{mark}{mrkdwn_escape(core)}{mark}" if core else ""
        yield " " * piece.startswith(" ") + styled + " " * (bool(core) and piece.endswith(" "))


def _unstyled(text: str) -> str:
    """Backticks, quotes and pairs of marks give way; everything else stays as it was written."""
    lines = _QUOTE.sub("\\1\u203a", text.replace("`", "'")).split("\n")
    return "\n".join(_without_openings(line) for line in lines)


def _without_openings(line: str) -> str:
    closing = max((found.start() for found in _CLOSES.finditer(line)), default=-1)
    return _OPENS.sub(lambda found: found[0].translate(_LIKENESS) if found.end() <= closing else found[0], line)
