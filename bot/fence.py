"""A fence between a process that has lost its errand and Slack, which would believe whatever arrives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

StillOurs = Callable[[], Awaitable[bool]]


class Displaced(Exception):  # noqa: N818  reads as a fact
    """Somebody else attends to this by now; whoever meets this says and does nothing more about it."""


_fence: ContextVar[StillOurs | None] = ContextVar("still ours", default=None)


@contextmanager
def fenced(still_ours: StillOurs) -> Iterator[None]:
    """Inside, and in tasks begun inside, nothing is sent once the errand is somebody else's."""
    before = _fence.set(still_ours)
    try:
        yield
    finally:
        _fence.reset(before)


async def pass_fence() -> None:
    """Ask directly before sending. Raises Displaced."""
    still_ours = _fence.get()
    if still_ours is not None and not await still_ours():
        raise Displaced
