"""The courier between processes: errands become procrastinate's jobs, deferred inside the transactions that leave them.

A job says only what to attend to. Its lock lets one process attend to a thing at a time; a process that stops beating
loses its jobs to the others, and finds that out before it says anything in Slack.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Any, Self

import structlog
from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ConnectorException, NoResult
from procrastinate.job_context import JobContext
from procrastinate.jobs import Job, Status
from procrastinate.tasks import Task

from bot.fence import Displaced, fenced
from bot.later import Later
from bot.metrics import Metrics
from bot.steady import SteadyManager, was_struck_off
from handlers.ports import Clock
from storage.crashpoints import crashpoint
from storage.database import CONNECT, Database, Saved
from storage.errands import Errand, Subject
from storage.records import Run
from storage.trouble import is_trouble

log = structlog.get_logger(__name__)

HEARTBEAT = 3.0
LOST = 3 * HEARTBEAT
"""Seconds of silence after which a process is taken for dead."""
_SIDE_BY_SIDE = {Subject.LINE: 32, Subject.WORK: 1_000, Subject.LANE: 1_000}
_GRACE = 3.0  # seconds for what is under way when we must stop; with the last beat before it still less than LOST
_POLL = 1.0
_NEVER = 86_400.0  # no job is ever aborted: a run is stopped by its state
_CONNECTIONS = 6
_TROUBLE_SECONDS = 2.0
_OVERDUE = timedelta(seconds=20)
_STILL_OPEN = (Status.TODO, Status.DOING)

# Those that wait behind others of their lock, or for their time: nobody begins one while its row is held.
_WAITING = """
    SELECT job.lock FROM procrastinate_jobs AS job
    WHERE job.status = 'todo' AND job.lock = ANY(%(locks)s) AND (
        job.scheduled_at > now() OR EXISTS (
            SELECT 1 FROM procrastinate_jobs AS first
            WHERE first.lock = job.lock AND (
                first.status = 'doing' OR first.status = 'todo'
                AND (first.priority > job.priority OR first.priority = job.priority AND first.id < job.id)
            )
        )
    )
    FOR KEY SHARE OF job SKIP LOCKED
