"""A Markdown table as aligned columns or, where it is too wide for that, as one list item a row."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from markdown_it.token import Token

from bot.slack.rich_text_spans import Links, Span, joined, spans_of_inline

_WIDEST: Final = 100
_MOST_PADDING: Final = 4  # aligned text may grow to this many times its content, and a little
_GAP = "  "


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Rows of cells, the header first; `right` holds the columns aligned to the right."""

    rows: tuple[tuple[list[Span], ...], ...]
    right: frozenset[int]

    def aligned(self) -> str | None:
        """The table in a fixed-width text, None when it would be too wide or mostly padding."""
        cells = [["".join(span.everything for span in cell) for cell in row] for row in self.rows]
        widths = [max(width_of(cell) for cell in column) for column in zip(*cells, strict=True)]
        longest = sum(widths) + len(_GAP) * (len(widths) - 1)
        content = sum(len(cell) for row in cells for cell in row)
        if longest > _WIDEST or longest * len(cells) > _MOST_PADDING * content + 2_000:
            return None
        lines = [self._line(row, widths) for row in cells]
        lines.insert(1, _GAP.join("-" * max(width, 1) for width in widths))
        return "\n".join(lines)

    def _line(self, row: list[str], widths: list[int]) -> str:
        padded = []
        for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
            blank = " " * (width - width_of(cell))
            padded.append(blank + cell if column in self.right else cell + blank)
        return _GAP.join(padded).rstrip()

    @property
    def header(self) -> list[Span]:
        """The column names on a line, for a table whose rows are written one by one."""
        made: list[Span] = []
        for name in self.rows[0]:
            made += [Span(text=" | ")] if made else []
            made += name
        return joined(_bold(made))

    def records(self) -> Iterator[list[Span]]:
        """Each row as lines of "name: value"; a row of empty cells as a single blank."""
        names = self.rows[0]
        for row in self.rows[1:]:
            made: list[Span] = []
            for name, cell in zip(names, row, strict=True):
                if cell:
                    made += [Span(text="\n")] if made else []
                    made += [*_bold(name), Span(text=": ", style=frozenset({"bold"}))] if name else []
                    made += cell
            yield joined(made) or [Span(text=" ")]


def _bold(spans: list[Span]) -> list[Span]:
    return [replace(span, style=span.style | {"bold"}) for span in spans]


def width_of(text: str) -> int:
    """The columns a text takes in a fixed-width font: two for wide characters, none for marks."""
    if text.isascii():
        return len(text)
    return sum(_width_of_character(character) for character in text)


def _width_of_character(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def table_of(tokens: list[Token], links: Links) -> Table:
    """Read the tokens from `table_open` to `table_close`."""
    rows: list[tuple[list[Span], ...]] = []
    row: list[list[Span]] = []
    right: set[int] = set()
    for token in tokens:
        if token.type == "inline":
            row.append(spans_of_inline(token.children, links))
        elif token.type == "th_open" and "right" in str(token.attrs.get("style", "")):
            right.add(len(row))
        elif token.type == "tr_close":
            rows.append(tuple(row))
            row = []
    return Table(rows=tuple(rows), right=frozenset(right))
