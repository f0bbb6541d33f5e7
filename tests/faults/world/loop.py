"""An event loop without a clock, threads or sockets: who comes next is drawn, and sleeping costs nothing."""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
from asyncio import events
from collections.abc import Callable
from typing import Any, Protocol

TICK = 0.000_01  # seconds that each step takes, so that no two moments are the same


MOST_STEPS = 100_000


class Process(Protocol):
    """Whoever a step belongs to."""

    is_dead: bool
    is_frozen: bool

    def stepped(self) -> None:
        """One of its steps is about to be taken; it may die of it."""


PROCESS: contextvars.ContextVar[Process | None] = contextvars.ContextVar("the process a step belongs to", default=None)


class Stuck(Exception):  # noqa: N818  reads as a fact
    """Nothing is left to do, and what was waited for has not come."""


_numbers = itertools.count(1)


class NumberedFuture(asyncio.Future[Any]):
    """A future whose place in a set does not depend on where it lies in memory."""

    _number: int

    def __hash__(self) -> int:
        return self._number


class NumberedTask(asyncio.Task[Any]):
    """A task of that kind."""

    def __init__(self, work: Any, *, context: contextvars.Context | None = None, **more: Any) -> None:
        self._number = next(_numbers)
        self.context = context or contextvars.copy_context()
        super().__init__(work, context=self.context, **more)

    def __hash__(self) -> int:
        return self._number


class DrawnLoop(asyncio.BaseEventLoop):
    """Runs callbacks in an order that `pick` chooses. A dead process takes no more steps, a frozen one later.

    A step knows its process by its context, which every task hands on to the tasks it starts.
    """

    def __init__(self, pick: Callable[[int], int]) -> None:
        super().__init__()
        global _numbers  # noqa: PLW0603  each world counts from one
        _numbers = itertools.count(1)
        self._pick = pick
        self._now = 1_000.0
        self._ready: list[asyncio.Handle] = []
        self._parked: list[asyncio.Handle] = []
        self._failures: list[dict[str, Any]] = []
        self.steps = 0
        self.tasks: list[NumberedTask] = []
        """All there ever were: nobody of a dead process may be cleared away, for that would let them act once more."""
        self.set_task_factory(self._remember)
        self.set_exception_handler(lambda _, context: self._failures.append(context))

    def _remember(self, _: Any, work: Any, **more: Any) -> NumberedTask:
        task = NumberedTask(work, loop=self, **more)
        self.tasks.append(task)
        return task

    def create_future(self) -> asyncio.Future[Any]:
        made = NumberedFuture(loop=self)
        made._number = next(_numbers)
        return made

    def call_soon(  # type: ignore[override]  # less generic than the base's
        self, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def time(self) -> float:
        return self._now

    def thaw(self) -> None:
        """Whoever was frozen and is not any more goes on."""
        kept: list[asyncio.Handle] = []
        for handle in self._parked:
            (kept if _is_frozen(handle) else self._ready).append(handle)
        self._parked = kept

    def run_forever(self) -> None:
        """As the base, without what it does for threads, signals and sockets."""
        self._check_closed()  # type: ignore[attr-defined]
        events._set_running_loop(self)
        try:
            while not self._stopping:  # type: ignore[has-type]
                self._run_once()
        finally:
            self._stopping = False
            events._set_running_loop(None)

    def _run_once(self) -> None:
        """One step of whoever is drawn; all in one function, for this is what a world does most."""
        ready, scheduled = self._ready, self._scheduled  # type: ignore[attr-defined]
        if not ready:
            self._wait()
        while scheduled and scheduled[0]._when <= self._now:
            due = heapq.heappop(scheduled)
            due._scheduled = False
            if not due._cancelled:
                ready.append(due)
        if not ready:
            return
        handle = ready.pop(self._pick(len(ready)))
        if handle._cancelled:
            return
        context: contextvars.Context = handle._context  # type: ignore[attr-defined]
        process = context.get(PROCESS)
        if process is not None and not self._may_step(process, handle):
            return
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise Stuck("This world does not come to an end.")
        self._now += TICK
        try:
            context.run(handle._callback, *handle._args)  # type: ignore[attr-defined]
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as problem:  # noqa: BLE001  as a handle does
            self.call_exception_handler({"message": "a callback broke", "exception": problem, "handle": handle})

    def _may_step(self, process: Process, handle: asyncio.Handle) -> bool:
        if process.is_dead:
            return False
        if process.is_frozen:
            self._parked.append(handle)
            return False
        process.stepped()
        return not process.is_dead

    def _wait(self) -> None:
        scheduled = self._scheduled  # type: ignore[attr-defined]
        while scheduled and scheduled[0]._cancelled:
            heapq.heappop(scheduled)._scheduled = False
        if not scheduled:
            raise Stuck(Stuck.__doc__)
        self._now = max(self._now, scheduled[0]._when)

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]  # noqa: ARG002  so
        """What would have a thread is done in a step of its own."""
        done = self.create_future()

        def work() -> None:
            if done.cancelled():
                return
            try:
                done.set_result(func(*args))
            except Exception as problem:  # noqa: BLE001  whoever waits for it hears of it
                done.set_exception(problem)

        self.call_soon(work)
        return done

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109  as the base
        """There is none."""

    def _process_events(self, event_list: Any) -> None: ...

    def _write_to_self(self) -> None: ...

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None: ...

    def run(self, main: Any) -> Any:
        """Run to the end of `main`, and leave everything else where it stands."""
        before = events._get_running_loop()
        assert before is None, "a world has a thread to itself"
        return self.run_until_complete(main)


def _is_frozen(handle: asyncio.Handle) -> bool:
    process: Process | None = handle._context.get(PROCESS)  # type: ignore[attr-defined]
    return process is not None and process.is_frozen and not process.is_dead
