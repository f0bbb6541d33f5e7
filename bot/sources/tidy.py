"""Whatever calls itself HTML, made small and regular in one pass, so that a parser's worst cases never reach it.

Python's html.parser takes quadratic time for an unclosed comment or tag: 50 kB of `<a <a <a` cost it a minute. What
leaves here has only short whole tags, of whose attributes none remains but HIDDEN and role, no comments, no scripts,
at most MOST_TAGS tags and MOST_WORDS characters between them, and at most DEEPEST tags open at once. Each character is
looked at a bounded number of times.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

MOST_TAGS: Final = 40_000
MOST_WORDS: Final = 400_000
DEEPEST: Final = 200
_LONGEST_TAG: Final = 16_384
_LONGEST_TITLE: Final = 1_000
_NAME = re.compile(r"/?([A-Za-z][A-Za-z0-9-]{0,30})(?=[\s/>])")
_WHOLE_TAG = re.compile(r"(?:[^<>\"']|\"[^\"]*+\"|'[^']*+')*+>")
HIDDEN: Final = "hidden"
"""The attribute of everything that a reader would not see, however its page hides it."""
_TELLING = re.compile(
    r"""[\s"'/](hidden|aria-hidden|role|style)(?=[\s/>=])(?:\s{0,9}=\s{0,9}(?:"([^"]{0,999})|'([^']{0,999})|([^\s>"']{0,999})))?""",
    re.IGNORECASE,
)
_UNSEEN_STYLE = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|(?:font-size|opacity)\s*:\s*0(?![.\d])", re.IGNORECASE
)
_ROLE = re.compile(r"[A-Za-z]{1,20}")

_VOID: Final = frozenset("area base br col embed hr img input link meta param source track wbr".split())  # noqa: SIM905  a table of words
_UNREAD: Final = frozenset(
    """
    script style textarea iframe xmp noembed noframes noscript template svg math canvas object audio video select
    """.split()  # noqa: SIM905  a table of words
)
"""What is left out with all it holds: code, controls, and what is shown only where something else is not."""
_BLOCKS: Final = frozenset(
    """
    address article aside blockquote details dialog div dl fieldset figure footer form h1 h2 h3 h4 h5 h6 header hr main
    menu nav ol p pre search section table ul
    """.split()  # noqa: SIM905  a table of words
)
_ENDED_BY: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        **dict.fromkeys(_BLOCKS, frozenset({"p"})),
        "li": frozenset({"li", "p"}),
        **dict.fromkeys(("td", "th"), frozenset({"td", "th", "p"})),
        **dict.fromkeys(("tr", "tbody", "tfoot"), frozenset({"td", "th", "p", "tr"})),
        **dict.fromkeys(("dt", "dd"), frozenset({"dt", "dd", "p"})),
    }
)
"""Which open elements a new one ends, for people leave out the ends of these."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tidied:
    """A page's title, its words in regular markup, and whether that is all of it."""

    title: str
    markup: str
    is_whole: bool


def tidy(markup: str) -> Tidied:
    """Regular markup of whatever came; never fails."""
    tidier = _Tidier(markup)
    tidier.run()
    return Tidied(title=tidier.title, markup="".join(tidier.out), is_whole=tidier.is_whole)


