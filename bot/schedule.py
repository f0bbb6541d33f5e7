"""APScheduler only ticks. What a tick finds to do stands in the tables; a lost tick costs time, never work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Self

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from bot.metrics import Metrics
from handlers.ports import Clock
from storage.database import Database

log = structlog.get_logger(__name__)

_WAKE_SECONDS = 30
_LOOK_SECONDS = 60
_TIDY_HOURS = 1
_AT_A_TIME = 1_000
_KEPT = timedelta(days=30)
"""How long a handled letter is remembered: far longer than anything is delivered again, or a review waits."""


class Ticks:
    """Wakes everybody now and then, in case a wake-up was lost, looks at what waits, and tidies the inbox."""

    def __init__(
        self,
        storage: Database,
        now: Clock,
        *wakes: Callable[[], None],
        look: Callable[[], Awaitable[int]] | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        """`look` does what is due about waiting reviews, in any process, and returns how much that was."""
        self._storage, self._now, self._wakes, self._look = storage, now, wakes, look
        self._metrics = metrics or Metrics()
        self._scheduler = AsyncIOScheduler(timezone="UTC")

    def __enter__(self) -> Self:
        self._scheduler.add_job(self.wake, "interval", seconds=_WAKE_SECONDS, coalesce=True, max_instances=1)
        if self._look is not None:
            self._scheduler.add_job(self.look, "interval", seconds=_LOOK_SECONDS, coalesce=True, max_instances=1)
        self._scheduler.add_job(self.tidy, "interval", hours=_TIDY_HOURS, coalesce=True, max_instances=1)
        self._scheduler.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._scheduler.shutdown(wait=False)

    async def wake(self) -> None:
        for wake in self._wakes:
            wake()

    async def look(self) -> None:
        """Remind, escalate, let expire."""
        assert self._look is not None
        try:
            told = await self._look()
        except Exception:
            self._metrics.swept("reviews", well=False)
            log.exception("waiting reviews could not be looked at; the next minute tries again")
            return
        self._metrics.swept("reviews", found=told)

    async def tidy(self) -> None:
        """Forget letters handled long ago. Safe in any process, at any time, any number of times."""
        try:
            dropped = await self._forget(self._now() - _KEPT)
        except Exception:
            self._metrics.swept("tidy", well=False)
            log.exception("the inbox could not be tidied; the next hour tries again")
            return
        self._metrics.swept("tidy", found=dropped)
        if dropped:
            log.info("forgot handled letters", count=dropped)

    async def _forget(self, before: datetime) -> int:
        """A thousand at a time, so that nobody waits for it."""
        dropped, last = 0, _AT_A_TIME
        while last == _AT_A_TIME:
            async with self._storage.transaction() as saved:
                last = await saved.inbox.forget(before=before, limit=_AT_A_TIME)
            dropped += last
        return dropped
