"""A parsed file becomes a stack: everything that can be wrong is found in one reading."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from bot.stack_words import in_words
from bot.token_shapes import has_token, looks_random, names_a_secret
from handlers.remarks import Path, Remark, said
from handlers.soundness import unsound
from handlers.stack import Stack

Table = dict[str, Any]

_STAND_INS: dict[Path, str] = {
    ("models", "*", "wire"): "openai",
    ("models", "*", "id"): "unread",
    ("models", "*", "base_url"): "http://127.0.0.1",
    ("repositories", "*", "path"): "unread",
}
"""What takes the place of an unreadable value that must be there, so that the rest can be looked at."""

_PROSE = frozenset({"id", "base_url", "path", "instructions", "instructions_file", "job", "context", "test"})
"""Keys whose values may be long and odd without being secrets: only known kinds of token are looked for."""

_ROUNDS = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Values:
    """The stack as far as it could be read, whether that was all of it, and all remarks about its values."""

    stack: Stack | None
    whole: bool
    remarks: tuple[Remark, ...]


def read_values(table: Table, *, before: tuple[Remark, ...] = ()) -> Values:
    """Read a parsed file; `before` are errors already found in it, whose values are left out."""
    remarks = [*before, *_secrets(table)]
    left_out: set[Path] = set()
    for remark in remarks:
        left_out.add(_leave_out(table, remark.at))
    for _ in range(_ROUNDS):
        try:
            stack = Stack.model_validate(table)
        except ValidationError as complaint:
            found = [in_words(error) for error in complaint.errors(include_url=False)]
            remarks += found
            left_out |= {_leave_out(table, remark.at) for remark in found}
        else:
            remarks += unsound(stack, unread=left_out)
            return Values(stack=stack, whole=not left_out, remarks=tuple(remarks))
    return Values(stack=None, whole=False, remarks=tuple(remarks))


def _secrets(table: Table) -> Iterator[Remark]:
    for path, value in _texts(table, ()):
        key = next(part for part in reversed(path) if isinstance(part, str))
        where = f"{said(path)} holds a secret" if not has_token(key) else "A key of the file is a secret"
        if (path[-1] == key and names_a_secret(key)) or has_token(value) or has_token(key):
            yield _secret(path, f"{where}; put it into the environment and its variable's name here.")
        elif key not in _PROSE and looks_random(value):
            yield _secret(path, f"{where}, or what looks like one; put it into the environment.")


def _secret(path: Path, sentence: str) -> Remark:
    return Remark(code="E104", at=path, sentence=sentence)


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    match value:
        case str() if path and value.strip():
            yield path, value
        case dict():
            for key, inner in value.items():
                yield from _texts(inner, (*path, key))
        case list():
            for nth, inner in enumerate(value):
                yield from _texts(inner, (*path, nth))
        case _:
            pass


def _leave_out(table: Table, path: Path) -> Path:
    """Take a value out of the file, or put a stand-in where one is needed; the path of what was touched."""
    if any(isinstance(part, int) for part in path):
        path = path[: next(nth for nth, part in enumerate(path) if isinstance(part, int))]
    pattern = (path[0], "*", *path[2:]) if len(path) > 1 else path
    if pattern in _STAND_INS:
        _change(table, path, lambda around, key: around.update({key: _STAND_INS[pattern]}))
    elif pattern == ("models", "*"):
        whole = {key[-1]: text for key, text in _STAND_INS.items() if key[0] == "models"}
        _change(table, path, lambda around, key: around.update({key: whole}))
    elif pattern[:3] == ("models", "*", "price"):
        path = path[:3]
        _change(table, path, lambda around, key: around.pop(key, None))
    elif pattern == ("pipelines", "*", "stages"):
        path = path[:2]
        _change(table, path, lambda around, key: around.pop(key, None))
    else:
        _change(table, path, lambda around, key: around.pop(key, None))
    return path


def _change(table: Table, path: Path, change: Callable[[Table, Any], object]) -> None:
    around: Any = table
    for part in path[:-1]:
        around = around.get(part) if isinstance(around, dict) else None
    if isinstance(around, dict) and path:
        change(around, path[-1])
