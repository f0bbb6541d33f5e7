"""Places at the models, shared by all processes on one database."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from handlers.ports import Assignment, Sleep
from handlers.result import NotOurs
from storage.database import Database

log = structlog.get_logger(__name__)

_FIRST_LOOK, _LONGEST_PAUSE = 0.1, 2.0


class SharedSeats:
    """The port Seats over the runs table: a running run holds its place there, and loses it with its process."""

    def __init__(self, storage: Database, *, sleep: Sleep = asyncio.sleep) -> None:
        self._storage, self._sleep = storage, sleep

    @asynccontextmanager
    async def within(self, assignment: Assignment) -> AsyncIterator[None]:
        """Raises NotOurs instead of waiting once the run is cancelled or somebody else's."""
        pause = _FIRST_LOOK
        while not await self._sits_down(assignment):
            await self._sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311  so that not all look at once
            pause = min(_LONGEST_PAUSE, pause * 1.5)
        try:
            yield
        finally:
            try:
                await asyncio.shield(self._gets_up(assignment))
            except Exception:  # the answer is there; its place is free at the latest when the run ends
                log.exception("a place at a model was not given back yet", run=assignment.run_id)

    async def _sits_down(self, assignment: Assignment) -> bool:
        limits = (assignment.key, assignment.model.concurrency, assignment.model.host, assignment.host_concurrency)
        async with self._storage.reading() as saved:
            if not await saved.runs.has_room(assignment.run_id, *limits):
                return False  # who waits looks, and does not keep writers waiting
        async with self._storage.transaction() as saved:
            sits = await saved.runs.sit_down(
                assignment.run_id,
                epoch=assignment.epoch,
                seat=assignment.key,
                most=assignment.model.concurrency,
                host=assignment.model.host,
                most_at_host=assignment.host_concurrency,
            )
        if sits is None:
            raise NotOurs
        return sits

    async def _gets_up(self, assignment: Assignment) -> None:
        async with self._storage.transaction(alone=False) as saved:
            await saved.runs.get_up(assignment.run_id, epoch=assignment.epoch)
