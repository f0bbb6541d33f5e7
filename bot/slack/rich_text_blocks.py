"""One block of an answer's Markdown as a flat sequence of pieces: paragraphs, list items, code, quoted lines."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from markdown_it.token import Token

from bot.slack.rich_text_safety import visible
from bot.slack.rich_text_spans import Links, Span, spans_of_inline
from bot.slack.rich_text_table import table_of


class Kind(Enum):
    PROSE = "prose"
    HEADING = "heading"
    ITEM = "item"
    CODE = "code"
    QUOTE = "quote"


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A paragraph, heading, list item, code block or quoted paragraph: what a part of an answer is packed from.

    Pieces of one `group` came from one block of the source. A `tight` heading stands directly above its text, a tight
    quoted line directly under the one before. `more` continues the list item before it.
    """

    kind: Kind
    spans: tuple[Span, ...]
    group: int = 0
    tight: bool = False
    more: bool = False
    indent: int = 0
    number: int | None = None


_LINE_OF: Final = "\u2014\u2014\u2014"
_DEEPEST: Final = 2
_NUMBERS: Final = range(1, 10_000)


@dataclass(kw_only=True, slots=True)
class _List:
    ordered: bool
    number: int = 0
    first: int | None = None
    unused: bool = False  # an item is open and nothing stands in it yet
    counting: bool = True  # so far each item had the first one's number: Markdown's lazy way

    def next_item(self, written: str) -> None:
        self.unused = True
        if not self.ordered:
            return
        wrote = int(written)
        if self.first is None:
            self.first = self.number = wrote
            return
        self.counting = self.counting and wrote == self.first
        self.number = self.number + 1 if self.counting else wrote

    @property
    def mark(self) -> str:
        return f"{self.number}. " if self.ordered else "\u2022 "


@dataclass(slots=True)
class BlockReader:
    """Walks one top-level block's tokens and leaves its pieces."""

    links: Links
    pieces: list[Piece] = field(default_factory=list)
    lists: list[_List] = field(default_factory=list)
    quotes: int = 0
    heading: int = 0
    in_item: bool = False  # the last piece is a list item that a further paragraph would continue
    table: list[Token] = field(default_factory=list)

    def read(self, block: list[Token]) -> list[Piece]:
        for token in block:
            if self.table or token.type == "table_open":
                self._in_table(token)
            else:
                self._take(token)
        return self.pieces

    def _take(self, token: Token) -> None:
        match token.type:
            case "inline":
                style = frozenset({"bold"}) if self.heading else frozenset()
                self._words(spans_of_inline(token.children, self.links, style))
            case "fence":
                self._code(token.content, info=token.info)
            case "code_block":
                self._code(token.content)
            case "hr":
                self._words([Span(text=_LINE_OF)])
            case "heading_open":
                self.heading = int(token.tag[1:])
            case "heading_close":
                self.heading = 0
            case "blockquote_open":
                self.quotes += 1
            case "blockquote_close":
                self.quotes -= 1
            case _:
                self._in_list(token)

    def _in_list(self, token: Token) -> None:
        match token.type:
            case "bullet_list_open" | "ordered_list_open":
                self._number_of_an_empty_item()
                self.lists.append(_List(ordered=token.type == "ordered_list_open"))
            case "list_item_open":
                self.in_item = False
                self.lists[-1].next_item(token.info)
            case "list_item_close":
                if self.lists[-1].unused:
                    self._words([Span(text=" ")])
                self.in_item = False
            case "bullet_list_close" | "ordered_list_close":
                self.lists.pop()
            case _:  # the ends of paragraphs and items' insides need nothing
                pass

    def _number_of_an_empty_item(self) -> None:
        """`1. - a` has a number to show before its inner list; a bullet before a bullet says nothing."""
        if not self.lists or not self.lists[-1].unused:
            return
        if self.lists[-1].ordered:
            self._words([Span(text=" ")])
        self.lists[-1].unused = False

    def _words(self, spans: list[Span]) -> None:
        """Words go where they stand: a quote, a list item, further on in that item, a heading, or a paragraph."""
        if not spans:
            return
        if self.quotes:
            self._add(Piece(kind=Kind.QUOTE, spans=(*self._marks_in_a_quote(), *spans), tight=bool(self.lists)))
        elif self.lists and self.lists[-1].unused:
            self._item(spans)
        elif self.in_item:
            self._add(Piece(kind=Kind.ITEM, spans=tuple(spans), more=True))
        elif self.heading:
            self._add(Piece(kind=Kind.HEADING, spans=tuple(spans), tight=self.heading > 2))  # noqa: PLR2004  # and ##
        else:
            self._add(Piece(kind=Kind.PROSE, spans=tuple(spans)))

    def _item(self, spans: list[Span]) -> None:
        here = self.lists[-1]
        here.unused = False
        number = here.number if here.ordered and here.number in _NUMBERS else None
        if here.ordered and number is None:  # a number Slack could not show stands in the text
            spans = [Span(text=here.mark), *spans]
        indent = min(len(self.lists) - 1, _DEEPEST)
        self._add(Piece(kind=Kind.ITEM, spans=tuple(spans), indent=indent, number=number))
        self.in_item = True

    def _marks_in_a_quote(self) -> Iterator[Span]:
        """A Slack quote holds nothing but words, so inner quotes and lists are written with signs."""
        marks = "> " * (self.quotes - 1)
        if self.lists:
            marks += "    " * (len(self.lists) - 1)
            marks += self.lists[-1].mark if self.lists[-1].unused else "  "
            self.lists[-1].unused = False
        if marks:
            yield Span(text=marks)

    def _code(self, content: str, info: str = "") -> None:
        self._number_of_an_empty_item()
        if info.strip():
            self._words([Span(text=visible(info.strip()), style=frozenset({"italic"}))])
        text = visible(content.removesuffix("\n"))
        if text.strip():
            self._add(Piece(kind=Kind.CODE, spans=(Span(text=text),)))
        self.in_item = False

    def _in_table(self, token: Token) -> None:
        self.table.append(token)
        if token.type != "table_close":
            return
        table = table_of(self.table, self.links)
        self.table = []
        self._number_of_an_empty_item()
        aligned = table.aligned()
        if aligned is None:
            self._words(table.header)
        self.in_item = False
        if aligned is not None:
            self._add(Piece(kind=Kind.CODE, spans=(Span(text=aligned),)))
            return
        for record in table.records():
            self._add(Piece(kind=Kind.ITEM, spans=tuple(record), indent=min(len(self.lists), _DEEPEST)))

    def _add(self, piece: Piece) -> None:
        self.pieces.append(piece)
