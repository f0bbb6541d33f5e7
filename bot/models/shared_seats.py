"""Places at the models, shared by all processes on one database."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from handlers.ports import Assignment, Sleep
from storage.database import Database

_FIRST_LOOK, _LONGEST_PAUSE = 0.1, 2.0


class SharedSeats:
    """The port Seats over the runs table: a running run holds its place there, and loses it with its process."""

    def __init__(self, storage: Database, *, sleep: Sleep = asyncio.sleep) -> None:
        self._storage, self._sleep = storage, sleep

    @asynccontextmanager
    async def within(self, assignment: Assignment) -> AsyncIterator[None]:
        pause = _FIRST_LOOK
        while not await self._sits_down(assignment):
            await self._sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311  so that not all look at once
            pause = min(_LONGEST_PAUSE, pause * 1.5)
        try:
            yield
        finally:
            await asyncio.shield(self._gets_up(assignment))

    async def _sits_down(self, assignment: Assignment) -> bool:
        async with self._storage.transaction() as saved:
            return await saved.runs.sit_down(
                assignment.run_id,
                seat=assignment.key,
                most=assignment.model.concurrency,
                host=assignment.model.host,
                most_at_host=assignment.host_concurrency,
            )

    async def _gets_up(self, assignment: Assignment) -> None:
        async with self._storage.transaction(alone=False) as saved:
            await saved.runs.get_up(assignment.run_id)
