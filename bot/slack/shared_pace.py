"""Slack's limits kept by several processes together: whoever has something to say takes its turn in the database."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

import structlog

from bot.slack.pace import LIMITS, PER_CHANNEL, SPARE_SHARE, Limit, Pace
from storage.database import Database, Saved
from storage.trouble import is_trouble

log = structlog.get_logger(__name__)

_Closed = tuple[Limit, float]  # until when, by our clock
_TOGETHER = frozenset({"chat.postMessage", "chat.update"})
"""What is owed and so has to wait. Of all else each process takes its share of the limit."""


class SharedPace(Pace):
    """Turns at what is owed come from the database; each process asks for one at a time, so that all get theirs."""

    def __init__(self, storage: Database, **given: Any) -> None:
        super().__init__(**given)
        self._storage = storage
        self._lines: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._closed: dict[str, _Closed] = {}
        self._telling: set[asyncio.Task[None]] = set()
        self._crowded: dict[str, float] = {}  # until when nothing is to spare, by our clock

    async def turn(self, method: str, channel: str = "") -> bool:
        if method not in _TOGETHER:
            return await super().turn(method, channel)
        waited, began = False, self._tick()
        try:
            for name, limit in _limits(method, channel):
                waited = waited or self._lines[name].locked()
                async with self._lines[name]:
                    while (wait := await self._reserve(name, limit)) > 0:
                        waited = True
                        self._crowds(name, limit, wait)
                        await self._sleep(wait)
                        if not (shut := await self._shut_for(name)):
                            break
                        self._crowds(name, limit, shut)
                        await self._sleep(shut)  # somebody was told so since; who comes after that takes a turn anew
        finally:
            if waited:
                self._on_wait(method, self._tick() - began)
        for bucket in self._buckets(method, channel):
            bucket.take_if_any()  # so that what is not owed sees what is
        return waited

    def spare(self, method: str, channel: str = "") -> bool:
        """As its base says; and not while somebody waits for such a turn, in whichever process we heard of it."""
        if method in _TOGETHER:
            names = [name for name, _ in _limits(method, channel)]
            if any(self._lines[name].locked() or self._tick() < self._crowded.get(name, 0.0) for name in names):
                return False
        return super().spare(method, channel)

    def _crowds(self, name: str, limit: Limit, wait: float) -> None:
        """Who has to wait finds nothing saved up; it takes a while until a part of it is there again."""
        earned = limit.burst * SPARE_SHARE * 60 / limit.per_minute
        self._crowded[name] = max(self._crowded.get(name, 0.0), self._tick() + wait + earned)

    def close(self, method: str, channel: str, seconds: float) -> None:
        super().close(method, channel, seconds)
        if method in _TOGETHER:
            name, limit = _limits(method, channel)[0]
            self._closed[name] = limit, self._tick() + seconds
            telling = asyncio.create_task(self._tell(name))
            self._telling.add(telling)
            telling.add_done_callback(self._telling.discard)

    async def _tell(self, name: str) -> None:
        """Let the others know at once; where that fails, with our next turn."""
        try:
            async with self._storage.transaction(alone=False) as saved:
                told = await self._close(saved, name)
        except Exception as problem:
            if not is_trouble(problem):
                log.exception("the other processes could not be told yet that Slack says 429")
        else:
            self._forget(name, told)

    async def _close(self, saved: Saved, name: str) -> _Closed | None:
        if (closed := self._closed.get(name)) is not None:
            limit, until = closed
            left = max(0.0, until - self._tick())
            await saved.paces.close(name, seconds=left, apart=60 / limit.per_minute, burst=limit.burst)
        return closed

    def _forget(self, name: str, told: _Closed | None) -> None:
        if told is not None and self._closed.get(name) is told:
            del self._closed[name]

    async def _shut_for(self, name: str) -> float:
        async with self._storage.transaction(alone=False) as saved:
            return await saved.paces.shut_for(name)

    async def _reserve(self, name: str, limit: Limit) -> float:
        async with self._storage.transaction(alone=False) as saved:
            told = await self._close(saved, name)
            wait = await saved.paces.reserve(name, apart=60 / limit.per_minute, burst=limit.burst)
        self._forget(name, told)
        return wait


def _limits(method: str, channel: str) -> list[tuple[str, Limit]]:
    """The narrowest first."""
    limits = [(method, LIMITS[method])]
    if method in PER_CHANNEL and channel:
        limits.insert(0, (f"{method} {channel}", PER_CHANNEL[method]))
    return limits
