"""stack.toml becomes values; a changed file replaces the stack in use, all or nothing."""

from __future__ import annotations

import asyncio
import os
import re
import stat
import tomllib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import structlog

from bot.stack_findings import CODES, Finding, StackErrors
from bot.stack_lines import key_lines, line_of
from bot.stack_values import read_values
from bot.token_shapes import has_token
from handlers.lint import lint
from handlers.remarks import Level, Remark
from handlers.remarks import Path as Place
from handlers.stack import Stack

__all__ = ["CODES", "Finding", "LiveStack", "Loaded", "StackErrors", "read_stack"]

_LARGEST = 256 * 1024
_PLACE = re.compile(r"\s*\(at (?:line (\d+), column \d+|end of document)\)$")
# The parser's own words change with Python's versions and speak of its inside.
_PARSER_SAYS = {
    "Invalid value": "a value is missing, or is text without quotes",
    "Expected '='": "a key must be followed by = and a value",
    "Illegal character": "a line ends inside quotes, or a character stands there that may not",
    "Found invalid character": "a character stands there that may not",
    "Expected ']'": "a table's header lacks its closing bracket",
    "Unclosed inline table": "an inline table is not closed, or holds something that is no value",
    "Unclosed array": "a list is not closed, or lacks a comma",
    "Unterminated string": "a text in quotes is not closed",
    "Cannot declare": "a table stands twice",
    "Cannot overwrite": "a key stands twice",
    "Duplicate inline table key": "a key stands twice in an inline table",
    "Cannot mutate": "a table that is complete already is added to",
    "Cannot redefine": "a table that is complete already is added to",
    "Expected newline": "something follows a value on its line; text needs quotes",
    "Invalid statement": "a line is neither a key with a value, nor a table's header, nor a comment",
    "Invalid initial character": "a key is missing, or begins with a character that may not stand there",
    "Unescaped": "a backslash stands in double quotes; write it twice, or use 'single quotes'",
    "Invalid hex value": "a backslash stands in double quotes; write it twice, or use 'single quotes'",
    "Escaped character": "an escaped character does not exist",
    "Invalid date": "a date or a time does not exist",
}
_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """A stack that may be used, with its warnings and notes and the files it was read from."""

    path: Path
    stack: Stack
    digest: str
    findings: tuple[Finding, ...]
    watched: tuple[Path, ...]
    lines: Mapping[Place, int] = field(default_factory=dict, repr=False, compare=False)

    def line(self, at: Place) -> int:
        """On which line of the file a place stands, or the nearest table around it."""
        return line_of(self.lines, at)


OnChange = Callable[[Loaded, Loaded], Awaitable[None]]
"""Called with the stack that was and the stack that is."""


def read_stack(path: Path | str, *, today: date | None = None) -> Loaded:
    """Read a stack file; StackErrors carries everything that is wrong with it, at once."""
    path = Path(path)
    text = _text(path)
    table = _parsed(path, text)
    lines = key_lines(text)
    instructions, watched = _instructions(path, table)
    values = read_values(table, before=tuple(instructions))
    remarks = list(values.remarks)
    if values.stack is not None and values.whole:  # a lint about half a stack could be untrue
        remarks += lint(values.stack, today or datetime.now(UTC).date())
    findings = _findings(path, lines, remarks)
    if values.stack is None or any(finding.level is Level.ERROR for finding in findings):
        raise StackErrors(findings, watched=(path, *watched))
    stack = values.stack
    watched = [path, *watched]
    return Loaded(path=path, stack=stack, digest=stack.digest, findings=findings, watched=tuple(watched), lines=lines)


def _findings(path: Path, lines: dict[Any, int], remarks: list[Remark]) -> tuple[Finding, ...]:
    found = {
        Finding(
            path=path, line=line_of(lines, remark.at), code=remark.code, sentence=remark.sentence, level=remark.level
        ): None
        for remark in remarks
    }
    return tuple(sorted(found, key=lambda finding: (finding.line, finding.code)))


def _error(path: Path, code: str, sentence: str, *, line: int = 1) -> StackErrors:
    finding = Finding(path=path, line=line, code=code, sentence=sentence, level=Level.ERROR)
    return StackErrors([finding], watched=(path,))


def _text(path: Path) -> str:
    try:
        data = _bytes(path)
    except FileNotFoundError:
        raise _error(path, "E001", "There is no such file; `init` writes one.") from None
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or str(problem)
        raise _error(path, "E001", f"The file cannot be read: {reason}.") from None
    if len(data) > _LARGEST:
        raise _error(path, "E002", f"The file is larger than {_LARGEST // 1024} KiB, which no stack is.")
    try:
        text = data.decode("utf-8-sig")  # some editors begin a file with a mark
    except UnicodeDecodeError as problem:
        line = data.count(b"\n", 0, problem.start) + 1
        raise _error(path, "E003", "The file is not UTF-8 text.", line=line) from None
    return text.replace("\r\n", "\n")


def _bytes(path: Path) -> bytes:
    """At most one byte more than the limit; OSError for anything but a regular file, which could block."""
    found = path.stat()
    if stat.S_ISDIR(found.st_mode):
        raise OSError(0, "it is a directory")
    if not stat.S_ISREG(found.st_mode):
        raise OSError(0, "it is not a regular file")
    with path.open("rb") as file:
        return file.read(_LARGEST + 1)


