"""The time that all processes agree on: the database's, where this machine's clock is far from it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog

from storage.database import Database
from storage.trouble import is_trouble

log = structlog.get_logger(__name__)

_LOOK_EVERY = 10.0
_NEAR = timedelta(seconds=1)
"""A difference that hurts nobody, and that looking itself may make."""


def utc_now() -> datetime:
    return datetime.now(UTC)


class SharedClock:
    """UTC by this machine's clock, put right by the database's where the two differ by more than a second.

    What is due, leased or late is decided by moments that other processes wrote, so that one wrong clock would stop
    work for as long as it is wrong. A process alone with its SQLite file has nobody to agree with.
    """

    def __init__(self, storage: Database, wall: Callable[[], datetime] = utc_now) -> None:
        self._storage, self._wall = storage, wall
        self._behind = timedelta()

    def __call__(self) -> datetime:
        return self._wall() + self._behind

    async def look(self) -> None:
        """Compare the two clocks once."""
        if self._storage.is_sqlite:
            return
        async with self._storage.reading() as saved:
            before = self._wall()
            found = await saved.clock()
            after = self._wall()
        behind = found - (before + (after - before) / 2)
        behind = behind if abs(behind) > max(_NEAR, after - before) else timedelta()
        if abs(behind - self._behind) > _NEAR:
            seconds = round(behind.total_seconds(), 1)
            log.warning("this machine's clock is not the database's, which counts; set it", behind=seconds)
        self._behind = behind

    async def watch(self) -> None:
        """Compare them now and then, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            try:
                await self.look()
            except Exception as problem:
                if not is_trouble(problem):
                    log.exception("the database's clock could not be read; looking again")
