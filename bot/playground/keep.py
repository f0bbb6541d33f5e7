"""Keeps the workspace in a file, so that a second start continues where the first ended."""

import asyncio
import json
import os
from pathlib import Path

from bot.playground.shapes import Json
from bot.playground.workspace import Workspace

DEBOUNCE_SECONDS = 0.2


class Keeper:
    """Writes the whole state, atomically, before a change is answered, a moment after it otherwise, and on close.

    What Slack said it has taken is there after a `kill -9`, too.
    """

    def __init__(self, workspace: Workspace, path: Path) -> None:
        self._workspace = workspace
        self._path = path
        self._due: asyncio.Task[None] | None = None
        self._is_kept = True
        workspace.changed.append(self._changed)

    def load(self) -> None:
        if self._path.exists():
            self._workspace.from_json(json.loads(self._path.read_text(encoding="utf-8")))

    def _changed(self, _change: Json) -> None:
        self._is_kept = False
        if self._due is None or self._due.done():
            self._due = asyncio.ensure_future(self._soon())

    async def _soon(self) -> None:
        await asyncio.sleep(DEBOUNCE_SECONDS)
        self.settle()

    def settle(self) -> None:
        """Write what was changed since the last time."""
        if not self._is_kept:
            self.save()

    def save(self) -> None:
        text = json.dumps(self._workspace.to_json(), ensure_ascii=False)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_name(f".{self._path.name}.new")
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)
        self._is_kept = True

    async def close(self) -> None:
        if self._due is not None:
            self._due.cancel()
            await asyncio.gather(self._due, return_exceptions=True)
        self.save()
