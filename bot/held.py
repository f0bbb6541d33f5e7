"""The runs this process performs: each is let go within a second once it is not ours any more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from handlers.ports import Sleep
from handlers.result import NotOurs
from storage.database import Database
from storage.records import Run
from storage.trouble import is_trouble

log = structlog.get_logger(__name__)

LOOK = 0.4
"""Seconds between looks; a cancelled run asks nobody any more after that."""


class Held:
    """Performs runs, each as a task of its own, so that one can be stopped and the next one of its work begun."""

    def __init__(self, storage: Database, *, sleep: Sleep = asyncio.sleep) -> None:
        self._storage, self._sleep = storage, sleep
        self._tasks: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._some = asyncio.Event()

    async def perform(self, run: Run, perform: Callable[[Run], Awaitable[None]]) -> None:
        """Perform a run under its epoch. Raises NotOurs if it was stopped, and whatever `perform` raises."""
        task = asyncio.ensure_future(perform(run))
        self._tasks[run.id, run.epoch] = task
        self._some.set()
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait([task])
            _ = task.cancelled() or task.exception()  # nobody is left to hear it
            raise
        finally:
            del self._tasks[run.id, run.epoch]
            if not self._tasks:
                self._some.clear()
        if task.cancelled():
            raise NotOurs
        task.result()

    def stop(self, run: Run) -> None:
        """Stop this one, if it is here under whatever epoch: it was cancelled, and that is for ever."""
        for (run_id, _), task in self._tasks.items():
            if run_id == run.id:
                task.cancel()

    async def watch(self) -> None:
        """Ask the tables now and then, until cancelled: word of a cancel may be lost, and an epoch be over."""
        while True:
            await self._some.wait()
            await self._sleep(LOOK)
            try:
                await self._look()
            except Exception as problem:
                if not is_trouble(problem):
                    log.exception("it could not be seen which runs are still ours; looking again")

    async def _look(self) -> None:
        if not self._tasks:
            return
        asked = list(self._tasks)
        async with self._storage.reading() as saved:
            lost = await saved.runs.lost(asked)
        for key in lost:
            if (task := self._tasks.get(key)) is not None:
                log.info("a run is not ours any more; its call is stopped", run=key[0])
                task.cancel()
