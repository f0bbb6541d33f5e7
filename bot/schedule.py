"""APScheduler's only job here: ticks. What a tick finds to do stands in the tables; a lost tick costs time, never work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from storage.database import Database

_SECONDS = 30


class Ticks:
    """Looks at the inbox, the queue and the outbox now and then, in case a wake-up was lost."""

    def __init__(self, storage: Database, *wakes: Callable[[], None]) -> None:
        self._storage, self._wakes = storage, wakes
        self._scheduler = AsyncIOScheduler(timezone="UTC")

    def __enter__(self) -> Self:
        self._scheduler.add_job(self._tick, "interval", seconds=_SECONDS, coalesce=True, max_instances=1)
        self._scheduler.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._scheduler.shutdown(wait=False)

    async def _tick(self) -> None:
        for wake in self._wakes:
            wake()
