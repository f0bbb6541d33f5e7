"""procrastinate's tables as PostgreSQL keeps them, behind the connector that the real workers of procrastinate use.

What its SQL does is written out here: a lock lets one job run at a time, in the order in which they were put in line;
a job that was deferred inside a transaction is there when that commits; a worker that was pruned may fetch nothing.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from procrastinate import exceptions
from procrastinate.testing import InMemoryConnector
from procrastinate.types import JobToDefer

from tests.faults.world.loop import PROCESS, Process

Row = dict[str, Any]
_OPEN = ("todo", "doing")


class _NoSuchWorker(Exception):  # noqa: N818  reads as a fact
    sqlstate = "23503"


class Jobs:
    """The tables, and who listens."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now = now
        self.rows: dict[int, Row] = {}
        self.beats: dict[int, datetime] = {}
        self.listeners: list[tuple[Process | None, Any, frozenset[str]]] = []
        self._jobs, self._workers = count(1), count(1)
        self.deferred: list[Row] = []
        self.held: set[int] = set()
        """In the transaction under way: what it puts in line, and what nobody begins until it ends."""

    def defer(self, jobs: Iterable[JobToDefer]) -> list[Row]:
        return [
            {
                "id": next(self._jobs),
                "queue_name": job.queue_name,
                "task_name": job.task_name,
                "priority": job.priority,
                "lock": job.lock,
                "queueing_lock": job.queueing_lock,
                "args": job.args,
                "scheduled_at": job.scheduled_at,
                "status": "todo",
                "attempts": 0,
                "abort_requested": False,
                "worker_id": None,
            }
            for job in jobs
        ]

    def keep(self, made: list[Row]) -> None:
        for row in made:
            self.rows[row["id"]] = row
            self.tell(row["queue_name"], {"type": "job_inserted", "job_id": row["id"]})

    def committed(self) -> None:
        made, self.deferred = self.deferred, []
        self.held.clear()
        self.keep(made)

    def rolled_back(self) -> None:
        self.deferred = []
        self.held.clear()

    def hold_waiting(self, locks: Iterable[str]) -> list[Row]:
        """What waits behind another of its lock, or for its time."""
        wanted, waiting = set(locks), []
        taken: set[str] = {row["lock"] for row in self.rows.values() if row["status"] == "doing"}
        for row in sorted(self.rows.values(), key=lambda row: (-row["priority"], row["id"])):
            if row["status"] != "todo" or row["lock"] not in wanted:
                continue
            is_due = row["scheduled_at"] is None or row["scheduled_at"] <= self.now()
            if row["lock"] in taken or not is_due:
                self.held.add(row["id"])
                waiting.append({"lock": row["lock"]})
            taken.add(row["lock"])
        return waiting

    def tell(self, queue: str, notification: Row) -> None:
        for process, hear, queues in self.listeners:
            if queue in queues and not (process is not None and process.is_dead):
                hear(notification)

    def fetch(self, queues: Iterable[str] | None, worker_id: int) -> Row | None:
        if worker_id not in self.beats:
            raise exceptions.ConnectorException("the worker is not known any more") from _NoSuchWorker()
        taken: set[str] = {row["lock"] for row in self.rows.values() if row["status"] == "doing"}
        wanted = None if queues is None else list(queues)
        for row in sorted(self.rows.values(), key=lambda row: (-row["priority"], row["id"])):
            if row["status"] != "todo" or row["lock"] in taken:
                continue
            is_due = row["scheduled_at"] is None or row["scheduled_at"] <= self.now()
            if is_due and row["id"] not in self.held and (wanted is None or row["queue_name"] in wanted):
                row |= {"status": "doing", "worker_id": worker_id}
                return row
            taken.add(row["lock"])  # those behind it wait for it, whatever it waits for
        return None

    def stalled(self, seconds: float) -> list[Row]:
        since = self.now() - timedelta(seconds=seconds)
        stale = {worker for worker, at in self.beats.items() if at < since}
        doing = [row for row in self.rows.values() if row["status"] == "doing"]
        return [row for row in doing if row["worker_id"] is None or row["worker_id"] in stale]

    def register(self) -> int:
        worker_id = next(self._workers)
        self.beats[worker_id] = self.now()
        return worker_id

    def unregister(self, worker_id: int) -> None:
        self.beats.pop(worker_id, None)
        for row in self.rows.values():
            if row["worker_id"] == worker_id:
                row["worker_id"] = None

    def finish(self, job_id: int, status: str, *, delete: bool) -> None:
        row = self.rows.get(job_id)
        if row is None or row["status"] not in _OPEN:
            raise exceptions.ConnectorException("Job was not found or not in doing or todo status")
        if delete:
            del self.rows[job_id]
        else:
            row |= {"status": status, "abort_requested": False, "attempts": row["attempts"] + 1}


