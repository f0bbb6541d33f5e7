"""A model's Markdown as Slack messages: typed rich_text elements in which nothing can mention, unfurl or pose as us."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from bot.slack.rich_text_blocks import Kind, Piece
from bot.slack.rich_text_cut import Packer, continues, in_short_spans
from bot.slack.rich_text_read import pieces_of
from bot.slack.rich_text_safety import inert, mrkdwn_escape, one_line
from bot.slack.rich_text_spans import Links, Span, joined

__all__ = ["Part", "inert", "mrkdwn_escape", "one_line", "parts_of", "plain_text"]

_SMALLEST_LIMIT: Final = 200
_LONGEST_LINK: Final = 2_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One message of an answer: a single rich_text block, and how many characters of text a reader sees in it."""

    blocks: tuple[dict[str, Any], ...]
    characters: int


def parts_of(markdown: str, *, linkable: Collection[str] = (), limit: int = 7_500) -> tuple[Part, ...]:
    r"""Cut model Markdown into messages of typed rich_text elements; text that is empty or all white space gives ().

    Nothing is dropped. What Markdown takes as markup (`**`, `#`, list marks) becomes style or structure; a block in
    which that would lose a word is shown as it was written. A character nobody can see is written out (``\u{202E}``). A
    URL that is not byte-identical to one of `linkable` is shown in full in a form that is no link
    (`https[:]//evil[.]example`). The elements are rich_text_section, _list, _preformatted and _quote, and in them only
    `text` and `link`.

    `limit` counts the text of one message together with its URLs, at least 200; a character counts double or more where
    Slack might count it so. The default leaves room below the 13,200 characters at which Slack refuses a message.
    """
    if limit < _SMALLEST_LIMIT:
        raise ValueError(f"A message of fewer than {_SMALLEST_LIMIT} characters holds too little: {limit}.")
    if not markdown.strip():
        return ()
    links = Links.of(linkable, longest=min(_LONGEST_LINK, limit // 4))
    messages = Packer(limit).pack(pieces_of(markdown, links))
    return tuple(_part(list(_elements(message))) for message in messages)


def _part(elements: list[dict[str, Any]]) -> Part:
    characters = sum(len(leaf["text"]) for element in elements for leaf in _leaves(element))
    return Part(blocks=({"type": "rich_text", "elements": elements},), characters=characters)


def _elements(pieces: list[Piece]) -> Iterator[dict[str, Any]]:
    """Each run of pieces that belong together as one element."""
    run: list[Piece] = []
    before: Kind | None = None
    for piece in pieces:
        if run and not continues(run[-1], piece):
            yield _element(run, before)
            before, run = run[0].kind, []
        run.append(piece)
    yield _element(run, before)


def _element(run: list[Piece], before: Kind | None) -> dict[str, Any]:
    first = run[0]
    match first.kind:
        case Kind.PROSE | Kind.HEADING:
            is_crowded = before is Kind.ITEM or (before is not None and first.kind is Kind.HEADING)
            lead = [Span(text="\n")] if is_crowded else []
            return _of_spans("rich_text_section", [*lead, *_in_one(run)])
        case Kind.QUOTE:
            return _of_spans("rich_text_quote", _in_one(run))
        case Kind.CODE:
            return _of_spans("rich_text_preformatted", _in_one(run))
        case Kind.ITEM:
            return _list(run)


def _of_spans(kind: str, spans: Iterable[Span]) -> dict[str, Any]:
    return {"type": kind, "elements": [span.element() for span in in_short_spans(joined(spans))]}


def _in_one(run: list[Piece]) -> Iterator[Span]:
    """Paragraphs one after the other, with a blank line between them where nothing holds them together."""
    before: Piece | None = None
    for piece in run:
        if before is not None:
            is_close = piece.tight if piece.kind is Kind.QUOTE else before.tight
            yield Span(text="\n" if is_close or piece.more else "\n\n")
        yield from piece.spans
        before = piece


def _list(run: list[Piece]) -> dict[str, Any]:
    first = run[0]
    items: list[list[Piece]] = []
    for piece in run:
        if piece.more and items:
            items[-1].append(piece)
        else:
            items.append([piece])
    made = {
        "type": "rich_text_list",
        "style": "bullet" if first.number is None else "ordered",
        "indent": first.indent,
        "elements": [_of_spans("rich_text_section", _in_one(item)) for item in items],
    }
    if first.number is not None and first.number > 1:
        made["offset"] = first.number - 1
    return made


def plain_text(blocks: Collection[dict[str, Any]]) -> str:
    """The text a reader of these blocks sees, with signs for list items; blocks of other types say nothing."""
    elements = (element for block in blocks if block["type"] == "rich_text" for element in block["elements"])
    return "\n".join(line for element in elements for line in _lines(element))


def _lines(element: dict[str, Any]) -> Iterator[str]:
    if element["type"] != "rich_text_list":
        yield "".join(leaf["text"] for leaf in _leaves(element))
        return
    for number, item in enumerate(element["elements"], start=element.get("offset", 0) + 1):
        mark = f"{number}." if element["style"] == "ordered" else "\u2022"
        yield "    " * element.get("indent", 0) + f"{mark} " + "".join(leaf["text"] for leaf in _leaves(item))


def _leaves(element: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for inner in element["elements"]:
        if "elements" in inner:
            yield from _leaves(inner)
        else:
            yield inner