"""

Attend = Callable[[str, bool], Awaitable[None]]
"""Attend to what stands under a key; True: whoever did so before may have died in the middle."""


class Distributed:
    """Hands errands to whichever process has room, and attends to those that come to this one.

    Args:
        url: the database as psycopg has it.
        shares: told how many processes attend, whenever that changes.
        stop: stops a run that is under way here; those of other processes see by themselves that it was cancelled.
        attends: whether this process attends to errands, or only hands them on.
        metrics: what the sweeps are counted in.
    """

    def __init__(
        self,
        *,
        url: str,
        storage: Database,
        now: Clock,
        shares: Callable[[int], None],
        stop: Callable[[Run], None] = lambda _: None,
        attends: bool = True,
        metrics: Metrics | None = None,
    ) -> None:
        self._storage, self._now, self._shares, self._stop = storage, now, shares, stop
        self._metrics = metrics or Metrics()
        self._attendants: Mapping[Subject, Attend] = {}
        most = _CONNECTIONS if attends else 1
        connector = PsycopgConnector(
            conninfo=url, kwargs=CONNECT, configure=_each_alone, min_size=1, max_size=most, timeout=10.0
        )
        self._use(App(connector=connector))
        self._exit = AsyncExitStack()
        self._is_out_of_reach = False
        self._attending: set[int] = set()
        self._put_back: dict[Errand, None] = {}
        self._idle_before: set[int] = set()
        logging.getLogger("procrastinate").setLevel(logging.WARNING)  # it tells each job in three lines

    async def __aenter__(self) -> Self:
        await self._exit.enter_async_context(self._app.open_async())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._exit.aclose()

    def _use(self, app: App) -> None:
        self._app = app
        self._task: Task[Any, Any, Any] = app.task(name="attend", pass_context=True)(self._attend)
        self._manager = app.job_manager = SteadyManager(app.connector, self._out_of_reach)

    # Handing on

    async def carry(self, saved: Saved) -> None:
        """Put a transaction's errands in line, in that transaction, but for those that somebody will come for anyway.

        Who waits behind another is not begun before we commit, for we hold its row, and then sees what we leave. One
        that has a time of its own is always put in line.
        """
        connection = await saved.driver()
        jobs = [self._job(errand) for errand in saved.errands]
        locks = [job.lock for job in jobs if job.scheduled_at is None]
        found = await self._app.connector.execute_query_all_async_with_connection(connection, _WAITING, locks=locks)
        waiting = {row["lock"] for row in found}
        if left := [job for job in jobs if job.scheduled_at is not None or job.lock not in waiting]:
            await self._app.job_manager.batch_defer_jobs_async(jobs=left, connection=connection)

    async def abort(self, run: Run) -> None:
        """Stop a call under way, at once if it is here; elsewhere the run's state is seen within a second."""
        self._stop(run)

    async def _put(self, errands: Iterable[Errand], *, doubt: bool) -> None:
        jobs = [self._job(errand, doubt=doubt) for errand in errands]
        if jobs:
            await self._app.job_manager.batch_defer_jobs_async(jobs=jobs)

    def _job(self, errand: Errand, *, doubt: bool = False) -> Job:
        """A job; one with a doubt goes before those that were in line already and know of none."""
        deferrer = self._task.configure(
            queue=errand.subject.value,
            lock=f"{errand.subject}:{errand.key}",
            schedule_at=errand.due_at,
            priority=int(doubt),
        )
        return deferrer.make_new_job(subject=errand.subject.value, key=errand.key, doubt=doubt)

    # Attending

    async def serve(self, attendants: Mapping[Subject, Attend]) -> None:
        """Attend to errands until cancelled; what is under way then has a few seconds, and is put in line again."""
        self._attendants = attendants
        async with asyncio.TaskGroup() as beside:
            for subject, room in _SIDE_BY_SIDE.items():
                beside.create_task(self._kept_up(lambda subject=subject, room=room: self._work(subject, room)))  # type: ignore[misc]
            beside.create_task(self._kept_up(self._look_after_others))

    async def _kept_up(self, part: Callable[[], Awaitable[None]]) -> None:
        """Begin one part anew whenever trouble that passes has ended it; the others go on meanwhile."""
        while True:
            try:
                await part()
            except Exception as problem:
                if not _passes(problem):
                    raise
                if was_struck_off(problem):
                    log.warning("others took this process for dead; it begins anew")
                else:
                    self._out_of_reach(problem)
            await asyncio.sleep(_TROUBLE_SECONDS)

    def _out_of_reach(self, problem: Exception) -> None:
        if not self._is_out_of_reach:
            log.error("the queue is out of reach; trying again", cause=repr(problem.__cause__ or problem)[:200])
        self._is_out_of_reach = True

    @property
    def is_out_of_reach(self) -> bool:
        """Whether nothing can be taken up at present."""
        return self._is_out_of_reach

    async def drain(self, seconds: float) -> None:
        """Nothing: what is under way has its time when `serve` is cancelled."""

    async def _work(self, subject: Subject, room: int) -> None:
        await self._app.run_worker_async(
            queues=[subject.value],
            name=subject.value,
            concurrency=room,
            delete_jobs="always",
            install_signal_handlers=False,
            fetch_job_polling_interval=_POLL,
            abort_job_polling_interval=_NEVER,
            shutdown_graceful_timeout=_GRACE,
            update_heartbeat_interval=HEARTBEAT,
            stalled_worker_timeout=LOST,
        )
        raise ConnectionError(f"the worker of {subject} stopped by itself")  # it tells no more than that

    async def _attend(self, context: JobContext, *, subject: str, key: str, doubt: bool) -> None:
        """One job. Whatever keeps it from its end, the errand is in line again."""
        errand, job_id = Errand(Subject(subject), key), context.job.id
        assert job_id is not None
        self._attending.add(job_id)
        try:
            with fenced(lambda: self._is_still_ours(job_id)):
                await self._attendants[errand.subject](key, doubt)
        except Displaced:
            log.warning("this process stood still for too long; another one goes on", subject=subject, key=key)
        except Later as later:
            await self._again(Errand(errand.subject, key, self._now() + timedelta(seconds=later.seconds)))
        except asyncio.CancelledError:
            await asyncio.shield(self._again(errand))
            raise
        except Exception:
            log.exception("an errand is left for later", subject=subject, key=key)
            try:  # here, for a time that another clock has to reach might be far off
                await asyncio.sleep(_TROUBLE_SECONDS)
            finally:
                await asyncio.shield(self._again(errand))
        finally:
            self._attending.discard(job_id)

    async def _is_still_ours(self, job_id: int) -> bool:
        try:
            return await self._app.job_manager.get_job_status_async(job_id) is Status.DOING
        except NoResult:
            return False

    async def _again(self, errand: Errand) -> None:
        try:
            await self._put([errand], doubt=True)
        except ConnectorException:
            self._put_back[errand] = None
            log.warning("an errand could not be put in line yet", subject=errand.subject)

    async def _put_in_line_what_could_not_be(self) -> int:
        """As soon as the database is back; should this process end before, the next sweep finds it."""
        left = list(self._put_back)
        await self._put(left, doubt=True)
        for errand in left:
            self._put_back.pop(errand, None)
        return len(left)

    # What keeps errands from being lost

    async def _look_after_others(self) -> None:
        """Take over from processes that stopped beating, and sweep for what nobody carries."""
        swept_at = -math.inf
        while True:
            await self._counted("rescue", self._rescue())
            await self._counted("leftovers", self._put_in_line_what_could_not_be())
            await self._counted("leftovers", self._renew_what_nobody_does())
            self._shares(await self._processes())
            if self._is_out_of_reach:
                self._is_out_of_reach = False
                log.info("the queue is in reach again")
            if (now := asyncio.get_running_loop().time()) - swept_at > 60:  # noqa: PLR2004  a minute
                swept_at = now
                await self._counted("reconcile", self.reconcile())
            await asyncio.sleep(HEARTBEAT)

    async def _counted(self, name: str, sweep: Awaitable[int]) -> None:
        try:
            found = await sweep
        except Exception:
            self._metrics.swept(name, well=False)
            raise
        self._metrics.swept(name, found=found)

    async def _rescue(self) -> int:
        """Put the jobs of a dead process in line anew, as new ones: it cannot end those if it was not dead.

        Returns how many that were.
        """
        manager = self._app.job_manager
        stalled = list(await manager.get_stalled_jobs(seconds_since_heartbeat=LOST))
        for job in stalled:
            log.warning("taking over from a process that is gone", job=job.lock)
            await self._renew(job)
        await manager.prune_stalled_workers(LOST)
        return len(stalled)

    async def _renew(self, job: Job) -> None:
        await self._put([_errand_of(job)], doubt=True)
        crashpoint("cp30")
        await self._app.job_manager.finish_job(job, status=Status.FAILED, delete_job=True)

    async def _renew_what_nobody_does(self) -> int:
        """Put in line anew what counts as attended to here and is not: its end, or its beginning, was not heard of.

        Only what was so one turn ago, too, since a job is told as ended only after it has.
        """
        idle = {
            job.id: job
            for worker_id in tuple(self._manager.workers)
            for job in await self._manager.list_jobs_async(worker_id=worker_id, status=Status.DOING.value)
            if job.id is not None and job.id not in self._attending
        }
        left = [job for job_id, job in idle.items() if job_id in self._idle_before]
        for job in left:
            log.warning("an errand that nobody attends to counted as begun", job=job.lock)
            await self._renew(job)
        self._idle_before = set(idle)
        return len(left)

    async def _processes(self) -> int:
        """How many attend; each has one worker a subject."""
        counted = await self._app.connector.execute_query_one_async(
            "SELECT count(*) AS workers FROM procrastinate_workers"
        )
        return max(1, round(int(counted["workers"]) / len(_SIDE_BY_SIDE)))

    async def reconcile(self) -> int:
        """Put in line what the tables say is undone and no job carries; return how much that was.

        The two cannot be seen at one moment, so what seems lost has to seem so twice.
        """
        lost = await self._uncarried()
        if lost:
            again = set(await self._uncarried())
            lost = [errand for errand in lost if errand in again]
        if lost:
            log.warning("errands that nobody carried are in line again", count=len(lost))
            await self._put(lost, doubt=True)
        return len(lost)

    async def _uncarried(self) -> list[Errand]:
        """What is undone, and then, of that, what has no job by now."""
        undone = await undone_errands(self._storage, before=self._now() - _OVERDUE)
        carried = {
            job.lock
            for status in _STILL_OPEN
            for job in await self._app.job_manager.list_jobs_async(status=status.value)
        }
        return [errand for errand in undone if f"{errand.subject}:{errand.key}" not in carried]


async def _each_alone(connection: Any) -> None:
    """Each statement is a transaction of its own: a process that stands still between two keeps no row locked."""
    await connection.set_autocommit(True)


async def undone_errands(storage: Database, *, before: datetime) -> list[Errand]:
    """Everything that the tables say somebody should attend to; letters, if due since before a moment."""
    async with storage.reading() as saved:
        lines = await saved.inbox.waiting(before=before)
        works = await saved.runs.works_with_open_runs()
        lanes = await saved.outbox.works_owing(limit=1_000_000)
    found = ((Subject.LINE, lines), (Subject.WORK, works), (Subject.LANE, lanes))
    return [Errand(subject, key) for subject, keys in found for key in keys]


def _passes(problem: BaseException) -> bool:
    return isinstance(problem, ConnectorException | OSError) or is_trouble(problem)


def _errand_of(job: Job) -> Errand:
    return Errand(Subject(str(job.task_kwargs["subject"])), str(job.task_kwargs["key"]))