class Connector(InMemoryConnector):
    """One process's way to the tables; each statement takes a step, and is done before anybody else's."""

    def __init__(self, jobs: Jobs, pause: Callable[[str], Awaitable[None]]) -> None:
        super().__init__()
        self._shared, self._pause = jobs, pause

    async def generic_execute(self, query: str, suffix: Any, **arguments: Any) -> Any:
        name = self.reverse_queries[query]
        await self._pause(f"jobs: {name}")
        return await getattr(self, f"{name}_{suffix}")(**arguments)

    async def execute_query_one_async(self, query: str, **arguments: Any) -> Row:
        if query not in self.reverse_queries:  # the program's own, about how many work
            await self._pause("jobs: workers")
            return {"workers": len(self._shared.beats)}
        return dict(await self.generic_execute(query, "one", **arguments))

    async def execute_query_all_async_with_connection(self, connection: Any, query: str, **arguments: Any) -> list[Row]:  # noqa: ARG002
        if query not in self.reverse_queries:  # the program's own, about what waits
            return self._shared.hold_waiting(arguments["locks"])
        assert self.reverse_queries[query] == "defer_jobs"
        made = self._shared.defer(arguments["jobs"])
        self._shared.deferred += made
        return made

    async def listen_notify(self, on_notification: Any, channels: Iterable[str]) -> None:
        loop, process, context = asyncio.get_running_loop(), PROCESS.get(), contextvars.copy_context()
        channels = sorted(channels)
        queues = frozenset(channel.partition("#")[2] for channel in channels)

        async def heard(notification: Row) -> None:
            await on_notification(channel=channels[-1], payload=json.dumps(notification))

        def hear(notification: Row) -> None:
            loop.call_soon(lambda: loop.create_task(heard(notification)), context=context)

        self._shared.listeners.append((process, hear, queues))
        await loop.create_future()

    async def defer_jobs_all(self, jobs: list[JobToDefer]) -> list[Row]:
        made = self._shared.defer(jobs)
        self._shared.keep(made)
        return made

    async def fetch_job_one(self, queues: Iterable[str] | None, worker_id: int) -> Row:
        return self._shared.fetch(queues, worker_id) or {"id": None}

    async def finish_job_run(self, job_id: int, status: str, delete_job: bool) -> None:  # noqa: FBT001  as the base
        self._shared.finish(job_id, status, delete=delete_job)

    async def cancel_job_one(self, job_id: int, abort: bool, delete_job: bool) -> Row:  # noqa: ARG002, FBT001  as the base
        row = self._shared.rows.get(job_id)
        if row is None or row["status"] not in _OPEN:
            return {"id": None}
        if row["status"] == "doing":
            row["abort_requested"] = True
            self._shared.tell(row["queue_name"], {"type": "abort_job_requested", "job_id": job_id})
        else:
            row["status"] = "cancelled"
        return {"id": job_id}

    async def get_job_status_one(self, job_id: int) -> Row:
        if job_id not in self._shared.rows:
            raise exceptions.NoResult
        return {"status": self._shared.rows[job_id]["status"]}

    async def select_stalled_jobs_by_heartbeat_all(
        self,
        queue: str | None,  # noqa: ARG002  as the base
        task_name: str | None,  # noqa: ARG002
        seconds_since_heartbeat: float,
    ) -> list[Row]:
        return [dict(row) for row in self._shared.stalled(seconds_since_heartbeat)]

    async def list_jobs_all(self, **kwargs: Any) -> Any:
        rows = [
            dict(row)
            for row in self._shared.rows.values()
            if all(expected is None or str(row[key]) == str(expected) for key, expected in kwargs.items())
        ]
        return iter(rows)

    async def list_jobs_to_abort_all(self, queue_name: str | None) -> list[Row]:
        rows = self._shared.rows.values()
        return [
            {"id": row["id"]}
            for row in rows
            if row["status"] == "doing" and row["abort_requested"] and queue_name in (None, row["queue_name"])
        ]

    async def register_worker_one(self) -> Row:
        return {"worker_id": self._shared.register()}

    async def unregister_worker_run(self, worker_id: int) -> None:
        self._shared.unregister(worker_id)

    async def update_heartbeat_run(self, worker_id: int) -> None:
        if worker_id in self._shared.beats:
            self._shared.beats[worker_id] = self._shared.now()

    async def prune_stalled_workers_all(self, seconds_since_heartbeat: float) -> list[Row]:
        since = self._shared.now() - timedelta(seconds=seconds_since_heartbeat)
        pruned = [worker for worker, at in self._shared.beats.items() if at < since]
        for worker_id in pruned:
            self._shared.unregister(worker_id)
        return [{"worker_id": worker_id} for worker_id in pruned]
