"""Channels in which we may not write just now: put out, archived, closed; somebody may change that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from bot.slack.calls import CallFailed, Trouble
from handlers.ports import Clock
from storage.records import Message, Work

_MENDABLE = frozenset(
    {"channel_not_found", "is_archived", "not_in_channel", "restricted_action", "restricted_action_read_only_channel"}
)
_KNOCK_EVERY = 60.0  # seconds; one message knocks for all that wait
_PATIENCE = timedelta(days=1)


class ShutChannels:
    """What a thread is still owed waits for a day, until its channel lets us write again."""

    def __init__(self, *, clock: Clock, tick: Callable[[], float]) -> None:
        self._clock = clock
        self._tick = tick
        self._shut: dict[str, tuple[float, str]] = {}  # by channel: until when nobody knocks, and why

    @contextmanager
    def trying(self, message: Message, work: Work) -> Iterator[None]:
        """Raise CallFailed(OPERATOR) for a message that has to wait: without asking Slack, or by Slack's refusal.

        A root that is refused waits for nothing: there is no thread yet, and whoever asked is told at once.
        """
        if work.thread_ts is None:
            yield
            return
        until, code = self._shut.get(message.channel, (0.0, ""))
        if code and self._tick() < until:
            raise CallFailed(Trouble.OPERATOR, code)
        try:
            yield
        except CallFailed as failed:
            if failed.code not in _MENDABLE or self._clock() - message.planned_at > _PATIENCE:
                raise
            self._shut[message.channel] = self._tick() + _KNOCK_EVERY, failed.code
            raise CallFailed(Trouble.OPERATOR, failed.code) from failed
        self._shut.pop(message.channel, None)
