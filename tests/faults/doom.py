"""When a process of the bot dies, as its environment tells it: `COUNTERSIGN_CRASH_AT=cp07`.

`cp07:3` is the third pass of that point, `any:3` the third of whatever point; with `cp07:1:pause` it stands still there
(SIGSTOP) instead of dying. `@FILE` reads the same from a file at each pass, so that a process which is alive already
can be told; with `cp07:1:one` only the first of several processes that read it dies, and takes the file along.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from storage.crashpoints import POINTS, arm

VARIABLE = "COUNTERSIGN_CRASH_AT"
ANY = "any"
ENDED_AT = "ended at "
"""The last words of who ends at a point."""


@dataclass(frozen=True, slots=True)
class Doom:
    """A point, the pass of it that counts, and how this process ends there."""

    point: str
    nth: int = 1
    pauses: bool = False
    for_one: bool = False

    @classmethod
    def read(cls, told: str) -> Self | None:
        """None for an empty text: nothing happens."""
        point, _, rest = told.strip().partition(":")
        nth, _, how = rest.partition(":")
        if not point:
            return None
        if (point not in POINTS and point != ANY) or how not in {"", "pause", "one"}:
            raise ValueError(f"{told!r} names no point of storage/crashpoints.py, or no way to end there.")
        return cls(point, int(nth or 1), how == "pause", how == "one")

    def befall(self) -> None:
        os.kill(os.getpid(), signal.SIGSTOP if self.pauses else signal.SIGKILL)


class Watch:
    """Counts passes, and lets come what must."""

    def __init__(self, told: str) -> None:
        self._file = Path(told[1:]) if told.startswith("@") else None
        self._told = "" if self._file else told
        self._passes: Counter[str] = Counter()

    def meet(self, point: str) -> None:
        if self._file is not None:
            told = self._read()
            if told != self._told:
                self._told, self._passes = told, Counter()
        doom = Doom.read(self._told)
        if doom is None or doom.point not in {point, ANY}:
            return
        self._passes[doom.point] += 1
        if self._passes[doom.point] == doom.nth and (not doom.for_one or self._is_first()):
            os.write(2, f"{ENDED_AT}{point}\n".encode())
            doom.befall()

    def _read(self) -> str:
        assert self._file is not None
        with suppress(FileNotFoundError):
            return self._file.read_text()
        return ""

    def _is_first(self) -> bool:
        """Whether nobody else took the file."""
        assert self._file is not None
        with suppress(FileNotFoundError):
            self._file.unlink()
            return True
        return False


def heed(environment: Mapping[str, str]) -> None:
    """Do as this environment tells; without the variable, nothing."""
    if told := environment.get(VARIABLE):
        arm(Watch(told).meet)
