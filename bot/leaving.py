"""The end of a command: nothing that was left running keeps the process from ending.

What is to be kept is kept by then. What may be left are threads in a system call (a look-up of a name that nobody
answers takes the resolver half a minute and more, and no thread can be stopped) and tasks that lost the word that they
are called off, or do not heed it. `asyncio.run` and the interpreter wait for both without an end.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Awaitable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import structlog

log = structlog.stdlib.get_logger(__name__)

_CALLS_OFF = 5
_THREADS_SECONDS = 2.0
_THREADS = "countersign"
_MOST_THREADS = 32  # asyncio's own bound


def run_to_the_end(work: Awaitable[Any]) -> Any:
    """What the work comes to, as from `asyncio.run`, though something goes on beside it."""
    runner = asyncio.Runner()
    try:
        return runner.run(_whole(work))
    finally:
        if not asyncio.all_tasks(runner.get_loop()):  # closing would wait for them
            runner.close()


def leave(code: int) -> NoReturn:
    """End the process with an exit code, whatever still runs in it."""
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread() and not thread.daemon]
    if _still_there(others):
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


async def _whole(work: Awaitable[Any]) -> Any:
    loop, threads = asyncio.get_running_loop(), ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix=_THREADS)
    loop.set_default_executor(threads)
    try:
        return await work
    finally:
        await _call_off()
        threads.shutdown(wait=False, cancel_futures=True)
        loop.set_default_executor(ThreadPoolExecutor(1))  # the loop waits for its own, without an end
        ours = [thread for thread in threading.enumerate() if thread.name.startswith(_THREADS)]
        if busy := _still_there(ours):
            log.warning("something does not end", threads=busy)


async def _call_off() -> None:
    """Call off what still runs, more than once: before Python 3.12 a cancellation may be lost."""
    for _ in range(_CALLS_OFF):
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if not left:
            return
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=1.0)
    deaf = [str(task)[:200] for task in left if not task.done()]
    if deaf:
        log.warning("something does not end", tasks=deaf)


def _still_there(threads: Iterable[threading.Thread]) -> list[str]:
    """The names of those that have not ended after a moment."""
    for thread in (threads := list(threads)):
        thread.join(_THREADS_SECONDS / len(threads))
    return [thread.name for thread in threads if thread.is_alive()]
