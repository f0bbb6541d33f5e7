"""Waiting for the workspace to become what somebody hopes for."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from bot.playground.shapes import Json, SlackError
from bot.playground.workspace import Workspace

T = TypeVar("T")
POLL_SECONDS = 0.1  # for conditions that look at something else than the workspace


class Watch:
    """Looks again at a condition whenever something changes."""

    def __init__(self, workspace: Workspace) -> None:
        self._woken: set[asyncio.Event] = set()
        workspace.changed.append(self._wake)

    def _wake(self, _change: Json) -> None:
        for event in self._woken:
            event.set()

    async def wait(self, condition: Callable[[], T | Awaitable[T]], seconds: float) -> T | None:
        """What the condition gives once it is true; what it gave last if time runs out before."""
        deadline = time.monotonic() + seconds
        event = asyncio.Event()
        self._woken.add(event)
        try:
            while True:
                event.clear()
                result = await _looked(condition)
                left = deadline - time.monotonic()
                if result or left <= 0:
                    return result
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(event.wait(), min(left, POLL_SECONDS))
        finally:
            self._woken.discard(event)


async def _looked(condition: Callable[[], T | Awaitable[T]]) -> T | None:
    """What the condition gives; one that looks for something not yet there is simply not true yet."""
    try:
        answer = condition()
        return await answer if isinstance(answer, Awaitable) else answer
    except (LookupError, StopIteration, SlackError):
        return None
