"""Where an answer's sections begin: lines, code fences and headings in the many spellings models use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

_FENCE = re.compile(r"(?P<indent> {0,3})(?P<mark>`{3,}|~{3,})(?P<info>[^`]*)$")
_WRAPPING_INFO = frozenset({"", "markdown", "md", "text", "txt", "plain", "plaintext"})
_RULE = re.compile(r" {0,3}(?:-[ \t]*){3,}\r?$|^ {0,3}(?:\*[ \t]*){3,}\r?$")
_BEFORE_NAME = r" {0,3}(?P<level>#{1,6}[ \t]+)?(?:\d{1,2}[.)][ \t]+)?(?P<bold>\*\*\*|\*\*|__)?(?:\d{1,2}[.)][ \t]+)?"
_COLON = re.compile(":")
_SEPARATOR = re.compile(r":|[-–—](?=[ \t])")
_UNDERLINE = re.compile(r" {0,3}(?:=+|-{3,})[ \t]*\r?$")


class Line(NamedTuple):
    """A line of a text, by its place in it; `end` is before the line feed. Answers have many: it is quick to make."""

    start: int
    end: int
    words: str
    fenced: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Heading:
    """A heading whose name was looked for. What belongs to it starts at `body`, on its own line or the next."""

    name: str
    style: str
    start: int
    body: int


def lines_of(text: str, *, unclosed_runs_on: bool = False) -> list[Line]:
    """The lines of a text; those of a code block, its fences included, are fenced.

    A fence is closed by one of its kind, as long or longer, and not indented deeper (the context lines of a patch to a
    Markdown file are). One that is never closed is no fence, unless it is said to run on to the end.
    """
    words = text.split("\n")
    fenced = _fenced(words, unclosed_runs_on=unclosed_runs_on)
    lines, start = [], 0
    for number, line in enumerate(words):
        lines.append(Line(start, start + len(line), line, number in fenced))
        start += len(line) + 1
    return lines


def headings(text: str, names: str) -> Iterator[Heading]:
    """Every heading with one of these names outside code blocks; `names` is a pattern.

    `## Decision`, `**Decision:** ready`, `**Decision: ready**`, `Decision: ready`, `1. Decision`, and the name alone on
    a line, underlined or not.
    """
    opening = re.compile(_BEFORE_NAME + rf"(?P<name>{names})(?P<after>.*)$", re.IGNORECASE)
    lines = lines_of(text)
    for number, line in enumerate(lines):
        found = None if line.fenced or not line.words else opening.match(line.words)
        content = None if found is None else _content(found["after"], found["bold"] or "", dashes=not _is_plain(found))
        if found is None or content is None:
            continue
        body = line.end - len(content)
        following = lines[number + 1] if number + 1 < len(lines) else None
        if not content and _is_plain(found) and following and _UNDERLINE.match(following.words):
            body = following.end
        style = (found["level"] or found["bold"] or "plain").strip()
        yield Heading(name=found["name"].casefold(), style=style, start=line.start, body=body)


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without its outer blank lines; the first line keeps its indent, the last its trailing spaces."""
    part = text[start:end]
    if not part.strip():
        return start, start
    leading = len(part) - len(part.lstrip())
    start += part.rfind("\n", 0, leading) + 1
    trailing = part.rstrip()
    line_end = part.find("\n", len(trailing))
    if line_end >= 0:
        end -= len(part) - line_end
    return start, end


def unwrapped(text: str, start: int, end: int) -> tuple[int, int]:
    """The span inside a code fence around all of it, if that fence says no more than "this is text"."""
    start, end = trimmed(text, start, end)
    first, _, rest = text[start:end].partition("\n")
    inside, _, last = rest.rpartition("\n")
    opening, closing = _FENCE.match(first), _FENCE.match(last)
    if not opening or not closing or closing["info"].strip() or not closing["mark"].startswith(opening["mark"]):
        return start, end
    if opening["info"].strip().casefold() not in _WRAPPING_INFO or not _balanced(inside, opening["mark"]):
        return start, end
    return trimmed(text, start + len(first) + 1, start + len(first) + 1 + len(inside))


def before_rule(text: str, start: int, end: int) -> int:
    """Where the span ends without a dividing line that only sets off the heading after it."""
    _, last = trimmed(text, start, end)
    line_start = text.rfind("\n", start, last) + 1
    is_rule = line_start > start and _RULE.match(text[line_start:last])
    return line_start if is_rule and not text[:line_start].rpartition("\n")[0].rpartition("\n")[2].strip() else end


def _fenced(words: list[str], *, unclosed_runs_on: bool) -> set[int]:
    fences = {number: found for number, line in enumerate(words) if line and (found := _FENCE.match(line))}
    numbers = list(fences)
    fenced: set[int] = set()
    never_closed: set[tuple[str, int]] = set()
    at = 0
    while at < len(numbers):
        opening = fences[numbers[at]]
        kind = (opening["mark"], len(opening["indent"]))
        closer = None if kind in never_closed else _closer(fences, numbers, at)
        if closer is not None:
            fenced.update(range(numbers[at], numbers[closer] + 1))
            at = closer
        elif unclosed_runs_on:
            fenced.update(range(numbers[at], len(words)))
            break
        else:
            never_closed.add(kind)
        at += 1
    return fenced


def _closer(fences: dict[int, re.Match[str]], numbers: list[int], at: int) -> int | None:
    opening = fences[numbers[at]]
    for later in range(at + 1, len(numbers)):
        found = fences[numbers[later]]
        closes = not found["info"].strip() and found["mark"].startswith(opening["mark"])
        if closes and len(found["indent"]) <= len(opening["indent"]):
            return later
    return None


def _balanced(inside: str, mark: str) -> bool:
    """Whether every fence inside is opened (with a language) before it is closed (without)."""
    depth = 0
    for line in inside.split("\n"):
        found = line and _FENCE.match(line)
        if not found or not found["mark"].startswith(mark):
            continue
        depth += 1 if found["info"].strip() else -1
        if depth < 0:
            return False
    return depth == 0


def _is_plain(found: re.Match[str]) -> bool:
    return not found["level"] and not found["bold"]


def _content(after: str, bold: str, *, dashes: bool) -> str | None:
    """What stands on a heading's line behind its name; None if the line is no heading after all."""
    rest = after.lstrip(" \t")
    closed = bool(bold) and rest.startswith(bold)
    if closed:
        rest = rest[len(bold) :].lstrip(" \t")
    separator = _SEPARATOR.match(rest) if dashes else _COLON.match(rest)
    if separator:
        rest = rest[separator.end() :].lstrip(" \t")
    if bold and not closed and rest.startswith(bold):
        closed, rest = True, rest[len(bold) :].lstrip(" \t")
    if not rest.strip("# \t\r"):
        return "" if closed or not bold else None
    whole_line_bold = rest.rstrip(" \t\r").endswith(bold)
    return rest if separator and (closed or whole_line_bold) else None
