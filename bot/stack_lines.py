"""On which line of a TOML file each key stands: the parser of the standard library reads values without places."""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Mapping

from handlers.remarks import Path

_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})' r"|'''.*?'''(?:'{0,2})" r'|"(?:[^"\\\n]|\\.)*"' r"|'[^'\n]*'",
    re.DOTALL,
)
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_GAP = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BLANK = re.compile(r"[ \t]*")
_SCALAR = re.compile(r"[^,\]}#\n]*")


def key_lines(text: str) -> dict[Path, int]:
    """The line, counted from 1, of every key and list item of a text that `tomllib` has accepted."""
    scan = _Scan(text)
    scan.document()
    return scan.lines


def line_of(lines: Mapping[Path, int], path: Path) -> int:
    """The line of a path, or of the nearest table around it that is written down."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


class _Scan:
    """One pass over the characters; it trusts that the text is valid and so never has to complain."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Path, int] = {}
        self._starts = [0, *(found.end() for found in re.finditer("\n", text))]
        self._items: dict[Path, int] = {}

    def document(self) -> None:
        table: Path = ()
        self._skip(_GAP)
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(_GAP)

    def _header(self) -> Path:
        start, is_list = self.at, self.text.startswith("[[", self.at)
        self.at += 2 if is_list else 1
        table: Path = ()
        keys = self._key()
        for nth, key in enumerate(keys, start=1):
            table = (*table, key)
            self._note(table, start)
            if is_list and nth == len(keys):
                self._items[table] = self._items.get(table, -1) + 1
            if table in self._items:
                table = (*table, self._items[table])
                self._note(table, start)
        self._skip(_BLANK)
        self.at += 2 if is_list else 1
        return table

    def _pair(self, table: Path) -> None:
        start = self.at
        path = table
        for key in self._key():
            path = (*path, key)
            self._note(path, start)
        self._skip(_BLANK)
        self.at += 1  # the equals sign
        self._skip(_BLANK)
        self._value(path)

    def _value(self, path: Path) -> None:
        match self.text[self.at]:
            case "[":
                self._array(path)
            case "{":
                self._inline_table(path)
            case '"' | "'":
                self._skip(_STRING)
            case _:
                self._skip(_SCALAR)

    def _array(self, path: Path) -> None:
        self.at += 1
        nth = 0
        while self._more("]"):
            self._note((*path, nth), self.at)
            self._value((*path, nth))
            nth += 1

    def _inline_table(self, path: Path) -> None:
        self.at += 1
        while self._more("}"):
            self._pair(path)

    def _more(self, closing: str) -> bool:
        """Step over what parts two values; False at the closing bracket, which is stepped over too."""
        self._skip(_GAP)
        if self.text[self.at] == ",":
            self.at += 1
            self._skip(_GAP)
        if self.text[self.at] == closing:
            self.at += 1
            return False
        return True

    def _key(self) -> list[str]:
        parts = [self._key_part()]
        self._skip(_BLANK)
        while self.text[self.at] == ".":
            self.at += 1
            parts.append(self._key_part())
            self._skip(_BLANK)
        return parts

    def _key_part(self) -> str:
        self._skip(_BLANK)
        if self.text[self.at] in "\"'":
            return str(tomllib.loads(f"it = {self._skip(_STRING)}")["it"])
        return self._skip(_BARE_KEY)

    def _note(self, path: Path, position: int) -> None:
        self.lines.setdefault(path, bisect_right(self._starts, position))

    def _skip(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.text, self.at)
        assert found is not None, "the text was not valid TOML"
        self.at = found.end()
        return found[0]
