"""What became of a text since the version before it (pure): for whoever sent that one back and reads the next."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from handlers.figures import count

_MOST_PIECES = 2_000  # of each text: more take seconds to compare
_MOST_LINES = 80
_LONGEST_LINE = 400
_SENTENCE_END = re.compile(r"(?<=[.!?…。！？])[ \t]+(?=\S)")
_FENCE = re.compile(r"`{3,}")


def changes(before: str, after: str) -> str:
    """The difference as Markdown: a sentence, and a fenced list of passages taken out (-) and put in (+).

    Sentence by sentence, with the ends of lines and spaces around them left out of account.
    """
    old, new = _pieces(before), _pieces(after)
    if old == new:
        return "The words are the same." if before != after else "The text is the same, sign for sign."
    if max(len(old), len(new)) > _MOST_PIECES:
        return "Too long to be compared here."
    out, put = 0, 0
    lines: list[str] = []
    for what, first, last, there, then in SequenceMatcher(a=old, b=new).get_opcodes():
        if what == "equal":
            continue
        removed, added = old[first:last], new[there:then]
        out, put = out + len(removed), put + len(added)
        if lines:
            lines.append("…")
        lines += [f"- {_cut(piece)}" for piece in removed]
        lines += [f"+ {_cut(piece)}" for piece in added]
    done = ((out, "taken out"), (put, "put in"))
    said = ", ".join(f"{count(many, 'passage')} {what}" for many, what in done if many)
    left = len(lines) - _MOST_LINES
    if left > 0:
        lines[_MOST_LINES:] = []
        said += f"; the first {_MOST_LINES} lines of them"
    return f"{said}:\n\n{_fenced(lines)}"


def in_common(one: str, other: str) -> int:
    """How many different passages stand in both texts."""
    return len({*_pieces(one)} & {*_pieces(other)})


def _pieces(text: str) -> list[str]:
    """The sentences and lines of a text that say anything."""
    pieces = [piece for row in text.splitlines() for piece in _SENTENCE_END.split(row)]
    return [" ".join(piece.split()) for piece in pieces if piece.strip()]


def _cut(piece: str) -> str:
    return piece if len(piece) <= _LONGEST_LINE else f"{piece[: _LONGEST_LINE - 1]}…"


def _fenced(lines: list[str]) -> str:
    """As code, whatever stands in it."""
    ticks = max((len(found) for line in lines for found in _FENCE.findall(line)), default=2) + 1
    fence = "`" * max(3, ticks)
    return "\n".join([fence, *lines, fence])
