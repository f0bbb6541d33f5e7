"""What a message of the bot says, as values: people, figures and buttons stay typed until they are rendered.

Text from people and models enters only as plain text, so nothing they write can become a mention, a link or a button.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal


def words_of(body: Body) -> str:
    """What a message says in our own words, on one line, people by their ids."""
    said = ("".join(_plainly(span) for span in line.spans) for line in body.lines)
    return " / ".join(" ".join(words.split()) for words in said)


def _plainly(span: Span) -> str:
    match span:
        case Who(person=person):
            return f"@{person}"
        case Link(url=url, label=label):
            return f"{label} ({url})"
        case Text(text=text):
            return text


def storable(text: str) -> str:
    """The text without what no database takes: lone surrogates become U+FFFD, NUL its visible sign."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\x00", "␀")


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """Plain words. Nothing in them is ever parsed."""

    text: str
    style: Literal["plain", "bold", "code", "quiet"] = "plain"


@dataclass(frozen=True, kw_only=True, slots=True)
class Who:
    """A person of the workspace, shown as a mention; the only kind of mention there is."""

    person: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """A message of this workspace to go to; its address is made by us, of ids, and never of anybody's words."""

    url: str
    label: str


Span = Text | Who | Link


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line; a small one is set quietly under the others."""

    spans: tuple[Span, ...]
    small: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Button:
    """Something to press. `value` is an id of ours; what it may do is decided when it is pressed.

    `confirm`: what people are asked first, if anything; of at most 300 characters.
    """

    action: str
    label: str
    value: str
    style: Literal["plain", "primary", "danger"] = "plain"
    confirm: Line | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Body:
    """A whole message.

    Attributes:
        lines: the bot's own words.
        answer: blocks of typed rich text made of a model's answer; only in messages of kind answer and notes.
        buttons: at most ten; more than five stand in two rows.
        fallback: one short plain sentence for notifications; never model text.
        facts: further keys of the message's metadata: stage, state, part, parts, sha256.
    """

    lines: tuple[Line, ...] = ()
    answer: tuple[dict[str, Any], ...] = ()
    buttons: tuple[Button, ...] = ()
    fallback: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "lines": [_line_json(line) for line in self.lines],
            "answer": list(self.answer),
            "buttons": [
                {
                    "action": button.action,
                    "label": button.label,
                    "value": button.value,
                    "style": button.style,
                    "confirm": _line_json(button.confirm) if button.confirm else "",
                }
                for button in self.buttons
            ],
            "fallback": self.fallback,
            "facts": self.facts,
        }

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> Body:
        return cls(
            lines=tuple(_line(line) for line in body["lines"]),
            answer=tuple(body["answer"]),
            buttons=tuple(
                Button(**{**button, "confirm": _line(button["confirm"]) if button["confirm"] else None})
                for button in body["buttons"]
            ),
            fallback=body["fallback"],
            facts=dict(body["facts"]),
        )


def _line_json(line: Line) -> dict[str, Any]:
    return {"spans": [_span_json(span) for span in line.spans], "small": line.small}


def _line(line: dict[str, Any]) -> Line:
    return Line(spans=tuple(_span(span) for span in line["spans"]), small=line["small"])


def _span_json(span: Span) -> dict[str, str]:
    match span:
        case Text(text=text, style=style):
            return {"text": text, "style": style}
        case Who(person=person):
            return {"person": person}
        case Link(url=url, label=label):
            return {"url": url, "label": label}


def _span(span: dict[str, Any]) -> Span:
    if "url" in span:
        return Link(url=span["url"], label=span["label"])
    return Who(person=span["person"]) if "person" in span else Text(text=span["text"], style=span["style"])


def line(*parts: str | Span, small: bool = False) -> Line:
    """A line of words. Strings are our own sentences: what stands in them `like this` is set as code."""
    spans = [span for part in parts for span in (_sentence(part) if isinstance(part, str) else [part])]
    return Line(spans=tuple(spans), small=small)


def _sentence(words: str) -> list[Span]:
    pieces = words.split("`")
    if len(pieces) % 2 == 0:  # one without its partner is no mark
        return [Text(text=words)]
    return [Text(text=piece, style="code" if place % 2 else "plain") for place, piece in enumerate(pieces) if piece]


def bold(text: str) -> Text:
    return Text(text=text, style="bold")


def code(text: str) -> Text:
    return Text(text=text, style="code")


def people(ids: Sequence[str], *, between: str = ", ") -> list[str | Span]:
    """Mentions with commas between them."""
    spans: list[str | Span] = []
    for person in ids:
        spans += [between, Who(person=person)] if spans else [Who(person=person)]
    return spans
