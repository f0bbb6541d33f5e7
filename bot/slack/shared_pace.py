"""Slack's limits kept by several processes together: whoever has something to say takes its turn in the database."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

from bot.slack.pace import LIMITS, PER_CHANNEL, Limit, Pace
from storage.database import Database

_TOGETHER = frozenset({"chat.postMessage", "chat.update"})
"""What is owed and so has to wait. Of all else each process takes its share of the limit."""


class SharedPace(Pace):
    """Turns at what is owed come from the database; each process asks for one at a time, so that all get theirs."""

    def __init__(self, storage: Database, **given: Any) -> None:
        super().__init__(**given)
        self._storage = storage
        self._lines: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._closed: dict[str, tuple[Limit, float]] = {}

    async def turn(self, method: str, channel: str = "") -> bool:
        if method not in _TOGETHER:
            return await super().turn(method, channel)
        waited, began = False, self._tick()
        try:
            for name, limit in _limits(method, channel):
                waited = waited or self._lines[name].locked()
                async with self._lines[name]:
                    wait = await self._reserve(name, limit)
                    if wait > 0:
                        waited = True
                        await self._sleep(wait)
        finally:
            if waited:
                self._on_wait(method, self._tick() - began)
        return waited

    def close(self, method: str, channel: str, seconds: float) -> None:
        super().close(method, channel, seconds)
        if method in _TOGETHER:
            name, limit = _limits(method, channel)[0]
            self._closed[name] = limit, seconds

    async def _reserve(self, name: str, limit: Limit) -> float:
        apart = 60 / limit.per_minute
        async with self._storage.transaction(alone=False) as saved:
            if (closed := self._closed.get(name)) is not None:
                await saved.paces.close(name, seconds=closed[1], apart=apart, burst=limit.burst)
            wait = await saved.paces.reserve(name, apart=apart, burst=limit.burst)
        if closed is not None and self._closed.get(name) is closed:
            del self._closed[name]
        return wait


def _limits(method: str, channel: str) -> list[tuple[str, Limit]]:
    """The narrowest first."""
    limits = [(method, LIMITS[method])]
    if method in PER_CHANNEL and channel:
        limits.insert(0, (f"{method} {channel}", PER_CHANNEL[method]))
    return limits
