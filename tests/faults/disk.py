"""A disk as a power loss could leave it: what was synced is there; of what was not, a seed decides.

The model is the one databases have to live with: a file's content is sure once a sync of it returned, its name once a
sync of its folder did. Everything younger may be there, be lost, or be there in some of its sectors, in any order.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

_SECTORS = (512, 4096)


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes at an offset of a file."""

    at: float
    name: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Resize:
    """A file cut or stretched."""

    at: float
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Create:
    """A name that was not there."""

    at: float
    name: str


@dataclass(frozen=True, slots=True)
class Remove:
    """A name taken away."""

    at: float
    name: str


@dataclass(frozen=True, slots=True)
class Sync:
    """A file's content is on the disk; with an empty name, the folder's names are."""

    at: float
    name: str


Event = Write | Resize | Create | Remove | Sync


class Fate(Enum):
    """What becomes of what was not synced."""

    LOST = "lost"
    KEPT = "kept"
    PREFIX = "prefix"
    SUBSET = "subset"
    TORN = "torn"


@dataclass(slots=True)
class _File:
    durable: bytearray = field(default_factory=bytearray)
    pending: list[Write | Resize] = field(default_factory=list)


class Disk:
    """One folder, from what was in it and what was done to it since."""

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        self._files = {name: _File(bytearray(content)) for name, content in (files or {}).items()}
        self._named = set(self._files)  # on the disk for sure
        self._removed: dict[str, _File] = {}  # perhaps still on the disk

    @classmethod
    def of(cls, folder: Path, names: Iterable[str]) -> Disk:
        return cls({name: (folder / name).read_bytes() for name in names if (folder / name).exists()})

    def hold(self, files: dict[str, bytes]) -> None:
        """These are on the disk for sure, whatever was seen of them."""
        self._files.update({name: _File(bytearray(content)) for name, content in files.items()})
        self._named.update(files)

    def see(self, event: Event) -> None:
        match event:
            case Create():
                self._files.setdefault(event.name, _File())
            case Write() | Resize():
                self._files.setdefault(event.name, _File()).pending.append(event)
            case Remove():
                if (gone := self._files.pop(event.name, None)) is not None and event.name in self._named:
                    self._removed[event.name] = gone
            case Sync(name=""):
                self._named = set(self._files)
                self._removed.clear()
            case Sync():
                if (file := self._files.get(event.name)) is not None:
                    for done in file.pending:
                        _apply(file.durable, done)
                    file.pending.clear()

    def image(self, fate: Fate, dice: random.Random) -> dict[str, bytes]:
        """One of the states in which the folder could be found."""
        may = {Fate.LOST: 0.0, Fate.KEPT: 1.0}.get(fate, 0.5)
        there = {name: file for name, file in self._files.items() if name in self._named or dice.random() < may}
        back = {name: file for name, file in self._removed.items() if name not in there and dice.random() >= may}
        return {name: _content(file, fate, dice) for name, file in {**back, **there}.items()}


def _content(file: _File, fate: Fate, dice: random.Random) -> bytes:
    content = bytearray(file.durable)
    for done in _survivors(file.pending, fate, dice):
        _apply(content, done)
    return bytes(content)


def _apply(content: bytearray, done: Write | Resize) -> None:
    end = done.size if isinstance(done, Resize) else done.offset + len(done.data)
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    if isinstance(done, Resize):
        del content[done.size :]
    else:
        content[done.offset : end] = done.data


def _survivors(pending: Sequence[Write | Resize], fate: Fate, dice: random.Random) -> list[Write | Resize]:
    match fate:
        case Fate.LOST:
            return []
        case Fate.KEPT:
            return list(pending)
        case Fate.PREFIX:
            return list(pending[: dice.randint(0, len(pending))])
        case Fate.SUBSET:
            return [done for done in pending if dice.random() < 1 / 2]
        case Fate.TORN:
            return [piece for done in pending for piece in _torn(done, dice)]


def _torn(done: Write | Resize, dice: random.Random) -> list[Write | Resize]:
    """Some of a write's sectors."""
    if isinstance(done, Resize):
        return [done] if dice.random() < 1 / 2 else []
    size = dice.choice(_SECTORS)
    pieces = []
    start = done.offset
    while start < done.offset + len(done.data):
        end = min(done.offset + len(done.data), (start // size + 1) * size)
        if dice.random() < 1 / 2:
            pieces.append(Write(done.at, done.name, start, done.data[start - done.offset : end - done.offset]))
        start = end
    return [*pieces]
