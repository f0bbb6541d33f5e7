"""procrastinate's manager of jobs, which bears that the database is out of reach for a while.

Its workers stop at the first error, and break off whatever is under way in them: calls of minutes, already paid for.
Here a look for jobs that fails found none, a beat that fails is followed by the next, and whoever listens begins anew.
An end that cannot be told is an error nobody asks for: here the job counts as begun until it is renewed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import structlog
from procrastinate.exceptions import ConnectorException, UniqueViolation
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager, NotificationCallback

log = structlog.get_logger(__name__)

_TROUBLE_SECONDS = 2.0
_NO_SUCH_WORKER = "23503"  # PostgreSQL's code for a row that refers to one that is not there
_NO_SUCH_JOB = "P0001"  # and for what procrastinate's functions raise themselves

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
        """Say that a worker is gone; where that cannot be heard, its silence says so."""
        self.workers.discard(worker_id)
        try:
            await super().unregister_worker(worker_id)
        except ConnectorException as problem:
            self._told(problem)

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        """A job, or none. Raises ConnectorException when others took this worker for dead: it begins anew, then."""
        try:
            return await super().fetch_job(queues=queues, worker_id=worker_id)
        except UniqueViolation:  # another job of its lock was begun at the same moment
            return None
        except ConnectorException as problem:
            if was_struck_off(problem):
                self.workers.discard(worker_id)
                raise
            self._told(problem)
            return None

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:  # noqa: FBT001  as its base has it
        """Tell a job's end; where that cannot be heard, whoever looks for jobs that nobody attends to renews it."""
        try:
            await super().finish_job(job, status, delete_job)
        except ConnectorException as problem:
            if _code(problem) == _NO_SUCH_JOB:
                log.info("somebody else took it over", job=job.lock)
            else:
                self._told(problem)

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


def was_struck_off(problem: BaseException) -> bool:
    """Whether others took a worker of this process for dead, as after a long sleep of the machine."""
    return isinstance(problem, ConnectorException) and _code(problem) == _NO_SUCH_WORKER


def _code(problem: ConnectorException) -> str | None:
    """PostgreSQL's code for what went wrong; None if it did not say."""
    return getattr(problem.__cause__, "sqlstate", None)
