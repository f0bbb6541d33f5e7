"""An answer's Markdown read block by block, each block checked for having kept every word."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

from bot.slack.rich_text_blocks import BlockReader, Kind, Piece
from bot.slack.rich_text_safety import visible
from bot.slack.rich_text_spans import Links, Span, joined, spans_of_text


def _parser(*rules_off: str) -> MarkdownIt:
    # Reference definitions stay text: the parser would take them out of sight. HTML is text as well.
    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    parser.disable(["reference", "html_block", "html_inline", *rules_off])
    # A URL is compared byte for byte, so it must arrive as it was written; what may be clicked is decided elsewhere.
    setattr(parser, "normalizeLink", _as_written)  # noqa: B010  a method replaced on one instance
    setattr(parser, "normalizeLinkText", _as_written)  # noqa: B010
    setattr(parser, "validateLink", bool)  # noqa: B010
    return parser


def _as_written(url: str) -> str:
    return url


_PARSERS = {
    (may_link, may_quote): _parser(*(() if may_link else ("link", "image")), *(() if may_quote else ("blockquote",)))
    for may_link in (True, False)
    for may_quote in (True, False)
}
_LONGEST_MARKDOWN: Final = 150_000
_MOST_BRACKETS: Final = 5_000
_MOST_LAZY_LINES: Final = 200


def pieces_of(markdown: str, links: Links) -> list[Piece]:
    """Read an answer; what the parser would not keep whole, or take too long over, is read as plain lines instead."""
    text = visible(markdown.replace("\r\n", "\n").replace("\r", "\n"))
    lines = text.split("\n")
    if len(text) > _LONGEST_MARKDOWN:
        return list(_plain(lines, links))
    made: list[Piece] = []
    done = 0
    for number, block in enumerate(_blocks(_tokens_of(text)), start=1):
        start, end = block[0].map or (done, done)
        made += _plain(lines[done:start], links, group=-number)
        read = BlockReader(links).read(block)
        kept = keeps_every_word(lines[start:end], read)
        read = read if kept else list(_as_it_stands(block[0], lines[start:end], links))
        made += (replace(piece, group=number) for piece in read)
        done = max(done, end)
    made += _plain(lines[done:], links)
    return made


def _tokens_of(text: str) -> list[Token]:
    """Parse, without the rules that this text would make slow: the parser looks again and again at such lines."""
    may_link = text.count("[") <= _MOST_BRACKETS
    may_quote = _lazy_lines(text) <= _MOST_LAZY_LINES
    try:
        return _PARSERS[may_link, may_quote].parse(text)
    except Exception:  # noqa: BLE001  a fault of the parser must not cost the answer: it is then read as plain lines
        return []


def _lazy_lines(text: str) -> int:
    """How many lines could continue a quote without its sign."""
    found = 0
    was_quoted = False
    for line in text.split("\n"):
        words = line.lstrip(" \t>*+-.)0123456789")
        is_quoted = ">" in line[: len(line) - len(words)]
        found += was_quoted and not is_quoted and bool(line.strip())
        was_quoted = is_quoted
    return found


def _blocks(tokens: list[Token]) -> Iterator[list[Token]]:
    """The tokens of each top-level block."""
    block: list[Token] = []
    for token in tokens:
        block.append(token)
        if token.level == 0 and token.nesting <= 0 and token.type != "inline":
            yield block
            block = []


def _plain(lines: list[str], links: Links, group: int = 0) -> Iterator[Piece]:
    text = "\n".join(lines).strip("\n")
    if text.strip():
        yield Piece(kind=Kind.PROSE, spans=tuple(joined(spans_of_text(text, links))), group=group)


def _as_it_stands(first: Token, lines: list[str], links: Links) -> Iterator[Piece]:
    """A block whose source is shown, because reading it would have lost something."""
    if first.type in {"table_open", "code_block"}:
        yield Piece(kind=Kind.CODE, spans=(Span(text="\n".join(lines).strip("\n")),))
    else:
        yield from _plain(lines, links)


# The signs Markdown takes away; joiners, because they may be written out; and the marks of lists and entities.
_SIGNS = dict.fromkeys(map(ord, "`*_{}[]()<>#+-.!|~:=&;\"'\\\u200c\u200d\ufe0e\ufe0f"))
_LIST_MARKS = re.compile(r"^(?:[ \t>]|[-*+](?=[ \t]|$)|\d{1,9}[.)](?=[ \t]|$))+", re.MULTILINE)
_ENTITY = re.compile(r"&#?\w{1,32};")
_SAID_TWICE = re.compile(r"\[([^\[\]\s]{1,2000})\]\(<?\1")  # a label that is its own URL is shown once


def keeps_every_word(lines: list[str], pieces: list[Piece]) -> bool:
    """Whether everything that is not markup stands in the pieces, in its order, and they show anything at all."""
    source = _SAID_TWICE.sub(r"\1", _ENTITY.sub("", _LIST_MARKS.sub("", "\n".join(lines))))
    wanted = "".join(source.translate(_SIGNS).split())
    shown = "".join(span.everything for piece in pieces for span in piece.spans)
    rest = iter(shown)
    return bool(shown.strip()) and all(character in rest for character in wanted)
