"""The parts of one process: begun side by side, seen when one breaks, and ended step by step within a time."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, Self

import structlog

from handlers.errors import Refusal

log = structlog.get_logger(__name__)

STOP_SECONDS = 18.0  # of the 20 that a host gives before it kills; each step keeps a share for those after it


class Parts(ABC):
    """What runs beside what. Use as an async context manager: inside, it works; leaving drains it."""

    def __init__(self) -> None:
        self._exit = AsyncExitStack()
        self._tasks: list[asyncio.Task[Any]] = []
        self._failed: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Self:
        try:
            self._failed = asyncio.get_running_loop().create_future()
            await self._start()
        except BaseException:
            deadline = asyncio.get_running_loop().time() + STOP_SECONDS
            await self._step("the parts", self._end(*(task.get_name() for task in self._tasks)), deadline, keep=1 / 2)
            await self._step("the closing", self._exit.aclose(), deadline, keep=0)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @abstractmethod
    async def _start(self) -> None:
        """Build the parts and begin them."""

    @abstractmethod
    async def stop(self) -> None:
        """End the parts, in an order that loses nothing."""

    def _beside(self, name: str, work: Awaitable[Any]) -> None:
        task: asyncio.Task[Any] = asyncio.ensure_future(work)
        task.set_name(name)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        """None of them may end by itself: if one does, the process says so and stops, to be started again."""
        assert self._failed is not None
        if task.cancelled() or self._failed.done():
            return
        problem = task.exception()
        if not isinstance(problem, Refusal):  # which whoever started us reads as the last sentence
            log.error("a part of the bot stopped", part=task.get_name(), exc_info=problem)
        self._failed.set_exception(problem or RuntimeError(f"{task.get_name()} ended"))

    async def broken(self) -> None:
        """Wait for a failure that no part recovers from; raises it."""
        assert self._failed is not None
        await asyncio.shield(self._failed)

    async def _step(self, name: str, work: Coroutine[Any, Any, None], deadline: float, *, keep: float) -> None:
        """One step of the stop, left behind if it does not end; `keep` is the share of the time for those after it."""
        task = asyncio.create_task(work)
        left = deadline - STOP_SECONDS * keep - asyncio.get_running_loop().time()
        try:
            await asyncio.wait([task], timeout=max(0.0, left))
        finally:
            task.cancel()  # and not waited for: what hangs may ignore it
        if not task.done():
            log.warning("a step of the stop did not end in time; what it owed follows at the next start", step=name)
        elif not task.cancelled():
            task.result()

    async def _end(self, *names: str) -> None:
        ending = [task for task in self._tasks if task.get_name() in names]
        for task in ending:
            task.cancel()
        if ending:
            done, _ = await asyncio.wait(ending)  # unlike gather it can be left, whatever the tasks do
            for task in done:
                _ = task.cancelled() or task.exception()  # seen: told already when it ended
