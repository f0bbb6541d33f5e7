"""The runs that a process performs, and what became of those that its end met."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bot.fence import Displaced
from handlers.result import NotOurs


class UnderWay:
    """Counts runs while they are performed; once the stop begins, also how they end."""

    def __init__(self) -> None:
        self._now = self._finished = self._given_back = 0
        self._is_stopping = False

    @contextmanager
    def performing(self) -> Iterator[None]:
        """One run. Whatever is raised here leaves it to begin again, unless it is not ours any more."""
        self._now += 1
        try:
            yield
        except (NotOurs, Displaced):
            raise
        except BaseException:
            self._given_back += self._is_stopping
            raise
        else:
            self._finished += self._is_stopping
        finally:
            self._now -= 1

    def stop_begins(self) -> None:
        self._is_stopping = True

    def last_words(self) -> str:
        """What became of them. One that is still under way begins again like those given back."""
        ends = {"finished": self._finished, "handed back to begin again": self._given_back + self._now}
        parts = [f"{_runs(count)} {how}" for how, count in ends.items() if count]
        return f"stopped: {', '.join(parts) or 'no run was under way'}"


def _runs(count: int) -> str:
    return f"{count} run" if count == 1 else f"{count} runs"
