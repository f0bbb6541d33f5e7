"""The embedded courier: one process, and the runs table is the queue."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

import structlog

from bot.fence import pass_fence
from bot.logs import about
from handlers.errors import Refusal
from handlers.ports import Clock
from handlers.result import NotOurs
from storage.database import Database
from storage.records import Run

log = structlog.get_logger(__name__)

_SIDE_BY_SIDE = 1_000
_IDLE_SECONDS = 5.0
_SQLITE = b"SQLite format 3\0"  # https://sqlite.org/fileformat.html#the_database_header
_TROUBLE_SECONDS = 2.0

Perform = Callable[[Run], Awaitable[None]]


class Alone:
    """A lock on the database's file. A second process is refused with a sentence, and so is what is no database.

    Needs a local disk.
    """

    def __init__(self, database: str | None) -> None:
        is_file = database and database != ":memory:"
        self._database = Path(str(database)).resolve() if is_file else None  # by whatever name it is called
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        if self._database is None:
            return self
        _must_be_possible(self._database)
        try:
            self._descriptor = os.open(f"{self._database}.lock", os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as problem:
            raise Refusal(
                f"Nothing can be written beside the database {self._database} ({problem.strerror}): see to the "
                "folder's disk and permissions, or choose another place (DATABASE_URL or --database)."
            ) from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._descriptor)
            self._descriptor = None
            told = f"Another Countersign is already working on {self._database}; stop it first."
            raise Refusal(told) from None
        with suppress(FileExistsError):  # what is new is made here, for briefs and answers are nobody else's to read
            os.close(os.open(self._database, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)


def _must_be_possible(database: Path) -> None:
    """Refuses a path at which there is no database and none can be made, before anything is made beside it."""
    if not database.parent.is_dir():
        raise Refusal(
            f"There is no folder {database.parent} for the database {database.name}: make it, or mend the path "
            "(DATABASE_URL or --database)."
        )
    if not database.exists():
        return
    beginning = b"a folder" if database.is_dir() else _beginning_of(database)
    if beginning not in {b"", _SQLITE}:  # SQLite takes an empty file for a new database
        raise Refusal(f"{database} is no SQLite database: mend the path. Nothing was changed there.")


def _beginning_of(database: Path) -> bytes:
    with database.open("rb") as file:
        return file.read(len(_SQLITE))


async def perform_in_order(work_id: str, *, storage: Database, perform: Perform, now: Clock) -> None:
    """Perform the queued runs of a work, one after the other. Nobody else may attend to this work meanwhile.

    What is running when this begins was left by somebody who died; it begins again, under a new epoch.
    """
    while True:
        async with storage.transaction() as saved:
            await pass_fence()  # what runs may be a successor's by now, who needs its turn at writing as we did
            left = await saved.runs.back_in_line(of=work_id)
            first = await saved.runs.next_of(work_id)
            run = first and await saved.runs.begin(first.id, at=now())
        if left:
            log.info("resuming a run", runs=left, work=work_id)
        if run is None:
            return
        with about(work=work_id, run=run.id, stage=run.stage):
            try:
                await perform(run)
            except NotOurs:
                log.info("run ended elsewhere")
            except asyncio.CancelledError:
                await asyncio.shield(_put_back(run, storage))
                raise
        async with storage.reading() as saved:
            if not await saved.runs.has_open(work_id):
                return  # the usual end, found without keeping other writers waiting


async def _put_back(run: Run, storage: Database) -> None:
    async with storage.transaction() as saved:
        await saved.runs.back_in_line(only=run.id, epoch=run.epoch)


class Embedded:
    """Begins runs as their threads come free, and gives them back when it must stop."""

    def __init__(self, *, storage: Database, perform: Perform, now: Clock) -> None:
        self._storage, self._perform, self._now = storage, perform, now
        self._woken = asyncio.Event()
        self._at_work: dict[str, asyncio.Task[None]] = {}
        self._draining = False

    def wake(self) -> None:
        self._woken.set()

    async def abort(self, run: Run) -> None:
        """Stop a call under way; the run's state says already why."""
        if task := self._at_work.get(run.id):
            task.cancel()

    async def serve(self) -> None:
        """Resume what a dead process left, then run until cancelled."""
        async with self._storage.transaction() as saved:
            left = await saved.runs.back_in_line()
        if left:
            log.info("resuming runs", count=len(left))
        try:
            while True:
                self._woken.clear()
                await self._begin_what_can_begin()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_IDLE_SECONDS):  # wait_for may lose a cancellation before Python 3.12
                        await self._woken.wait()
        finally:
            await self._park()

    async def drain(self, seconds: float) -> None:
        """Begin nothing more, and give what is under way so many seconds to end."""
        self._draining = True
        if self._at_work:
            await asyncio.wait(self._at_work.values(), timeout=seconds)

    async def _begin_what_can_begin(self) -> None:
        if self._draining:
            return
        try:
            async with self._storage.reading() as saved:
                room = _SIDE_BY_SIDE - len(self._at_work)
                ready = await saved.runs.next_in_line(without=self._at_work.keys(), limit=room)
        except Exception:
            log.exception("the queue could not be read; trying again")
            return
        for run in ready:
            with about(work=run.work_id, run=run.id, stage=run.stage):
                self._at_work[run.id] = asyncio.create_task(self._run(run))

    async def _run(self, run: Run) -> None:
        try:
            async with self._storage.transaction() as saved:
                begun = await saved.runs.begin(run.id, at=self._now())
            if begun is not None:
                await self._perform(begun)
        except NotOurs:
            log.info("run ended elsewhere")
        except Exception:
            log.exception("run left for later")
            await self._give_back(run.id)
        finally:
            del self._at_work[run.id]
            self.wake()

    async def _give_back(self, run_id: str) -> None:
        """After trouble with the database the run waits in line again, once it can be written."""
        while True:
            await asyncio.sleep(_TROUBLE_SECONDS)
            try:
                async with self._storage.transaction() as saved:
                    await saved.runs.back_in_line(only=run_id)
            except Exception:
                log.exception("the queue cannot be written; trying again")
            else:
                return

    async def _park(self) -> None:
        """Give back what is under way; it begins again where it was last remembered."""
        tasks = dict(self._at_work)
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        async with self._storage.transaction() as saved:
            for run_id in tasks:
                await saved.runs.back_in_line(only=run_id)
