"""APScheduler only ticks. What a tick finds to do stands in the tables; a lost tick costs time, never work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Self

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from bot.clock import utc_now
from bot.metrics import Metrics
from handlers.ports import Clock
from storage.database import Database

log = structlog.get_logger(__name__)

_WAKE_SECONDS = 30
_LOOK_SECONDS = 60
_TIDY_HOURS = 1
_HOWEVER_LATE = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
"""A tick that nobody was awake for is not missed: it comes late, and once."""
_GLANCE_SECONDS = 10.0
_SET_BACK = timedelta(seconds=5)
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
        wall: Clock = utc_now,
    ) -> None:
        """`look` does what is due about waiting reviews, in any process, and returns how much that was.

        `wall` is this machine's clock, by which APScheduler goes.
        """
        self._storage, self._now, self._wakes, self._look = storage, now, wakes, look
        self._metrics = metrics or Metrics()
        self._scheduler = AsyncIOScheduler(timezone="UTC", job_defaults=_HOWEVER_LATE)
        self._wall = wall

    def __enter__(self) -> Self:
        self._scheduler.add_job(self.wake, "interval", seconds=_WAKE_SECONDS)
        if self._look is not None:
            self._scheduler.add_job(self.look, "interval", seconds=_LOOK_SECONDS)
        self._scheduler.add_job(self.tidy, "interval", hours=_TIDY_HOURS)
        self._scheduler.start()
        self._keeping_time = asyncio.get_running_loop().create_task(self._keep_time())
        return self

    def __exit__(self, *_: object) -> None:
        self._keeping_time.cancel()
        self._scheduler.shutdown(wait=False)

    async def _keep_time(self) -> None:
        """Go on ticking when this machine's clock is set back: APScheduler would wait until it is as late again."""
        time = asyncio.get_running_loop().time
        began, at = self._wall(), time()
        while True:
            await asyncio.sleep(_GLANCE_SECONDS)
            back = timedelta(seconds=time() - at) - (self._wall() - began)
            if back > _SET_BACK:
                log.warning("this machine's clock was set back", behind=round(back.total_seconds(), 1))
                for job in self._scheduler.get_jobs():
                    job.modify(next_run_time=job.next_run_time - back)
            began, at = self._wall(), time()

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
