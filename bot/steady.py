"""procrastinate's manager of jobs, which bears that the database is out of reach for a while.

Its workers stop at the first error, and break off whatever is under way in them: calls of minutes, already paid for.
Here a look for jobs that fails found none, a beat that fails is followed by the next, and whoever listens begins anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job
from procrastinate.manager import JobManager, NotificationCallback

_TROUBLE_SECONDS = 2.0
_NO_SUCH_WORKER = "23503"  # PostgreSQL's code for a row that refers to one that is not there

Told = Callable[[Exception], None]


class SteadyManager(JobManager):
    """`told` hears of each failure. `workers` are the ids under which this process has registered."""

    def __init__(self, connector: Any, told: Told) -> None:
        super().__init__(connector)
        self._told = told
        self.workers: set[int] = set()

    async def register_worker(self) -> int:
        worker_id = await super().register_worker()
        self.workers.add(worker_id)
        return worker_id

    async def unregister_worker(self, worker_id: int) -> None:
        await super().unregister_worker(worker_id)
        self.workers.discard(worker_id)

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        """A job, or none. Raises ConnectorException when others took this worker for dead: it begins anew, then."""
        try:
            return await super().fetch_job(queues=queues, worker_id=worker_id)
        except ConnectorException as problem:
            if getattr(problem.__cause__, "sqlstate", None) == _NO_SUCH_WORKER:
                self.workers.discard(worker_id)
                raise
            self._told(problem)
            return None

    async def update_heartbeat(self, worker_id: int) -> None:
        try:
            await super().update_heartbeat(worker_id)
        except ConnectorException as problem:
            self._told(problem)

    async def listen_for_jobs(
        self, *, on_notification: NotificationCallback, queues: Iterable[str] | None = None
    ) -> None:
        while True:
            try:
                await super().listen_for_jobs(on_notification=on_notification, queues=queues)
            except (ConnectorException, OSError) as problem:
                self._told(problem)
            await asyncio.sleep(_TROUBLE_SECONDS)