def _parsed(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise _error(path, "E004", "The file is nested too deeply.") from None
    except ValueError as problem:  # tomllib's own error, or int() of thousands of digits
        if not isinstance(problem, tomllib.TOMLDecodeError):
            digits = re.search(r"[0-9_]{4000}", text)
            line = text.count("\n", 0, digits.start()) + 1 if digits else 1
            raise _error(path, "E004", "The file holds a number that is too long.", line=line) from None
        place = _PLACE.search(str(problem))
        line = int(place[1]) if place and place[1] else text.rstrip("\n").count("\n") + 1
        known = (words for begin, words in _PARSER_SAYS.items() if str(problem).startswith(begin))
        reason = next(known, "it cannot be read from here on")
        raise _error(path, "E004", f"This is not TOML: {reason}.", line=line) from None


def _instructions(path: Path, table: dict[str, Any]) -> tuple[list[Remark], list[Path]]:
    """Put the text of each `instructions_file` into its stage; what is wrong with them, and which they are."""
    remarks: list[Remark] = []
    files: list[Path] = []
    stages = table.get("stages")
    for name, stage in stages.items() if isinstance(stages, dict) else ():
        named = stage.get("instructions_file") if isinstance(stage, dict) else None
        if not isinstance(named, str) or has_token(named):
            continue
        file = path.parent / named
        files.append(file)
        if problem := _take_in(stage, file):
            sentence = f"stages.{name}.instructions_file {problem}."
            remarks.append(Remark(code="E105", at=("stages", name, "instructions_file"), sentence=sentence))
    return remarks, files


def _take_in(stage: dict[str, Any], file: Path) -> str | None:
    if "instructions" in stage:
        return "and instructions are both given; keep one"
    try:
        data = _bytes(file)
        text = data.decode("utf-8-sig").strip()
    except FileNotFoundError:
        return "names a file that is not there; the path is relative to the stack file"
    except UnicodeDecodeError:
        return "is not UTF-8 text"
    except (OSError, ValueError) as problem:
        return f"cannot be read: {getattr(problem, 'strerror', None) or problem}"
    if not text or len(data) > _LARGEST:
        return "is too large" if text else "is empty"
    if has_token(text):
        return "holds a secret; instructions are sent to a model"
    stage["instructions"] = text
    return None


Signature = tuple[tuple[int, int, int] | None, ...]


def _signature(files: tuple[Path, ...]) -> Signature:
    """What tells a changed file from the same one; None for a file that is not there."""

    def one(file: Path) -> tuple[int, int, int] | None:
        try:
            found = os.stat(file)  # noqa: PTH116  Path.stat would do the same; os.stat takes odd paths alike
        except (OSError, ValueError):
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    return tuple(map(one, files))


class LiveStack:
    """The stack in use. A good new file replaces it; a bad or missing one is logged and the old stays."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        before = _signature((self.path,))
        self.current = read_stack(self.path)
        self.loaded_at = datetime.now(UTC)
        self._watched = self.current.watched
        # Read between two looks: a file written meanwhile differs from `before` and is read again.
        self._known = before + _signature(self._watched[1:])
        self._unsettled: Signature | None = None
        self.problems: Sequence[Finding] = ()  # of the file as it lies there, if that cannot be used
        self._callbacks: list[OnChange] = []

    @property
    def stack(self) -> Stack:
        return self.current.stack

    def on_change(self, callback: OnChange) -> None:
        """Have a coroutine function called after each replacement."""
        self._callbacks.append(callback)

    async def watch(self, interval: float = 1.0) -> None:
        """Look at the file again and again, until cancelled."""
        while True:
            await asyncio.sleep(interval)
            await self.look()

    async def look(self) -> None:
        """Look once. A change counts when two looks see the same file: until then it is still being written."""
        seen = await asyncio.to_thread(_signature, self._watched)
        if seen == self._known:
            self._unsettled = None
        elif seen != self._unsettled:
            self._unsettled = seen
        else:
            await self._read_again(seen)

    async def _read_again(self, seen: Signature) -> None:
        self._unsettled = None
        try:
            loaded = await asyncio.to_thread(read_stack, self.path)
        except StackErrors as errors:
            self._remember(seen, errors.watched)
            self.problems = errors.errors
            _log.error(
                "The changed stack file cannot be used; the old stack stays in use.",
                path=str(self.path),
                findings=[str(finding) for finding in errors.errors],
            )
            return
        if await asyncio.to_thread(_signature, self._watched) != seen:
            return  # written while it was read: what was read may be half a file
        self._remember(seen, loaded.watched)
        self.problems = ()
        await self._replace(loaded)

    def _remember(self, seen: Signature, watched: tuple[Path, ...]) -> None:
        known = dict(zip(self._watched, seen, strict=True))
        self._watched = watched
        self._known = tuple(known[file] if file in known else _signature((file,))[0] for file in watched)

    async def _replace(self, loaded: Loaded) -> None:
        was, self.current = self.current, loaded
        if was.digest == loaded.digest:
            return
        self.loaded_at = datetime.now(UTC)
        _log.info("The stack was replaced.", path=str(self.path), was=was.digest[:12], digest=loaded.digest[:12])
        for callback in self._callbacks:
            try:
                await callback(was, loaded)
            except Exception:  # noqa: BLE001  one follower's fault must not stop the watching
                _log.exception("Somebody who follows the stack failed.", digest=loaded.digest[:12])
