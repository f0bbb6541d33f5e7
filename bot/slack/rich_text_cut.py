"""Cutting: pieces packed into messages at the borders of blocks, and what is too long for one message cut inside."""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Final

from bot.slack.rich_text_blocks import Kind, Piece
from bot.slack.rich_text_safety import whole_characters
from bot.slack.rich_text_spans import ELEMENT_COST, Span, joined, within

MOST_ELEMENTS: Final = 40
LONGEST_TEXT: Final = 3_000  # Slack's limit for one text element
_PIECE_COST: Final = 6  # the element around a piece, its bullet, and the blank line before it
_SENTENCE_END = re.compile(r"[.!?\u2026][)\"'\u201d\u2019\]]{0,4}\s+|[\u3002\uff01\uff1f]")


def continues(before: Piece, piece: Piece) -> bool:
    """Whether a piece goes on in the top-level element of the piece before it."""
    kinds = {before.kind, piece.kind}
    if kinds <= {Kind.PROSE, Kind.HEADING}:
        return True
    if before.group != piece.group or len(kinds) > 1:
        return False
    if piece.kind is Kind.ITEM:
        return piece.more or (piece.indent == before.indent and piece.number == _number_after(before))
    return piece.kind is Kind.QUOTE


def _number_after(piece: Piece) -> int | None:
    return None if piece.number is None else piece.number + 1


def cost_of_piece(piece: Piece) -> int:
    return _PIECE_COST + sum(span.cost for span in piece.spans)


@dataclass(slots=True)
class Packer:
    """Fills messages with pieces, in order, each message within `limit` and MOST_ELEMENTS."""

    limit: int
    full: list[list[Piece]] = field(default_factory=list)
    page: list[Piece] = field(default_factory=list)
    spent: int = 0
    elements: int = 0

    def pack(self, pieces: list[Piece]) -> list[list[Piece]]:
        for _, group in groupby(pieces, key=lambda piece: piece.group):
            block = list(group)
            cost = sum(map(cost_of_piece, block))
            if self.limit - self.spent < cost <= self.limit and self.spent >= self.limit // 2:
                self._turn_the_page()  # a list that fits one message is not spread over two
            for piece in block:
                self._take(piece)
        return [page for page in (*self.full, self.page) if page]

    def _take(self, piece: Piece) -> None:
        cost, room = cost_of_piece(piece), self.limit - self.spent
        if cost > room and (cost <= self.limit or room < self.limit // 2):
            self._turn_the_page()
        for place, part in enumerate(in_pieces(piece, self.limit - self.spent, self.limit)):
            if place:
                self._turn_the_page()
            self._add(part)

    def _add(self, piece: Piece) -> None:
        if self.elements == MOST_ELEMENTS and not continues(self.page[-1], piece):
            self._turn_the_page()
        is_new = not self.page or not continues(self.page[-1], piece)
        if is_new and piece.more:  # what its list item was is in the message before
            piece = replace(piece, kind=Kind.PROSE, more=False)
            is_new = not self.page or not continues(self.page[-1], piece)
        self.page.append(piece)
        self.spent += cost_of_piece(piece)
        self.elements += is_new

    def _turn_the_page(self) -> None:
        """Begin a new message; headings that end the old one come along, unless they fill it or are very long."""
        if not self.page:
            return
        kept = len(self.page)
        while kept and self.page[kept - 1].kind is Kind.HEADING:
            kept -= 1
        if sum(map(cost_of_piece, self.page[kept:])) > self.limit // 4:
            kept = len(self.page)
        carried = self.page[kept:] if kept else []
        self.full.append(self.page[:kept] or self.page)
        self.page, self.elements = carried, min(len(carried), 1)
        self.spent = sum(map(cost_of_piece, carried))


def in_pieces(piece: Piece, room: int, limit: int) -> Iterator[Piece]:
    """A piece cut so that its first part costs at most `room` and each further part at most `limit`."""
    if cost_of_piece(piece) <= room:
        yield piece
        return
    if piece.kind is Kind.HEADING:
        piece = replace(piece, kind=Kind.PROSE)
    waiting = deque(in_short_spans(piece.spans))
    while waiting:
        part = joined(_next_part(waiting, room - _PIECE_COST, is_code=piece.kind is Kind.CODE))
        if part:
            yield replace(piece, spans=tuple(part))
            piece = replace(piece, more=piece.kind is Kind.ITEM)
            room = limit


def in_short_spans(spans: tuple[Span, ...] | list[Span]) -> Iterator[Span]:
    """The same spans, none of them longer than one text element may be."""
    for span in spans:
        if span.url is not None or span.cost <= LONGEST_TEXT:
            yield span
            continue
        start = 0
        while start < len(span.text):
            end = within(span.text, LONGEST_TEXT, start)
            if end < len(span.text):
                end = start + _border(span.text[start:end], span.text[end : end + 2], is_code="code" in span.style)
            yield replace(span, text=span.text[start:end])
            start = end


def _next_part(waiting: deque[Span], room: int, *, is_code: bool) -> list[Span]:
    """Take from `waiting` what fits, cut at the best border there is; the rest stays waiting."""
    taken: list[Span] = []
    while waiting and waiting[0].cost <= room:
        room -= waiting[0].cost
        taken.append(waiting.popleft())
    if not waiting:
        return taken
    following = waiting.popleft()
    end = within(following.text, room - ELEMENT_COST) if following.url is None and room > 2 * ELEMENT_COST else 0
    window = "".join(span.text for span in taken) + following.text[:end]
    if not window:
        return [following]  # not met while a link is kept far below the limit
    place = _border(window, following.text[end : end + 2], is_code=is_code)
    left, right = _split([*taken, following], place)
    if is_code:
        left = _without_its_last_newline(left)
    else:
        left, right = _stripped(left, -1), _stripped(right, 0)
    waiting.extendleft(reversed(right))
    return left


def _border(window: str, after: str, *, is_code: bool) -> int:
    """Where to cut: after the last line, else sentence, else word of the second half, else between characters."""
    half = len(window) // 2
    line = window.rfind("\n", half)
    if line >= 0:
        return line + 1
    if not is_code:
        ends = [found.end() for found in _SENTENCE_END.finditer(window, half)]
        word = max(window.rfind(blank, half) for blank in " \t\u3000")
        if ends or word >= 0:
            return ends[-1] if ends else word + 1
    return whole_characters(window + after, len(window))


def _split(spans: list[Span], place: int) -> tuple[list[Span], list[Span]]:
    """Cut spans at a character; a link goes to one side as a whole."""
    left: list[Span] = []
    for index, span in enumerate(spans):
        if place >= len(span.text) or (span.url is not None and not left):
            left.append(span)
            place = max(place - len(span.text), 0)
        elif span.url is not None or not place:
            return left, spans[index:]
        else:
            left.append(replace(span, text=span.text[:place]))
            return left, [replace(span, text=span.text[place:]), *spans[index + 1 :]]
    return left, []


def _without_its_last_newline(spans: list[Span]) -> list[Span]:
    """The border between two messages stands for the line break it was made at."""
    return [*spans[:-1], replace(spans[-1], text=spans[-1].text.removesuffix("\n"))] if spans else spans


def _stripped(spans: list[Span], end: int) -> list[Span]:
    """No white space at the border between two messages."""
    spans = list(spans)
    while spans and spans[end].url is None:
        text = spans[end].text.rstrip() if end else spans[end].text.lstrip()
        if text:
            spans[end] = replace(spans[end], text=text)
            break
        spans.pop(end)
    return spans
