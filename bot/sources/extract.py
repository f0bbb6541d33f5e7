"""A page as a reader would take it in: its title and its visible words, headings and lists as Markdown has them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from bs4 import BeautifulSoup
from bs4.element import NavigableString, Tag

from bot.sources.tidy import HIDDEN, tidy

LONGEST_TITLE: Final = 300
_ENOUGH: Final = 200
"""Characters below which a part of the page is not taken for the whole of it."""

_FURNITURE: Final = frozenset("nav aside footer header form button dialog menu datalist".split())  # noqa: SIM905  a table of words
_FURNITURE_ROLES: Final = frozenset(
    "navigation banner contentinfo complementary search dialog alertdialog menu".split()  # noqa: SIM905  a table of words
)
_HEADED: Final = frozenset({"article", "main"})
_DEEPEST_LIST: Final = 6
_HEADINGS: Final = {f"h{level}": "#" * level for level in range(1, 7)}
_BLOCKS: Final = frozenset(
    """
    address article aside blockquote body center dd details dialog div dl dt fieldset figcaption figure footer form
    header hgroup html legend main menu nav p search section summary table caption tbody thead tfoot ul ol
    """.split()  # noqa: SIM905  a table of words
)
# Nothing shows these, and a model reads them all the same: a way to say things to it behind a person's back.
_INVISIBLE: Final = dict.fromkeys(
    [
        *range(9), 11, 12, *range(14, 32), *range(0x7F, 0xA0), 0xAD, 0x61C, 0x180E, 0x200B, 0x200E, 0x200F,
        *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF, *range(0xFFF9, 0xFFFC), *range(0xE0000, 0xE1000),
    ]
)  # fmt: skip
_SPACE = re.compile(r"[^\S\n]+")
_MANY_BREAKS = re.compile(r"\n{3,}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """What a page says."""

    title: str
    text: str


def page_of_text(text: str) -> Page:
    """Text, Markdown or JSON, as it is; without the characters that nobody sees."""
    lines = (line.rstrip() for line in _seen(text).split("\n"))
    return Page(title="", text=_MANY_BREAKS.sub("\n\n", "\n".join(lines)).strip())


def page_of_html(markup: str) -> Page:
    """A web page. The work is bounded, whatever the markup holds; what was too much is said to be left out."""
    tidied = tidy(markup)
    text = _main_words(BeautifulSoup(tidied.markup, "html.parser"))
    if text and not tidied.is_whole:
        text += "\n\n[the page goes on; it is too large to be read whole]"
    return Page(title=" ".join(_seen(tidied.title).split())[:LONGEST_TITLE], text=text)


def _main_words(soup: BeautifulSoup) -> str:
    """The words of the main part if it says which that is, else all but the furniture, else simply all."""
    mains = soup.find_all(lambda tag: tag.name == "main" or tag.get("role") == "main", limit=1)
    articles = soup.find_all("article", limit=2)
    for part in [*mains, *(articles if len(articles) == 1 else [])]:
        if len(words := _words(part, furnished=False)) >= _ENOUGH:
            return words
    bare = _words(soup, furnished=False)
    return bare if len(bare) >= _ENOUGH else _words(soup, furnished=True)


def _words(part: Tag, *, furnished: bool) -> str:
    writer = _Writer(furnished=furnished)
    writer.write(part)
    return writer.text()


class _Writer:
    """Walks a tree and writes lines. The tree is at most `tidy.DEEPEST` deep, so that it may recurse.

    Args:
        furnished: whether what stands around the words of every page is written too.
    """

    def __init__(self, *, furnished: bool) -> None:
        self._furnished = furnished
        self._parts: list[str] = []
        self._lists: list[int | None] = []  # of each list that is open: its next number, None for bullets
        self._headed = 0  # open elements whose own header belongs to the words

    def text(self) -> str:
        lines = (line.rstrip() for line in "".join(self._parts).split("\n"))
        return _MANY_BREAKS.sub("\n\n", "\n".join(lines)).strip()

    def write(self, tag: Tag) -> None:
        headed = tag.name in _HEADED or tag.get("role") == "main"
        self._headed += headed
        for child in tag.children:
            if isinstance(child, Tag):
                if not self._is_left_out(child):
                    self._element(child)
            elif type(child) is NavigableString:
                self._parts.append(_flat(_seen(str(child))))
        self._headed -= headed

    def _is_left_out(self, tag: Tag) -> bool:
        if tag.has_attr(HIDDEN):
            return True
        if self._furnished:
            return False
        is_own_header = tag.name == "header" and self._headed > 0
        return tag.get("role") in _FURNITURE_ROLES or (tag.name in _FURNITURE and not is_own_header)

    def _element(self, tag: Tag) -> None:
        name = tag.name
        if name in _HEADINGS:
            if words := self._in_one_line(tag):
                self._parts.append(f"\n\n{_HEADINGS[name]} {words}\n\n")
        elif name in {"ul", "ol"}:
            self._list(tag, 1 if name == "ol" else None)
        elif name == "li":
            self._item(tag)
        elif name == "pre":
            self._parts.append(f"\n\n```\n{_seen(tag.get_text()).strip(chr(10))}\n```\n\n")
        elif name == "tr":
            self._row(tag)
        elif name in {"br", "hr"}:
            self._parts.append("\n")
        else:
            space = "\n\n" if name in _BLOCKS else ""
            self._parts.append(space)
            self.write(tag)
            self._parts.append(space)

    def _list(self, tag: Tag, first: int | None) -> None:
        space = "\n" if self._lists else "\n\n"
        self._parts.append(space)
        self._lists.append(first)
        self.write(tag)
        self._lists.pop()
        self._parts.append(space)

    def _item(self, tag: Tag) -> None:
        """One item; what it has beside its first line stands indented, as far as lists are nested sensibly."""
        mark = "-"
        if self._lists and (number := self._lists[-1]) is not None:
            mark, self._lists[-1] = f"{number}.", number + 1
        if len(self._lists) > _DEEPEST_LIST:
            self._parts.append(f"\n{mark} ")
            self.write(tag)
            return
        lines = [line for line in self._inside(tag).split("\n") if line.strip()]
        if lines:
            self._parts.append("\n" + f"{mark} " + "\n  ".join(lines))

    def _row(self, tag: Tag) -> None:
        cells = [cell for cell in tag.children if isinstance(cell, Tag) and cell.name in {"td", "th"}]
        words = " | ".join(self._in_one_line(cell) for cell in cells if not cell.has_attr(HIDDEN))
        # A row without cells is read as it is. One with empty cells is not read again: nested, each would double work.
        words = words.strip(" |") if cells else self._in_one_line(tag)
        self._parts.append(f"\n{words}" if words else "")

    def _in_one_line(self, tag: Tag) -> str:
        return " ".join(self._inside(tag).split())

    def _inside(self, tag: Tag) -> str:
        """What an element says, written by itself; a list in it knows how deep it is."""
        inside = _Writer(furnished=self._furnished)
        inside._lists, inside._headed = [*self._lists], self._headed
        inside.write(tag)
        return inside.text()


def _flat(text: str) -> str:
    return " ".join(text.split()) if text.isspace() else _SPACE.sub(" ", text.replace("\n", " "))


def _seen(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_INVISIBLE)
