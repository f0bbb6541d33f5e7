"""While the database is in trouble, everybody who needs it fails again and again; each says so once a minute."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import structlog
from structlog.typing import EventDict

_EVERY = 60.0


class Repeats:
    """A step of structlog's: drops a line about trouble with the database that was written less than a minute ago."""

    def __init__(self, tick: Callable[[], float] = time.monotonic) -> None:
        self._tick = tick
        self._written: dict[str, float] = {}
        self._dropped: dict[str, int] = {}

    def __call__(self, _logger: object, _method: str, event: EventDict) -> EventDict:
        problem = _problem_of(event.get("exc_info"))
        if problem is None or not (isinstance(problem, TimeoutError) or _is_of_the_database(problem)):
            return event
        said = str(event.get("event"))
        now = self._tick()
        if now - self._written.get(said, -_EVERY) < _EVERY:
            self._dropped[said] = self._dropped.get(said, 0) + 1
            raise structlog.DropEvent
        self._written[said] = now
        del event["exc_info"]  # where in our code it was noticed says nothing about a database
        event["cause"] = str(getattr(problem, "orig", None) or problem).strip()[:200] or type(problem).__name__
        if dropped := self._dropped.pop(said, 0):
            event["repeated"] = dropped
        return event


def _is_of_the_database(problem: BaseException) -> bool:
    """Whoever has no database loaded can have no trouble with it; `check` must not load one."""
    trouble = sys.modules.get("storage.trouble")
    return trouble is not None and bool(trouble.is_trouble(problem))


def _problem_of(given: object) -> BaseException | None:
    match given:
        case BaseException():
            return given
        case (_, BaseException() as problem, _):
            return problem
        case True:
            return sys.exc_info()[1]
        case _:
            return None
