"""What happened in a world, line by line: its digest says whether two worlds were the same."""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
from collections import Counter

from tests.faults.world.loop import PROCESS


class Trace:
    """Counts, and a digest over every line; the lines themselves where somebody wants to read them."""

    def __init__(self, *, keeps: bool) -> None:
        self._digest = hashlib.blake2b(digest_size=12)
        self._keeps = keeps
        self.lines: list[str] = []
        self.counts: Counter[str] = Counter()
        self.nobody = contextvars.Context()

    def note(self, who: str, what: str, more: str = "") -> None:
        told = f"{asyncio.get_running_loop().time():.5f} {PROCESS.get() or ''} {who} {what} {more}"
        self._digest.update(told.encode("utf-8", "surrogatepass") + b"\n")
        if self._keeps:
            self.lines.append(told)

    def count(self, what: str, times: int = 1) -> None:
        self.counts[what] += times

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()