class _Tidier:
    def __init__(self, markup: str) -> None:
        self._markup = markup
        self._at = 0
        self._closing = -1  # where the next ">" is, once looked for
        self._open: list[str] = []
        self._counts: Counter[str] = Counter()
        self._room = MOST_WORDS
        self.title = ""
        self.out: list[str] = []
        self.is_whole = True

    def run(self) -> None:
        for _ in range(MOST_TAGS):
            start = self._markup.find("<", self._at)
            end = start if start >= 0 else len(self._markup)
            self.out.append(self._markup[self._at : min(end, self._at + self._room)])
            self._room -= end - self._at
            self._at = end
            if start < 0 or self._room < 0:
                break
            self._one(start)
        self.is_whole = self._room >= 0 and self._at >= len(self._markup)

    def _one(self, start: int) -> None:
        """What stands at a "<": a comment, a declaration, a tag, or only the character."""
        if self._markup.startswith("<!--", start):
            self._skip_to("-->", start + 2)
        elif self._markup.startswith(("<!", "<?"), start):
            self._skip_to(">", start + 1)
        elif name := _NAME.match(self._markup, start + 1):
            self._tag(start, name)
        else:
            self._plain(start)

    def _plain(self, start: int) -> None:
        self.out.append("&lt;")
        self._at = start + 1

    def _skip_to(self, mark: str, start: int) -> None:
        """Leave out up to and with a mark; without one, all that is left, as browsers do."""
        end = self._markup.find(mark, start)
        self._at = end + len(mark) if end >= 0 else len(self._markup)

    def _skip_to_end_tag(self, element: str) -> str:
        """What an element holds whose inside is no markup; its end tag is next."""
        found = re.compile(rf"</{element}(?=[\s/>])", re.IGNORECASE | re.ASCII).search(self._markup, self._at)
        start, self._at = self._at, found.start() if found else len(self._markup)
        return self._markup[start : self._at]

    def _tag(self, start: int, name: re.Match[str]) -> None:
        end = self._end_of_tag(name.end())
        if end is None:
            self._plain(start)
            return
        self._at = end
        element = name[1].lower()
        if self._markup[start + 1] == "/":
            self._close(element)
        elif element == "title":
            self._take_title()
        elif element in _UNREAD:
            self._leave_out(element)
        else:
            self._begin(element, self._markup[name.end() : end])

    def _end_of_tag(self, start: int) -> int | None:
        """Behind the tag's ">", quotes heeded if they pair up; None if there is none near."""
        if self._closing < start:
            self._closing = self._markup.find(">", start)
            if self._closing < 0:
                self._closing = len(self._markup)
        if self._closing == len(self._markup) or self._closing - start > _LONGEST_TAG:
            return None
        whole = _WHOLE_TAG.match(self._markup, start, start + _LONGEST_TAG)
        return whole.end() if whole else self._closing + 1

    def _take_title(self) -> None:
        title = self._skip_to_end_tag("title")
        self.title = self.title or " ".join(html.unescape(title[:_LONGEST_TITLE]).split())

    def _leave_out(self, element: str) -> None:
        self._skip_to_end_tag(element)
        self.out.append(" ")

    def _begin(self, element: str, attributes: str) -> None:
        ended = _ENDED_BY.get(element, frozenset())
        while self._open and self._open[-1] in ended:
            self._close(self._open[-1])
        if element in _VOID:
            self.out.append(f"<{element}>")
        elif len(self._open) < DEEPEST:
            self._open.append(element)
            self._counts[element] += 1
            self.out.append(f"<{element}{_kept(attributes)}>")
        else:
            self.out.append("\n")

    def _close(self, element: str) -> None:
        """Close an element and what is open inside it; an end without a beginning is nothing."""
        if not self._counts[element]:
            self.out.append(" ")
            return
        while True:
            inner = self._open.pop()
            self._counts[inner] -= 1
            self.out.append(f"</{inner}>")
            if inner == element:
                return


def _kept(attributes: str) -> str:
    """What of the attributes counts here: whether the element is hidden, and its role in the page."""
    said: dict[str, str] = {}
    for found in _TELLING.finditer(attributes):
        said.setdefault(found[1].lower(), html.unescape(found[2] or found[3] or found[4] or ""))
    style, role = said.get("style", ""), said.get("role", "")
    hides = HIDDEN in said or said.get("aria-hidden", "").lower() == "true" or _UNSEEN_STYLE.search(style)
    return (f" {HIDDEN}" if hides else "") + (f' role="{role.lower()}"' if _ROLE.fullmatch(role) else "")
