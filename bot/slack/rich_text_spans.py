"""The inline half of an answer: Markdown's inline tokens as styled spans of text, and as Slack's `text` and `link`."""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from markdown_it.token import Token

from bot.slack.rich_text_addresses import defanged, host_of, looks_like_an_address
from bot.slack.rich_text_safety import visible

_STYLE_OF = {"strong": "bold", "em": "italic", "s": "strike"}
_LONGEST_LABEL: Final = 300
# What Slack may count for a character: two UTF-16 units outside the first plane, an entity for the three it escapes.
_EXTRA = {"&": 4, "<": 3, ">": 3}
ELEMENT_COST: Final = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """A stretch of text of one style, or a clickable link."""

    text: str
    style: frozenset[str] = frozenset()
    url: str | None = None

    @property
    def cost(self) -> int:
        """What this takes of a message's budget: its text and its URL, and a little for being an element."""
        return cost_of(self.text) + cost_of(self.url or "") + ELEMENT_COST

    @property
    def everything(self) -> str:
        return self.text if self.url in (None, self.text) else f"{self.text} <{self.url}>"

    def element(self) -> dict[str, Any]:
        made: dict[str, Any] = {"type": "text", "text": self.text}
        if self.url is not None:
            made = {"type": "link", "url": self.url, "text": self.text}
        if self.style:
            made["style"] = dict.fromkeys(sorted(self.style), True)
        return made


def cost_of(text: str) -> int:
    """The characters of a text, counted as unfavourably as Slack might."""
    astral = 0 if text.isascii() else len(text.encode("utf-16-le")) // 2 - len(text)
    return len(text) + astral + sum(text.count(character) * extra for character, extra in _EXTRA.items())


def within(text: str, budget: int, start: int = 0) -> int:
    """The end of the longest piece from `start` that costs no more than `budget`; at least one character."""
    end = min(start + budget, len(text))
    if cost_of(text[start:end]) <= budget:
        return end
    spent = 0
    for place in range(start, end):
        character = text[place]
        spent += 1 + (character > "\uffff") + _EXTRA.get(character, 0)
        if spent > budget:
            return max(place, start + 1)
    return end


def joined(spans: Iterable[Span]) -> list[Span]:
    """The same spans, with neighbours of one style made one."""
    made: list[Span] = []
    waiting: list[str] = []  # texts that continue the last span: joined once, so that many pieces stay cheap
    for span in spans:
        if made and span.url is None and made[-1].url is None and made[-1].style == span.style:
            waiting.append(span.text)
            continue
        _flush(made, waiting)
        made.append(span)
    _flush(made, waiting)
    return [span for span in made if span.text]


def _flush(made: list[Span], waiting: list[str]) -> None:
    if waiting:
        made[-1] = replace(made[-1], text=made[-1].text + "".join(waiting))
        waiting.clear()


@dataclass(frozen=True, kw_only=True, slots=True)
class Links:
    """Which URLs of this answer may be clicked, and how much of a message one of them may take."""

    linkable: frozenset[str]
    longest: int

    @classmethod
    def of(cls, linkable: Collection[str], longest: int) -> "Links":
        return cls(linkable=frozenset(linkable), longest=longest)

    def host_of(self, url: str) -> str | None:
        return host_of(url, self.linkable) if cost_of(url) <= self.longest else None


_BARE_URL = re.compile(r"(?<![\w.+-])https?://[^\s<>\"`|\\]+")
_AFTER_A_URL = ".,;:!?)]}'*_~\u3002\uff0c\u3001\uff01\uff1f\uff09\u300d\u300f\u3011\uff1b\uff1a\u201d\u2019\u2026"
_MOST_PUNCTUATION: Final = 16


def spans_of_text(text: str, links: Links, style: frozenset[str] = frozenset()) -> Iterator[Span]:
    """Prose that may hold bare URLs: those of `links` become clickable, all others are broken."""
    text = visible(text)
    done = 0
    for found in _BARE_URL.finditer(text):
        url = _known_url(found[0], links)
        if url is not None:
            yield Span(text=defanged(text[done : found.start()]), style=style)
            yield Span(text=url, url=url, style=style)
            done = found.start() + len(url)
    yield Span(text=defanged(text[done:]), style=style)


def _known_url(candidate: str, links: Links) -> str | None:
    shortest = max(len(candidate.rstrip(_AFTER_A_URL)), len(candidate) - _MOST_PUNCTUATION)
    for end in range(len(candidate), shortest - 1, -1):
        if links.host_of(candidate[:end]):
            return candidate[:end]
    return None


def spans_of_link(label: str, url: str, title: str, links: Links, style: frozenset[str]) -> Iterator[Span]:
    """A Markdown link: its label and its host when it may be clicked, its label and its broken URL when not."""
    label, url = " ".join(visible(label).split()), visible(url)
    host = links.host_of(url)
    if host is None:
        shown = _with_url(label, url)
    elif label in ("", url):
        yield Span(text=url, url=url, style=style)
        shown = ""
    elif label == host:
        yield Span(text=host, url=url, style=style)
        shown = ""
    elif looks_like_an_address(label) or cost_of(label) > min(_LONGEST_LABEL, links.longest):
        # The label is somebody's claim; only the host after it is what one clicks.
        yield Span(text=f"{defanged(label)} ", style=style)
        yield Span(text=f"({host})", url=url, style=style)
        shown = ""
    else:
        yield Span(text=f"{label} ({host})", url=url, style=style)
        shown = ""
    if title:
        shown += f" \u201c{defanged(visible(title))}\u201d"
    yield Span(text=shown, style=style)


def _with_url(label: str, url: str) -> str:
    if not url or url in (label, f"mailto:{label}"):
        return defanged(label)
    return f"{defanged(label)} ({defanged(url)})".lstrip()


def spans_of_inline(tokens: list[Token] | None, links: Links, style: frozenset[str] = frozenset()) -> list[Span]:
    """One paragraph's inline tokens as spans; a line break in the source is a line break here."""
    made: list[Span] = []
    open_styles: list[str] = []
    label: list[str] = []
    link: Token | None = None
    for token in tokens or ():
        kind = token.type
        now = style.union(open_styles)
        if kind == "link_open":
            link, label = token, []
        elif kind == "link_close" and link is not None:
            made += spans_of_link("".join(label), *_target(link, "href"), links, now)
            link = None
        elif link is not None:
            label.append(_words_of(token))
        elif kind.endswith("_open"):
            open_styles.append(_STYLE_OF[kind.removesuffix("_open")])
        elif kind.endswith("_close"):
            open_styles.remove(_STYLE_OF[kind.removesuffix("_close")])
        elif kind == "image":
            made.append(Span(text=defanged(visible(_words_of(token))), style=now))
        elif kind == "code_inline":
            made.append(Span(text=visible(token.content), style=now | {"code"}))
        elif kind in ("softbreak", "hardbreak"):
            made.append(Span(text="\n", style=now))
        else:
            made += spans_of_text(token.content, links, now)
    return joined(made)


def _words_of(token: Token) -> str:
    """The words of a token inside a link's label or an image's description."""
    if token.type in ("softbreak", "hardbreak"):
        return " "
    if token.type != "image":
        return token.content
    alt = "".join(_words_of(child) for child in token.children or ())
    url, title = _target(token, "src")
    return _with_url(alt, url) + (f" \u201c{title}\u201d" if title else "")


def _target(token: Token, attribute: str) -> tuple[str, str]:
    return str(token.attrs.get(attribute, "")), str(token.attrs.get("title", ""))
