"""What can be said about a stack: an error keeps it from being used, a warning or a note does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

Path = tuple[str | int, ...]
"""Where in the file: keys, and positions in lists counted from 0."""


class Level(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


_LEVELS = {"E": Level.ERROR, "W": Level.WARNING, "N": Level.NOTE}


@dataclass(frozen=True, kw_only=True, slots=True)
class Remark:
    """One thing about one place of the stack; the code's first letter is its level."""

    code: str
    at: Path
    sentence: str

    @property
    def level(self) -> Level:
        return level_of(self.code)


def level_of(code: str) -> Level:
    return _LEVELS[code[0]]


Remarks = Iterator[Remark]


def said(path: Path) -> str:
    """A place in words: `review.reviewers, item 2`."""
    words = ""
    for part in path:
        if isinstance(part, int):
            words += f", item {part + 1}"
        else:
            words += f".{part}" if words else part
    return words
